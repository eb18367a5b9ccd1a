//! An epoch that was paused between two batches, or before its evaluation.

use super::EpochLog;
use super::means::Means;
use crate::wording::counted;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What is done of an epoch, so that the rest gives the same bits as if it had not been paused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PausedEpoch {
    /// Batches done.
    pub batches: usize,
    /// Words that dropout has drawn from its stream.
    pub(super) dropout_position: u64,
    /// Time that the batches took.
    pub(super) seconds: f64,
    pub(super) means: Means,
    pub(super) log: EpochLog,
}

impl PausedEpoch {
    /// Checks that an epoch of so many batches and rows can have been paused here.
    pub(super) fn check(&self, batches: usize, rows: usize) -> Result<()> {
        let Self { batches: done, means, log, .. } = self;
        let counts = [means.rows, means.correct, means.target_rows, log.target_angles.total() as usize];
        if (1..=batches).contains(done)
            && [means.steps, log.steps.len()] == [*done; 2]
            && counts.iter().all(|&count| count <= rows)
        {
            return Ok(());
        }
        let expected = format!("figures of 1 to {batches} of the epoch's {}", counted(batches, "batch"));
        Err(Error::Checkpoint { part: "the paused epoch".into(), found: counted(*done, "batch"), expected })
    }
}
