//! Combined margin (Deng et al. 2019, arXiv 1801.07698, eq. 4): SphereFace, ArcFace and CosFace in one formula.
//!
//! `ψ(θ) = cos(m1 θ + m2) - m3`, so `dψ/dcosθ = m1 sin(m1 θ + m2) / sinθ`, with the floor of
//! [`sin_floor`](crate::ops::angle::sin_floor) on `sinθ`. The paper's CM1 is (1, 0.3, 0.2), CM2 (0.9, 0.4, 0.15).
//!
//! The formula is the paper's to the letter: past `m1 θ + m2 = π` it rises again. Use [`ArcFace`](super::ArcFace) with
//! one of its policies, or [`SphereFace`](super::SphereFace), where angles that large occur.
//!
//! Gradient: [`normalized`](super::normalized). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, m1 not positive, m2 outside [0, π], m3 outside [0, 2], C < 2, shapes, labels, NaN or infinity,
//! rows of norm zero.

use super::normalized::check_scale;
use super::{CosineHead, HeadOptions, Listed, Margin, check_factor, check_hyper_parameter};
use crate::ops::Angle;
use crate::{Real, Result};
use std::f64::consts::PI;

/// The combined margin head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CombinedMargin {
    /// The scale s of the logits.
    pub scale: f64,
    /// The factor m1 of the angle, positive.
    pub m1: f64,
    /// The angle m2 that is added, in radians, in [0, π].
    pub m2: f64,
    /// The cosine m3 that is subtracted, in [0, 2].
    pub m3: f64,
}

impl Default for CombinedMargin {
    /// s = 64 and (m1, m2, m3) = (1, 0.3, 0.2), the paper's CM1.
    fn default() -> Self {
        Self { scale: 64.0, m1: 1.0, m2: 0.3, m3: 0.2 }
    }
}

impl CosineHead for CombinedMargin {
    fn scale(&self, _: usize) -> Result<f64> {
        check_scale(Self::NAME, self.scale)
    }

    fn check_margin(&self) -> Result<()> {
        let check = |name, value, in_range, expected| check_hyper_parameter(Self::NAME, name, value, in_range, expected);
        check_factor(Self::NAME, "m1", self.m1)?;
        check("m2", self.m2, (0.0..=PI).contains(&self.m2), "an angle in [0, π] radians")?;
        check("m3", self.m3, (0.0..=2.0).contains(&self.m3), "a cosine difference in [0, 2]")
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        let m1 = F::of(self.m1);
        let widened = m1 * angle.theta() + F::of(self.m2);
        Margin {
            value: widened.cos() - F::of(self.m3),
            slope: m1 * widened.sin() / angle.sin_at_least_floor(),
        }
    }
}

impl Listed for CombinedMargin {
    const FORMULA: &'static str = "target s (cos(m1 θ + m2) - m3)";
    const OPTIONS: &'static [&'static str] = &["scale", "m1", "m2", "m3"];

    fn from_options(options: &HeadOptions) -> Self {
        let default = Self::default();
        Self {
            scale: options.scale.unwrap_or(default.scale),
            m1: options.m1.unwrap_or(default.m1),
            m2: options.m2.unwrap_or(default.m2),
            m3: options.m3.unwrap_or(default.m3),
        }
    }
}
