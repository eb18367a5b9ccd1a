//! Validation rows and patience as arguments.

use super::data_args::{Data, absolute, read_labels};
use super::given::Given;
use super::only_with;
use super::train_args::at_least_one;
use arcos::data::{Dataset, ValidationSplit, file_of, validation_split};
use arcos::train::difference;
use arcos::wording::number;
use arcos::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which rows say what epoch is best, and when to stop.
#[derive(Clone, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Validation")]
pub(super) struct ValidationArgs {
    /// Hold out this share of the training rows of every class, at least one row, drawn by --seed: the epoch with the best accuracy on them, of equals
    /// the lowest loss, is the run's result
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    validation: Option<f64>,
    /// Validation features in a file, rather than a share of the training rows
    #[arg(long, value_name = "FILE", conflicts_with = "validation", requires = "validation_labels")]
    #[serde(serialize_with = "absolute")]
    validation_features: Option<PathBuf>,
    /// Validation labels
    #[arg(long, value_name = "FILE", requires = "validation_features")]
    #[serde(serialize_with = "absolute")]
    validation_labels: Option<PathBuf>,
    /// Stop after N epochs of which none was better on the validation rows than the best before them [default: never]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub patience: Option<usize>,
}

impl ValidationArgs {
    /// Refuses patience without rows to have it with, and such that does not end before so many epochs.
    pub fn check(&self, epochs: usize) -> Result<()> {
        let has_rows = self.validation.is_some() || self.validation_features.is_some();
        only_with(self.patience.is_some(), "--patience", has_rows, "--validation, or --validation-features,")?;
        match self.patience.filter(|&patience| patience >= epochs) {
            None => Ok(()),
            Some(patience) => {
                let expected = format!("fewer than {epochs}, the epochs: no run would stop early");
                Err(Error::Setting { name: "--patience", value: patience.to_string(), expected })
            }
        }
    }

    /// The files that [`hold_out`](Self::hold_out) reads.
    pub fn files(&self) -> Vec<PathBuf> {
        [&self.validation_features, &self.validation_labels].into_iter().flatten().map(|path| file_of(path)).collect()
    }

    /// `data` with validation rows, where there are any.
    pub fn hold_out(&self, data: Data, seed: u64) -> Result<Data> {
        if let (Some(features), Some(labels)) = (&self.validation_features, &self.validation_labels) {
            let classes = data.train.class_table().clone();
            let of_file = read_labels(labels)?;
            if !classes.labels_are_strings() {
                of_file.check_strays().map_err(|error| error.in_file(labels))?;
            }
            let validation = Dataset::read_encoded(features, labels, &of_file, classes)?;
            validation.check_classes_of(&data.train)?;
            return Ok(Data { validation: Some(validation), ..data });
        }
        let Some(share) = self.validation else { return Ok(data) };
        let ValidationSplit { train, validation } = validation_split(&data.train, share, seed)?;
        Ok(Data { train, validation: Some(validation), ..data })
    }

    /// What a run that began with `of_run` goes on with: files that are named here may have moved, all else is the run's.
    pub fn resuming(&self, of_run: &Self) -> Self {
        if self.validation_features.is_some() { self.clone() } else { of_run.clone() }
    }

    /// In what the rows that are given are not held out as those of a run that began with `of_run` are. Files may have moved.
    pub fn difference(&self, given: &Given, of_run: &Self) -> Option<String> {
        let rows = |args: &Self| match (args.validation, &args.validation_features) {
            (Some(share), _) => number(share),
            (None, Some(_)) => "a file".into(),
            (None, None) => "none".into(),
        };
        let (found, expected) = (rows(self), rows(of_run));
        let is_given = given.has("validation") || given.has("validation_features");
        (is_given && found != expected).then(|| difference("validation", &found, &expected))
    }
}

fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a number above 0 and below 1".into()),
    }
}
