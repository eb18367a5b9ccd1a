//! SphereFace-R (Liu, Wen, Raj, Singh, Weller 2021, arXiv 2109.05565, sections 3.2 to 3.4): SphereFace with features of one length, trained without detours.
//!
//! [`SphereFaceForm::V1`]: `ψ(θ) = cos(min(mθ, π))`; [`SphereFaceForm::V0`]: [`sphereface`](super::sphereface)'s `(-1)^k cos(mθ) - 2k`. m is any
//! number of at least 1.
//!
//! The gradient is by default [straight through](MarginGradient::StraightThrough) the margin, the paper's characteristic gradient detachment:
//! `dψ/dcosθ` counts as 1. With [`MarginGradient::True`] it is `m sin(mθ)/sinθ`, and 0 past `mθ = π` in v1.
//!
//! Features are normalised: the paper's hard feature normalisation. Its other two (none, and a penalty on the norm) need logits `‖x‖ ψ`, and
//! its v2, `cos(θ/m)` for all other classes, is no quadratic in the cosine: neither is here.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a
//! margin below 1, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Choice, Head, HeadOption, Logit, MarginGradient, NamedHead, OptionRange, Row, Scale, SphereFace};
use crate::{Real, Result};
use std::f64::consts::PI;

/// The SphereFace-R head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SphereFaceR {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The factor m of the angle, at least 1.
    pub margin: f64,
    /// What stands for `cos(mθ)` past π/m.
    pub form: SphereFaceForm,
    /// What counts as the derivative of ψ.
    pub gradient: MarginGradient,
}

/// What stands for `cos(mθ)` past π/m, where it would rise again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum SphereFaceForm {
    /// `(-1)^k cos(mθ) - 2k`: it goes on falling.
    V0,
    /// -1.
    #[default]
    V1,
}

impl Choice for SphereFaceForm {
    const ALL: &'static [(&'static str, Self)] = &[("v0", Self::V0), ("v1", Self::V1)];
}

impl Default for SphereFaceR {
    /// s = 30, m = 1.5, v1, straight through: the authors' code's but for the form, which it leaves at v0.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(30.0),
            margin: 1.5,
            form: SphereFaceForm::default(),
            gradient: MarginGradient::StraightThrough,
        }
    }
}

impl Head for SphereFaceR {
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

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let is_past = F::of(self.margin) * row.angle.theta() > F::of(PI);
        self.gradient.of(match self.form {
            SphereFaceForm::V1 if is_past => Logit { value: -F::one(), ..Logit::default() },
            _ => SphereFace { scale: self.scale, margin: self.margin }.target(row, state),
        })
    }
}

impl NamedHead for SphereFaceR {
    const FORMULA: &'static str = "target s cos(min(m θ, π))";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "factor m of the angle",
            range: Some(OptionRange { from: 1.0, to: 1e9, words: "a factor from 1 to 1e9" }),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "form",
            help: "what stands for cos(mθ) past π/m: -1, v1, or sphereface's, v0",
            range: None,
            field: |head| &mut head.form,
        },
        MarginGradient::option(|head| &mut head.gradient),
    ];
}
