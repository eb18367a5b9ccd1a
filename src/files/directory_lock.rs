//! One process at a time in a directory.

use crate::{Error, Result, files::atomic_file};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Keeps other runs out of a directory until it is dropped, where the system can do that, and removes what one that was killed left half
/// written there.
pub fn lock(directory: &Path) -> Result<Option<File>> {
    // To open what is no directory may wait for ever.
    if !directory.is_dir() {
        return Ok(None);
    }
    // Elsewhere directories cannot be opened.
    let Ok(opened) = File::open(directory) else { return Ok(None) };
    match opened.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::File {
            path: directory.into(),
            found: "another run is writing here".into(),
            expected: "one at a time".into(),
        }),
        _ => {
            atomic_file::remove_left_over(directory);
            Ok(Some(opened))
        }
    }
}
