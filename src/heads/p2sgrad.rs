//! P2SGrad (Zhang et al. 2019, arXiv 1905.02479, eq. 11): the gradient of softmax with cosines in place of probabilities.
//!
//! The paper gives no loss, but a gradient: `Σ_j (cosθ_j - [j = y]) ∂cosθ_j`. It is that of `½ (1 - cosθ_y)² + ½ Σ_{j≠y} cosθ_j²`, [`ClassLoss::Squared`]
//! of the cosines, which is what is reported here. There is no scale and no margin to choose.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: C < 2, shapes, labels, NaN or infinity,
//! rows of norm zero.

use super::{ClassLoss, Head, HeadOption, Loss, NamedHead, Scale};
use crate::Result;

/// The P2SGrad head.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct P2SGrad {}

impl Head for P2SGrad {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn scale(&self) -> Scale {
        Scale::Fixed(1.0)
    }

    fn loss(&self) -> Loss {
        Loss::EachClass(ClassLoss::Squared)
    }
}

impl NamedHead for P2SGrad {
    const FORMULA: &'static str = "cosθ, its squared distance from 1 for the target and 0 for the others";
    const OPTIONS: &'static [HeadOption<Self>] = &[];
}
