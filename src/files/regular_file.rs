//! The one way in which files are read: none but regular ones. Whoever opens a pipe waits for its other end, and a device may go on for ever.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a file to be read.
///
/// # Errors
/// [`Error::File`] for a directory, a pipe, a socket and a device, which are not opened; [`Error::Io`].
pub fn open(path: &Path) -> Result<File> {
    attempt(path).map_err(|error| Error::io("read", path, error))?
}

/// All of a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
    Ok(bytes)
}

/// All of a file, if there is one.
///
/// # Errors
/// As [`open`].
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match read(path) {
        Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

fn attempt(path: &Path) -> io::Result<Result<File>> {
    let found = match fs::metadata(path)? {
        found if found.is_file() => return File::open(path).map(Ok),
        found if found.is_dir() => "is a directory",
        _ => "is no regular file",
    };
    Ok(Err(Error::File { path: path.into(), found: found.into(), expected: "a regular file".into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_what_is_not_there_is_none() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        assert_eq!(read_if_there(&path).expect("nothing"), None);
        assert!(matches!(read(&path), Err(Error::Io { action: "read", .. })));
        fs::write(&path, "text").expect("writable");
        assert_eq!(read_if_there(&path).expect("there").as_deref(), Some(&b"text"[..]));
        let message = read_if_there(directory.path()).expect_err("a directory").to_string();
        assert!(message.ends_with(": is a directory; expected a regular file"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_sockets_and_devices_are_refused_at_once() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a short path");
        std::os::unix::fs::symlink("/dev/zero", at("zeros")).expect("writable");
        std::os::unix::fs::symlink("socket", at("link")).expect("writable");
        for name in ["socket", "zeros", "link"] {
            let message = read_if_there(&at(name)).expect_err(name).to_string();
            assert!(message.ends_with(&format!("{name}: is no regular file; expected a regular file")), "{message}");
        }
    }
}
