//! SphereFace (Liu et al. 2017, arXiv 1704.08063): a margin that multiplies the angle, with normalised features.
//!
//! `ψ(θ) = (-1)^k cos(mθ) - 2k` for θ in [kπ/m, (k+1)π/m]: `cos(mθ)`, continued past π/m so that it keeps falling. The
//! definition holds for any real m ≥ 1, not only for whole ones; m = 1 is the normalised softmax.
//!
//! `dψ/dcosθ = (-1)^k m sin(mθ) / sinθ`, with the floor of [`sin_floor`](crate::ops::angle::sin_floor) on `sinθ`. It is
//! continuous, and 0 at the joints kπ/m inside (0, π). At θ → 0 it is m²; at θ → π it grows without bound unless m is whole.
//!
//! The paper leaves features unnormalised (`‖x‖ ψ(θ)`) and blends ψ with `cosθ` during training; like the other heads
//! here this one normalises them and scales by s, and does not blend.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, a margin below 1, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, NamedHead, OptionRange, Row, Scale};
use crate::{Real, Result};

/// The SphereFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SphereFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The factor m of the angle, at least 1.
    pub margin: f64,
}

impl Default for SphereFace {
    /// s = 64, m = 1.35, the setting of the ArcFace paper's comparison.
    fn default() -> Self {
        Self { scale: Scale::Fixed(64.0), margin: 1.35 }
    }
}

impl Head for SphereFace {
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
        let (m, pi, two) = (F::of(self.margin), F::of(std::f64::consts::PI), F::of(2.0));
        let theta = row.angle.theta();
        let k = (m * theta / pi).floor();
        let sign = if k % two == F::zero() { F::one() } else { -F::one() };
        Logit {
            value: sign * (m * theta).cos() - two * k,
            slope: sign * m * (m * theta).sin() / row.angle.sin_at_least_floor(),
            ..Logit::default()
        }
    }
}

impl NamedHead for SphereFace {
    const FORMULA: &'static str = "target s ((-1)^k cos(mθ) - 2k)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "factor m of the angle",
            range: Some(OptionRange { from: 1.0, to: 1e9, words: "a factor from 1 to 1e9" }),
            field: |head| &mut head.margin,
        },
    ];
}
