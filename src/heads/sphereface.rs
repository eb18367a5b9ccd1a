//! SphereFace (Liu et al. 2017, arXiv 1704.08063): a margin that multiplies the angle, with normalised features.
//!
//! `ψ(θ) = (-1)^k cos(mθ) - 2k` for θ in [kπ/m, (k+1)π/m]: `cos(mθ)`, continued past π/m so that it keeps falling. The
//! definition holds for any real m ≥ 1, not only for whole ones; m = 1 is the normalised softmax.
//!
//! `dψ/dcosθ = (-1)^k m sin(mθ) / sinθ`, with the floor of [`sin_floor`](crate::ops::angle::sin_floor) on `sinθ`. It is
//! continuous, and 0 at the joints kπ/m inside (0, π). At θ → 0 it is m²; at θ → π it grows without bound unless m is whole.
//!
//! The paper leaves features unnormalised (`‖x‖ ψ(θ)`) and blends ψ with `cosθ` during training; like the other heads
//! here this one normalises them and scales by s, and does not blend.
//!
//! Gradient: [`normalized`](super::normalized). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, a margin below 1, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::normalized::check_scale;
use super::{CosineHead, HeadOptions, Listed, Margin, LARGEST_FACTOR, check_hyper_parameter};
use crate::ops::Angle;
use crate::{Real, Result};

/// The SphereFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SphereFace {
    /// The scale s of the logits.
    pub scale: f64,
    /// The factor m of the angle, at least 1.
    pub margin: f64,
}

impl Default for SphereFace {
    /// s = 64, m = 1.35, the setting of the ArcFace paper's comparison.
    fn default() -> Self {
        Self { scale: 64.0, margin: 1.35 }
    }
}

impl CosineHead for SphereFace {
    fn scale(&self, _: usize) -> Result<f64> {
        check_scale(Self::NAME, self.scale)
    }

    fn check_margin(&self) -> Result<()> {
        let in_range = (1.0..=LARGEST_FACTOR).contains(&self.margin);
        check_hyper_parameter(Self::NAME, "margin", self.margin, in_range, "a factor from 1 to 1e9")
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        let (m, pi, two) = (F::of(self.margin), F::of(std::f64::consts::PI), F::of(2.0));
        let theta = angle.theta();
        let k = (m * theta / pi).floor();
        let sign = if k % two == F::zero() { F::one() } else { -F::one() };
        Margin {
            value: sign * (m * theta).cos() - two * k,
            slope: sign * m * (m * theta).sin() / angle.sin_at_least_floor(),
        }
    }
}

impl Listed for SphereFace {
    const FORMULA: &'static str = "target s ((-1)^k cos(mθ) - 2k)";
    const OPTIONS: &'static [&'static str] = &["scale", "margin"];

    fn from_options(options: &HeadOptions) -> Self {
        let default = Self::default();
        Self { scale: options.scale.unwrap_or(default.scale), margin: options.margin.unwrap_or(default.margin) }
    }
}
