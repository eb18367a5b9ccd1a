//! Inter-loss (Deng, Guo, Xue, Zafeiriou 2019, 1801.07698, section on other losses): the negative mean angle between the class vectors of rows and all others, over π.
//!
//! `loss = -1/(π n (C-1)) Σ_i Σ_{j≠y_i} θ_{y_i,j}`, θ_{cj} the angle between w_c and w_j, n the labelled rows. With n_c rows of class c this is
//! `-1/(π n (C-1)) Σ_c n_c Σ_{j≠c} θ_{cj}`: a sum over the classes at hand.
//!
//! Gradient: each pair (c, j) has `∂loss/∂(ŵ_c·ŵ_j) = n_c / (π n (C-1) sinθ_{cj})`, which gives `ŵ_j` times it to `d_ŵ_c` and `ŵ_c` times it to `d_ŵ_j`; then the
//! Jacobian of the normalisation. Class vectors move that have no row in the batch, too. Angles are of a block of classes at a time, and are computed again by
//! [`backward`].

use super::{BLOCK, check_others};
use crate::ops::l2_normalize::{self, Normalized};
use crate::ops::{Angle, Targets};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// What [`backward`] needs.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// (C, D)
    weights: Normalized<F>,
    /// The classes at hand.
    classes: Vec<usize>,
    /// What the angles of each count: `-n_c / (π n (C-1))`.
    shares: Vec<F>,
}

/// The penalty of class vectors `weights` (C, D) for rows with these `labels` (B,), from -1 to 0.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) for fewer than two class vectors, what is wrong with labels, NaN or infinity, rows of norm zero.
pub fn forward<F: Real>(weights: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<(F, Cache<F>)> {
    check_others("weights", weights)?;
    let targets = Targets::new(labels, labels.len(), weights.nrows())?;
    let weights = l2_normalize::forward("weights", weights)?;
    let mut counts = BTreeMap::new();
    targets.iter().for_each(|(_, class)| *counts.entry(class).or_insert(0.0) += 1.0);
    let all = PI * targets.labelled() as f64 * (targets.classes() - 1) as f64;
    let (classes, shares) = counts.into_iter().map(|(class, count): (usize, f64)| (class, F::of(-count / all))).unzip();
    let cache = Cache { weights, classes, shares };
    let mut loss = 0.0;
    cache.for_each_block(|_, angles| {
        for (angles, &share) in angles.rows().into_iter().zip(&cache.shares) {
            let sum: f64 = angles.iter().flatten().map(|angle| angle.theta().to_double()).sum();
            loss += share.to_double() * sum;
        }
    });
    Ok((F::of(loss), cache))
}

/// (C, D) the gradient of that penalty.
pub fn backward<F: Real>(cache: &Cache<F>) -> Array2<F> {
    let Cache { weights, classes, shares } = cache;
    let at_hand = weights.unit.select(Axis(0), classes);
    let (mut d_unit, mut d_at_hand) = (Array2::zeros(weights.unit.dim()), Array2::zeros(at_hand.dim()));
    cache.for_each_block(|first, angles| {
        let mut d_cosine = Array2::zeros(angles.dim());
        for ((row, block), d_cosine) in angles.indexed_iter().zip(&mut d_cosine) {
            *d_cosine = block.map_or(F::zero(), |angle| -shares[row.0] / angle.sin_at_least_floor());
        }
        let block = s![first..first + angles.ncols(), ..];
        d_at_hand += &d_cosine.dot(&weights.unit.slice(block));
        let mut d_block = d_unit.slice_mut(block);
        d_block += &d_cosine.t().dot(&at_hand);
    });
    for (&class, d_at_hand) in classes.iter().zip(d_at_hand.rows()) {
        let mut d_class = d_unit.row_mut(class);
        d_class += &d_at_hand;
    }
    l2_normalize::backward(d_unit, weights)
}

impl<F: Real> Cache<F> {
    /// Calls `each` with the first class of each block, and the angles (P, block) of the P classes at hand to those of the block; none of a class to
    /// itself.
    fn for_each_block(&self, mut each: impl FnMut(usize, &Array2<Option<Angle<F>>>)) {
        let unit = &self.weights.unit;
        let at_hand = unit.select(Axis(0), &self.classes);
        for (number, block) in unit.axis_chunks_iter(Axis(0), BLOCK).enumerate() {
            let first = number * BLOCK;
            let cosines = at_hand.dot(&block.t());
            let angle = |(row, column)| {
                (self.classes[row] != first + column)
                    .then(|| angle_of(cosines[(row, column)], at_hand.row(row), block.row(column)))
            };
            each(first, &Array2::from_shape_fn(cosines.dim(), angle));
        }
    }
}

/// The angle between two unit vectors whose product is known.
fn angle_of<F: Real>(cosine: F, a: ArrayView1<F>, b: ArrayView1<F>) -> Angle<F> {
    // Nearer to a pole the product has lost more than three bits of the sine.
    if cosine.abs() > F::of(0.99) {
        return Angle::between(a, b);
    }
    Angle { cos: cosine, sin: ((F::one() - cosine) * (F::one() + cosine)).sqrt() }
}
