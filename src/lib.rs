//! arcos: angular-margin classification heads with hand-written gradients.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "train")]
pub mod data;
pub mod error;
pub mod heads;
pub mod init;
mod linalg;
pub mod metrics;
pub mod ops;
pub mod optim;
pub mod real;
#[cfg(feature = "train")]
pub mod train;

pub use error::{Error, Result};
pub use heads::{ClassificationHead, Head, HeadOptions, Parameters};
pub use real::Real;

#[cfg(feature = "blas")]
extern crate openblas_src as _;
