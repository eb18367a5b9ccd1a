//! L-Softmax (Liu, Wen, Yu, Yang 2016, *Large-Margin Softmax Loss for Convolutional Neural Networks*, ICML, arXiv 1612.02295, section 3): a margin that
//! multiplies the angle, on features and class vectors of any length.
//!
//! `z_y = ‖w_y‖‖x‖ ψ(θ)`, `z_j = w_j·x`, without a bias, with [`sphereface`](super::sphereface)'s `ψ(θ) = (-1)^k cos(mθ) - 2k` for θ in
//! [kπ/m, (k+1)π/m] and a whole m; m = 1 is softmax without a bias. With λ the blend with which the paper begins its training, `(λ cosθ + ψ) / (1 + λ)`, stands for ψ.
//!
//! Gradient of the labelled logit, with `ψ' = dψ/dcosθ`: `ψ' w + ‖w‖ (ψ - ψ' cosθ) x̂` by x, `ψ' x + ‖x‖ (ψ - ψ' cosθ) ŵ` by w; then
//! [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a margin that is not a whole number from 1 to 100, a λ below 0, C < 2,
//! shapes, labels, NaN or infinity, labelled rows or their class vectors of norm zero.

use super::{Geometry, Head, HeadOption, Logit, NamedHead, OptionRange, Row, Scale, SphereFace};
use crate::{Real, Result};

/// The L-Softmax head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LSoftmax {
    /// The factor m of the angle, at least 1.
    pub margin: usize,
    /// How much cosθ counts beside ψ, at least 0.
    pub lambda: f64,
}

impl Default for LSoftmax {
    /// m = 4, the paper's largest, and λ = 5, at which the authors' code advises to stop where λ = 0 does not converge.
    fn default() -> Self {
        Self { margin: 4, lambda: 5.0 }
    }
}

impl Head for LSoftmax {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)
    }

    fn scale(&self) -> Scale {
        Scale::Fixed(1.0)
    }

    fn geometry(&self) -> Geometry {
        Geometry::Linear
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let psi = SphereFace { margin: self.margin as f64, ..SphereFace::default() }.target(row, state);
        let (lambda, whole) = (F::of(self.lambda), F::of(1.0 + self.lambda));
        let (value, slope) = ((lambda * row.angle.cos + psi.value) / whole, (lambda + psi.slope) / whole);
        Logit { value, slope, ..Logit::default() }.times_norms(row)
    }
}

impl NamedHead for LSoftmax {
    const FORMULA: &'static str = "target ‖w‖‖x‖ ((-1)^k cos(mθ) - 2k), others x·w";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption {
            name: "margin",
            help: "factor m of the angle, whole",
            range: Some(OptionRange { from: 1.0, to: 100.0, words: "a whole number from 1 to 100" }),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "lambda",
            help: "how much cosθ counts beside the margin function",
            range: Some(OptionRange::NOT_NEGATIVE),
            field: |head| &mut head.lambda,
        },
    ];
}
