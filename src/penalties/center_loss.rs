//! Center loss (Wen, Zhang, Li, Qiao 2016, *A Discriminative Feature Learning Approach for Deep Face Recognition*, ECCV, eq. 2 to 4): rows are drawn to the centre of their class.
//!
//! `loss = 1/(2n) Σ_i ‖x_i - c_{y_i}‖²` with centres of its own, which are no class vectors; n the labelled rows. The paper has the sum: its λ is n times the weight here.
//!
//! Gradient: `d_x_i = (x_i - c_{y_i}) / n`. Centres do not follow a gradient but the paper's rule, [`updated_centres`]: each moves by a share α of
//! `Σ_{i: y_i=j} (c_j - x_i) / (1 + n_j)`, so that one row among many, or a large batch, moves it no further than another, whatever the loss's weight.

use super::check_dimensions;
use crate::ops::{Targets, l2_normalize};
use crate::optim::check_setting;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};

/// The paper's α.
pub const RATE: f64 = 0.5;

/// What [`backward`] and [`updated_centres`] need.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// (B, D) `x_i - c_{y_i}`; zero in rows without a label.
    differences: Array2<F>,
    targets: Targets,
}

/// The penalty of `features` (B, D), `centres` (C, D) and `labels` (B,).
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], what is wrong with labels, [`Error::NotFinite`]; [`Error::LossNotFinite`] for rows too far from their centres.
pub fn forward<F: Real>(
    features: ArrayView2<F>,
    centres: ArrayView2<F>,
    labels: ArrayView1<i64>,
) -> Result<(F, Cache<F>)> {
    check_dimensions(features, "centres", centres)?;
    let targets = Targets::new(labels, features.nrows(), centres.nrows())?;
    l2_normalize::check_finite("features", features)?;
    l2_normalize::check_finite("centres", centres)?;
    let mut differences = Array2::zeros(features.dim());
    for (row, class) in targets.iter() {
        differences.row_mut(row).assign(&(&features.row(row) - &centres.row(class)));
    }
    let squares: f64 = differences.iter().map(|difference: &F| difference.to_double().powi(2)).sum();
    let loss = F::of(squares / (2.0 * targets.labelled() as f64));
    match loss.is_finite() {
        true => Ok((loss, Cache { differences, targets })),
        false => Err(Error::LossNotFinite { loss: loss.to_double() }),
    }
}

/// (B, D) the gradient of that penalty with respect to features.
pub fn backward<F: Real>(cache: &Cache<F>) -> Array2<F> {
    &cache.differences / F::of(cache.targets.labelled() as f64)
}

/// (C, D) `c_j - α Σ_{i: y_i=j} (c_j - x_i) / (1 + n_j)` of the `centres` that the cache was made with, and α in [0, 1].
///
/// # Errors
/// [`Error::Setting`] for α, [`Error::Shape`] for centres of another shape.
pub fn updated_centres<F: Real>(cache: &Cache<F>, centres: ArrayView2<F>, alpha: f64) -> Result<Array2<F>> {
    check_setting("the rate of centres", alpha, (0.0..=1.0).contains(&alpha), "a number in [0, 1]")?;
    let expected = (cache.targets.classes(), cache.differences.ncols());
    if centres.dim() != expected {
        let expected = format!("{expected:?}, that of the centres of the step");
        return Err(Error::Shape { what: "centres", found: centres.shape().to_vec(), expected });
    }
    let mut counts = vec![1.0; centres.nrows()];
    cache.targets.iter().for_each(|(_, class)| counts[class] += 1.0);
    let mut updated = centres.to_owned();
    for (row, class) in cache.targets.iter() {
        updated.row_mut(class).scaled_add(F::of(alpha / counts[class]), &cache.differences.row(row));
    }
    Ok(updated)
}
