//! What a head's rules see of a labelled row, and what they say of it.

use crate::Real;
use crate::ops::Angle;

/// A labelled row: where its feature is, as seen from its class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<F> {
    /// The angle θ to the class vector; of several centres a class, to the nearest.
    pub angle: Angle<F>,
    /// The norm ‖x‖ of the feature.
    pub norm: F,
    /// The class.
    pub class: usize,
    /// The number of the row among the labelled ones of its batch, in their order.
    pub number: usize,
}

/// What takes the place of `cosθ` for the labelled class, before it is multiplied by the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Logit<F> {
    /// `ψ`
    pub value: F,
    /// `∂ψ/∂cosθ`
    pub slope: F,
    /// `∂ψ/∂‖x‖`; 0 where the margin does not depend on the norm, or the norm is a constant to the gradient.
    pub slope_of_norm: F,
}

impl<F: Real> Logit<F> {
    /// No margin: `ψ = cosθ`.
    pub fn plain(row: &Row<F>) -> Self {
        Self { value: row.angle.cos, slope: F::one(), slope_of_norm: F::zero() }
    }

    /// A margin on the cosine: `ψ = cosθ - margin`.
    pub(super) fn less(row: &Row<F>, margin: f64) -> Self {
        Self { value: row.angle.cos - F::of(margin), ..Self::plain(row) }
    }
}

/// What a row adds to its loss for its norm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Penalty<F> {
    /// `g(‖x‖)`, in nats.
    pub value: F,
    /// `dg/d‖x‖`
    pub slope: F,
}
