//! Combined margin (Deng et al. 2019, arXiv 1801.07698, eq. 4): SphereFace, ArcFace and CosFace in one formula.
//!
//! `ψ(θ) = cos(m1 θ + m2) - m3`, so `dψ/dcosθ = m1 sin(m1 θ + m2) / sinθ`, with the floor of
//! [`sin_floor`](crate::ops::angle::sin_floor) on `sinθ`. The paper's CM1 is (1, 0.3, 0.2), CM2 (0.9, 0.4, 0.15).
//!
//! The formula is the paper's to the letter: past `m1 θ + m2 = π` it rises again. Use [`ArcFace`](super::ArcFace) with
//! one of its policies, or [`SphereFace`](super::SphereFace), where angles that large occur.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, m1 not positive, m2 outside [0, π], m3 outside [0, 2], C < 2, shapes, labels, NaN or infinity,
//! rows of norm zero.

use super::{Head, HeadOption, Logit, MarginGradient, NamedHead, OptionRange, OthersRule, Row, Scale};
use crate::{Real, Result};

/// The combined margin head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CombinedMargin {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The factor m1 of the angle, positive.
    pub m1: f64,
    /// The angle m2 that is added, in radians, in [0, π].
    pub m2: f64,
    /// The cosine m3 that is subtracted, in [0, 2].
    pub m3: f64,
    /// What counts as the derivative of ψ.
    #[cfg_attr(feature = "serde", serde(default))]
    pub gradient: MarginGradient,
    /// Another class with a cosine above this counts as 0 and has no gradient; in (0, 1].
    #[cfg_attr(feature = "serde", serde(default))]
    pub interclass_filter: Option<f64>,
}

impl Default for CombinedMargin {
    /// s = 64 and (m1, m2, m3) = (1, 0.3, 0.2), the paper's CM1.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(64.0),
            m1: 1.0,
            m2: 0.3,
            m3: 0.2,
            gradient: MarginGradient::default(),
            interclass_filter: None,
        }
    }
}

impl Head for CombinedMargin {
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
        let m1 = F::of(self.m1);
        let widened = m1 * row.angle.theta() + F::of(self.m2);
        self.gradient.of(Logit {
            value: widened.cos() - F::of(self.m3),
            slope: m1 * widened.sin() / row.angle.sin_at_least_floor(),
            ..Logit::default()
        })
    }

    fn others<F: Real>(&self, _: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        self.interclass_filter.map(OthersRule::filter)
    }
}

impl NamedHead for CombinedMargin {
    const FORMULA: &'static str = "target s (cos(m1 θ + m2) - m3)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "m1",
            help: "factor m1 of the angle",
            range: Some(OptionRange::POSITIVE),
            field: |head| &mut head.m1,
        },
        HeadOption {
            name: "m2",
            help: "angle m2 added, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.m2,
        },
        HeadOption {
            name: "m3",
            help: "cosine m3 subtracted",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.m3,
        },
        MarginGradient::option(|head| &mut head.gradient),
        HeadOption::interclass_filter(|head| &mut head.interclass_filter),
    ];
}
