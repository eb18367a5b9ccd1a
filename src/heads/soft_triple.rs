//! SoftTriple (Qian, Shang, Sun, Hu, Li, Jin 2019, ICCV, arXiv 1909.05235, section 3): several class vectors a class, which all count, the nearer ones more.
//!
//! `S_j = Σ_k q_jk c_jk`, `q_j = softmax_k(c_jk / γ)`, of the cosines c of a row with the K centres of class j; `ψ = S_y - δ`, and S stands for
//! `cosθ` of all classes. γ → 0 is the maximum of [`sub_center_arcface`](super::sub_center_arcface), γ → ∞ the mean.
//!
//! `∂S_j/∂c_jk = q_jk (1 + (c_jk - S_j) / γ)`; these sum to 1 over a class's centres, and a centre far enough behind the mixture has a negative one.
//!
//! The paper's penalty, which draws centres of a class together, is [`centre_distance`](crate::penalties::centre_distance).
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C·K, D), those of a class next to each other, labels (B,). Errors: a
//! scale that is not positive, a margin outside [0, 2], K of 0, γ below 0.01, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, NamedHead, OptionRange, Row, Scale};
use crate::{Real, Result};

/// The SoftTriple head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SoftTriple {
    /// The scale s of the logits, λ in the paper.
    pub scale: Scale,
    /// The cosine δ that is subtracted, in [0, 2].
    pub margin: f64,
    /// The number K of class vectors a class.
    pub centres: usize,
    /// The temperature γ of the choice among them.
    pub gamma: f64,
}

impl Default for SoftTriple {
    /// s = 20, δ = 0.01, K = 10, γ = 0.1, the paper's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(20.0), margin: 0.01, centres: 10, gamma: 0.1 }
    }
}

impl Head for SoftTriple {
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

    fn centre_temperature(&self) -> Option<f64> {
        Some(self.gamma)
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        Logit::less(row, self.margin)
    }
}

impl NamedHead for SoftTriple {
    const FORMULA: &'static str =
        "target s (S - δ), others s S, S the K centres' cosines weighed by their softmax over γ";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "cosine δ subtracted",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.margin,
        },
        HeadOption::centres(|head| &mut head.centres),
        HeadOption {
            name: "gamma",
            help: "temperature γ of the choice among a class's centres",
            range: Some(OptionRange::TEMPERATURE),
            field: |head| &mut head.gamma,
        },
    ];
}
