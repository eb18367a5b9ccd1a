//! CosFace (Wang et al. 2018, arXiv 1801.09414, eq. 4): a margin on the cosine.
//!
//! `ψ(θ) = cosθ - m`, the large margin cosine loss, so `dψ/dcosθ = 1`.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, a margin outside [0, 2], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, NamedHead, OptionRange, OthersRule, Row, Scale};
use crate::{Real, Result};

/// The CosFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CosFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The cosine m that is subtracted, in [0, 2]: no two cosines are further apart.
    pub margin: f64,
    /// Another class with a cosine above this counts as 0 and has no gradient; in (0, 1].
    #[cfg_attr(feature = "serde", serde(default))]
    pub interclass_filter: Option<f64>,
}

impl Default for CosFace {
    /// s = 64, m = 0.35, the paper's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(64.0), margin: 0.35, interclass_filter: None }
    }
}

impl Head for CosFace {
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
        Logit::less(row, self.margin)
    }

    fn others<F: Real>(&self, _: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        self.interclass_filter.map(OthersRule::filter)
    }
}

impl NamedHead for CosFace {
    const FORMULA: &'static str = "target s (cosθ - m)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "cosine m subtracted",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.margin,
        },
        HeadOption::interclass_filter(|head| &mut head.interclass_filter),
    ];
}
