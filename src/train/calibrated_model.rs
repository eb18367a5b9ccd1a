//! Do a model's probabilities mean what they say, and the temperature at which they do.
//!
//! Probabilities are the softmax of the inference logits, whatever the head minimises of them in training.

use super::Model;
use crate::data::{Dataset, Transform};
use crate::metrics::calibration::Calibration;
use crate::metrics::temperature::{LikelihoodSlope, check_temperature, fit_temperature};
use crate::ops::{IGNORE_LABEL, SoftmaxSums};
use crate::streaming::Streaming;
use crate::{Error, Head, Result};

impl<H: Head> Model<H> {
    /// How well calibrated probabilities at `temperature` are on raw features; labels as in [`evaluate`](Self::evaluate). Logits are never all in memory.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::Setting`] for a temperature that is none.
    pub fn calibration(&self, data: &Dataset, temperature: f64) -> Result<Calibration> {
        check_temperature(temperature)?;
        let data = data.clone().with_classes_of(&self.class_table)?;
        self.check_shape(&data.features.rows().shape())?;
        let mut calibration = Calibration::default();
        let (kernel, beta) = (&mut Streaming::default(), 1.0 / temperature);
        self.for_softmax_sums(kernel, &data, Some(&self.transform), beta, |row| calibration.add_row(row))?;
        Ok(calibration)
    }

    /// The temperature at which the labels of raw features are likeliest; labels as in [`evaluate`](Self::evaluate). Of rows that the model was trained on it
    /// says nothing. Some ten passes over the rows; logits are never all in memory.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::NotDefined`] where there is [no such temperature](fit_temperature).
    pub fn fit_temperature(&self, data: &Dataset) -> Result<f64> {
        let data = data.clone().with_classes_of(&self.class_table)?;
        self.check_shape(&data.features.rows().shape())?;
        self.fit_temperature_with(&mut Streaming::default(), &data, Some(&self.transform))
    }

    /// [`fit_temperature`](Self::fit_temperature) on features after `transform`, if they are not transformed already; classes are counted as the head's.
    pub(super) fn fit_temperature_with(
        &self,
        kernel: &mut Streaming<f32>,
        data: &Dataset,
        transform: Option<&Transform>,
    ) -> Result<f64> {
        fit_temperature(|beta| {
            let mut slope = LikelihoodSlope::default();
            self.for_softmax_sums(kernel, data, transform, beta, |row| slope.add_row(row))?;
            Ok(slope)
        })
    }

    /// Calls `each` with the sums at `temperature` of every labelled row of raw features, whose classes are counted as the head's, in their order.
    pub(super) fn for_labelled_sums(
        &self,
        data: &Dataset,
        temperature: f64,
        each: impl FnMut(&SoftmaxSums),
    ) -> Result<()> {
        check_temperature(temperature)?;
        self.for_softmax_sums(&mut Streaming::default(), data, Some(&self.transform), 1.0 / temperature, each)
    }

    /// Calls `each` with the sums of every labelled row.
    fn for_softmax_sums(
        &self,
        kernel: &mut Streaming<f32>,
        data: &Dataset,
        transform: Option<&Transform>,
        beta: f64,
        mut each: impl FnMut(&SoftmaxSums),
    ) -> Result<()> {
        if data.labels.iter().all(|&label| label == IGNORE_LABEL) {
            return Err(Error::NothingLabelled { rows: data.labels.len(), ignore: IGNORE_LABEL });
        }
        self.for_labelled(data, transform, |embeddings, labels| {
            kernel.softmax_sums(&self.head, embeddings, &self.parameters, labels, beta)?.iter().for_each(&mut each);
            Ok(())
        })
    }
}
