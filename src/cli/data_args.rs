//! Training and test data as arguments.

use super::given::Given;
use crate::data::{Dataset, OpenSetSplit, file_of, open_set_split};
use crate::train::difference;
use crate::{Error, Result};
use serde::{Deserialize, Serialize, Serializer};
use std::path::{Path, PathBuf};

/// Where the data are.
#[derive(Clone, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Data")]
pub(super) struct DataArgs {
    /// Directory with train_features.npy, train_labels.npy and, if there is a test set, test_features.npy, test_labels.npy
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "absolute")]
    pub data: Option<PathBuf>,
    /// Training features (N, D): .npy, .npz or archive.npz:name; f16, f32 or f64
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "train_labels")]
    #[serde(serialize_with = "absolute")]
    pub train_features: Option<PathBuf>,
    /// Training labels (N,): any integer type
    #[arg(long, value_name = "FILE", requires = "train_features")]
    #[serde(serialize_with = "absolute")]
    pub train_labels: Option<PathBuf>,
    /// Test features
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires_all = ["test_labels", "train_features"])]
    #[serde(serialize_with = "absolute")]
    pub test_features: Option<PathBuf>,
    /// Test labels
    #[arg(long, value_name = "FILE", requires = "test_features")]
    #[serde(serialize_with = "absolute")]
    pub test_labels: Option<PathBuf>,
    /// The label of the first class; the value -100 means no label
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub labels_start: i64,
    /// Train on the first half of the classes, and measure how well rows of the second half, training and test rows alike, find each other
    #[arg(long)]
    pub open_set: bool,
}

/// What there is to train and test on.
pub(super) struct Data {
    pub train: Dataset,
    pub test: Option<Dataset>,
    /// Rows of classes that training does not see, with --open-set.
    pub unseen: Option<Dataset>,
}

impl Data {
    /// As they are, or split into known and unseen classes.
    pub fn new(train: Dataset, test: Option<Dataset>, open_set: bool) -> Result<Self> {
        if !open_set {
            return Ok(Self { train, test, unseen: None });
        }
        let OpenSetSplit { train, test, unseen } = open_set_split(&train, test.as_ref())?;
        Ok(Self { train, test, unseen: Some(unseen) })
    }

    /// The sizes, in a line.
    pub fn describe(&self) -> String {
        let test = self.test.as_ref().map_or("no test rows".into(), |test| format!("{} test rows", test.rows()));
        let (rows, dimension, classes) = (self.train.rows(), self.train.dimension(), self.train.classes());
        let unseen = self.unseen.as_ref().map_or(String::new(), |unseen| {
            format!("; {} rows of {} other classes to retrieve", unseen.rows(), unseen.classes_present())
        });
        format!("{rows} training rows, {test}, {dimension} dimensions, {classes} classes{unseen}")
    }
}

/// A path that holds from any directory; none where JSON cannot hold it.
fn absolute<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    let absolute = path.as_ref().and_then(|path| std::path::absolute(path).ok());
    absolute.as_ref().and_then(|path| path.to_str()).serialize(serializer)
}

/// What the files of --data are called.
const FILES: [&str; 4] = ["train_features.npy", "train_labels.npy", "test_features.npy", "test_labels.npy"];

impl DataArgs {
    /// The files that [`read`](Self::read) reads, where they are there.
    pub fn files(&self) -> Vec<PathBuf> {
        let in_directory = self.data.iter().flat_map(|directory| FILES.map(|name| directory.join(name)));
        let given = [&self.train_features, &self.train_labels, &self.test_features, &self.test_labels];
        in_directory.chain(given.into_iter().flatten().map(|path| file_of(path))).collect()
    }

    /// Whether files are named.
    fn names_files(&self) -> bool {
        self.data.is_some() || self.train_features.is_some()
    }

    /// What a run that began with `of_run` goes on with: files that are named here may have moved, all else is the run's.
    pub fn resuming(&self, of_run: Self) -> Self {
        match self.names_files() {
            true => Self { labels_start: of_run.labels_start, open_set: of_run.open_set, ..self.clone() },
            false => of_run,
        }
    }

    /// In what the options that are given are not those of a run that began with `of_run`.
    pub fn differences(&self, given: &Given, of_run: &Self) -> Vec<String> {
        let options = [
            ("labels_start", self.labels_start.to_string(), of_run.labels_start.to_string()),
            ("open_set", self.open_set.to_string(), of_run.open_set.to_string()),
        ];
        let differs = |(option, found, expected): &(&str, String, String)| given.has(option) && found != expected;
        let sentence = |(option, found, expected): (&str, String, String)| {
            difference(&option.replace('_', " "), &found, &expected)
        };
        options.into_iter().filter(differs).map(sentence).collect()
    }

    /// The training set, the test set, and what is retrieved.
    pub fn read(&self) -> Result<Data> {
        let read = |features: &Path, labels: &Path| Dataset::read(features, labels, self.labels_start);
        if let Some(directory) = &self.data {
            let file = |name: &str| directory.join(name);
            let train = read(&file("train_features.npy"), &file("train_labels.npy"))?;
            let has_test = file("test_features.npy").exists() || file("test_labels.npy").exists();
            let test = has_test.then(|| read(&file("test_features.npy"), &file("test_labels.npy"))).transpose()?;
            return Data::new(train, test, self.open_set);
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
        Data::new(train, pair(&self.test_features, &self.test_labels).transpose()?, self.open_set)
    }
}
