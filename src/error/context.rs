//! What an error is said of: a file.

use super::Error;
use std::path::PathBuf;

impl Error {
    /// Wraps an input/output error with the action and the file.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, cause: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), cause }
    }

    /// This error, said of a file; one that names a file already stays as it is.
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        match self {
            error if error.names_a_file() => error,
            cause => Self::InFile { path: path.into(), cause: Box::new(cause) },
        }
    }

    /// Whether its message begins with a file, or what was tried with one.
    pub fn names_a_file(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::File { .. } | Self::Line { .. } | Self::InFile { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;
    use std::io;

    #[test]
    fn a_cause_is_said_once() {
        let io = || Error::io("read", "x.npy", io::Error::other("the disk is gone"));
        let of_epoch = |cause| Error::Training { epoch: 2, batch: None, cause: Box::new(cause) };
        let errors = [io(), of_epoch(io()), Error::DamagedCheckpoint { cause: Box::new(io()), remedy: "none".into() }];
        for error in errors {
            assert_eq!(error.to_string().matches("the disk is gone").count(), 1, "{error}");
            assert!(error.source().is_none(), "{error}");
        }
        let of_file = Error::Empty { what: "features", found: vec![0, 3] }.in_file("x.npy").in_file("y.npy");
        assert!(of_file.source().is_none() && of_file.to_string().starts_with("x.npy: features"), "{of_file}");
    }
}
