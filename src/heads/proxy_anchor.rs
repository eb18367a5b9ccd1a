//! Proxy-Anchor (Kim, Kim, Cho, Kwak 2020, arXiv 2003.13911, eq. 4): each class vector an anchor to which the rows of a batch are compared.
//!
//! `ψ(θ) = cosθ - δ`, `φ(c) = c + δ`, and [`Loss::Anchors`] of `s ψ` and `s φ`:
//!
//! `loss = (1/|P⁺|) Σ_{p∈P⁺} ln(1 + Σ_{i: y_i = p} exp(-s (cosθ_i - δ))) + (1/C) Σ_p ln(1 + Σ_{i: y_i ≠ p} exp(s (c_ip + δ)))`
//!
//! P⁺ are the classes with rows in the batch. Among the rows of a class those far from it are pulled hardest, and among the rows of other classes
//! those near it pushed hardest: rows weigh against rows, where softmax weighs classes against classes.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive,
//! a δ outside [0, 2], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, Loss, NamedHead, OptionRange, OthersRule, Row, Scale};
use crate::{Real, Result};

/// The Proxy-Anchor head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProxyAnchor {
    /// The scale s of the logits, α in the paper.
    pub scale: Scale,
    /// The cosine δ, subtracted for the labelled class and added for the others, in [0, 2].
    pub margin: f64,
}

impl Default for ProxyAnchor {
    /// s = 32, δ = 0.1, the paper's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(32.0), margin: 0.1 }
    }
}

impl Head for ProxyAnchor {
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

    fn loss(&self) -> Loss {
        Loss::Anchors
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        Logit::less(row, self.margin)
    }

    fn others<F: Real>(&self, _: &Row<F>, _: &[f64]) -> Option<OthersRule<F>> {
        let (zero, one) = (F::zero(), F::one());
        let (value, slope) = ([F::of(self.margin), one, zero, zero], [one, zero, zero]);
        Some(OthersRule { threshold: F::neg_infinity(), zero_below: false, value, slope })
    }
}

impl NamedHead for ProxyAnchor {
    const FORMULA: &'static str = "target s (cosθ - δ), others s (cosθ + δ), compared over the rows of the batch";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "cosine δ subtracted from the target and added to the others",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.margin,
        },
    ];
}
