//! Why a command failed: the library's error, or what only a program can say.

use arcos::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Library(#[from] Error),
    /// A run that an option does not go with, or that cannot go on.
    #[error("the run in {run}: {cause}")]
    OfRun { run: PathBuf, cause: Error },
    /// Heads of a comparison whose training failed, by their names, of so many; the others are compared.
    #[error("{} of {} failed: {}", .failed.len(), arcos::wording::counted(*.heads, "head"), .failed.join(", "))]
    HeadsFailed { failed: Vec<String>, heads: usize },
}

impl Failure {
    /// An error, said of a run; one that names a file already stays as it is.
    pub fn of_run(error: Error, run: &Path) -> Self {
        match error {
            error if error.names_a_file() => error.into(),
            cause => Self::OfRun { run: run.into(), cause },
        }
    }

    /// Whether the mistake is in the arguments rather than in the data.
    pub fn is_usage(&self) -> bool {
        use Error::*;
        let (Self::Library(error) | Self::OfRun { cause: error, .. }) = self else { return false };
        matches!(
            error,
            UnknownHead { .. } | UnknownOption { .. } | HyperParameter { .. } | Setting { .. } | OtherSettings { .. }
        )
    }

    /// Whether whoever reads our output has read enough.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Library(Error::Io { cause, .. }) if cause.kind() == ErrorKind::BrokenPipe)
    }

    /// Which options help, as a clause after the message, or nothing.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Library(error) | Self::OfRun { cause: error, .. } => advice_on(error),
            Self::HeadsFailed { .. } => "",
        }
    }
}

/// What the program adds to an error of the library: which options of its own help.
pub(super) fn advice_on(error: &Error) -> &'static str {
    match error {
        Error::OtherSettings { .. } => {
            "; what may differ is --epochs, --patience, --keep, --checkpoint-every, --class-names and where its data are"
        }
        Error::MissingImages { missing, images, .. } if missing < images => {
            "; --allow-missing leaves out those that are"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_out_missing_images_is_advised_where_others_are_there() {
        let missing = |missing| Error::MissingImages { path: "a.jpg".into(), missing, images: 3, split: "train" };
        assert!(advice_on(&missing(2)).contains("--allow-missing"));
        assert_eq!(advice_on(&missing(3)), "");
    }
}
