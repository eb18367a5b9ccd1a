//! A trained head with its feature transform: what is left of a run.

use crate::data::{Dataset, Transform};
use crate::metrics::accuracy::top_k_correct;
use crate::ops::{IGNORE_LABEL, Targets, softmax_cross_entropy as cross_entropy};
use crate::{ClassificationHead, Error, Head, Parameters, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// Rows whose logits are in memory at a time.
const ROWS_AT_A_TIME: usize = 1024;

/// A trained head with its feature transform.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The head and its hyper-parameters.
    pub head: Head,
    /// What was trained.
    pub parameters: Parameters<f32>,
    /// What is done to features before the head.
    pub transform: Transform,
}

/// How well a model does on labelled rows, without margins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Labelled rows.
    pub rows: usize,
    /// Mean loss in nats.
    pub loss: f64,
    /// Share of rows whose class has the largest logit.
    pub accuracy: f64,
    /// Share of rows whose class is among the five largest logits.
    pub top5_accuracy: f64,
}

impl Model {
    /// Inference logits (B, C) of raw `features` (B, D).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`].
    pub fn logits(&self, features: ArrayView2<f32>) -> Result<Array2<f32>> {
        self.head.logits(self.transform.apply(features)?.view(), &self.parameters)
    }

    /// Calls `each` with the first row's number and the logits of a few rows of raw `features` at a time.
    ///
    /// # Errors
    /// As [`logits`](Self::logits), and what `each` returns.
    pub fn for_logits(
        &self,
        features: ArrayView2<f32>,
        mut each: impl FnMut(usize, Array2<f32>) -> Result<()>,
    ) -> Result<()> {
        let chunks = features.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME);
        chunks.enumerate().try_for_each(|(chunk, rows)| each(chunk * ROWS_AT_A_TIME, self.logits(rows)?))
    }

    /// Loss and accuracy on raw features.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::LabelOutOfRange`], [`Error::NothingLabelled`].
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation> {
        let mut sums = Sums::default();
        self.for_logits(data.features.view(), |first, logits| sums.add(first, logits, data.labels.view()))?;
        sums.evaluation(data.labels.len())
    }
}

/// Loss and accuracy of `head` on features that are transformed already.
pub(super) fn evaluate_transformed(head: &Head, parameters: &Parameters<f32>, data: &Dataset) -> Result<Evaluation> {
    let mut sums = Sums::default();
    for (chunk, features) in data.features.view().axis_chunks_iter(Axis(0), ROWS_AT_A_TIME).enumerate() {
        sums.add(chunk * ROWS_AT_A_TIME, head.logits(features, parameters)?, data.labels.view())?;
    }
    sums.evaluation(data.labels.len())
}

#[derive(Default)]
struct Sums {
    rows: usize,
    loss: f64,
    correct: usize,
    correct_top5: usize,
}

impl Sums {
    /// Adds rows `first..` of the data set, whose logits are given.
    fn add(&mut self, first: usize, logits: Array2<f32>, labels: ArrayView1<i64>) -> Result<()> {
        let labels = labels.slice_move(ndarray::s![first..first + logits.nrows()]);
        if labels.iter().all(|&label| label == IGNORE_LABEL) {
            return Ok(());
        }
        let targets = Targets::new(labels, logits.nrows(), logits.ncols()).map_err(|error| match error {
            Error::LabelOutOfRange { row, label, classes, ignore } => {
                Error::LabelOutOfRange { row: first + row, label, classes, ignore }
            }
            other => other,
        })?;
        self.rows += targets.labelled();
        self.correct += top_k_correct(logits.view(), &targets, 1);
        self.correct_top5 += top_k_correct(logits.view(), &targets, 5);
        let (mean_loss, _) = cross_entropy::forward(logits, &targets)?;
        self.loss += f64::from(mean_loss) * targets.labelled() as f64;
        Ok(())
    }

    fn evaluation(self, rows: usize) -> Result<Evaluation> {
        if self.rows == 0 {
            return Err(Error::NothingLabelled { rows, ignore: IGNORE_LABEL });
        }
        let share = |count: usize| count as f64 / self.rows as f64;
        Ok(Evaluation {
            rows: self.rows,
            loss: self.loss / self.rows as f64,
            accuracy: share(self.correct),
            top5_accuracy: share(self.correct_top5),
        })
    }
}
