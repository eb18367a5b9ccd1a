//! Normalised softmax (NormFace, Wang et al. 2017, arXiv 1704.06369): cosine logits with a fixed scale, no margin.
//!
//! `z_ij = s cosθ_ij`, so `ψ(θ) = cosθ` and `dψ/dcosθ = 1`.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale
//! that is not positive, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, NamedHead, Scale};
use crate::Result;

/// The normalised softmax head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NormSoftmax {
    /// The scale s of the logits.
    pub scale: Scale,
}

impl Default for NormSoftmax {
    /// s = 16.
    fn default() -> Self {
        Self { scale: Scale::Fixed(16.0) }
    }
}

impl Head for NormSoftmax {
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
}

impl NamedHead for NormSoftmax {
    const FORMULA: &'static str = "s cosθ";
    const OPTIONS: &'static [HeadOption<Self>] = &[HeadOption::scale(|head| &mut head.scale)];
}
