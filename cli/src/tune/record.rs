//! What a search has tried, on disk: `search.json`, from which an interrupted one goes on.

use super::space::Candidate;
use arcos::data::{Dataset, without_byte_order_mark};
use arcos::files::{atomic_file, regular_file};
use arcos::train::{DataChecksum, Search, Trial};
use arcos::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The version of the format; files of another are refused.
const FORMAT: &str = "arcos search 1";

/// What may be lost where the program is killed.
const BETWEEN_WRITES: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Stored {
    format: String,
    folds: usize,
    repeats: usize,
    seed: u64,
    train: DataChecksum,
    /// Whether the search has come so far that it makes a run beside the file.
    #[serde(default)]
    has_run: bool,
    trials: Vec<StoredTrial>,
}

#[derive(Serialize, Deserialize)]
struct StoredTrial {
    candidate: String,
    split: usize,
    /// None where training failed.
    right: Option<usize>,
    rows: usize,
}

/// The record of a search that is under way.
pub(super) struct Record {
    path: PathBuf,
    stored: Stored,
    written: Instant,
}

impl Record {
    pub const FILE: &str = "search.json";
    /// Fields by which it is known.
    pub const KEYS: [&str; 2] = ["folds", "trials"];

    /// Begins a record in `directory`, or goes on with the one that is there: the trials of these candidates that it has come with it.
    ///
    /// # Errors
    /// [`Error::File`] for one that is there and shall not be gone on with, or is not there and shall, or is of other folds or data; [`Error::Io`].
    pub fn begin(
        directory: &Path,
        search: &Search,
        train: &Dataset,
        candidates: &[Candidate],
        goes_on: bool,
    ) -> Result<(Self, Vec<Trial>)> {
        let path = directory.join(Self::FILE);
        let &Search { folds, repeats, seed, .. } = search;
        let checksum = DataChecksum::new(train)?;
        let mut stored =
            Stored { format: FORMAT.into(), folds, repeats, seed, train: checksum, has_run: false, trials: Vec::new() };
        let refused = |found: &str, expected: &str| Error::File {
            path: path.clone(),
            found: found.into(),
            expected: expected.into(),
        };
        match regular_file::read_if_there(&path)? {
            None if !goes_on => {}
            None => {
                return Err(refused("is not there", "that of a search to go on with; without --resume one begins"));
            }
            Some(_) if !goes_on => {
                return Err(refused("is of an earlier search", "--resume to go on with it, or another --out"));
            }
            Some(text) => {
                let known: Stored = serde_json::from_slice(without_byte_order_mark(&text))
                    .map_err(|error| refused(&error.to_string(), "what `arcos tune` left there"))?;
                let differs = [
                    ("format", known.format != stored.format),
                    ("--folds", known.folds != stored.folds),
                    ("--repeats", known.repeats != stored.repeats),
                    ("--seed", known.seed != stored.seed),
                    ("data", known.train != stored.train),
                ];
                let others: Vec<&str> =
                    differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
                if !others.is_empty() {
                    let found = format!("is a search with other {}", others.join(", "));
                    return Err(refused(&found, "those of this search"));
                }
                stored.trials = known.trials;
                stored.has_run = known.has_run;
            }
        }
        let number = |name: &str| candidates.iter().position(|candidate| candidate.options == name);
        let known = stored.trials.iter().filter_map(|&StoredTrial { ref candidate, split, right, rows }| {
            Some(Trial { candidate: number(candidate)?, split, right, rows })
        });
        let known: Vec<_> = known.collect();
        search.check_known(train, &known).map_err(|error| error.in_file(&path))?;
        Ok((Self { path, stored, written: Instant::now() }, known))
    }

    /// Adds a trial, and writes the file if it has not been written for a while.
    pub fn add(&mut self, trial: Trial, candidate: &Candidate) -> Result<()> {
        let Trial { split, right, rows, .. } = trial;
        self.stored.trials.push(StoredTrial { candidate: candidate.options.clone(), split, right, rows });
        match self.written.elapsed() < BETWEEN_WRITES {
            true => Ok(()),
            false => self.write(),
        }
    }

    /// Whether an earlier end of the search has left a run.
    pub fn has_run(&self) -> bool {
        self.stored.has_run
    }

    /// Notes that a run is about to be beside the file.
    pub fn leaves_run(&mut self) -> Result<()> {
        self.stored.has_run = true;
        self.write()
    }

    /// Whether no trial has come to its end.
    pub fn is_empty(&self) -> bool {
        self.stored.trials.is_empty()
    }

    /// Writes the file, if there is anything to write.
    pub fn write_rest(&mut self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<()> {
        self.written = Instant::now();
        atomic_file::write(&self.path, |file| Ok(serde_json::to_writer(file, &self.stored)?))
    }
}
