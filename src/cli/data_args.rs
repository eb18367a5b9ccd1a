//! Training and test data as arguments.

use crate::data::Dataset;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Where the data are.
#[derive(clap::Args)]
#[command(next_help_heading = "Data")]
pub(super) struct DataArgs {
    /// Directory with train_features.npy, train_labels.npy and, if there is a test set, test_features.npy, test_labels.npy
    #[arg(long, value_name = "DIR", required_unless_present = "train_features")]
    pub data: Option<PathBuf>,
    /// Training features (N, D): .npy, .npz or archive.npz:name; f16, f32 or f64
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "train_labels")]
    pub train_features: Option<PathBuf>,
    /// Training labels (N,): any integer type
    #[arg(long, value_name = "FILE", requires = "train_features")]
    pub train_labels: Option<PathBuf>,
    /// Test features
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires_all = ["test_labels", "train_features"])]
    pub test_features: Option<PathBuf>,
    /// Test labels
    #[arg(long, value_name = "FILE", requires = "test_features")]
    pub test_labels: Option<PathBuf>,
    /// The label of the first class; the value -100 means no label
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub labels_start: i64,
}

impl DataArgs {
    /// The training set and the test set.
    pub fn read(&self) -> Result<(Dataset, Option<Dataset>)> {
        let read = |features: &Path, labels: &Path| Dataset::read(features, labels, self.labels_start);
        if let Some(directory) = &self.data {
            let file = |name: &str| directory.join(name);
            let train = read(&file("train_features.npy"), &file("train_labels.npy"))?;
            let has_test = file("test_features.npy").exists() || file("test_labels.npy").exists();
            let test = has_test.then(|| read(&file("test_features.npy"), &file("test_labels.npy"))).transpose()?;
            return Ok((train, test));
        }
        let pair = |features: &Option<PathBuf>, labels: &Option<PathBuf>| {
            let (features, labels) = (features.as_ref()?, labels.as_ref()?);
            Some(read(features, labels))
        };
        let train = pair(&self.train_features, &self.train_labels).transpose()?;
        let train = train.ok_or_else(|| Error::Setting {
            name: "the training data",
            value: "missing".into(),
            expected: "--data, or --train-features and --train-labels".into(),
        })?;
        Ok((train, pair(&self.test_features, &self.test_labels).transpose()?))
    }
}
