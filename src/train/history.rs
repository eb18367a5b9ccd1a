//! What is known of each epoch, and its file `history.csv`.

use crate::files::{atomic_file, regular_file};
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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
    /// Mean over the validation rows after the epoch, without margins; nats.
    // Left out of runs without such rows, whose check sums are of what they have always been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Share of validation rows whose class has the largest logit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
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

/// The number of the best epoch, counted from 1, where there are validation rows: that of the highest validation accuracy, of equals that of the lowest
/// validation loss, of equals the first.
pub fn best_epoch(history: &[EpochRecord]) -> Option<usize> {
    let mut best: Option<(usize, f64, f64)> = None;
    for (record, epoch) in history.iter().zip(1..) {
        let (accuracy, loss) = (record.validation_accuracy?, record.validation_loss?);
        let is_better = |&(_, highest, lowest): &(usize, f64, f64)| {
            accuracy.total_cmp(&highest).then(lowest.total_cmp(&loss)).is_gt()
        };
        if best.as_ref().is_none_or(is_better) {
            best = Some((epoch, accuracy, loss));
        }
    }
    best.map(|(epoch, ..)| epoch)
}

/// The columns of `history.csv`: the fields of [`EpochRecord`], those of validation where there is any.
pub(super) fn columns(history: &[EpochRecord]) -> impl Iterator<Item = &'static str> {
    let is_validated = history.iter().any(|record| record.validation_loss.is_some());
    COLUMNS.into_iter().filter(move |column| is_validated || !column.starts_with("validation"))
}

const COLUMNS: [&str; 14] = [
    "epoch",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
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
        writer.write_record(columns(records)).map_err(std::io::Error::other)?;
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
    let bytes = regular_file::read(path)?;
    let rows = csv::Reader::from_reader(&bytes[..]).into_deserialize().collect::<csv::Result<_>>();
    rows.map_err(|error| Error::File {
        path: path.into(),
        found: error.to_string(),
        expected: "a log as training writes it".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::held_out::HeldOutEvaluation;
    use crate::train::{Evaluation, means::Means};

    fn history(figures: &[(f64, f64)]) -> Vec<EpochRecord> {
        let evaluation = |&(accuracy, loss)| Evaluation { rows: 10, loss, accuracy, top5_accuracy: 1.0 };
        let record = |(figures, epoch)| {
            let held_out = HeldOutEvaluation { validation: Some(evaluation(figures)), test: None };
            Means::default().record(epoch, 1.0, &held_out)
        };
        figures.iter().zip(1..).map(record).collect()
    }

    #[test]
    fn the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_and_is_the_first() {
        assert_eq!(best_epoch(&[]), None);
        assert_eq!(best_epoch(&history(&[(0.5, 1.0)])), Some(1));
        assert_eq!(best_epoch(&history(&[(0.5, 0.1), (0.7, 3.0), (0.6, 0.2)])), Some(2));
        assert_eq!(best_epoch(&history(&[(0.7, 3.0), (0.7, 2.0), (0.7, 2.5), (0.7, 2.0)])), Some(2));
        let unvalidated = Means::default().record(1, 1.0, &HeldOutEvaluation { validation: None, test: None });
        assert_eq!(best_epoch(&[unvalidated]), None);
    }
}
