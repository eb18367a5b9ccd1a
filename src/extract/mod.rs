//! From photographs to features: a frozen network over an [`ImageSet`](crate::data::ImageSet), into the `.npy` files that the
//! trainer reads.
//!
//! [`extract`] takes any function from a batch of images to their features; with the cargo feature `onnx`, `Network` is
//! one, of an ONNX file. Work is done and kept in shards of a few images, so that a run that was killed goes on where it
//! was; the arrays appear whole or not at all. A [`Manifest`] beside them says what they are made of.
//!
//! ```no_run
//! use arcos::data::cub;
//! use arcos::data::image::{Layout, Preprocessing};
//! use arcos::extract::{Event, ModelFile, Options, extract};
//! use ndarray::{Array2, ArrayView4, Axis};
//! use std::path::Path;
//!
//! # fn main() -> arcos::Result<()> {
//! // From images (n, 3, 224, 224) to features (n, D), by whatever runs networks.
//! let embed = |images: ArrayView4<f32>| -> arcos::Result<Array2<f32>> {
//!     let means = images.mean_axis(Axis(3)).and_then(|rows| rows.mean_axis(Axis(2)));
//!     Ok(means.expect("images have pixels"))
//! };
//! let model = ModelFile { file: "mean of each channel".into(), sha256: "1".into(), ..ModelFile::default() };
//! let birds = cub::read(Path::new("CUB_200_2011"))?;
//! let options = Options { views: Some(5), ..Options::new(Preprocessing::new(224, 224, Layout::Nchw)) };
//! let on_event = |event: Event| {
//!     if let Event::Skipped(error) = event {
//!         eprintln!("{error}");
//!     }
//! };
//! let manifest = extract(&birds, &options, &model, &embed, Path::new("features"), &on_event)?;
//! println!("{} rows", manifest.splits["train"].rows.len());
//! # Ok(())
//! # }
//! ```

mod arrays;
#[cfg(feature = "onnx")]
pub(crate) mod independence;
mod manifest;
#[cfg(feature = "onnx")]
mod network;
#[cfg(feature = "onnx")]
pub(crate) mod onnx_file;
mod options;
mod partial;
mod plan;
mod run;
mod shard;

pub use manifest::{Manifest, ModelFile, Row, SplitManifest, Tokens};
#[cfg(feature = "onnx")]
pub use network::{Network, NetworkOptions};
pub use options::{Event, Options};
pub use run::extract;
