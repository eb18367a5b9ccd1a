//! Photographs: reading CUB-200-2011 and folders, preprocessing, augmentation, extraction of features.

mod augmentation;
mod cub;
mod extraction;
mod fixture;
mod folder;
mod jpegs;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "onnx")]
mod onnx_export;
mod reference;
mod unusual_jpegs;

use std::path::{Path, PathBuf};

/// A file of `tests/data`; see `tests/reference` for what made it.
fn data_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
