//! Proxy-NCA (Movshovitz-Attias et al. 2017, arXiv 1703.07464, eq. 4): softmax without the labelled class in the denominator.
//!
//! `loss = -ln(exp(-d(x, w_y)) / Σ_{j≠y} exp(-d(x, w_j)))` with `d = ‖x̂ - ŵ‖² = 2 - 2 cosθ`: that is [`Loss::Nca`] of logits `s cosθ` with s = 2. The
//! 2 of d cancels. Another s stands for vectors of norm `√(s/2)`.
//!
//! `d_z_y = -1` and `d_z_j = exp(z_j) / Σ_{k≠y} exp(z_k)` for the others: a row that is well placed is pulled as hard as any, and the loss, which
//! can be negative, ends at `ln(C - 1) - 2 s` or above. Proxy-NCA++ (Teh et al. 2020, arXiv 2004.01113) has the label in the denominator again, and a temperature T:
//! that is [`norm_softmax`](super::norm_softmax) with s = 2/T.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), the proxies, labels (B,). Errors: a scale that is not
//! positive, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Loss, NamedHead, Scale};
use crate::Result;

/// The Proxy-NCA head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProxyNca {
    /// The scale s of the logits.
    pub scale: Scale,
}

impl Default for ProxyNca {
    /// s = 2, squared distances of vectors of norm 1: the paper's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(2.0) }
    }
}

impl Head for ProxyNca {
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
        Loss::Nca
    }
}

impl NamedHead for ProxyNca {
    const FORMULA: &'static str = "s cosθ, the labelled class not in the denominator";
    const OPTIONS: &'static [HeadOption<Self>] = &[HeadOption::scale(|head| &mut head.scale)];
}
