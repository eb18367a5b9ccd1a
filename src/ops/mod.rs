//! Differentiable primitives. Each file holds one `forward`/`backward` pair, or one quantity that the heads share.
//!
//! Gradients are derivatives of the mean loss and have the shape of the thing they belong to.

pub(crate) mod anchor_loss;
pub mod angle;
pub mod batch_norm;
pub(crate) mod checked_objective;
mod class_loss;
pub mod class_weights;
pub mod dropout;
pub mod l2_normalize;
pub mod labels;
pub mod linear;
pub mod loss;
pub mod objective;
pub mod others_rule;
pub mod prelu;
pub mod relu;
pub(crate) mod rows;
pub mod softmax_cross_entropy;
mod softmax_sums;

pub use angle::Angle;
pub use labels::{IGNORE_LABEL, Targets};
pub use loss::{ClassLoss, Loss};
pub use objective::{Objective, Reduction, SoftTargets};
pub use others_rule::OthersRule;
pub use softmax_sums::SoftmaxSums;

use crate::{Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2};

/// Checks that `values`, called `what`, have one element for each column of `features`.
fn check_per_column<F: Real>(what: &'static str, values: ArrayView1<F>, features: ArrayView2<F>) -> Result<()> {
    if values.len() == features.ncols() {
        return Ok(());
    }
    let expected = format!("({},), one element for each column of features {:?}", features.ncols(), features.shape());
    Err(Error::Shape { what, found: values.shape().to_vec(), expected })
}

/// Checks that a gradient of `what`, none of whose elements is past `bound` but for rounding, can be held.
pub(crate) fn check_gradient_bound<F: Real>(what: &'static str, bound: f64) -> Result<()> {
    // Half of what there is: no sum is rounded by as much.
    let largest = F::max_value().to_double() / 2.0;
    if bound <= largest { Ok(()) } else { Err(Error::GradientOverflow { what, bound, largest }) }
}
