//! ArcFace (Deng et al. 2019, arXiv 1801.07698, eq. 3): a margin added to the angle.
//!
//! `ψ(θ) = cos(θ + m) = cosθ cos m - sinθ sin m`, so `dψ/dcosθ = sin(θ+m) / sinθ = cos m + cosθ sin m / sinθ`, with the floor
//! of [`sin_floor`](crate::ops::angle::sin_floor) on `sinθ`: the derivative grows without bound as θ → 0 or π, and
//! what it multiplies shrinks as fast. This is the derivative of the formula; InsightFace's code passes the
//! gradient straight through the margin instead (derivative 1).
//!
//! Past θ = π - m, `cos(θ+m)` rises again, so a worse angle would be a better loss. [`PastPi`] has four answers.
//!
//! Gradient: [`normalized`](super::normalized). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, a margin outside [0, π], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::normalized::check_scale;
use super::{CosineHead, HeadOptions, Listed, Margin, check_hyper_parameter};
use crate::ops::Angle;
use crate::{Real, Result};
use std::f64::consts::PI;

/// The ArcFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ArcFace {
    /// The scale s of the logits.
    pub scale: f64,
    /// The angle m that is added, in radians, in [0, π].
    pub margin: f64,
    /// What happens past θ = π - m.
    pub past_pi: PastPi,
}

/// What stands for `cos(θ+m)` where it would rise again, past θ = π - m.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum PastPi {
    /// `cosθ - m sin m` past π - m; it jumps there, by `1 - cos m - m sin m`: -0.117 at m = 0.5, and upwards for m > 2.331.
    #[default]
    Monotone,
    /// `-2 - cos(θ+m)` past π - m: falling, without a jump.
    Continuous,
    /// The margin only where `cosθ > 0`, plain `cosθ` elsewhere; it jumps there, by +sin m.
    Easy,
    /// `cos(θ+m)` throughout.
    Plain,
}

impl PastPi {
    /// All policies.
    pub const ALL: [Self; 4] = [Self::Monotone, Self::Continuous, Self::Easy, Self::Plain];

    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monotone => "monotone",
            Self::Continuous => "continuous",
            Self::Easy => "easy",
            Self::Plain => "plain",
        }
    }
}

impl Default for ArcFace {
    /// s = 64, m = 0.5, the paper's.
    fn default() -> Self {
        Self { scale: 64.0, margin: 0.5, past_pi: PastPi::default() }
    }
}

impl CosineHead for ArcFace {
    fn scale(&self, _: usize) -> Result<f64> {
        check_scale(Self::NAME, self.scale)
    }

    fn check_margin(&self) -> Result<()> {
        let in_range = (0.0..=PI).contains(&self.margin);
        check_hyper_parameter(Self::NAME, "margin", self.margin, in_range, "an angle in [0, π] radians")
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        let (m, cos_m, sin_m) = (F::of(self.margin), F::of(self.margin.cos()), F::of(self.margin.sin()));
        let plain = Margin {
            value: angle.cos * cos_m - angle.sin * sin_m,
            slope: cos_m + angle.cos * sin_m / angle.sin_at_least_floor(),
        };
        // sin(θ+m) < 0, that is θ > π - m. Cosines would do, but near θ = π they cannot tell angles apart.
        let past_pi = angle.sin * cos_m + angle.cos * sin_m < F::zero();
        match self.past_pi {
            PastPi::Monotone if past_pi => Margin { value: angle.cos - m * sin_m, slope: F::one() },
            PastPi::Continuous if past_pi => Margin { value: -F::of(2.0) - plain.value, slope: -plain.slope },
            PastPi::Easy if angle.cos <= F::zero() => Margin::none(angle),
            _ => plain,
        }
    }
}

impl Listed for ArcFace {
    const FORMULA: &'static str = "target s cos(θ + m)";
    const OPTIONS: &'static [&'static str] = &["scale", "margin", "past-pi"];

    fn from_options(options: &HeadOptions) -> Self {
        let default = Self::default();
        Self {
            scale: options.scale.unwrap_or(default.scale),
            margin: options.margin.unwrap_or(default.margin),
            past_pi: options.past_pi.unwrap_or(default.past_pi),
        }
    }
}
