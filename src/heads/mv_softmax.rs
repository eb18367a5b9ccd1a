//! MV-Softmax (Wang et al. 2020, arXiv 1912.00833, eq. 6 to 9): classes that the margin leaves in the wrong weigh more.
//!
//! `ψ(θ) = cosθ - m` ([`MvForm::Am`]) or `cos(θ + m)` ([`MvForm::Arc`], with [`PastPi::Monotone`]). Another class whose
//! cosine c is above `cosθ - m` or `cos(θ + m)` is mis-classified, and
//!
//! `φ(c) = (t + 1) c + t`, so `dφ/dc = t + 1` ([`Reweighting::Adaptive`]), or `φ(c) = c + t`, `dφ/dc = 1` ([`Reweighting::Fixed`]).
//!
//! φ jumps at the threshold by `t (1 + c)` or t; the threshold has no derivative.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a
//! margin outside [0, 2], t below 0, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Choice, Head, HeadOption, Logit, NamedHead, OptionRange, OthersRule, PastPi, Row, Scale};
use crate::{Real, Result};

/// The MV-Softmax head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MvSoftmax {
    /// The scale s of the logits.
    pub scale: Scale,
    /// What the margin is put on.
    pub form: MvForm,
    /// The margin m: a difference of cosines, or an angle in radians; in [0, 2].
    pub margin: f64,
    /// How much more mis-classified classes weigh, at least 0.
    pub t: f64,
    /// What t does.
    pub reweighting: Reweighting,
}

/// Whose margin MV-Softmax has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum MvForm {
    /// `cosθ - m`, MV-AM-Softmax.
    #[default]
    Am,
    /// `cos(θ + m)`, MV-Arc-Softmax.
    Arc,
}

impl Choice for MvForm {
    const ALL: &'static [(&'static str, Self)] = &[("am", Self::Am), ("arc", Self::Arc)];
}

/// What becomes of the cosine c of a mis-classified class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Reweighting {
    /// `(t + 1) c + t`: its probability is multiplied by `exp(s t (c + 1))`.
    #[default]
    Adaptive,
    /// `c + t`: its probability is multiplied by `exp(s t)`.
    Fixed,
}

impl Choice for Reweighting {
    const ALL: &'static [(&'static str, Self)] = &[("adaptive", Self::Adaptive), ("fixed", Self::Fixed)];
}

impl Default for MvSoftmax {
    /// s = 32, MV-AM with m = 0.35 and adaptive t = 0.2, the authors' code's.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(32.0),
            form: MvForm::default(),
            margin: 0.35,
            t: 0.2,
            reweighting: Reweighting::default(),
        }
    }
}

impl Head for MvSoftmax {
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
        match self.form {
            MvForm::Am => Logit::less(row, self.margin),
            MvForm::Arc => PastPi::Monotone.target(row, self.margin),
        }
    }

    fn others<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        let threshold = match self.form {
            MvForm::Am => Logit::less(row, self.margin).value,
            MvForm::Arc => PastPi::Plain.target(row, self.margin).value,
        };
        let t = F::of(self.t);
        let factor = if self.reweighting == Reweighting::Adaptive { F::one() + t } else { F::one() };
        let (value, slope) = ([t, factor, F::zero(), F::zero()], [factor, F::zero(), F::zero()]);
        Some(OthersRule { threshold, zero_below: false, value, slope })
    }
}

impl NamedHead for MvSoftmax {
    const FORMULA: &'static str = "target s (cosθ - m) or s cos(θ + m), mis-classified others s ((t + 1) cosθ + t)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "form",
            help: "the margin: am, on the cosine, or arc, on the angle",
            range: None,
            field: |head| &mut head.form,
        },
        HeadOption {
            name: "margin",
            help: "cosine m subtracted, or angle m added, in radians",
            range: Some(OptionRange {
                words: "a cosine difference or an angle, in [0, 2]",
                ..OptionRange::COSINE_DIFFERENCE
            }),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "t",
            help: "how much more mis-classified classes weigh",
            range: Some(OptionRange::NOT_NEGATIVE),
            field: |head| &mut head.t,
        },
        HeadOption {
            name: "reweighting",
            help: "a mis-classified class's cosine c becomes (t + 1) c + t, adaptive, or c + t, fixed",
            range: None,
            field: |head| &mut head.reweighting,
        },
    ];
}
