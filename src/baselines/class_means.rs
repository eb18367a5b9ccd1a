//! Nearest class mean: `argmax_j x̂·m̂_j`, with `m_j` the mean of the `x̂` of class j. It is what a cosine head becomes if it is not trained but
//! begun with means (Qi, Brown, Lowe 2018, *Low-Shot Learning with Imprinted Weights*, section 3.2).

use crate::ops::{Targets, l2_normalize};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// (C, D) the mean of the unit rows of each class, of norm 1 but for classes without rows or whose rows cancel: those are zero.
///
/// Shapes: features (N, D), labels (N,).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape), [`Error::NotFinite`](crate::Error::NotFinite), [`Error::ZeroNorm`](crate::Error::ZeroNorm),
/// [`Error::LabelOutOfRange`](crate::Error::LabelOutOfRange), [`Error::NothingLabelled`](crate::Error::NothingLabelled).
pub fn class_means<F: Real>(features: ArrayView2<F>, labels: ArrayView1<i64>, classes: usize) -> Result<Array2<F>> {
    let targets = Targets::new(labels, features.nrows(), classes)?;
    let unit = l2_normalize::forward("features", features)?.unit;
    let mut means = Array2::zeros((classes, features.ncols()));
    for (row, class) in targets.iter() {
        let mut mean = means.row_mut(class);
        mean += &unit.row(row);
    }
    for mut mean in means.axis_iter_mut(Axis(0)) {
        let norm = mean.dot(&mean).sqrt();
        if norm > F::zero() {
            mean /= norm;
        }
    }
    Ok(means)
}

/// (N,) the class of the nearest of `means` (C, D) of each row of `features` (N, D); of equals the first.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape), [`Error::NotFinite`](crate::Error::NotFinite), [`Error::ZeroNorm`](crate::Error::ZeroNorm).
pub fn predict<F: Real>(features: ArrayView2<F>, means: ArrayView2<F>) -> Result<Vec<usize>> {
    crate::metrics::similarity::check_dimensions("features", features, means.ncols())?;
    let unit = l2_normalize::forward("features", features)?.unit;
    Ok(crate::metrics::accuracy::predict(unit.dot(&means.t()).view()))
}
