//! Penalties beside a head's loss: on the angles of rows to their class vectors, on those between class vectors, on those between rows.
//!
//! | penalty | formula | of | source |
//! |---|---|---|---|
//! | [`intra`] | `1/(π n) Σ_i θ_{i,y_i}` | rows and class vectors | Deng et al. 2019, 1801.07698 |
//! | [`inter`] | `-1/(π n (C-1)) Σ_i Σ_{j≠y_i} arccos(ŵ_{y_i}·ŵ_j)` | class vectors | Deng et al. 2019, 1801.07698 |
//! | [`triplet`] | mean over anchors of `max(θ_positive + m - θ_negative, 0)` | rows | Deng et al. 2019, 1801.07698; Hermans et al. 2017, 1703.07737 |
//! | [`center_loss`] | `1/(2n) Σ_i ‖x_i - c_{y_i}‖²` | rows | Wen et al. 2016, ECCV |
//! | [`regularface`] | `1/C Σ_i max_{j≠i} ŵ_i·ŵ_j` | class vectors | Zhao et al. 2019, CVPR |
//! | [`centre_distance`] | `1/(C K (K-1)) Σ_j Σ_{s<t} ‖ŵ_js - ŵ_jt‖` | class vectors, K a class | Qian et al. 2019, 1909.05235 |
//!
//! Each is a `forward` that gives the penalty and a cache, and a `backward` that makes gradients of the cache. They are added to a head's,
//! times a weight, here by hand; [`WeightedPenalty`] does the same by name:
//!
//! ```
//! use arcos::heads::ArcFace;
//! use arcos::penalties::{intra, regularface};
//! use arcos::{Head, init};
//! use ndarray::array;
//! use rand::SeedableRng;
//!
//! # fn main() -> arcos::Result<()> {
//! let features = array![[0.3f64, -1.2, 0.8], [1.1, 0.4, -0.2]]; // (B, D)
//! let labels = array![2, 0]; // (B,)
//! let head = ArcFace::default();
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let mut parameters = head.initial_parameters(init::glorot_normal(4, 3, &mut rng))?; // (C, D)
//!
//! let (loss, cache) = head.forward(features.view(), &parameters, labels.view())?;
//! let mut gradients = head.backward(cache);
//! let (spread, cache) = intra::forward(features.view(), parameters.weights.view(), labels.view())?;
//! let of_spread = intra::backward(&cache);
//! gradients.d_features.scaled_add(2.0, &of_spread.d_features);
//! gradients.d_weights.scaled_add(2.0, &of_spread.d_weights);
//! let (closeness, cache) = regularface::forward(parameters.weights.view())?;
//! gradients.d_weights.scaled_add(0.5, &regularface::backward(&cache));
//!
//! parameters.weights.scaled_add(-0.01, &gradients.d_weights);
//! let total = loss + 2.0 * spread + 0.5 * closeness;
//! # let after = head.forward(features.view(), &parameters, labels.view())?.0
//! #     + 2.0 * intra::forward(features.view(), parameters.weights.view(), labels.view())?.0
//! #     + 0.5 * regularface::forward(parameters.weights.view())?.0;
//! # assert!(after < total);
//! # Ok(())
//! # }
//! ```
//!
//! Angles keep their digits at the poles, as those of [`ops::angle`](crate::ops::angle), and slopes of them with respect to cosines, `-1/sinθ`, have its
//! floor: there gradients shrink to zero in place of becoming infinite. Gradients are derivatives of the penalty as it is returned; rows labelled
//! [`IGNORE_LABEL`](crate::ops::IGNORE_LABEL) have none.

pub mod center_loss;
pub mod centre_distance;
pub mod inter;
pub mod intra;
pub mod regularface;
pub mod triplet;
mod weighted;

pub use weighted::{Penalty, PenaltyBatch, WeightedPenalty};

use crate::{Error, Real, Result};
use ndarray::ArrayView2;

/// Class vectors that are compared with others at a time: no array of all pairs is ever there.
const BLOCK: usize = 512;

/// Checks that class vectors have others to be compared with.
fn check_others<F>(what: &'static str, weights: ArrayView2<F>) -> Result<()> {
    if weights.nrows() > 1 && weights.ncols() > 0 {
        return Ok(());
    }
    let expected = "at least two class vectors of one column".into();
    Err(Error::Shape { what, found: weights.shape().to_vec(), expected })
}

/// Checks that rows of both have the same dimension, and that there are some.
fn check_dimensions<F: Real>(features: ArrayView2<F>, what: &'static str, of_classes: ArrayView2<F>) -> Result<()> {
    if features.is_empty() {
        return Err(Error::Empty { what: "features", found: features.shape().to_vec() });
    }
    if of_classes.ncols() == features.ncols() {
        return Ok(());
    }
    let expected = format!("(classes, {}), the dimension of features", features.ncols());
    Err(Error::Shape { what, found: of_classes.shape().to_vec(), expected })
}
