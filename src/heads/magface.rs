//! MagFace (Meng et al. 2021, arXiv 2103.06627, eq. 3 and section 3.2): a margin that grows with the norm of the feature, which tells its quality.
//!
//! With `a = ‖x‖`, kept within [l_a, u_a], and ArcFace's margin function,
//!
//! `ψ = cos(θ + m(a))`, `m(a) = l_m + (u_m - l_m) (a - l_a) / (u_a - l_a)`, and each row adds `λ_g g(a)`, `g(a) = a/u_a² + 1/a`, to its loss.
//!
//! `dψ/dcosθ` is [`arcface`](super::arcface)'s; `∂ψ/∂‖x‖ = -sin(θ + m) dm/da`, or `-(sin m + m cos m) dm/da` where
//! [`PastPi::Monotone`] has taken over; `dg/da = 1/u_a² - 1/a²`. Norms outside [l_a, u_a] are constants: both are 0 there.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, norms
//! that are not or l_a ≥ u_a, margins outside [0, π] or l_m > u_m, λ_g below 0, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::range::check_hyper_parameter;
use super::{Head, HeadOption, Logit, NamedHead, OptionRange, PastPi, Penalty, Row, Scale};
use crate::{Real, Result};

/// The MagFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MagFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The norm l_a at and below which the margin is the smallest.
    pub l_a: f64,
    /// The norm u_a at and above which the margin is the largest.
    pub u_a: f64,
    /// The smallest margin l_m, in radians, in [0, π].
    pub l_m: f64,
    /// The largest margin u_m, in radians, in [0, π].
    pub u_m: f64,
    /// The weight λ_g of the regulariser, at least 0.
    pub lambda_g: f64,
    /// What happens past θ = π - m(a).
    pub past_pi: PastPi,
}

impl Default for MagFace {
    /// s = 64, norms 10 to 110, margins 0.45 to 0.8, λ_g = 35, the paper's.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(64.0),
            l_a: 10.0,
            u_a: 110.0,
            l_m: 0.45,
            u_m: 0.8,
            lambda_g: 35.0,
            past_pi: PastPi::default(),
        }
    }
}

impl MagFace {
    /// a, and whether it is the norm itself.
    fn magnitude(&self, norm: f64) -> (f64, bool) {
        let magnitude = norm.max(self.l_a).min(self.u_a);
        (magnitude, magnitude == norm)
    }

    /// `dm/da`
    fn growth(&self) -> f64 {
        (self.u_m - self.l_m) / (self.u_a - self.l_a)
    }
}

impl Head for MagFace {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)?;
        check_hyper_parameter(Self::NAME, "u-a", self.u_a, self.u_a > self.l_a, "a norm above l-a")?;
        check_hyper_parameter(Self::NAME, "u-m", self.u_m, self.u_m >= self.l_m, "an angle of at least l-m")
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn bound_scale(&mut self, largest: f64) {
        self.scale.bound(largest);
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        let (magnitude, moves) = self.magnitude(row.norm.to_double());
        let margin = self.l_m + self.growth() * (magnitude - self.l_a);
        let by_margin = if moves { self.past_pi.d_margin(row, margin) } else { F::zero() };
        Logit { slope_of_norm: by_margin * F::of(self.growth()), ..self.past_pi.target(row, margin) }
    }

    fn penalty<F: Real>(&self, norm: F) -> Penalty<F> {
        let (a, moves) = self.magnitude(norm.to_double());
        let slope = if moves { self.u_a.powi(-2) - a.powi(-2) } else { 0.0 };
        Penalty {
            value: F::of(self.lambda_g * (a * self.u_a.powi(-2) + a.recip())),
            slope: F::of(self.lambda_g * slope),
        }
    }
}

impl NamedHead for MagFace {
    const FORMULA: &'static str = "target s cos(θ + m(‖x‖)), and λ (‖x‖/u² + 1/‖x‖) for each row";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "l-a",
            help: "norm l_a of the smallest margin",
            range: Some(OptionRange::NORM),
            field: |head| &mut head.l_a,
        },
        HeadOption {
            name: "u-a",
            help: "norm u_a of the largest margin",
            range: Some(OptionRange::NORM),
            field: |head| &mut head.u_a,
        },
        HeadOption {
            name: "l-m",
            help: "smallest margin l_m, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.l_m,
        },
        HeadOption {
            name: "u-m",
            help: "largest margin u_m, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.u_m,
        },
        HeadOption {
            name: "lambda-g",
            help: "weight λ_g of the regulariser of norms",
            range: Some(OptionRange::NOT_NEGATIVE),
            field: |head| &mut head.lambda_g,
        },
        PastPi::option(|head| &mut head.past_pi),
    ];
}
