//! What a head's rules see of a labelled row, and what they say of it.

use crate::ops::{Angle, l2_normalize};
use crate::{Real, Result};
use ndarray::{Array1, ArrayView2, s};

/// A labelled row: where its feature is, as seen from its class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<F> {
    /// The angle θ to the class vector; of several centres a class, to the nearest, or that whose cosine is their mixture.
    pub angle: Angle<F>,
    /// The norm ‖x‖ of the feature.
    pub norm: F,
    /// The norm ‖w‖ of the class vector; of several that are mixed, of the first.
    pub weight_norm: F,
    /// The class.
    pub class: usize,
    /// The number of the row among the labelled ones of its batch, in their order unless the head has [observed](super::Head::observe) another.
    pub number: usize,
}

impl<F: Real> Row<F> {
    /// The row `x` of `features` (B, D) as seen from the row `w` of `weights` (C·K, D), each of any length but zero.
    ///
    /// # Errors
    /// [`Error::ZeroNorm`](crate::Error::ZeroNorm), [`Error::NormOverflow`](crate::Error::NormOverflow),
    /// [`Error::NotFinite`](crate::Error::NotFinite).
    pub(crate) fn between(
        (features, x): (ArrayView2<F>, usize),
        (weights, w): (ArrayView2<F>, usize),
        class: usize,
        number: usize,
    ) -> Result<Self> {
        let (x, norm) = unit_row("features", features, x)?;
        let (w, weight_norm) = unit_row("weights", weights, w)?;
        Ok(Self { angle: Angle::between(x.view(), w.view()), norm, weight_norm, class, number })
    }
}

/// `x̂` and `‖x‖` of one row of what errors call `what`.
pub(crate) fn unit_row<F: Real>(what: &'static str, rows: ArrayView2<F>, row: usize) -> Result<(Array1<F>, F)> {
    let (mut unit, mut norm) = (Array1::zeros(rows.ncols()), [F::zero()]);
    let elements = unit.as_slice_mut().expect("in one piece");
    l2_normalize::normalize_rows(what, row, rows.slice(s![row..row + 1, ..]), elements, &mut norm)?;
    Ok((unit, norm[0]))
}

/// What takes the place of `cosθ` for the labelled class, before it is multiplied by the scale; of `x·w` in the [linear](super::Geometry::Linear)
/// geometry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Logit<F> {
    /// `ψ`
    pub value: F,
    /// `∂ψ/∂cosθ`, or by `x·w`
    pub slope: F,
    /// `∂ψ/∂‖x‖` with `cosθ`, or `x·w`, held; 0 where the margin does not depend on the norm, or the norm is a constant to the gradient.
    pub slope_of_norm: F,
    /// `∂ψ/∂‖w‖`, likewise.
    pub slope_of_weight_norm: F,
}

impl<F: Real> Logit<F> {
    /// No margin: `ψ = cosθ`.
    pub fn plain(row: &Row<F>) -> Self {
        Self { value: row.angle.cos, slope: F::one(), ..Self::default() }
    }

    /// A margin function ψ of the angle, and of norms, as a logit of the [linear](super::Geometry::Linear) geometry: `‖x‖‖w‖ψ`. Its derivative by `x·w` is
    /// `ψ'`, and by ‖x‖, with `x·w` held, `‖w‖ (ψ - ψ' cosθ + ‖x‖ ∂ψ/∂‖x‖)`; by ‖w‖ likewise.
    pub fn times_norms(self, row: &Row<F>) -> Self {
        let rest = self.value - self.slope * row.angle.cos;
        Self {
            value: self.value * row.norm * row.weight_norm,
            slope: self.slope,
            slope_of_norm: row.weight_norm * (rest + row.norm * self.slope_of_norm),
            slope_of_weight_norm: row.norm * (rest + row.weight_norm * self.slope_of_weight_norm),
        }
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
