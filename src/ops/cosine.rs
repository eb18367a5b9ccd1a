//! `cosine = x̂ ŵᵀ`, the cosines between every feature and every class vector.

use super::l2_normalize::{self, Normalized};
use super::linear::check_shapes;
use crate::{Real, Result};
use ndarray::{Array2, ArrayView2};

/// What [`backward`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct CosineCache<F> {
    /// `x̂` (B, D) and `‖x‖` (B,).
    pub features: Normalized<F>,
    /// `ŵ` (C, D) and `‖w‖` (C,).
    pub weights: Normalized<F>,
}

/// `cosine = x̂ ŵᵀ` in [-1, 1]: (B, D), (C, D) → (B, C).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape), [`Error::Empty`](crate::Error::Empty),
/// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::ZeroNorm`](crate::Error::ZeroNorm).
pub fn forward<F: Real>(features: ArrayView2<F>, weights: ArrayView2<F>) -> Result<(Array2<F>, CosineCache<F>)> {
    check_shapes(features, weights)?;
    let features = l2_normalize::forward("features", features)?;
    let weights = l2_normalize::forward("weights", weights)?;
    let mut cosine = features.unit.dot(&weights.unit.t());
    cosine.mapv_inplace(|cosine| cosine.max(-F::one()).min(F::one()));
    Ok((cosine, CosineCache { features, weights }))
}

/// `d_x̂ = d_cosine ŵ` and `d_ŵ = d_cosineᵀ x̂`, then the Jacobian of the normalisation:
/// (B, C) → `d_features` (B, D) and `d_weights` (C, D).
pub fn backward<F: Real>(d_cosine: ArrayView2<F>, cache: &CosineCache<F>) -> (Array2<F>, Array2<F>) {
    let d_unit_features = d_cosine.dot(&cache.weights.unit);
    let d_unit_weights = d_cosine.t().dot(&cache.features.unit);
    (l2_normalize::backward(d_unit_features, &cache.features), l2_normalize::backward(d_unit_weights, &cache.weights))
}
