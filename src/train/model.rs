//! A trained head with its feature transform: what is left of a run.

use crate::data::{Dataset, Transform};
use crate::metrics::accuracy::predict;
use crate::metrics::confusion::Confusion;
use crate::ops::{IGNORE_LABEL, Targets};
use crate::streaming::{Evaluated, Streaming};
use crate::{ClassificationHead, Error, Head, Parameters, Result};
use ndarray::{Array2, ArrayView2, Axis};

/// Rows that are looked at at a time, at most.
const ROWS_AT_A_TIME: usize = 1024;

/// Logits that are in memory at a time, at most, if one row has not more.
const MOST_LOGITS: usize = 1 << 24;

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
        let rows_at_a_time = (MOST_LOGITS / self.parameters.weights.nrows()).clamp(1, ROWS_AT_A_TIME);
        let chunks = features.axis_chunks_iter(Axis(0), rows_at_a_time);
        chunks.enumerate().try_for_each(|(chunk, rows)| each(chunk * rows_at_a_time, self.logits(rows)?))
    }

    /// Loss and accuracy on raw features.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::LabelOutOfRange`], [`Error::NothingLabelled`].
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation> {
        evaluate(&mut Streaming::default(), &self.head, &self.parameters, Some(&self.transform), data)
    }

    /// Which classes the labelled rows of raw features are taken for.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::LabelOutOfRange`], [`Error::NothingLabelled`].
    pub fn confusion(&self, data: &Dataset) -> Result<Confusion> {
        let targets = Targets::new(data.labels.view(), data.rows(), self.parameters.weights.nrows())?;
        let mut confusion = Confusion::default();
        self.for_logits(data.features.view(), |first, logits| {
            let classes = targets.class_of_row().iter().skip(first);
            for (class, predicted) in classes.zip(predict(logits.view())) {
                class.iter().for_each(|&class| confusion.add(class, predicted));
            }
            Ok(())
        })?;
        Ok(confusion)
    }
}

/// Loss and accuracy of `head` on features after `transform`, if they are not transformed already.
pub(super) fn evaluate(
    kernel: &mut Streaming<f32>,
    head: &Head,
    parameters: &Parameters<f32>,
    transform: Option<&Transform>,
    data: &Dataset,
) -> Result<Evaluation> {
    let mut sums = Sums::default();
    let features = data.features.view();
    let chunks = features.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME);
    for (chunk, (features, labels)) in chunks.zip(data.labels.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME)).enumerate() {
        if labels.iter().any(|&label| label != IGNORE_LABEL) {
            let transformed = transform.map(|transform| transform.apply(features)).transpose()?;
            let features = transformed.as_ref().map_or(features, |transformed| transformed.view());
            let evaluated = kernel.evaluate(head, features, parameters, labels);
            sums.add(evaluated.map_err(|error| from_row(error, chunk * ROWS_AT_A_TIME))?);
        }
    }
    sums.evaluation(data.labels.len())
}

/// `error` about some of the rows, with the row's number among all.
fn from_row(error: Error, first: usize) -> Error {
    match error {
        Error::LabelOutOfRange { row, label, classes, ignore } => {
            Error::LabelOutOfRange { row: first + row, label, classes, ignore }
        }
        Error::NotFinite { what: "features", row, column, value } => {
            Error::NotFinite { what: "features", row: first + row, column, value }
        }
        Error::ZeroNorm { what: "features", row, norm, minimum } => {
            Error::ZeroNorm { what: "features", row: first + row, norm, minimum }
        }
        other => other,
    }
}

#[derive(Default)]
struct Sums {
    rows: usize,
    loss: f64,
    correct: usize,
    correct_top5: usize,
}

impl Sums {
    fn add(&mut self, evaluated: Evaluated<f32>) {
        self.rows += evaluated.labelled;
        self.loss += f64::from(evaluated.loss) * evaluated.labelled as f64;
        self.correct += evaluated.correct;
        self.correct_top5 += evaluated.correct_top5;
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
