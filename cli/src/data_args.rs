//! Training and test data as arguments.

use super::complain;
use super::given::Given;
use arcos::data::{
    ClassTable, Dataset, Label, Labels, OpenSetSplit, file_of, names_by_label, open_set_split, read_class_labels,
    read_class_names, read_f32_vector,
};
use arcos::extract::Manifest;
use arcos::train::difference;
use arcos::wording::counted;
use arcos::{Error, Result};
use serde::{Deserialize, Serialize, Serializer};
use std::path::{Path, PathBuf};

/// Where the data are.
#[derive(Clone, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Data")]
pub(super) struct DataArgs {
    /// Directory with train_features.npy, train_labels.npy and, if there is a test set, test_features.npy, test_labels.npy. The
    /// files must not change during the run
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "absolute")]
    pub data: Option<PathBuf>,
    /// Training features (N, D): .npy, .npz or archive.npz:name; f16, f32, f64 or integers; f32 in C order is read as it is needed
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "train_labels")]
    #[serde(serialize_with = "absolute")]
    pub train_features: Option<PathBuf>,
    /// Training labels (N,): integers, whole floating-point numbers, or strings (U or S to NumPy); or a .txt file with a label a line. The
    /// classes are the labels that occur, whatever they are; -100 or an empty string means no label
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "train_features")]
    #[serde(serialize_with = "absolute")]
    pub train_labels: Option<PathBuf>,
    /// Test features
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires_all = ["test_labels", "train_features"])]
    #[serde(serialize_with = "absolute")]
    pub test_features: Option<PathBuf>,
    /// Test labels
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "test_features")]
    #[serde(serialize_with = "absolute")]
    pub test_labels: Option<PathBuf>,
    /// How much each training row counts (N,): numbers from 0; a row of weight 0 takes no part [default: all alike]
    #[arg(long, value_name = "FILE")]
    #[serde(default, serialize_with = "absolute")]
    pub sample_weights: Option<PathBuf>,
    /// The classes are all numbers from N to the largest label, those without rows too [default: the labels that occur]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub labels_start: Option<i64>,
    /// Names of classes whose labels are numbers, one a line: of as many as there are classes, in the order of labels; of more, from that of label
    /// --labels-start, or 0 [default: those in the manifest.json of --data, if there is one]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub class_names: Option<PathBuf>,
    /// Train on the first half of the classes, and measure how well rows of the second half, training and test rows alike, find each other
    #[arg(long)]
    pub open_set: bool,
}

/// What there is to train and test on.
pub(super) struct Data {
    pub train: Dataset,
    /// Rows that say which epoch is best.
    pub validation: Option<Dataset>,
    pub test: Option<Dataset>,
    /// Rows of classes that training does not see, with --open-set.
    pub unseen: Option<Dataset>,
}

impl Data {
    /// As they are, or split into known and unseen classes.
    pub fn new(train: Dataset, test: Option<Dataset>, open_set: bool) -> Result<Self> {
        if !open_set {
            return Ok(Self { train, validation: None, test, unseen: None });
        }
        let OpenSetSplit { train, test, unseen } = open_set_split(&train, test.as_ref())?;
        Ok(Self { train, validation: None, test, unseen: Some(unseen) })
    }

    /// With the names in `path` for the classes; `start` is the label that the first of them is of.
    pub fn with_class_names(self, names: &[String], path: &Path, start: Option<i64>) -> Result<Self> {
        let table = self.train.class_table();
        let wrong = |found: String, expected: String| Error::File { path: path.into(), found, expected };
        let expected = format!("a name for each of the {} of the labels", counted(table.len(), "class"));
        let found = format!("names {}", counted(names.len(), "class"));
        if table.labels_are_strings() {
            return Err(wrong(found, format!("none: labels are names themselves, {}", table.describe())));
        }
        if names.len() < table.len() {
            return Err(wrong(found, expected));
        }
        let by_label = |start| {
            let names = names_by_label(table, names, start);
            names.ok_or_else(|| wrong(found.clone(), format!("{expected}, {}", table.listed())))
        };
        let names = match start {
            Some(start) => by_label(start)?,
            None if names.len() == table.len() => names.to_vec(),
            None if table.class_of(Label::Number(0)).is_some() => by_label(0)?,
            None => {
                // From a start all numbers to the largest label are classes: of labels with gaps more than there are now.
                let or = if table.is_consecutive() { ", or --labels-start to say which the first is of" } else { "" };
                let expected = format!("{}, one for each of the labels, {}{or}", table.len(), table.listed());
                return Err(wrong(found, expected));
            }
        };
        let train = self.train.with_class_names(names).map_err(|error| error.in_file(path))?;
        Ok(Self { train, ..self })
    }

    /// The sizes, in a line.
    pub fn describe(&self) -> String {
        let rows = |data: &Dataset, of: &str| {
            let unlabelled = match data.unlabelled_rows() {
                0 => String::new(),
                rows => format!(" ({rows} without label)"),
            };
            format!("{}{unlabelled}", counted(data.rows(), of))
        };
        let test = self.test.as_ref().map_or("no test rows".into(), |test| rows(test, "test row"));
        let (dimension, classes) = (self.train.dimension(), self.train.classes());
        let unseen = self.unseen.as_ref().map_or(String::new(), |unseen| {
            format!(
                "; {} of {} to retrieve",
                counted(unseen.rows(), "row"),
                counted(unseen.classes_present(), "other class")
            )
        });
        let validation = self.validation.as_ref().map(|validation| rows(validation, "validation row") + ", ");
        let train = rows(&self.train, "training row");
        format!(
            "{train}, {}{test}, {}, {}{unseen}",
            validation.unwrap_or_default(),
            counted(dimension, "dimension"),
            counted(classes, "class")
        )
    }
}

/// A path that holds from any directory; none where JSON cannot hold it.
pub(super) fn absolute<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    let absolute = path.as_ref().and_then(|path| std::path::absolute(path).ok());
    absolute.as_ref().and_then(|path| path.to_str()).serialize(serializer)
}

/// What the files of --data are called.
pub(super) const FILES: [&str; 4] = ["train_features.npy", "train_labels.npy", "test_features.npy", "test_labels.npy"];

/// A file of features and one of labels.
struct Files {
    features: PathBuf,
    labels: PathBuf,
}

impl Files {
    fn labels(&self) -> Result<Labels> {
        read_labels(&self.labels)
    }

    fn data(&self, labels: &Labels, classes: ClassTable) -> Result<Dataset> {
        Dataset::read_encoded(&self.features, &self.labels, labels, classes)
    }
}

/// Reads labels, with a word on those that are floating-point numbers.
pub(super) fn read_labels(path: &Path) -> Result<Labels> {
    let labels = read_class_labels(path)?;
    if matches!(labels, Labels::WholeFloats(_)) {
        complain(format_args!(
            "{}: labels are floating-point numbers, all of them whole; taken as integers",
            path.display()
        ));
    }
    Ok(labels)
}

impl DataArgs {
    /// The files that [`read`](Self::read) reads, where they are there.
    pub fn files(&self) -> Vec<PathBuf> {
        let in_directory = self.data.iter().flat_map(|directory| FILES.map(|name| directory.join(name)));
        let given =
            [&self.train_features, &self.train_labels, &self.test_features, &self.test_labels, &self.sample_weights];
        in_directory
            .chain(given.into_iter().flatten().map(|path| file_of(path)))
            .chain(self.class_names.clone())
            .collect()
    }

    /// Whether files are named.
    pub fn names_files(&self) -> bool {
        self.data.is_some() || self.train_features.is_some()
    }

    /// What a run that began with `of_run` goes on with: files that are named here may have moved, all else is the run's.
    pub fn resuming(&self, of_run: Self) -> Self {
        let sample_weights = self.sample_weights.clone().or(of_run.sample_weights.clone());
        // No difference, if both are given: what names of classes count from.
        let labels_start = self.labels_start.or(of_run.labels_start);
        match self.names_files() {
            true => Self { labels_start, open_set: of_run.open_set, sample_weights, ..self.clone() },
            // Names are in the checkpoint.
            false => Self { class_names: self.class_names.clone(), labels_start, sample_weights, ..of_run },
        }
    }

    /// In what the options that are given are not those of a run that began with `of_run` and has these classes. The number from which its
    /// labels count anyway is no difference.
    pub fn differences(&self, given: &Given, of_run: &Self, classes: &ClassTable) -> Vec<String> {
        let start = |args: &Self| args.labels_start.map_or("none".into(), |start| start.to_string());
        let options = [
            ("labels_start", start(self), start(of_run)),
            ("open_set", self.open_set.to_string(), of_run.open_set.to_string()),
        ];
        let starts_there = classes.is_consecutive()
            && !classes.is_empty()
            && self.labels_start.is_some_and(|start| classes.label(0) == Label::Number(start));
        let differs = |(option, found, expected): &(&str, String, String)| {
            given.has(option) && found != expected && !(*option == "labels_start" && starts_there)
        };
        let sentence = |(option, found, expected): (&str, String, String)| {
            difference(&option.replace('_', " "), &found, &expected)
        };
        options.into_iter().filter(differs).map(sentence).collect()
    }

    /// The training set, the test set, and what is retrieved.
    pub fn read(&self) -> Result<Data> {
        let (train_files, test_files) = self.pairs()?;
        let train_labels = train_files.labels()?;
        let test_labels = test_files.as_ref().map(Files::labels).transpose()?;
        let test = test_files.as_ref().zip(test_labels.as_ref());
        if test.is_some_and(|(_, labels)| labels.are_strings() != train_labels.are_strings()) {
            // The file with a slip among numbers is wrong, be it the one that is read first.
            for (files, labels) in [(&train_files, &train_labels)].into_iter().chain(test) {
                labels.check_strays().map_err(|error| error.in_file(&files.labels))?;
            }
        }
        let table = |sets: &[&Labels]| match self.labels_start {
            Some(start) => ClassTable::from_start(start, sets),
            None => ClassTable::of(sets),
        };
        let mut classes = table(&[&train_labels]).map_err(|error| error.in_file(&train_files.labels))?;
        if let (true, Some(files), Some(labels)) = (self.open_set, &test_files, &test_labels) {
            classes = table(&[&train_labels, labels]).map_err(|error| error.in_file(&files.labels))?;
        }
        if let Err(stray) = train_labels.check_strays() {
            let path = train_files.labels.display();
            complain(format_args!("{path}: {stray}; all of them are taken as strings"));
        }
        let mut train = train_files.data(&train_labels, classes.clone())?;
        if let Some(path) = &self.sample_weights {
            let weights = read_f32_vector(path)?;
            train = train.with_sample_weights(weights).map_err(|error| error.in_file(path))?;
        }
        let test = test.map(|(files, labels)| files.data(labels, classes)).transpose()?;
        let data = Data::new(train, test, self.open_set)?;
        self.check_rows_of_classes(&data)?;
        self.named(data)
    }

    fn pairs(&self) -> Result<(Files, Option<Files>)> {
        if let Some(directory) = &self.data {
            let [train_features, train_labels, test_features, test_labels] = FILES.map(|name| directory.join(name));
            let test = Files { features: test_features, labels: test_labels };
            let has_test = test.features.exists() || test.labels.exists();
            return Ok((Files { features: train_features, labels: train_labels }, has_test.then_some(test)));
        }
        let files = |features: &Option<PathBuf>, labels: &Option<PathBuf>| {
            Some(Files { features: features.clone()?, labels: labels.clone()? })
        };
        let train = files(&self.train_features, &self.train_labels).ok_or_else(|| Error::Setting {
            name: "the training data",
            value: "missing".into(),
            expected: "--data, or --train-features and --train-labels".into(),
        });
        Ok((train?, files(&self.test_features, &self.test_labels)))
    }

    /// Refuses classes that only test rows have, and names those that no row has.
    fn check_rows_of_classes(&self, data: &Data) -> Result<()> {
        /// Classes that are named.
        const NAMED: usize = 5;
        let train = &data.train;
        let table = train.class_table();
        let without = table.len() - train.classes_present();
        if without == 0 {
            return Ok(());
        }
        if let Some(test) = &data.test {
            test.check_classes_of(train)?;
        }
        let named: Vec<_> =
            train.classes_without_rows().take(NAMED).map(|class| table.label(class).to_string()).collect();
        let rest = if without > NAMED { ", ..." } else { "" };
        complain(format_args!(
            "{without} of {} without a training row: {}{rest}",
            counted(table.len(), "class"),
            named.join(", ")
        ));
        Ok(())
    }

    /// With the names that are given or, where none are, those that the extraction of the features noted.
    fn named(&self, data: Data) -> Result<Data> {
        if let Some(path) = &self.class_names {
            return data.with_class_names(&read_class_names(path)?, path, self.labels_start);
        }
        // Nobody asked for names: a manifest of another program, or of other features, is none of our business.
        let manifest = self.data.as_deref().and_then(|directory| Manifest::read(directory).unwrap_or_default());
        let names = manifest.and_then(|manifest| names_by_label(data.train.class_table(), &manifest.classes, 0));
        match names {
            Some(names) => Ok(Data { train: data.train.with_class_names(names)?, ..data }),
            None => Ok(data),
        }
    }
}
