//! The angle between a feature and the vector of its class, without `arccos`.
//!
//! Margins need `θ`, `cosθ` and `sinθ` of the labelled pair. `arccos(cosθ)` and `sqrt(1 - cos²θ)` lose half the digits as
//! `|cosθ| → 1`, where a rounding error of one unit in `cosθ` is an angle of `√(2ε)`, 0.03° in `f32`; and the cosine of
//! a vector with itself can come out above 1. For unit vectors
//!
//! `sinθ = ½ ‖x̂ - ŵ‖ ‖x̂ + ŵ‖`
//!
//! keeps the digits at both ends (the difference of nearly equal numbers is exact), and `θ = atan2(sinθ, cosθ)`
//! is accurate everywhere.

use super::{l2_normalize, rows};
use crate::Real;
use ndarray::{ArrayView1, Axis};
use std::borrow::Cow;

/// The angle θ between two vectors, held as its cosine and sine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Angle<F> {
    /// `cosθ`, in [-1, 1].
    pub cos: F,
    /// `sinθ`, in [0, 1].
    pub sin: F,
}

impl<F: Real> Angle<F> {
    /// The angle between two unit vectors (D,).
    pub fn between(x: ArrayView1<F>, w: ArrayView1<F>) -> Self {
        Self::between_rows(&contiguous(x), &contiguous(w))
    }

    pub(crate) fn between_rows(x: &[F], w: &[F]) -> Self {
        let cos = rows::dot(x, w).max(-F::one()).min(F::one());
        let (difference, sum) = (rows::squared_distance(x, w), rows::squared_sum(x, w));
        Self { cos, sin: (F::of(0.5) * difference.sqrt() * sum.sqrt()).min(F::one()) }
    }

    /// The angle with this cosine, to half of its digits near the poles.
    pub(crate) fn of_cosine(cosine: F) -> Self {
        let cos = cosine.max(-F::one()).min(F::one());
        Self { cos, sin: ((F::one() - cos) * (F::one() + cos)).sqrt() }
    }

    /// The angle between two vectors (D,) of any length; `None` if one has no direction.
    pub(crate) fn of_rows(x: ArrayView1<F>, w: ArrayView1<F>) -> Option<Self> {
        let unit = |row: ArrayView1<F>| l2_normalize::forward("row", row.insert_axis(Axis(0))).ok();
        let (x, w) = (unit(x)?, unit(w)?);
        Some(Self::between(x.unit.row(0), w.unit.row(0)))
    }

    /// θ in radians, in [0, π].
    pub fn theta(self) -> F {
        self.sin.atan2(self.cos)
    }

    /// `sinθ`, but at least [`sin_floor`]: what derivatives with respect to `cosθ` divide by.
    pub fn sin_at_least_floor(self) -> F {
        self.sin.max(sin_floor())
    }
}

fn contiguous<'a, F: Real>(row: ArrayView1<'a, F>) -> Cow<'a, [F]> {
    row.to_slice().map_or_else(|| row.iter().copied().collect(), Cow::Borrowed)
}

/// The smallest `sinθ` that a derivative with respect to `cosθ` divides by: `64 ε`.
///
/// `d cos(θ+m) / d cosθ = sin(θ+m) / sinθ` grows without bound as θ → 0 or π. It multiplies the part of `ŵ` at right angles to
/// `x̂`, whose length is `sinθ` and whose rounding error is about ε: below 64 ε more than a percent of that
/// direction is noise. There the product shrinks to zero with θ instead of jumping about: the
/// gradient stays finite and bounded by that of the plain formula.
pub fn sin_floor<F: Real>() -> F {
    F::of(64.0) * F::epsilon()
}

/// The middle value, or the midpoint of the two middle values.
pub(crate) fn median<F: Real>(mut values: Vec<F>) -> F {
    values.sort_by(|a, b| a.partial_cmp(b).expect("angles of checked inputs are numbers"));
    let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    lower + (upper - lower) / F::of(2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn sine_keeps_its_digits_near_both_poles() {
        for exponent in 1..15 {
            let theta = 10f64.powi(-exponent);
            let x = array![1.0, 0.0];
            let w = array![theta.cos(), theta.sin()];
            let near = Angle::between(x.view(), w.view());
            let far = Angle::between(x.view(), (-&w).view());
            approx::assert_relative_eq!(
                near.sin,
                theta.sin(),
                max_relative = 4.0 * f64::EPSILON / theta.min(1.0) + 1e-15
            );
            approx::assert_relative_eq!(near.theta(), theta, max_relative = 1e-12);
            approx::assert_relative_eq!(
                std::f64::consts::PI - far.theta(),
                theta,
                max_relative = 1e-15 / theta + 1e-15
            );
        }
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn a_vector_with_itself_has_cosine_at_most_one() {
        let x = crate::ops::l2_normalize::forward("x", array![[0.1f32, 0.7, -0.3, 1.9]].view()).expect("finite");
        let angle = Angle::between(x.unit.row(0), x.unit.row(0));
        assert!(angle.cos <= 1.0 && angle.sin == 0.0 && angle.theta() == 0.0, "{angle:?}");
        assert_eq!(angle.sin_at_least_floor(), sin_floor::<f32>());
    }
}
