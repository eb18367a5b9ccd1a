//! ArcFace (Deng et al. 2019, arXiv 1801.07698, eq. 3): a margin added to the angle.
//!
//! `ψ(θ) = cos(θ + m) = cosθ cos m - sinθ sin m`, so `dψ/dcosθ = sin(θ+m) / sinθ = cos m + cosθ sin m / sinθ`, with the floor
//! of [`sin_floor`](crate::ops::angle::sin_floor) on `sinθ`: the derivative grows without bound as θ → 0 or π, and
//! what it multiplies shrinks as fast. This is the derivative of the formula; InsightFace's code passes the
//! gradient straight through the margin instead (derivative 1).
//!
//! Past θ = π - m, `cos(θ+m)` rises again, so a worse angle would be a better loss. [`PastPi`] has four answers.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, a margin outside [0, π], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{
    Choice, Head, HeadOption, Logit, MarginGradient, NamedHead, OptionRange, OptionValue, OthersRule, Row, Scale,
};
use crate::{Real, Result};

/// The ArcFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ArcFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The angle m that is added, in radians, in [0, π].
    pub margin: f64,
    /// What happens past θ = π - m.
    pub past_pi: PastPi,
    /// What counts as the derivative of ψ.
    #[cfg_attr(feature = "serde", serde(default))]
    pub gradient: MarginGradient,
    /// Another class with a cosine above this counts as 0 and has no gradient; in (0, 1].
    #[cfg_attr(feature = "serde", serde(default))]
    pub interclass_filter: Option<f64>,
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

impl Choice for PastPi {
    const ALL: &'static [(&'static str, Self)] =
        &[("monotone", Self::Monotone), ("continuous", Self::Continuous), ("easy", Self::Easy), ("plain", Self::Plain)];
}

impl Default for ArcFace {
    /// s = 64, m = 0.5, the paper's.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(64.0),
            margin: 0.5,
            past_pi: PastPi::default(),
            gradient: MarginGradient::default(),
            interclass_filter: None,
        }
    }
}

impl Head for ArcFace {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn bound_scale(&mut self, largest: f64) {
        self.scale.bound(largest);
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        self.gradient.of(self.past_pi.target(row, self.margin))
    }

    fn others<F: Real>(&self, _: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        self.interclass_filter.map(OthersRule::filter)
    }
}

impl PastPi {
    /// The option of heads with ArcFace's margin.
    pub(super) const fn option<H>(field: fn(&mut H) -> &mut dyn OptionValue) -> HeadOption<H> {
        let help = "what stands for cos(θ + m) past θ = π - m: monotone, continuous, easy or plain";
        HeadOption { name: "past-pi", help, range: None, field }
    }

    /// `∂ψ/∂m`, at this margin m in [0, π].
    pub(super) fn d_margin<F: Real>(self, row: &Row<F>, margin: f64) -> F {
        let (m, cos_m, sin_m) = (F::of(margin), F::of(margin.cos()), F::of(margin.sin()));
        let sin_of_sum = row.angle.sin * cos_m + row.angle.cos * sin_m;
        let past_pi = sin_of_sum < F::zero();
        match self {
            Self::Monotone if past_pi => -(sin_m + m * cos_m),
            Self::Continuous if past_pi => sin_of_sum,
            Self::Easy if row.angle.cos <= F::zero() => F::zero(),
            _ => -sin_of_sum,
        }
    }

    /// ψ with this margin m in [0, π].
    pub(super) fn target<F: Real>(self, row: &Row<F>, margin: f64) -> Logit<F> {
        let (m, cos_m, sin_m) = (F::of(margin), F::of(margin.cos()), F::of(margin.sin()));
        let angle = row.angle;
        let plain = Logit {
            value: angle.cos * cos_m - angle.sin * sin_m,
            slope: cos_m + angle.cos * sin_m / angle.sin_at_least_floor(),
            ..Logit::default()
        };
        // sin(θ+m) < 0, that is θ > π - m. Cosines would do, but near θ = π they cannot tell angles apart.
        let past_pi = angle.sin * cos_m + angle.cos * sin_m < F::zero();
        match self {
            Self::Monotone if past_pi => Logit { value: angle.cos - m * sin_m, ..Logit::plain(row) },
            Self::Continuous if past_pi => {
                Logit { value: -F::of(2.0) - plain.value, slope: -plain.slope, ..Logit::default() }
            }
            Self::Easy if angle.cos <= F::zero() => Logit::plain(row),
            _ => plain,
        }
    }
}

impl NamedHead for ArcFace {
    const FORMULA: &'static str = "target s cos(θ + m)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "angle m added, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.margin,
        },
        PastPi::option(|head| &mut head.past_pi),
        MarginGradient::option(|head| &mut head.gradient),
        HeadOption::interclass_filter(|head| &mut head.interclass_filter),
    ];
}
