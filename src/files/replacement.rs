//! Several files of one directory that are replaced together: the new ones and a manifest of them are put into a folder, flushed, and moved out of
//! it, the manifest last. While the folder has the manifest, the directory holds some of the old and some of the new.

use crate::{Error, Result};
use std::path::Path;

/// The folder, by what it is called in the directory.
pub(crate) const FOLDER: &str = ".arcos-partial";

/// The file that is moved last.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Refuses a directory whose files are being replaced, by a process that may be no more.
///
/// # Errors
/// [`Error::File`].
pub fn check_whole(directory: &Path) -> Result<()> {
    match directory.join(FOLDER).join(MANIFEST).exists() {
        false => Ok(()),
        true => Err(Error::File {
            path: directory.into(),
            found: "holds some of its former features and some of those that an extraction was putting in their place"
                .into(),
            expected: "all of one extraction: start it again, which brings it to its end".into(),
        }),
    }
}
