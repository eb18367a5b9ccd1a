//! Softmax: a linear layer and cross-entropy, the baseline of every paper here.
//!
//! `z = x wᵀ + b`, `loss = mean_i (logsumexp(z_i) - z_{i,y_i})`.
//!
//! Gradient, with `g = (softmax(z) - onehot(y)) / n` (B, C), n the number of labelled rows:
//!
//! `d_features = g w`, `d_weights = gᵀ x`, `d_bias = Σ_i g_i`.
//!
//! Shapes: features (B, D), weights (C, D), bias (C,), labels (B,). Errors: shapes that do not fit, an empty batch, C < 2,
//! labels out of range, NaN or infinity in any input, logits that overflow. Rows of norm zero are fine here.

use super::{Geometry, Head, HeadOption, NamedHead, Scale};
use crate::Result;

/// The plain softmax head; it has no hyper-parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Softmax {}

impl Head for Softmax {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn scale(&self) -> Scale {
        Scale::Fixed(1.0)
    }

    fn geometry(&self) -> Geometry {
        Geometry::Plain
    }
}

impl NamedHead for Softmax {
    const FORMULA: &'static str = "x·w + b";
    const OPTIONS: &'static [HeadOption<Self>] = &[];
}
