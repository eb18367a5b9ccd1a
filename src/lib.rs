//! Angular-margin classification heads with hand-written gradients, on ndarray: softmax, L2-softmax, normalised softmax, AdaCos,
//! SphereFace, CosFace, ArcFace, combined margins.
//!
//! A head is a plain struct of hyper-parameters; what is trained is in [`Parameters`], which the caller owns. Every head has
//! the functions of [`Head`]: `forward` gives the mean loss and a cache, `backward` turns the cache into
//! gradients, `logits` are for inference.
//!
//! ```
//! use arcos::{Head, heads::AdaCos, init};
//! use ndarray::array;
//! use rand::SeedableRng;
//!
//! # fn main() -> arcos::Result<()> {
//! let features = array![[0.3f32, -1.2, 0.8], [1.1, 0.4, -0.2]]; // (B, D)
//! let labels = array![2, 0]; // (B,)
//! let head = AdaCos::default();
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let mut parameters = head.initial_parameters(init::glorot_normal(4, 3, &mut rng))?; // (C, D)
//!
//! let (loss, cache) = head.forward(features.view(), &parameters, labels.view())?;
//! parameters.state = cache.state.clone(); // where the next step starts
//! let gradients = head.backward(cache);
//! parameters.weights.scaled_add(-0.1, &gradients.d_weights);
//!
//! let (after, _) = head.forward(features.view(), &parameters, labels.view())?;
//! assert!(after < loss);
//! # Ok(())
//! # }
//! ```
//!
//! The heads are listed in [`heads`]; one's own implements [`Head`]. Rows labelled
//! [`IGNORE_LABEL`](ops::IGNORE_LABEL) take no part. [`streaming`] gives the same results at many
//! classes, fast and in little memory. An [`embedder`] makes embeddings of features under any head, and [`metrics`] says how good
//! they are. Everything is generic over [`Real`]: `f32` and `f64`.
//!
//! # Floors
//!
//! A module uses only those below it: `ops`, `metrics`, `optim`, `penalties` and `init` (primitives), `heads` and `embedder`, `streaming`, `baselines`, `data`, `train` and `extract`. The
//! program is a crate of its own, `arcos-cli`.
//!
//! # Features
//!
//! None is on unless it is asked for.
//!
//! - `train`: `data` and `train`, the frozen-feature trainer.
//! - `images`: `data::cub`, `data::image_folder`, `data::image` and `extract`, from photographs to features by any network; `onnx` adds one from
//!   an ONNX file.
//! - `clap`: choices of the trainer and of preprocessing are arguments of programs.
//! - `serde`: heads, optimizers and schedules can be serialised.
//! - `openblas-system`, `openblas-static`: BLAS for matrix products, LAPACK for whitening and orthonormal initialisation.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod baselines;
#[cfg(feature = "train")]
pub mod data;
pub mod embedder;
#[cfg(feature = "train")]
pub mod export;
#[cfg(feature = "images")]
pub mod extract;
#[cfg(feature = "train")]
pub mod files;
pub mod heads;
pub mod init;
#[cfg(feature = "train")]
pub mod memory;
pub mod metrics;
pub mod ops;
pub mod optim;
pub mod penalties;
#[cfg(feature = "train")]
pub mod shell;
pub mod streaming;
#[cfg(feature = "train")]
pub mod train;
pub mod wording;

mod error;
mod linalg;
mod real;

pub use error::{Error, Result};
pub use heads::{AnyHead, Head, Parameters};
pub use real::{Real, SingleThreaded};

/// The crate that arrays are of, in the version that fits.
pub use ndarray;
/// The crate that random numbers are of, in the version that fits.
pub use rand;

#[cfg(feature = "blas")]
extern crate openblas_src as _;

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
