//! Arrays for other programs.

use crate::{Error, Result};
use ndarray::{Array, Dimension};
use ndarray_npy::{WritableElement, write_npy};
use std::fs;
use std::path::Path;

/// Writes `name`.npy into `directory`, which is made where it is not there.
pub(super) fn write<F: WritableElement, D: Dimension>(directory: &Path, name: &str, array: &Array<F, D>) -> Result<()> {
    fs::create_dir_all(directory).map_err(|error| Error::io("create", directory, error))?;
    let path = directory.join(name).with_extension("npy");
    write_npy(&path, array).map_err(|error| Error::io("write", &path, std::io::Error::other(error)))
}
