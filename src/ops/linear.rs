//! `z = x wᵀ + b`.

use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Gradients of [`forward`]'s three inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearGradients<F> {
    /// (B, D)
    pub d_features: Array2<F>,
    /// (C, D)
    pub d_weights: Array2<F>,
    /// (C,)
    pub d_bias: Array1<F>,
}

/// `logits = features weightsᵀ + bias`: (B, D), (C, D), (C,) → (B, C).
///
/// # Errors
/// [`Error::Shape`] where the shapes do not fit, [`Error::Empty`] for an empty batch or no columns.
pub fn forward<F: Real>(features: ArrayView2<F>, weights: ArrayView2<F>, bias: ArrayView1<F>) -> Result<Array2<F>> {
    check_shapes(features, weights)?;
    check_bias(bias, weights.nrows())?;
    Ok(features.dot(&weights.t()) + bias)
}

/// `d_features = d_logits weights`, `d_weights = d_logitsᵀ features`, `d_bias = Σ_i d_logits_i`.
pub fn backward<F: Real>(
    d_logits: ArrayView2<F>,
    features: ArrayView2<F>,
    weights: ArrayView2<F>,
) -> LinearGradients<F> {
    LinearGradients {
        d_features: d_logits.dot(&weights),
        d_weights: d_logits.t().dot(&features),
        d_bias: d_logits.sum_axis(Axis(0)),
    }
}

/// Checks that `features` (B, D) and `weights` (C, D) are not empty and share D.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`].
pub fn check_shapes<F: Real>(features: ArrayView2<F>, weights: ArrayView2<F>) -> Result<()> {
    for (what, shape) in [("features", features.shape()), ("weights", weights.shape())] {
        if shape.contains(&0) {
            return Err(Error::Empty { what, found: shape.to_vec() });
        }
    }
    if features.ncols() != weights.ncols() {
        return Err(Error::Shape {
            what: "weights",
            found: weights.shape().to_vec(),
            expected: format!("(classes, {}), as many columns as features {:?}", features.ncols(), features.shape()),
        });
    }
    Ok(())
}

/// Checks that `bias` has one finite element a class.
///
/// # Errors
/// [`Error::Shape`], [`Error::NotFinite`].
pub fn check_bias<F: Real>(bias: ArrayView1<F>, classes: usize) -> Result<()> {
    if bias.len() != classes {
        return Err(Error::Shape {
            what: "bias",
            found: bias.shape().to_vec(),
            expected: format!("({classes},), one element for each class"),
        });
    }
    super::l2_normalize::check_finite("bias", bias.insert_axis(Axis(0)))
}
