//! Files that are written whole or not at all.
//!
//! A temporary file beside the place is filled, flushed to disk and renamed. It has the mode of the file that it replaces, or
//! what the umask leaves to a new one. A process that is killed leaves it behind; [`remove_left_over`] finds it. One that a signal ends can take
//! its own away: [`remove_own`].

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::NamedTempFile;

/// What names of temporary files begin with, as those of no other program do; as many letters and digits follow.
pub const PREFIX: &str = ".arcos-unfinished-";
const RANDOM_LETTERS: usize = 12;

/// The temporary files of this process. A signal ends the process as a whole, and whoever handles it knows none of those who write.
static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file on disk that is not in its place yet. It goes when it is dropped.
pub(crate) struct Written {
    temporary: NamedTempFile,
    _listed: Listed,
    place: PathBuf,
}

/// The name of a temporary file, among this process's own until it is dropped.
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Removes the temporary files of this process, and has whoever is about to make or leave one wait for ever: for a process that is about to end
/// without unwinding.
pub fn remove_own() {
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    own.iter().for_each(|path| drop(fs::remove_file(path)));
    std::mem::forget(own);
}

/// Writes `path` with what `fill` gives. What is there and no file, such as `/dev/null` or a pipe, is written to as it is.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let attempt = || buffered(&File::options().write(true).open(path)?, fill);
        return attempt().map_err(|error| Error::io("write", path, error));
    }
    write_with(path, fill, &File::sync_all)
}

fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    flush: &dyn Fn(&File) -> io::Result<()>,
) -> Result<()> {
    let written = Written::beside(path, fill, flush)?;
    let directory = directory_of(&written.place).to_owned();
    written.put()?;
    flush_directory_with(&directory, flush)
}

fn buffered(file: &File, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    writer.flush()
}

impl Written {
    /// With what `fill` gives.
    pub fn new(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<Self> {
        Self::beside(path, fill, &File::sync_all)
    }

    fn beside(
        path: &Path,
        fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
        flush: &dyn Fn(&File) -> io::Result<()>,
    ) -> Result<Self> {
        check_replaceable(path)?;
        // A link stays one: what it points to is replaced.
        let link = path.is_symlink().then(|| fs::canonicalize(path).ok()).flatten();
        let place = link.unwrap_or_else(|| path.into());
        let attempt = || {
            let (temporary, listed) = temporary_in(directory_of(&place))?;
            // Says that somebody is still writing; there are file systems without locks.
            let _ = temporary.as_file().try_lock();
            buffered(temporary.as_file(), fill)?;
            #[cfg(unix)]
            if let Ok(before) = fs::metadata(&place) {
                temporary.as_file().set_permissions(before.permissions())?;
            }
            flush(temporary.as_file())?;
            Ok((temporary, listed))
        };
        let (temporary, _listed) = attempt().map_err(|error| Error::io("write", path, error))?;
        Ok(Self { temporary, _listed, place })
    }

    /// Renames it to its place. The rename itself is on disk only after [`flush_directory`].
    pub fn put(self) -> Result<()> {
        let Self { temporary, _listed, place } = self;
        temporary.persist(&place).map_err(|error| Error::io("write", place, error.error))?;
        Ok(())
    }
}

/// Refuses a link that leads nowhere, since what would take its place is no link, and a file that nobody may write to, since to replace it takes no
/// leave but that of its directory.
///
/// # Errors
/// [`Error::File`].
pub fn check_replaceable(path: &Path) -> Result<()> {
    let wrong = |found: &str, expected: &str| {
        Err(Error::File { path: path.into(), found: found.into(), expected: expected.into() })
    };
    match fs::metadata(path) {
        Err(_) if path.is_symlink() => wrong("is a link that leads nowhere", "one to what is there, or none"),
        Ok(found) if found.is_file() && found.permissions().readonly() => {
            wrong("is there and read-only", "a file that may be replaced, or none")
        }
        _ => Ok(()),
    }
}

/// A new temporary file.
fn temporary_in(directory: &Path) -> io::Result<(NamedTempFile, Listed)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).rand_bytes(RANDOM_LETTERS);
    #[cfg(unix)]
    let permissions: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let file = builder.tempfile_in(directory).map_err(without_name)?;
    own.push(file.path().into());
    let listed = Listed(file.path().into());
    Ok((file, listed))
}

/// The error without the name of a temporary file, which says nothing to anybody.
fn without_name(error: io::Error) -> io::Error {
    error.kind().into()
}

/// Flushes the names in a directory to disk.
pub(crate) fn flush_directory(directory: &Path) -> Result<()> {
    flush_directory_with(directory, &File::sync_all)
}

fn flush_directory_with(directory: &Path, flush: &dyn Fn(&File) -> io::Result<()>) -> Result<()> {
    // Elsewhere directories cannot be opened.
    if cfg!(not(unix)) {
        return Ok(());
    }
    let flushed = File::open(directory).and_then(|directory| flush(&directory));
    flushed.map_err(|error| Error::io("write", directory, error))
}

/// Where a file is.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the temporary files in `directory` of processes that are no more. What cannot be looked at or removed stays.
pub fn remove_left_over(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        // The system drops a lock when its owner ends.
        let is_nobodys = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if is_file && entry.file_name().to_str().is_some_and(is_temporary) && is_nobodys() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file is a temporary one, by its name.
pub(crate) fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    random
        .is_some_and(|random| random.len() == RANDOM_LETTERS && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_on_disk_before_it_is_in_its_place_and_its_name_after_that() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "before").expect("writable");
        let flushed = RefCell::new(Vec::new());
        let flush = |file: &File| {
            let found = file.metadata()?;
            let there = fs::read_to_string(&path)?;
            flushed.borrow_mut().push((found.is_dir(), found.is_file().then_some(found.len()), there));
            file.sync_all()
        };
        write_with(&path, |file| file.write_all(b"and after"), &flush).expect("writable");
        let expected = [(false, Some(9), "before".to_owned()), (true, None, "and after".to_owned())];
        assert_eq!(flushed.into_inner(), expected);
    }

    #[test]
    fn what_cannot_be_flushed_or_filled_leaves_what_was_there() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "before").expect("writable");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        write_with(&path, |file| file.write_all(b"after"), &|_| Err(full())).expect_err("it does not get to the disk");
        write(&path, |file| file.write_all(b"after").and(Err(full()))).expect_err("it is not whole");
        assert_eq!(fs::read_to_string(&path).expect("there"), "before");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn what_nobody_writes_any_more_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        let left_over = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM_LETTERS)
            .tempfile_in(directory.path())
            .expect("writable");
        left_over.keep().expect("it can stay");
        let alive = Written::new(&at("file"), |file| file.write_all(b"on its way")).expect("writable");
        for name in [
            ".arcos-abcdef",
            ".arcos-unfinished-notes",
            ".arcos-unfinished-abcdef.hijkl",
            "arcos-unfinished-abcdefghijkl",
            "abcdef",
        ] {
            fs::write(at(name), "").expect("writable");
        }
        for name in [".arcos-partial", ".arcos-unfinished-abcdefghijkl"] {
            fs::create_dir(at(name)).expect("writable");
        }
        assert_eq!(names(directory.path()).len(), 9);
        remove_left_over(directory.path());
        assert_eq!(names(directory.path()).len(), 8);
        alive.put().expect("it was left alone");
        assert_eq!(fs::read_to_string(at("file")).expect("there"), "on its way");
    }

    #[test]
    fn an_error_names_the_file_and_no_temporary_one() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let error = write(&directory.path().join("nowhere/file"), |file| file.write_all(b"text")).expect_err("nowhere");
        let message = error.to_string();
        assert!(message.contains("nowhere/file: ") && !message.contains(PREFIX), "{message}");
    }

    #[test]
    fn a_read_only_file_is_not_replaced() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "before").expect("writable");
        let mut permissions = fs::metadata(&path).expect("there").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).expect("its owner may");
        let error = write(&path, |file| file.write_all(b"after")).expect_err("read-only").to_string();
        assert!(
            error.ends_with("file: is there and read-only; expected a file that may be replaced, or none"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).expect("there"), "before");
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_devices_devices() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("elsewhere")).expect("writable");
        fs::write(at("elsewhere/file"), "before").expect("writable");
        std::os::unix::fs::symlink("elsewhere/file", at("link")).expect("writable");
        write(&at("link"), |file| file.write_all(b"after")).expect("writable");
        std::os::unix::fs::symlink("nowhere", at("dangling")).expect("writable");
        let refused = write(&at("dangling"), |file| file.write_all(b"after")).expect_err("it leads nowhere");
        assert!(
            refused
                .to_string()
                .ends_with("dangling: is a link that leads nowhere; expected one to what is there, or none")
        );
        assert!(at("dangling").is_symlink());
        assert!(at("link").is_symlink());
        assert_eq!(fs::read_to_string(at("elsewhere/file")).expect("there"), "after");
        write(Path::new("/dev/null"), |file| file.write_all(b"gone")).expect("writable");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }
}
