//! The streaming kernel: loss and gradients of any head, a block of classes at a time.
//!
//! A training step has three matrix products of `2·B·C·D` operations: logits, `d_features`, `d_weights`. The explicit
//! [`forward`](crate::Head::forward) and [`backward`](crate::Head::backward) read like the formulas and pass over
//! several (B, C) arrays besides. This kernel gives the same results from blocks of classes that stay in cache:
//!
//! 0. **Targets.** The labelled rows with their own class vectors, and what the head says of each: its margin, what it changes in the
//!    other classes' cosines.
//! 1. **Scores.** Per block: `ŵ`, the product `x̃ w̃ᵀ`, and for each row the largest logit of the block and the sum of
//!    exponentials relative to it, the labelled class left out. Blocks are divided among the threads.
//! 2. **Merge.** The (maximum, sum) pairs of all blocks give each row's loss and softmax denominator, the labelled class apart as in
//!    [`softmax_cross_entropy`](crate::ops::softmax_cross_entropy). A scale that follows the batch is found here, and the sums are
//!    made once more.
//! 3. **Gradients.** Per block: logits become probabilities in place, the labelled class gets `(p_y - 1) ψ'`, and two products give
//!    the block's part of `d_features` and its rows of `d_weights`, with the Jacobian of the normalisation while they are in cache.
//!
//! Inner products are kept from step 1 to step 3 as far as [`StreamingOptions::workspace`] goes and computed again past it: a
//! fourth product (a fifth for AdaCos), and memory that does not grow with B·C.
//!
//! ```
//! use arcos::{Head, heads::ArcFace, init, streaming::Streaming};
//! use ndarray::array;
//! use rand::SeedableRng;
//!
//! # fn main() -> arcos::Result<()> {
//! let features = array![[0.3f32, -1.2, 0.8], [1.1, 0.4, -0.2]]; // (B, D)
//! let labels = array![2, 0]; // (B,)
//! let head = ArcFace::default();
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let parameters = head.initial_parameters(init::glorot_normal(1000, 3, &mut rng))?; // (C, D)
//!
//! let mut kernel = Streaming::default(); // keep it: its scratch memory serves the next step
//! let (step, gradients) = kernel.forward_backward(&head, features.view(), &parameters, labels.view())?;
//!
//! let (loss, cache) = head.forward(features.view(), &parameters, labels.view())?;
//! let explicit = head.backward(cache);
//! assert!((step.loss - loss).abs() < 1e-4);
//! assert!((&gradients.d_weights - &explicit.d_weights).iter().all(|difference| difference.abs() < 1e-4));
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! The work runs on rayon's current thread pool (`RAYON_NUM_THREADS`, or [`rayon::ThreadPool::install`]); each task multiplies
//! on its own thread. OpenBLAS is set to one thread for the time of a step and back to what it was after. Results are the
//! same bits for the same number of threads. With another number the classes are cut into other blocks, which changes the order of
//! additions: differences are of the size of rounding.

mod anchors;
mod batch;
mod block_products;
mod blocks;
mod evaluate;
mod gradients;
mod group;
mod head_of_sample;
mod kernel;
mod likeliest;
mod merge;
mod partial_fc;
mod precision;
mod prepare;
mod products;
pub(crate) mod sampled_classes;
mod scores;
mod screening;
mod search;
mod softmax_sums;
mod targets;
mod unit_block;
mod visible;

pub use evaluate::Evaluated;
pub use kernel::{Step, Streaming, Update};
pub use likeliest::Likeliest;
pub use partial_fc::PartialFc;
pub use precision::Precision;
pub use sampled_classes::SampledClasses;

use crate::Result;
use crate::optim::check_setting;

/// How the streaming kernel spends memory and accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamingOptions {
    /// Bytes for inner products that are kept from the first pass to the second; all of them take B·C elements, of two bytes in mixed
    /// precision. Those past it are computed twice.
    pub workspace: usize,
    /// What is left out of the gradients.
    pub filter: GradientFilter,
    /// The number format of the products.
    #[cfg_attr(feature = "serde", serde(default))]
    pub precision: Precision,
}

impl Default for StreamingOptions {
    /// 256 MiB, no filter, full precision.
    fn default() -> Self {
        Self { workspace: 256 << 20, filter: GradientFilter::Off, precision: Precision::Full }
    }
}

/// Which blocks of classes are left out of the gradients: late in training, with large scales, most classes have no
/// visible part in them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum GradientFilter {
    /// None: the gradients are exact to rounding.
    #[default]
    Off,
    /// `Mass(ε)`: blocks in which no row has more than `ε / blocks` of its probability, so that a row loses at most ε; and where few probabilities of a block are
    /// larger than its share in that, divided by its classes, all others. Where the
    /// [objective](crate::ops::objective) multiplies probabilities by A, A times the probability counts. What smoothing takes from all classes is not left
    /// out, and no block with a soft target.
    ///
    /// Loss and labelled classes are exact, but in mixed precision: there the filter may leave out a block before it is multiplied, if products of rows in 8 bits, with what they are off by at
    /// most, tell that it has no visible part. Then a row's loss is too small by ε at most, and the bounds below are twice what they were. With n labelled rows and scale s the filter changes a row of
    /// `d_features` by at most `s ε max_j‖w̃_j‖ / (n ‖x_i‖)` and a row of `d_weights` by at most
    /// `s ε max_i‖x̃_i‖ / (blocks ‖w_j‖)`, in Euclidean norm; without the division by `‖x_i‖` or `‖w_j‖` where the head does
    /// not normalise it. An element of `d_bias` changes by at most `ε / blocks`, the gradient of a scale by at most `ε max|φ|`.
    Mass(f64),
}

impl GradientFilter {
    /// `Mass(1e-7)`: about the unit roundoff of `f32`.
    pub const ROUNDING: Self = Self::Mass(1e-7);
}

impl StreamingOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting).
    pub fn check(&self) -> Result<()> {
        self.precision.check()?;
        match self.filter {
            GradientFilter::Off => Ok(()),
            GradientFilter::Mass(mass) => {
                check_setting("filter", mass, mass > 0.0 && mass < 1.0, "a probability above 0 and below 1")
            }
        }
    }
}
