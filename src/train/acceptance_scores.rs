//! How much speaks for a row's being of one of a model's classes at all.

use super::Model;
use crate::data::{Dataset, FeatureRows};
use crate::metrics::unknown_rows::{UnknownRows, unknown_rows};
use crate::ops::IGNORE_LABEL;
use crate::streaming::Likeliest;
use crate::{Head, Result};

/// Scores of rows (N,), each the higher, the surer that the row is of a known class.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AcceptanceScores {
    /// The class of the largest logit.
    pub classes: Vec<usize>,
    /// The largest logit (Hendrycks et al. 2022, arXiv 1911.11132): on the sphere, in the order of the largest cosines.
    pub logits: Vec<f64>,
    /// The largest probability, at the model's [temperature](Model::temperature) or 1 (Hendrycks and Gimpel 2017, arXiv 1610.02136).
    pub probabilities: Vec<f64>,
    /// `T ln Σ_j exp(z_j / T)`, the energy of Liu et al. 2020 (arXiv 2010.03759) with the other sign, at that temperature.
    pub energies: Vec<f64>,
}

impl AcceptanceScores {
    /// Adds rows by their likeliest classes, whose probabilities are those at `temperature`, or at 1.
    pub fn extend(&mut self, likeliest: &Likeliest<f32>, temperature: Option<f64>) {
        let Likeliest { classes, logits, probabilities } = likeliest;
        self.classes.extend(classes.column(0));
        for (&logit, &probability) in logits.column(0).iter().zip(probabilities.column(0)) {
            let logit = f64::from(logit);
            self.logits.push(logit);
            self.probabilities.push(probability);
            self.energies.push(logit - temperature.unwrap_or(1.0) * probability.ln());
        }
    }
}

/// How well each score tells known rows from unknown ones.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Recognition {
    /// The largest logit.
    pub logit: UnknownRows,
    /// The largest probability.
    pub probability: UnknownRows,
    /// The energy.
    pub energy: UnknownRows,
}

impl<H: Head> Model<H> {
    /// The scores of raw `features` (N, D); logits are never all in memory.
    ///
    /// # Errors
    /// As [`for_likeliest`](Self::for_likeliest).
    pub fn acceptance_scores<'a>(&self, features: impl Into<FeatureRows<'a>>) -> Result<AcceptanceScores> {
        let mut scores = AcceptanceScores::default();
        self.for_likeliest(features, 1, |_, likeliest| {
            scores.extend(&likeliest, self.temperature);
            Ok(())
        })?;
        Ok(scores)
    }

    /// How well the labelled rows of `known`, raw features, are told from those with these `unknown` scores; labels as in [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); those of [`unknown_rows`].
    pub fn recognition(&self, known: &Dataset, unknown: &AcceptanceScores) -> Result<Recognition> {
        let labels = known.labels_as(&self.class_table)?;
        let scores = self.acceptance_scores(&known.features);
        let scores = scores.map_err(|error| known.located(error, self.head_input(), |row| row))?;
        let labelled: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] != IGNORE_LABEL).collect();
        let right: Vec<bool> = labelled.iter().map(|&row| scores.classes[row] as i64 == labels[row]).collect();
        let measured = |known: &[f64], unknown: &[f64]| {
            let known: Vec<f64> = labelled.iter().map(|&row| known[row]).collect();
            unknown_rows(&known, &right, unknown)
        };
        Ok(Recognition {
            logit: measured(&scores.logits, &unknown.logits)?,
            probability: measured(&scores.probabilities, &unknown.probabilities)?,
            energy: measured(&scores.energies, &unknown.energies)?,
        })
    }
}
