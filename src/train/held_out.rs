//! Rows that a run does not train on.

use super::model::ROWS_AT_A_TIME;
use super::transformed_dataset::TransformedDataset;
use super::{DataChecksum, Evaluation, Model, RunData};
use crate::data::{Dataset, Transform};
use crate::ops::IGNORE_LABEL;
use crate::streaming::Streaming;
use crate::{Head, Result};

/// Rows that a run does not train on, and that are looked at after every epoch.
#[derive(Clone, Debug, Default)]
pub struct HeldOut {
    /// Rows that say which epoch is best, and when it is time to stop; see [`validation_split`](crate::data::validation_split).
    pub validation: Option<Dataset>,
    /// Rows that nothing is chosen on.
    pub test: Option<Dataset>,
}

impl From<Option<Dataset>> for HeldOut {
    /// Test rows alone.
    fn from(test: Option<Dataset>) -> Self {
        Self { validation: None, test }
    }
}

impl HeldOut {
    /// What tells these rows and those of `train` from others.
    pub(super) fn run_data(&self, train: &Dataset) -> Result<RunData> {
        let checksum = |data: &Option<Dataset>| data.as_ref().map(DataChecksum::new).transpose();
        Ok(RunData {
            train: DataChecksum::new(train)?,
            validation: checksum(&self.validation)?,
            test: checksum(&self.test)?,
        })
    }

    /// The rows with the classes of `train`, transformed.
    pub(super) fn transformed(self, train: &Dataset, transform: &Transform) -> Result<TransformedHeldOut> {
        let transformed = |data: Option<Dataset>| {
            let transformed = |data: Dataset| {
                data.check_dimension(train.dimension())?;
                TransformedDataset::new(data.with_classes_of(train.class_table())?, transform)
            };
            data.map(transformed).transpose()
        };
        Ok(TransformedHeldOut { validation: transformed(self.validation)?, test: transformed(self.test)? })
    }
}

/// [`HeldOut`] on their way to the head.
#[derive(Debug)]
pub(super) struct TransformedHeldOut {
    pub validation: Option<TransformedDataset>,
    test: Option<TransformedDataset>,
}

/// How well a model does on both, where they are there.
pub(super) struct HeldOutEvaluation {
    pub validation: Option<Evaluation>,
    pub test: Option<Evaluation>,
}

impl TransformedHeldOut {
    /// Calls `check` with the rows that evaluation looks at, a few at a time.
    pub fn check_rows(&self, mut check: impl FnMut(&TransformedDataset, &[usize]) -> Result<()>) -> Result<()> {
        [&self.validation, &self.test].into_iter().flatten().try_for_each(|held_out| {
            let all: Vec<usize> = (0..held_out.data.rows()).collect();
            // As evaluation takes them.
            let is_evaluated = |rows: &&[usize]| rows.iter().any(|&row| held_out.data.labels[row] != IGNORE_LABEL);
            all.chunks(ROWS_AT_A_TIME).filter(is_evaluated).try_for_each(|rows| check(held_out, rows))
        })
    }

    pub fn evaluate(&self, model: &Model<impl Head>, kernel: &mut Streaming<f32>) -> Result<HeldOutEvaluation> {
        let mut evaluate = |held_out: &Option<TransformedDataset>| {
            let evaluate = |held_out: &TransformedDataset| {
                let transform = held_out.by_batch.then_some(&model.transform);
                model.evaluate_with(kernel, &held_out.data, transform)
            };
            held_out.as_ref().map(evaluate).transpose()
        };
        Ok(HeldOutEvaluation { validation: evaluate(&self.validation)?, test: evaluate(&self.test)? })
    }

    /// The temperature of a model by the validation rows, where there are some.
    pub fn fit_temperature(&self, model: &Model<impl Head>, kernel: &mut Streaming<f32>) -> Result<Option<f64>> {
        let fit = |held_out: &TransformedDataset| {
            let transform = held_out.by_batch.then_some(&model.transform);
            model.fit_temperature_with(kernel, &held_out.data, transform)
        };
        self.validation.as_ref().map(fit).transpose()
    }
}
