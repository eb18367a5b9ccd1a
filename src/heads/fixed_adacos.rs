//! Fixed AdaCos (Zhang et al. 2019, arXiv 1905.00292, section 4.1): the scale follows from the number of classes.
//!
//! `z_ij = s cosθ_ij` with `s = √2 ln(C-1)`, so `ψ(θ) = cosθ` and `dψ/dcosθ = 1`.
//!
//! The probability `P = exp(s cosθ) / (exp(s cosθ) + B)`, with `B ≈ C-1` while other classes are at right angles, is
//! steepest in `cosθ` where `s cosθ = ln B`; the scale puts that point at θ = π/4.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors:
//! C < 3, where `ln(C-1) ≤ 0`; shapes, labels, NaN or infinity, rows of norm zero.

pub use super::scale::fixed_adacos_scale;

use super::{Head, HeadOption, NamedHead, Scale};
use crate::Result;

/// The fixed AdaCos head; it has no hyper-parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FixedAdaCos {}

impl Head for FixedAdaCos {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn scale(&self) -> Scale {
        Scale::FixedAdaCos
    }
}

impl NamedHead for FixedAdaCos {
    const FORMULA: &'static str = "√2 ln(C-1) cosθ";
    const OPTIONS: &'static [HeadOption<Self>] = &[];
}
