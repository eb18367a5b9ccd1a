//! What is known of each epoch, and its file `history.csv`.

use crate::files::atomic_file;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

pub(super) const HISTORY: &str = "history.csv";

/// One epoch: a row of `history.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean over the epoch's training rows, each at its step, margins included; nats.
    pub train_loss: f64,
    /// Share of the epoch's training rows predicted right, each at its step, without margins.
    pub train_accuracy: f64,
    /// Mean over the test rows after the epoch, without margins; nats.
    pub test_loss: Option<f64>,
    /// Share of test rows whose class has the largest logit.
    pub test_accuracy: Option<f64>,
    /// Share of test rows whose class is among the five largest logits.
    pub test_top5_accuracy: Option<f64>,
    /// Mean scale over the epoch's steps: AdaCos's s, L2-softmax's α, else a constant.
    pub scale: f64,
    /// Mean cosine between a training feature and its class vector, each at its step.
    pub target_cosine: Option<f64>,
    /// Mean angle between a training feature and its class vector, each at its step; radians.
    pub target_angle: Option<f64>,
    /// Mean over the epoch's steps of the Euclidean norm of all gradients of trained values.
    pub gradient_norm: f64,
    /// Training rows a second, evaluation left out.
    // Checkpoints have the name that it had before, and their check sums are of names, too.
    #[serde(rename = "images_per_second", alias = "rows_per_second")]
    pub rows_per_second: f64,
}

/// The columns of `history.csv`: the fields of [`EpochRecord`].
pub(super) const COLUMNS: [&str; 12] = [
    "epoch",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "test_top5_accuracy",
    "scale",
    "target_cosine",
    "target_angle",
    "gradient_norm",
    "rows_per_second",
];

/// Writes `records` as CSV with a header, whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn write_history(path: &Path, records: &[EpochRecord]) -> Result<()> {
    atomic_file::write(path, |file| {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        writer.write_record(COLUMNS).map_err(std::io::Error::other)?;
        records.iter().try_for_each(|record| writer.serialize(record)).map_err(std::io::Error::other)?;
        writer.flush()
    })
}

/// Reads what [`write_history`] wrote, or a file whose last column is `images_per_second`, as it was called before.
///
/// # Errors
/// [`Error::Io`], [`Error::File`].
pub fn read_history(path: &Path) -> Result<Vec<EpochRecord>> {
    read_rows(path)
}

/// The rows of a CSV file with a header.
pub(super) fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let rows = csv::Reader::from_reader(&bytes[..]).into_deserialize().collect::<csv::Result<_>>();
    rows.map_err(|error| Error::File {
        path: path.into(),
        found: error.to_string(),
        expected: "a log as training writes it".into(),
    })
}
