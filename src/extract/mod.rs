//! From photographs to features: a frozen network over an [`ImageSet`](crate::data::ImageSet), into the `.npy` files that the
//! trainer reads.
//!
//! [`extract`] takes any function from a batch of images to their features; with the cargo feature `onnx`, [`Network`] is
//! one, of an ONNX file. Work is done and kept in shards of a few images, so that a run that was killed goes on where it
//! was; the arrays appear whole or not at all. A [`Manifest`] beside them says what they are made of.

mod arrays;
mod manifest;
#[cfg(feature = "onnx")]
mod network;
mod options;
mod plan;
mod run;
mod shard;

pub use manifest::{Manifest, ModelFile, Row, SplitManifest};
#[cfg(feature = "onnx")]
pub use network::Network;
pub use options::{Event, Options};
pub use run::extract;
