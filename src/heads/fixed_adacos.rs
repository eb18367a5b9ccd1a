//! Fixed AdaCos (Zhang et al. 2019, arXiv 1905.00292, section 4.1): the scale follows from the number of classes.
//!
//! `z_ij = s cosθ_ij` with `s = √2 ln(C-1)`, so `ψ(θ) = cosθ` and `dψ/dcosθ = 1`.
//!
//! The probability `P = exp(s cosθ) / (exp(s cosθ) + B)`, with `B ≈ C-1` while other classes are at right angles, is
//! steepest in `cosθ` where `s cosθ = ln B`; the scale puts that point at θ = π/4.
//!
//! Gradient: [`normalized`](super::normalized). Shapes: features (B, D), weights (C, D), labels (B,). Errors:
//! C < 3, where `ln(C-1) ≤ 0`; shapes, labels, NaN or infinity, rows of norm zero.

use super::{CosineHead, HeadOptions, Listed, Margin};
use crate::ops::Angle;
use crate::{Error, Real, Result};

/// The fixed AdaCos head; it has no hyper-parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FixedAdaCos {}

/// `√2 ln(C-1)`, dimensionless.
///
/// # Errors
/// [`Error::TooFewClasses`] for C < 3.
pub fn fixed_scale(head: &'static str, classes: usize) -> Result<f64> {
    if classes < 3 {
        let reason = ", since the scale √2 ln(C - 1) must be positive";
        return Err(Error::TooFewClasses { head, found: classes, minimum: 3, reason });
    }
    Ok(std::f64::consts::SQRT_2 * ((classes - 1) as f64).ln())
}

impl CosineHead for FixedAdaCos {
    fn scale(&self, classes: usize) -> Result<f64> {
        fixed_scale(Self::NAME, classes)
    }

    fn check_margin(&self) -> Result<()> {
        Ok(())
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        Margin::none(angle)
    }
}

impl Listed for FixedAdaCos {
    const FORMULA: &'static str = "√2 ln(C-1) cosθ";
    const OPTIONS: &'static [&'static str] = &[];

    fn from_options(_: &HeadOptions) -> Self {
        Self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_at_200_classes() {
        approx::assert_relative_eq!(fixed_scale("test", 200).expect("C > 2"), 7.4859, epsilon = 5e-5);
        assert!(matches!(fixed_scale("test", 2), Err(Error::TooFewClasses { found: 2, minimum: 3, .. })));
    }
}
