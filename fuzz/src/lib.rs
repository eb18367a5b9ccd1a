//! What the targets share: input as a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file of this process with these bytes; the one before is overwritten.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("temporary directory"));
    let path = directory.path().join(name);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        fs::create_dir_all(parent).expect("writable");
    }
    fs::write(&path, bytes).expect("writable");
    path
}

/// The directory of [`file`].
pub fn directory(path: &Path) -> &Path {
    path.parent().expect("files are in a directory")
}
