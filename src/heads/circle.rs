//! Circle loss with class vectors (Sun et al. 2020, arXiv 2002.10857, eq. 6 to 8): every cosine is pulled as hard as it is far from where it should
//! be.
//!
//! `ψ(θ) = (1 + m - cosθ) (cosθ - (1 - m))` for the labelled class, `φ(c) = max(c + m, 0) (c - m)` for the rest. The decision boundary
//! `(1 - cosθ_y)² + cosθ_j² = 2 m²` is a circle. The paper has `-ψ` in the exponent of the one and φ in that of the others, which is the softmax
//! cross-entropy of these logits.
//!
//! The weights `1 + m - cosθ` and `c + m` are constants to the gradient in the paper and in the code of many ([`MarginGradient::StraightThrough`],
//! the default): `dψ/dcosθ` counts as `1 + m - cosθ`, `dφ/dc` as `c + m`. With [`MarginGradient::True`] they are `2 (1 - cosθ)` and `2 c`: a row
//! at its class then has no gradient, and another class with a negative cosine above -m is pulled nearer.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a
//! margin outside [0, 1], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, MarginGradient, NamedHead, OptionRange, OthersRule, Row, Scale};
use crate::{Real, Result};

/// The Circle loss head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Circle {
    /// The scale s of the logits, γ in the paper.
    pub scale: Scale,
    /// The relaxation m, in [0, 1]: the radius is `√2 m`.
    pub margin: f64,
    /// Whether the weights have a derivative.
    pub gradient: MarginGradient,
}

impl Default for Circle {
    /// s = 256, m = 0.25, the paper's for faces; the weights are constants to the gradient.
    fn default() -> Self {
        Self { scale: Scale::Fixed(256.0), margin: 0.25, gradient: MarginGradient::StraightThrough }
    }
}

impl Head for Circle {
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
        let (cosine, margin) = (row.angle.cos, F::of(self.margin));
        let weight = F::one() + margin - cosine;
        let slope = match self.gradient {
            MarginGradient::StraightThrough => weight,
            MarginGradient::True => F::of(2.0) * (F::one() - cosine),
        };
        Logit { value: weight * (cosine - F::one() + margin), slope, ..Logit::default() }
    }

    fn others<F: Real>(&self, _: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        let (margin, zero, one) = (F::of(self.margin), F::zero(), F::one());
        let slope = match self.gradient {
            MarginGradient::StraightThrough => [margin, one, zero],
            MarginGradient::True => [zero, F::of(2.0), zero],
        };
        Some(OthersRule { threshold: -margin, zero_below: true, value: [-margin * margin, zero, one, zero], slope })
    }
}

impl NamedHead for Circle {
    const FORMULA: &'static str = "target s (1 + m - cosθ) (cosθ - 1 + m), others s max(cosθ + m, 0) (cosθ - m)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "relaxation m, a cosine",
            range: Some(OptionRange::SHARE),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "gradient",
            help: "of the weights 1 + m - cosθ and cosθ + m: true, or straight-through, which takes them as constants",
            range: None,
            field: |head| &mut head.gradient,
        },
    ];
}
