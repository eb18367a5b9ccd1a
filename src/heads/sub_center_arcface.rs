//! Sub-center ArcFace (Deng, Guo, Liu, Gong, Zafeiriou 2020, ECCV, eq. 2 and 3): several class vectors a class, of which the nearest counts.
//!
//! `cosθ_j = max_k x̂·ŵ_jk` over the K centres of class j, and [`arcface`](super::arcface)'s margin on the labelled one. The gradient goes to the nearest
//! centre alone. Rows with a wrong label, or unlike the rest of their class, gather around a centre of their own, and no longer pull at the
//! main one.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C·K, D), those of a class next to each other, labels (B,). Errors: a
//! scale that is not positive, a margin outside [0, π], K of 0, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, NamedHead, OptionRange, PastPi, Row, Scale};
use crate::{Real, Result};

/// The sub-center ArcFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SubCenterArcFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The angle m that is added, in radians, in [0, π].
    pub margin: f64,
    /// The number K of class vectors a class.
    pub centres: usize,
    /// What happens past θ = π - m.
    pub past_pi: PastPi,
}

impl Default for SubCenterArcFace {
    /// s = 64, m = 0.5, K = 3, the paper's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(64.0), margin: 0.5, centres: 3, past_pi: PastPi::default() }
    }
}

impl Head for SubCenterArcFace {
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

    fn centres(&self) -> usize {
        self.centres
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        self.past_pi.target(row, self.margin)
    }
}

impl NamedHead for SubCenterArcFace {
    const FORMULA: &'static str = "target s cos(θ + m), θ the angle to the nearest of K centres";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "angle m added, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.margin,
        },
        HeadOption::centres(|head| &mut head.centres),
        PastPi::option(|head| &mut head.past_pi),
    ];
}
