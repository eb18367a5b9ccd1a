//! Arrays for other programs.

use arcos::{Result, files::atomic_file};
use ndarray::{Array, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};
use std::io;
use std::path::{Path, PathBuf};

/// Where [`write()`] puts the array `name`.
pub(super) fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).with_extension("npy")
}

/// Writes `name`.npy into `directory`.
pub(super) fn write<F: WritableElement, D: Dimension>(directory: &Path, name: &str, array: &Array<F, D>) -> Result<()> {
    atomic_file::write(&path(directory, name), |file| array.write_npy(file).map_err(io::Error::other))
}
