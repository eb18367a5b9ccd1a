//! Differentiable primitives. Each file holds one `forward`/`backward` pair, or one quantity that the heads share.
//!
//! Gradients are derivatives of the mean loss and have the shape of the thing they belong to.

pub mod angle;
pub mod cosine;
pub mod l2_normalize;
pub mod labels;
pub mod linear;
pub(crate) mod rows;
pub mod softmax_cross_entropy;

pub use angle::Angle;
pub use labels::{IGNORE_LABEL, Targets};
