//! Features with their labels.

use super::{ClassTable, Features, Labels, Transform, TransformKind, read_class_labels, read_features};
use crate::ops::{IGNORE_LABEL, l2_normalize};
use crate::{Error, Result};
use ndarray::{Array1, Axis, concatenate};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Features (N, D) with labels (N,).
#[derive(Clone, Debug)]
pub struct Dataset {
    /// (N, D), finite.
    pub features: Features,
    /// (N,) the class of each row, from 0, or [`IGNORE_LABEL`].
    pub labels: Array1<i64>,
    class_table: ClassTable,
    origin: Option<Origin>,
}

/// Where rows come from.
#[derive(Clone, Debug)]
struct Origin {
    features: PathBuf,
    labels: PathBuf,
    /// Rows of the files, where they are not all of them.
    rows: Option<Vec<usize>>,
}

impl Dataset {
    /// Checks that there is one label a row, that labels are not negative, and that features are finite. Classes are labelled
    /// from 0 to the largest label.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::NothingLabelled`]; [`Error::Label`] for a negative
    /// label.
    pub fn new(features: Features, labels: Array1<i64>) -> Result<Self> {
        let is_label = |&label: &i64| label >= 0 || label == IGNORE_LABEL;
        if let Some(row) = labels.iter().position(|label| !is_label(label)) {
            return Err(Error::Label {
                row,
                label: labels[row].to_string(),
                expected: format!("0 or more, or {IGNORE_LABEL} for none"),
            });
        }
        let classes = labels.iter().max().map_or(0, |&largest| if largest < 0 { 0 } else { largest as usize + 1 });
        Self::checked(features, labels, ClassTable::indices(classes))
    }

    /// Features with labels of the classes in `classes`.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Label`] for a label that no class has.
    pub fn encoded(features: Features, labels: &Labels, classes: ClassTable) -> Result<Self> {
        let encoded = classes.encode(labels)?;
        Self::checked(features, encoded, classes)
    }

    fn checked(features: Features, labels: Array1<i64>, class_table: ClassTable) -> Result<Self> {
        let view = features.view();
        if view.is_empty() {
            return Err(Error::Empty { what: "features", found: view.shape().to_vec() });
        }
        if labels.len() != view.nrows() {
            return Err(Error::Shape {
                what: "labels",
                found: labels.shape().to_vec(),
                expected: format!("({},), one label for each row of features", view.nrows()),
            });
        }
        l2_normalize::check_finite("features", view)?;
        if labels.iter().all(|&label| label == IGNORE_LABEL) {
            return Err(Error::NothingLabelled { rows: labels.len(), ignore: IGNORE_LABEL });
        }
        Ok(Self { features, labels, class_table, origin: None })
    }

    /// Reads both files. The classes are the labels that occur; with `labels_start` all numbers from there to the largest.
    ///
    /// # Errors
    /// Those of [`read_features`] and [`read_class_labels`]; [`Error::InFile`] with those of [`encoded`](Self::encoded).
    pub fn read(features: &Path, labels: &Path, labels_start: Option<i64>) -> Result<Self> {
        let of_file = read_class_labels(labels)?;
        let classes = match labels_start {
            Some(start) => ClassTable::from_start(start, &[&of_file]),
            None => ClassTable::of(&[&of_file]),
        };
        Self::read_encoded(features, labels, &of_file, classes.map_err(|error| error.in_file(labels))?)
    }

    /// Reads features; `of_file` are the labels in the file `labels`.
    ///
    /// # Errors
    /// Those of [`read_features`]; [`Error::InFile`] with those of [`encoded`](Self::encoded).
    pub fn read_encoded(features: &Path, labels: &Path, of_file: &Labels, classes: ClassTable) -> Result<Self> {
        let data = Self::encoded(read_features(features)?, of_file, classes).map_err(|error| {
            let path = if error.is_of_features() { features } else { labels };
            error.in_file(path)
        })?;
        Ok(Self { origin: Some(Origin { features: features.into(), labels: labels.into(), rows: None }), ..data })
    }

    /// N
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// D
    pub fn dimension(&self) -> usize {
        self.features.view().ncols()
    }

    /// C
    pub fn classes(&self) -> usize {
        self.class_table.len()
    }

    /// The label of each class.
    pub fn class_table(&self) -> &ClassTable {
        &self.class_table
    }

    /// This data set with names for its classes.
    ///
    /// # Errors
    /// Those of [`ClassTable::with_names`].
    pub fn with_class_names(self, names: Vec<String>) -> Result<Self> {
        Ok(Self { class_table: self.class_table.with_names(names)?, ..self })
    }

    /// The same rows, their classes counted as those of `classes`, by label.
    ///
    /// # Errors
    /// [`Error::Label`] for a label that is none of those, with the file where there is one.
    pub fn with_classes_of(self, classes: &ClassTable) -> Result<Self> {
        let labels = self.labels_as(classes)?;
        Ok(Self { labels, class_table: classes.clone(), ..self })
    }

    /// The class of each row as `classes` count them.
    ///
    /// # Errors
    /// As [`with_classes_of`](Self::with_classes_of).
    pub fn labels_as(&self, classes: &ClassTable) -> Result<Array1<i64>> {
        let translated = self.class_table.translate(&self.labels, classes);
        translated.map_err(|error| self.label_in_file(error))
    }

    /// An error about the label of a row, with the row's number in its file and the file.
    fn label_in_file(&self, error: Error) -> Error {
        match (error, &self.origin) {
            (Error::Label { row, label, expected }, Some(origin)) => {
                Error::Label { row: origin.row(row), label, expected }.in_file(&origin.labels)
            }
            (error, _) => error,
        }
    }

    /// The classes that no row has.
    pub fn classes_without_rows(&self) -> impl Iterator<Item = usize> + use<> {
        let with_rows: HashSet<i64> = self.labels.iter().copied().collect();
        (0..self.classes()).filter(move |&class| !with_rows.contains(&(class as i64)))
    }

    /// Checks that every row's class is that of a row of `train`, which counts classes alike.
    ///
    /// # Errors
    /// As [`with_classes_of`](Self::with_classes_of).
    pub fn check_classes_of(&self, train: &Self) -> Result<()> {
        let known: HashSet<i64> = train.labels.iter().copied().chain([IGNORE_LABEL]).collect();
        let is_unknown = |label: &i64| !known.contains(label);
        let Some(row) = self.labels.iter().position(is_unknown) else { return Ok(()) };
        let label = |&class: &i64| self.class_table.label(class as usize);
        let others = ClassTable::others(self.labels.iter().filter(|label| is_unknown(label)).map(label).collect());
        let expected = format!("a label that training rows have; {others}");
        let error = Error::Label { row, label: label(&self.labels[row]).quoted(), expected };
        Err(self.label_in_file(error))
    }

    /// Whether there is a row whose class `is_wanted`.
    pub fn has_rows(&self, is_wanted: impl Fn(i64) -> bool) -> bool {
        self.labels.iter().any(|&label| is_wanted(label))
    }

    /// How many different labels there are.
    pub fn classes_present(&self) -> usize {
        let labelled = self.labels.iter().filter(|&&label| label != IGNORE_LABEL);
        labelled.collect::<HashSet<_>>().len()
    }

    /// How many rows have no label.
    pub fn unlabelled_rows(&self) -> usize {
        self.labels.iter().filter(|&&label| label == IGNORE_LABEL).count()
    }

    /// A copy of the rows whose class `is_wanted`.
    ///
    /// # Errors
    /// [`Error::Empty`] if there is none, [`Error::NothingLabelled`] if none has a label.
    pub fn select(&self, is_wanted: impl Fn(i64) -> bool) -> Result<Self> {
        let rows: Vec<usize> = (0..self.rows()).filter(|&row| is_wanted(self.labels[row])).collect();
        let features = self.features.view().select(Axis(0), &rows);
        let labels = self.labels.select(Axis(0), &rows);
        let selected = Self::checked(features.into(), labels, self.class_table.clone())?;
        let origin = self.origin.as_ref().map(|origin| {
            let rows = rows.iter().map(|&row| origin.row(row)).collect();
            Origin { rows: Some(rows), ..origin.clone() }
        });
        Ok(Self { origin, ..selected })
    }

    /// The rows of this data set, then those of `other`, which has the same classes.
    ///
    /// # Errors
    /// [`Error::Shape`] unless both have the same dimension; [`Error::Label`] for a class that this data set does not have.
    pub fn joined(&self, other: &Self) -> Result<Self> {
        let (features, others) = (self.features.view(), other.features.view());
        let joined = concatenate(Axis(0), &[features, others]).map_err(|_| Error::Shape {
            what: "features",
            found: others.shape().to_vec(),
            expected: format!("(rows, {}), the dimension of the others", features.ncols()),
        })?;
        let labels = concatenate![Axis(0), self.labels, other.labels_as(&self.class_table)?];
        Ok(Self { features: joined.into(), labels, class_table: self.class_table.clone(), origin: None })
    }

    /// This data set with transformed features: a copy in memory, unless the transform changes nothing.
    ///
    /// # Errors
    /// Those of [`Transform::apply`].
    pub fn transformed(self, transform: &Transform) -> Result<Self> {
        if transform.kind() == TransformKind::None {
            return Ok(self);
        }
        let features =
            transform.apply(self.features.view()).map_err(|error| self.located(error, "features", |row| row))?;
        Ok(Self { features: features.into(), ..self })
    }

    /// This data set with the first `classes` classes alone, which all rows are of.
    pub(super) fn with_first_classes(self, classes: usize) -> Self {
        Self { class_table: self.class_table.first(classes), ..self }
    }

    /// Checks that features have the dimension of the training rows.
    pub(crate) fn check_dimension(&self, dimension: usize) -> Result<()> {
        let found = self.features.view().shape().to_vec();
        match self.dimension() == dimension {
            true => Ok(()),
            false => {
                let expected = format!("(rows, {dimension}), the dimension of the training rows");
                Err(self.located(Error::Shape { what: "features", found, expected }, "features", |row| row))
            }
        }
    }

    /// Checks that a file from which features are mapped is what it was.
    ///
    /// # Errors
    /// Those of [`Features::check_unchanged`].
    pub fn check_unchanged(&self) -> Result<()> {
        self.features.check_unchanged()
    }

    /// An error about row r of some rows as one about row `row_of(r)` of this data set or, where there is one, of its file; errors
    /// about features call them `name`.
    pub(crate) fn located(&self, error: Error, name: &'static str, row_of: impl Fn(usize) -> usize) -> Error {
        let row_in_file = |row| self.origin.as_ref().map_or(row_of(row), |origin| origin.row(row_of(row)));
        let is_of_features = error.is_of_features();
        match (&self.origin, error.of_row(name, row_in_file)) {
            (Some(origin), error) if is_of_features => error.in_file(&origin.features),
            (_, error) => error,
        }
    }
}

impl Origin {
    /// The row of the file.
    fn row(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row])
    }
}
