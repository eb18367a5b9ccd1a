//! UniFace (Zhou et al. 2023, ICCV, the unified cross-entropy loss): one threshold that separates own classes from others in every row.
//!
//! `loss = ln(1 + exp(t - s (cosθ - m))) + λ Σ_{j≠y} ln(1 + exp(s c_j - t))`: [`ClassLoss::Logistic`] of `ψ(θ) = cosθ - m` with the
//! threshold t, which is trained. Softmax compares classes within a row alone. Here `s cosθ > t` means the same for all rows, so a query that is above t for
//! no class is of none: inference logits are `s cosθ - t`.
//!
//! t starts at `ln(10 C)`, as in the authors' code, where the other classes of a row begin with a loss of about 0.1 in all. That code clips logits to
//! [-s, s], which loses the gradient past it; here nothing is clipped.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), threshold (1,), labels (B,). Errors: a scale that is not
//! positive, a margin outside [0, 2], a negative λ, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{ClassLoss, Head, HeadOption, Logit, Loss, NamedHead, OptionRange, Row, Scale};
use crate::{Real, Result};

/// The UniFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UniFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The cosine m that is subtracted, in [0, 2].
    pub margin: f64,
    /// What the other classes' losses are multiplied by.
    pub lambda: f64,
}

impl Default for UniFace {
    /// s = 64, m = 0.4, λ = 1, the authors' code's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(64.0), margin: 0.4, lambda: 1.0 }
    }
}

impl Head for UniFace {
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
        Loss::EachClass(ClassLoss::Logistic { positive: 1.0, negative: self.lambda })
    }

    fn initial_threshold(&self, classes: usize) -> f64 {
        (10.0 * classes as f64).ln()
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        Logit::less(row, self.margin)
    }
}

impl NamedHead for UniFace {
    const FORMULA: &'static str = "target s (cosθ - m) - t, others s cosθ - t, each a yes or no";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "cosine m subtracted",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "lambda",
            help: "what the other classes' losses are multiplied by",
            range: Some(OptionRange::NOT_NEGATIVE),
            field: |head| &mut head.lambda,
        },
    ];
}
