//! Bounds on gradients, known before any is computed: where lengths or scale are too far apart, a gradient would overflow.
//!
//! With residuals r by the logits, `p - onehot(y)` or what the [objective](crate::ops::objective) makes of them, times `ψ'` for the labelled class and `φ'`
//! for the others, logits `s x̃ w̃ᵀ`, and ρ a bound on `|r_ij|` and on `Σ_j |r_ij| / 2`, 1 for `p - onehot(y)`:
//!
//! - `|d_features_i| ≤ ρ s ((max|φ'| + max|ψ'|) max‖w̃‖ / ‖x_i‖ + max|∂ψ/∂‖x‖|) + max|ω g'|`,
//! - `|d_weights_j| ≤ ρ s (max(|φ'|, |ψ'|) max‖x̃‖ / ‖w_j‖ + max|∂ψ/∂‖w‖|)`, times the number of rows if the loss is their sum,
//!
//! without the division where the head does not normalise. What is added up on the way is not yet multiplied by a small s, divided by a
//! norm above 1, or by the number of rows; the bounds here are on that, too.

use super::Geometry;
use crate::ops::check_gradient_bound;
use crate::ops::checked_objective::CheckedObjective;
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
    /// `|∂ψ/∂‖w‖|`
    pub weight_norm: f64,
    /// `|g'|`
    pub penalty: f64,
}

/// Bounds on the derivatives by the logits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Residuals {
    /// ρ
    largest: f64,
    largest_weight: f64,
    rows: f64,
    /// What the sum over rows is divided by.
    divisor: f64,
}

impl Residuals {
    pub fn new<F: Real>(objective: &CheckedObjective<F>, largest: F) -> Self {
        let weights = objective.targets.iter().map(|(row, _)| objective.weight(row).to_double());
        let largest_weight = weights.fold(1.0, f64::max);
        Self {
            largest: largest.to_double().max(largest_weight),
            largest_weight,
            rows: objective.targets.labelled() as f64,
            divisor: objective.divisor.to_double(),
        }
    }
}

/// Checks that gradients overflow neither when they are computed nor on the way, in either engine.
///
/// # Errors
/// [`Error::GradientOverflow`](crate::Error::GradientOverflow).
pub(crate) fn check_gradients<F: Real>(
    geometry: Geometry,
    scale: F,
    slopes: Slopes,
    residuals: Residuals,
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
    let of_features =
        residuals.largest * (of_directions + slopes.norm * scale.max(1.0)) + residuals.largest_weight * slopes.penalty;
    // `max` would pass over NaN.
    let of_others = slopes.others > slopes.target || slopes.others.is_nan();
    let steeper = if of_others { slopes.others } else { slopes.target };
    let of_rows = residuals.rows * (scale / residuals.divisor).max(1.0);
    let of_weights = residuals.largest * of_rows * (steeper / weight_divisor * longest_feature + slopes.weight_norm);
    if wants_d_features {
        check_gradient_bound::<F>("features", of_features)?;
    }
    check_gradient_bound::<F>("weights", of_weights)
}
