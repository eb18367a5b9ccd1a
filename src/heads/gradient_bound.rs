//! Bounds on gradients, known before any is computed: where lengths or scale are too far apart, a gradient would overflow.
//!
//! With residuals `r = p - onehot(y)`, that of a labelled class times its margin's slope `ψ'`, and logits `s x̃ w̃ᵀ`:
//!
//! `Σ_j |r_ij| ≤ 1 + max|ψ'|` and `|r_ij| ≤ max(1, max|ψ'|)`, so that for each element
//!
//! - `|d_features_i| ≤ s (1 + max|ψ'|) max‖w̃‖ / ‖x_i‖`,
//! - `|d_weights_j| ≤ s max(1, max|ψ'|) max‖x̃‖ / ‖w_j‖`,
//!
//! without the division where the head does not normalise. What is added up on the way is not yet multiplied by a small s, divided by a
//! norm above 1, or by the number of rows; the bounds here are on that, too.

use super::Normalizes;
use crate::ops::check_gradient_bound;
use crate::{Real, Result};

/// Lengths on which the size of gradients depends: those of the shortest rows where the head normalises them, those of the longest where not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub features: f64,
    pub weights: f64,
}

/// Checks that gradients overflow neither when they are computed nor on the way, in either engine. `steepest`: the largest `|ψ'|`.
///
/// # Errors
/// [`Error::GradientOverflow`](crate::Error::GradientOverflow).
pub(crate) fn check_gradients<F: Real>(
    normalizes: Normalizes,
    scale: F,
    steepest: F,
    rows: usize,
    lengths: Lengths,
    wants_d_features: bool,
) -> Result<()> {
    // What the length of rows divides by, and what it multiplies by.
    let divisor_and_factor =
        |normalised: bool, length: f64| if normalised { (length.min(1.0), 1.0) } else { (1.0, length) };
    let (feature_divisor, longest_feature) = divisor_and_factor(normalizes.features(), lengths.features);
    let (weight_divisor, longest_weight) = divisor_and_factor(normalizes.weights(), lengths.weights);
    let (scale, steepest) = (scale.to_double(), steepest.to_double());
    // Division first: so double precision does not overflow itself where the result would fit.
    let of_features = (1.0 + steepest) * scale.max(1.0) / feature_divisor * longest_weight;
    let of_weights = steepest.max(1.0) * scale.max(rows as f64) / weight_divisor * longest_feature;
    if wants_d_features {
        check_gradient_bound::<F>("features", of_features)?;
    }
    check_gradient_bound::<F>("weights", of_weights)
}
