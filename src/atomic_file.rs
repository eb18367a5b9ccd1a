//! Files that are written whole or not at all.

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Writes to a temporary file beside `path`, flushes it to disk, and renames it to `path`.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    replace(path, |temporary| {
        let mut writer = BufWriter::new(temporary.as_file());
        fill(&mut writer)?;
        writer.flush()
    })
}

/// [`write`] for what writes to a file by name.
pub(crate) fn write_by_name(path: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    replace(path, |temporary| fill(temporary.path()))
}

fn replace(path: &Path, fill: impl FnOnce(&NamedTempFile) -> io::Result<()>) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || {
        let temporary = tempfile::Builder::new().prefix(".arcos-").tempfile_in(directory)?;
        fill(&temporary)?;
        temporary.as_file().sync_all()?;
        #[cfg(unix)]
        std::fs::set_permissions(temporary.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        temporary.persist(path)?;
        // The rename itself is on disk only once the directory is; elsewhere directories cannot be opened.
        #[cfg(unix)]
        File::open(directory)?.sync_all()?;
        Ok(())
    };
    attempt().map_err(|error| Error::io("write", path, error))
}
