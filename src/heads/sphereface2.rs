//! SphereFace2 (Wen et al. 2022, arXiv 2108.01513, eq. 5 to 8): a yes or no for each class.
//!
//! `loss = λ/s ln(1 + exp(t - s ψ)) + (1 - λ)/s Σ_{j≠y} ln(1 + exp(s φ_j - t))`: [`ClassLoss::Logistic`] with the threshold t, which is trained; the
//! paper's bias b is -t. With `g(z) = 2 ((z + 1)/2)^k - 1`, which spreads cosines out as their similarity grows (k is t in the paper):
//!
//! - [`SphereFace2Form::C`]: `ψ = g(cosθ) - m`, `φ(c) = g(c) + m`;
//! - [`SphereFace2Form::A`]: `ψ = g(cos(min(θ + m, π)))`, `φ(c) = g(c)`;
//! - [`SphereFace2Form::M`]: `ψ = g(cos(min(mθ, π)))`, `φ(c) = g(c)`.
//!
//! t starts where the classes' pulls balance when all cosines are 0. The authors' code takes dψ/dcosθ and dφ/dc as 1
//! ([`MarginGradient::StraightThrough`]), which the paper does not speak of, and multiplies the loss by 50; it has form C alone.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), threshold (1,), labels (B,). Errors: a scale that is not
//! positive, a margin outside [0, 2] or, in form M, below 1, λ outside [0, 1], a power that is not 1, 2 or 3, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::range::check_hyper_parameter;
use super::{
    Choice, ClassLoss, Head, HeadOption, Logit, Loss, MarginGradient, NamedHead, OptionRange, OthersRule, PastPi, Row,
    Scale, SphereFaceR,
};
use crate::{Real, Result};
use std::f64::consts::{FRAC_PI_2, PI};

/// The SphereFace2 head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SphereFace2 {
    /// The scale s of the logits, r in the paper.
    pub scale: f64,
    /// m: a cosine, an angle in radians, or a factor of the angle.
    pub margin: f64,
    /// Where the margin is.
    pub form: SphereFace2Form,
    /// λ, the share of the labelled class in the loss.
    pub lambda: f64,
    /// k, the power in g: 1, which leaves cosines as they are, 2 or 3.
    pub power: usize,
    /// What counts as the derivative of ψ and φ.
    pub gradient: MarginGradient,
}

/// Where the margin is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum SphereFace2Form {
    /// On the cosine, of the labelled class and of all others.
    #[default]
    C,
    /// On the angle of the labelled class, added.
    A,
    /// On the angle of the labelled class, multiplied.
    M,
}

impl Choice for SphereFace2Form {
    const ALL: &'static [(&'static str, Self)] = &[("c", Self::C), ("a", Self::A), ("m", Self::M)];
}

impl Default for SphereFace2 {
    /// s = 40, m = 0.4 on the cosine, λ = 0.7, k = 3, the paper's; the true gradient.
    fn default() -> Self {
        let (form, gradient) = (SphereFace2Form::default(), MarginGradient::default());
        Self { scale: 40.0, margin: 0.4, form, lambda: 0.7, power: 3, gradient }
    }
}

impl SphereFace2 {
    /// g with its derivative.
    fn spread<F: Real>(&self, cosine: F) -> (F, F) {
        let half = (cosine + F::one()) / F::of(2.0);
        let power = self.power as i32;
        (F::of(2.0) * half.powi(power) - F::one(), F::of(f64::from(power)) * half.powi(power - 1))
    }

    /// What is added to the others' logits.
    fn margin_of_others(&self) -> f64 {
        if self.form == SphereFace2Form::C { self.margin } else { 0.0 }
    }
}

impl Head for SphereFace2 {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)?;
        let in_range = self.form != SphereFace2Form::M || self.margin >= 1.0;
        check_hyper_parameter(Self::NAME, "margin", self.margin, in_range, "a factor from 1 to 2 in form m")
    }

    fn scale(&self) -> Scale {
        Scale::Fixed(self.scale)
    }

    fn loss(&self) -> Loss {
        Loss::EachClass(ClassLoss::Logistic {
            positive: self.lambda / self.scale,
            negative: (1.0 - self.lambda) / self.scale,
        })
    }

    fn initial_threshold(&self, classes: usize) -> f64 {
        // λ exp(-u_y) / (1 + exp(-u_y)) = (1 - λ) (C - 1) exp(u_j) / (1 + exp(u_j)), a square equation for exp(-t); λ of 0 or 1 has no balance.
        let lambda = self.lambda.clamp(1e-6, 1.0 - 1e-6);
        let share = lambda / ((1.0 - lambda) * (classes - 1) as f64);
        let target = match self.form {
            SphereFace2Form::C => self.spread(0.0).0 - self.margin,
            SphereFace2Form::A => self.spread((FRAC_PI_2 + self.margin).min(PI).cos()).0,
            SphereFace2Form::M => self.spread((FRAC_PI_2 * self.margin).cos()).0,
        };
        let other = self.spread(0.0).0 + self.margin_of_others();
        let difference = self.scale * (target - other);
        let root = ((1.0 - share).powi(2) + 4.0 * share * difference.exp()).sqrt();
        // ln(exp(u_j)) by that form of the solution in which nothing cancels.
        let ln_exp = match share <= 1.0 {
            true => (2.0 * share).ln() - (1.0 - share + root).ln(),
            false => (root + share - 1.0).ln() - std::f64::consts::LN_2 - difference,
        };
        self.scale * other - ln_exp
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let margin = F::of(self.margin);
        let moved = match self.form {
            SphereFace2Form::C => Logit::plain(row),
            SphereFace2Form::A if row.angle.theta() + margin > F::of(PI) => {
                Logit { value: -F::one(), ..Logit::default() }
            }
            SphereFace2Form::A => PastPi::Plain.target(row, self.margin),
            SphereFace2Form::M => {
                let gradient = MarginGradient::True;
                SphereFaceR { margin: self.margin, gradient, ..SphereFaceR::default() }.target(row, state)
            }
        };
        let (value, slope) = self.spread(moved.value);
        let subtracted = if self.form == SphereFace2Form::C { margin } else { F::zero() };
        self.gradient.of(Logit { value: value - subtracted, slope: slope * moved.slope, ..Logit::default() })
    }

    fn others<F: Real>(&self, _: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        // The binomials of 2 ((c + 1)/2)^k - 1.
        let value = match self.power {
            1 => [0.0, 1.0, 0.0, 0.0],
            2 => [-0.5, 1.0, 0.5, 0.0],
            _ => [-0.75, 0.75, 0.75, 0.25],
        };
        let slope = match self.gradient {
            MarginGradient::True => [value[1], 2.0 * value[2], 3.0 * value[3]],
            MarginGradient::StraightThrough => [1.0, 0.0, 0.0],
        };
        let mut value = value.map(F::of);
        value[0] += F::of(self.margin_of_others());
        Some(OthersRule { threshold: F::neg_infinity(), zero_below: false, value, slope: slope.map(F::of) })
    }
}

impl NamedHead for SphereFace2 {
    const FORMULA: &'static str = "target s (g(cosθ) - m) - t, others s (g(cosθ) + m) - t, each a yes or no";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption {
            name: "scale",
            help: "scale s of the logits",
            range: Some(OptionRange::POSITIVE),
            field: |head| &mut head.scale,
        },
        HeadOption {
            name: "margin",
            help: "m: a cosine in form c, an angle in radians in form a, a factor in form m",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "form",
            help: "margin on the cosines of all classes, c, or on the labelled angle, added, a, or multiplied, m",
            range: None,
            field: |head| &mut head.form,
        },
        HeadOption {
            name: "lambda",
            help: "share of the labelled class in the loss",
            range: Some(OptionRange::SHARE),
            field: |head| &mut head.lambda,
        },
        HeadOption {
            name: "power",
            help: "power in g(z) = 2 ((z + 1)/2)^power - 1",
            range: Some(OptionRange { from: 1.0, to: 3.0, words: "1, 2 or 3" }),
            field: |head| &mut head.power,
        },
        MarginGradient::option(|head| &mut head.gradient),
    ];
}
