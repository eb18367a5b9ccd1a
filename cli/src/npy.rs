//! Arrays for other programs.

use arcos::{Error, Result, files::atomic_file};
use ndarray::{Array, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};
use std::io;
use std::path::{Path, PathBuf};

/// Where [`write()`] puts the array `name`.
pub(super) fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).with_extension("npy")
}

/// Refuses a place for an array, given by `option`, whose name says that it is an archive: as such it could not be read again.
///
/// # Errors
/// [`Error::Setting`].
pub(super) fn check_name(option: &'static str, path: &Path) -> Result<()> {
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz")) {
        false => Ok(()),
        true => {
            let expected = "a name that ends in .npy: what is written is an array, not an archive".into();
            Err(Error::Setting { name: option, value: path.display().to_string(), expected })
        }
    }
}

/// Writes `name`.npy into `directory`.
pub(super) fn write<F: WritableElement, D: Dimension>(directory: &Path, name: &str, array: &Array<F, D>) -> Result<()> {
    atomic_file::write(&path(directory, name), |file| array.write_npy(file).map_err(io::Error::other))
}
