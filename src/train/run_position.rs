//! How far a run has come.

use crate::wording::counted;
use std::fmt;

/// How far a run has come; the further, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunPosition {
    /// Epochs done.
    pub epochs: usize,
    /// Batches done of the next.
    pub batches: usize,
}

impl fmt::Display for RunPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.epochs)?;
        match self.batches {
            0 => Ok(()),
            batches => write!(f, " and {} of the next", counted(batches, "batch")),
        }
    }
}
