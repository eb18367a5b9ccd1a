//! CosFace (Wang et al. 2018, arXiv 1801.09414, eq. 4): a margin on the cosine.
//!
//! `ψ(θ) = cosθ - m`, the large margin cosine loss, so `dψ/dcosθ = 1`.
//!
//! Gradient: [`normalized`](super::normalized). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, a margin outside [0, 2], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::normalized::check_scale;
use super::{CosineHead, HeadOptions, Listed, Margin, check_hyper_parameter};
use crate::ops::Angle;
use crate::{Real, Result};

/// The CosFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CosFace {
    /// The scale s of the logits.
    pub scale: f64,
    /// The cosine m that is subtracted, in [0, 2]: no two cosines are further apart.
    pub margin: f64,
}

impl Default for CosFace {
    /// s = 64, m = 0.35, the paper's.
    fn default() -> Self {
        Self { scale: 64.0, margin: 0.35 }
    }
}

impl CosineHead for CosFace {
    fn scale(&self, _: usize) -> Result<f64> {
        check_scale(Self::NAME, self.scale)
    }

    fn check_margin(&self) -> Result<()> {
        let in_range = (0.0..=2.0).contains(&self.margin);
        check_hyper_parameter(Self::NAME, "margin", self.margin, in_range, "a cosine difference in [0, 2]")
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        Margin { value: angle.cos - F::of(self.margin), slope: F::one() }
    }
}

impl Listed for CosFace {
    const FORMULA: &'static str = "target s (cosθ - m)";
    const OPTIONS: &'static [&'static str] = &["scale", "margin"];

    fn from_options(options: &HeadOptions) -> Self {
        let default = Self::default();
        Self { scale: options.scale.unwrap_or(default.scale), margin: options.margin.unwrap_or(default.margin) }
    }
}
