//! The run that an earlier end of a search has left, and nobody has touched since.

use super::super::run_files::foreign_file;
use arcos::files::directory_lock::lock;
use arcos::train::{RunDirectory, RunPosition};
use arcos::{Error, Result};
use std::fs::{self, File};
use std::path::Path;

/// Checks that what is in the place of a search's run, if anything is, can be removed: a run that the search left after so many `epochs`, that nobody is
/// writing to, has trained further or has put anything into. The lock is to be held until it is removed.
///
/// # Errors
/// [`Error::File`], [`Error::Io`].
pub(super) fn check(run: &Path, epochs: Option<usize>) -> Result<Option<File>> {
    let in_the_way = |path: &Path, found: &str| Error::File {
        path: path.into(),
        found: found.into(),
        expected: "nothing, or the run that this search has left; another --out, or move it away".into(),
    };
    match fs::symlink_metadata(run) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("look at", run, error)),
        Ok(entry) if !entry.is_dir() => return Err(in_the_way(run, "is in the way")),
        Ok(_) => {}
    }
    let Some(epochs) = epochs else { return Err(in_the_way(run, "is in the way")) };
    let lock = lock(run)?;
    if let Some(foreign) = foreign_file(run)? {
        return Err(in_the_way(&foreign, "is no part of a run"));
    }
    match RunDirectory::newest_position(run)? {
        Some(newest) if newest > (RunPosition { epochs, batches: 0 }) => {
            Err(in_the_way(run, &format!("has come to {newest}, past epoch {epochs} of the search")))
        }
        _ => Ok(lock),
    }
}

/// Removes it.
///
/// # Errors
/// As [`check`]; [`Error::Io`].
pub(super) fn remove(run: &Path, epochs: Option<usize>) -> Result<()> {
    let _lock = check(run, epochs)?;
    match run.exists() {
        true => fs::remove_dir_all(run).map_err(|error| Error::io("remove", run, error)),
        false => Ok(()),
    }
}
