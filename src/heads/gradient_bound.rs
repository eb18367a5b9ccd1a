//! Bounds on gradients, known before any is computed: where lengths or scale are too far apart, a gradient would overflow.
//!
//! With residuals `r = p - onehot(y)`, times `ψ'` for the labelled class and `φ'` for the others, and logits `s x̃ w̃ᵀ`:
//!
//! `Σ_j |r_ij| ≤ max|φ'| + max|ψ'|` and `|r_ij| ≤ max(|φ'|, |ψ'|)`, so that for each element
//!
//! - `|d_features_i| ≤ s (max|φ'| + max|ψ'|) max‖w̃‖ / ‖x_i‖ + s max|∂ψ/∂‖x‖| + max|g'|`,
//! - `|d_weights_j| ≤ s max(|φ'|, |ψ'|) max‖x̃‖ / ‖w_j‖`,
//!
//! without the division where the head does not normalise. What is added up on the way is not yet multiplied by a small s, divided by a
//! norm above 1, or by the number of rows; the bounds here are on that, too.

use super::Geometry;
use crate::ops::check_gradient_bound;
use crate::{Real, Result};

/// Lengths on which the size of gradients depends: those of the shortest rows where the head normalises them, those of the longest where not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub features: f64,
    pub weights: f64,
}

/// The largest derivatives of a head's rules in a batch, without their signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slopes {
    /// `|ψ'|`
    pub target: f64,
    /// `|φ'|`, at least 1.
    pub others: f64,
    /// `|∂ψ/∂‖x‖|`
    pub norm: f64,
    /// `|g'|`
    pub penalty: f64,
}

/// Checks that gradients overflow neither when they are computed nor on the way, in either engine.
///
/// # Errors
/// [`Error::GradientOverflow`](crate::Error::GradientOverflow).
pub(crate) fn check_gradients<F: Real>(
    geometry: Geometry,
    scale: F,
    slopes: Slopes,
    rows: usize,
    lengths: Lengths,
    wants_d_features: bool,
) -> Result<()> {
    // What the length of rows divides by, and what it multiplies by.
    let divisor_and_factor =
        |normalised: bool, length: f64| if normalised { (length.min(1.0), 1.0) } else { (1.0, length) };
    let (feature_divisor, longest_feature) = divisor_and_factor(geometry.normalizes_features(), lengths.features);
    let (weight_divisor, longest_weight) = divisor_and_factor(geometry.normalizes_weights(), lengths.weights);
    let scale = scale.to_double();
    // Division first: so double precision does not overflow itself where the result would fit.
    let of_directions = (slopes.others + slopes.target) * scale.max(1.0) / feature_divisor * longest_weight;
    let of_features = of_directions + slopes.norm * scale.max(1.0) + slopes.penalty;
    // `max` would pass over NaN.
    let of_others = slopes.others > slopes.target || slopes.others.is_nan();
    let steeper = if of_others { slopes.others } else { slopes.target };
    let of_weights = steeper * scale.max(rows as f64) / weight_divisor * longest_feature;
    if wants_d_features {
        check_gradient_bound::<F>("features", of_features)?;
    }
    check_gradient_bound::<F>("weights", of_weights)
}
