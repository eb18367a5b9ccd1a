//! First values of class vectors.

use crate::{Real, Result};
use ndarray::Array2;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard deviation of a standard normal distribution cut off at ±2.
const TRUNCATED_NORMAL_STD: f64 = 0.879_625_661_034_239_8;

/// Glorot normal (Glorot & Bengio 2010), as Keras draws it: class vectors (C, D) from a normal distribution of
/// standard deviation `√(2 / (C + D))`, cut off at two standard deviations of the untruncated one.
pub fn glorot_normal<F: Real>(classes: usize, dimension: usize, rng: &mut impl Rng) -> Array2<F> {
    let std = (2.0 / (classes + dimension) as f64).sqrt() / TRUNCATED_NORMAL_STD;
    let mut draw = || loop {
        let value: f64 = StandardNormal.sample(rng);
        if value.abs() <= 2.0 {
            return F::of(std * value);
        }
    };
    Array2::from_shape_simple_fn((classes, dimension), &mut draw)
}

/// Class vectors (C, D) at right angles to each other, of norm 1; where C > D, columns at right angles instead. Drawn
/// uniformly: the Q of a Gaussian matrix, with the signs of R's diagonal.
///
/// # Errors
/// [`Error::NeedsFeature`](crate::Error::NeedsFeature) in a build without LAPACK, [`Error::Lapack`](crate::Error::Lapack).
pub fn orthonormal<F: Real>(classes: usize, dimension: usize, rng: &mut impl Rng) -> Result<Array2<F>> {
    let (tall, wide) = (classes.max(dimension), classes.min(dimension));
    let gaussian = Array2::from_shape_simple_fn((tall, wide), || StandardNormal.sample(rng));
    let q = crate::linalg::orthonormal_columns(gaussian)?;
    let weights = if classes > dimension { q } else { q.reversed_axes() };
    Ok(Array2::from_shape_fn((classes, dimension), |index| F::of(weights[index])))
}
