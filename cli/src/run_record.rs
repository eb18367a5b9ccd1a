//! What a run needs to go on that is in none of its checkpoints: `run.json`.

use super::checkpoint_every::CheckpointEvery;
use super::data_args::DataArgs;
use super::validation_args::ValidationArgs;
use arcos::data::without_byte_order_mark;
use arcos::files::{atomic_file, regular_file};
use arcos::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Where the data of a run are, and what becomes of its checkpoints.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// None where they are made up.
    pub data: Option<DataArgs>,
    /// Runs from before there were any have none.
    #[serde(default)]
    pub validation: ValidationArgs,
    /// Newest checkpoints that stay.
    pub keep: usize,
    pub checkpoint_every: CheckpointEvery,
    /// The command that made the run for itself and may replace it. None of one that `arcos train` has begun or gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
}

/// Commands that make runs beside `arcos train`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MadeBy {
    /// `compare` and `demo`.
    Comparison,
    /// `tune`.
    Search,
}

impl Display for MadeBy {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Comparison => "an earlier comparison",
            Self::Search => "this search",
        })
    }
}

impl RunRecord {
    pub const FILE: &str = "run.json";
    /// The fields that every one has.
    pub const KEYS: [&str; 3] = ["data", "keep", "checkpoint_every"];

    /// That of a run that a comparison or a search makes for itself: of its checkpoints the last stays.
    pub fn made_by(made_by: MadeBy, data: Option<DataArgs>) -> Self {
        let (validation, checkpoint_every) = (ValidationArgs::default(), CheckpointEvery::default());
        Self { data, validation, keep: 1, checkpoint_every, made_by: Some(made_by) }
    }

    /// That of the run in `directory`; runs from before there were such records have none.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(Self::FILE);
        let Some(text) = regular_file::read_if_there(&path)? else { return Ok(None) };
        let record = serde_json::from_slice(without_byte_order_mark(&text));
        record.map(Some).map_err(|error| Error::File {
            path,
            found: error.to_string(),
            expected: "what `arcos train` wrote there; without the file the data must be given".into(),
        })
    }

    pub fn write(&self, directory: &Path) -> Result<()> {
        atomic_file::write(&directory.join(Self::FILE), |file| Ok(serde_json::to_writer_pretty(file, self)?))
    }
}
