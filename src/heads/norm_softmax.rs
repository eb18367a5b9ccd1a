//! Normalised softmax (NormFace, Wang et al. 2017, arXiv 1704.06369): cosine logits with a fixed scale, no margin.
//!
//! `z_ij = s cosθ_ij`, so `ψ(θ) = cosθ` and `dψ/dcosθ = 1`.
//!
//! Gradient: [`normalized`](super::normalized). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::normalized::check_scale;
use super::{CosineHead, HeadOptions, Listed, Margin};
use crate::ops::Angle;
use crate::{Real, Result};

/// The normalised softmax head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NormSoftmax {
    /// The scale s of the logits.
    pub scale: f64,
}

impl Default for NormSoftmax {
    /// s = 16.
    fn default() -> Self {
        Self { scale: 16.0 }
    }
}

impl CosineHead for NormSoftmax {
    fn scale(&self, _: usize) -> Result<f64> {
        check_scale(Self::NAME, self.scale)
    }

    fn check_margin(&self) -> Result<()> {
        Ok(())
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        Margin::none(angle)
    }
}

impl Listed for NormSoftmax {
    const FORMULA: &'static str = "s cosθ";
    const OPTIONS: &'static [&'static str] = &["scale"];

    fn from_options(options: &HeadOptions) -> Self {
        Self { scale: options.scale.unwrap_or(Self::default().scale) }
    }
}
