//! Features with their labels.

use super::{ClassTable, Features, Labels, Transform, TransformKind, read_class_labels, read_features};
use crate::ops::checked_objective::check_weights;
use crate::ops::{IGNORE_LABEL, l2_normalize};
use crate::{Error, Result};
use ndarray::{Array1, Axis, concatenate};
use std::borrow::Cow;
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
    /// (N,) how much each row counts, where not all count alike.
    sample_weights: Option<Array1<f32>>,
    /// The files that rows are from, in the order of rows; none where they are from nowhere that is known.
    origins: Vec<Origin>,
}

/// Where some of the rows come from.
#[derive(Clone, Debug)]
struct Origin {
    features: PathBuf,
    labels: PathBuf,
    /// The number in the files of each row.
    rows: Rows,
}

#[derive(Clone, Debug)]
enum Rows {
    /// As many as there are in the files.
    All(usize),
    Some(Vec<usize>),
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
        Self::labelled(features, labels, ClassTable::indices(classes))
    }

    /// Features with labels of the classes in `classes`.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Label`] for a label that no class has.
    pub fn encoded(features: Features, labels: &Labels, classes: ClassTable) -> Result<Self> {
        let encoded = classes.encode(labels)?;
        Self::labelled(features, encoded, classes)
    }

    /// Features with the class of each row.
    pub fn labelled(features: Features, labels: Array1<i64>, class_table: ClassTable) -> Result<Self> {
        let rows = features.rows();
        if rows.is_empty() {
            return Err(Error::Empty { what: "features", found: rows.shape().to_vec() });
        }
        if labels.len() != rows.dim().0 {
            return Err(Error::Shape {
                what: "labels",
                found: labels.shape().to_vec(),
                expected: format!("({},), one label for each row of features", rows.dim().0),
            });
        }
        features.look_through(|first, rows| {
            let finite = l2_normalize::check_finite("features", rows);
            finite.map_err(|error| error.of_row("features", |row| first + row))
        })?;
        if labels.iter().all(|&label| label == IGNORE_LABEL) {
            return Err(Error::NothingLabelled { rows: labels.len(), ignore: IGNORE_LABEL });
        }
        Ok(Self { features, labels, class_table, sample_weights: None, origins: Vec::new() })
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
            let path = if error.subject() == Some("features") { features } else { labels };
            error.in_file(path)
        })?;
        let rows = Rows::All(data.rows());
        Ok(Self { origins: vec![Origin { features: features.into(), labels: labels.into(), rows }], ..data })
    }

    /// N
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// D
    pub fn dimension(&self) -> usize {
        self.features.rows().dim().1
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

    /// (N,) how much each row counts in training; `None` where all count alike.
    pub fn sample_weights(&self) -> Option<&Array1<f32>> {
        self.sample_weights.as_ref()
    }

    /// Its rows of a weight above 0, those without label among them. Rows in a file stay there.
    ///
    /// # Errors
    /// [`Error::Setting`] where the weight of every row is 0.
    pub fn rows_that_count(&self) -> Result<Cow<'_, Self>> {
        match &self.sample_weights {
            Some(weights) if weights.iter().any(|&weight| weight == 0.0) => {
                let rows: Vec<_> = (0..self.rows()).filter(|&row| weights[row] > 0.0).collect();
                if rows.is_empty() {
                    let expected = "above 0, or nothing would be learned".into();
                    return Err(Error::Setting { name: "the weight of every row", value: "0".into(), expected });
                }
                Ok(Cow::Owned(self.part(&rows)?))
            }
            _ => Ok(Cow::Borrowed(self)),
        }
    }

    /// This data set with weights (N,) of its rows in training. A row of weight 0 takes no part.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one a row, [`Error::Weight`] for one that is negative or not finite.
    pub fn with_sample_weights(self, weights: Array1<f32>) -> Result<Self> {
        check_weights("sample_weights", weights.view(), self.rows(), "row of features")?;
        Ok(Self { sample_weights: Some(weights), ..self })
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
        translated.map_err(|error| self.located(error, "features", |row| row))
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
        Err(self.located(error, "features", |row| row))
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
        self.select_rows(&(0..self.rows()).filter(|&row| is_wanted(self.labels[row])).collect::<Vec<usize>>())
    }

    /// A copy of some rows.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn select_rows(&self, rows: &[usize]) -> Result<Self> {
        self.with_features_of(self.features.select(rows)?, rows)
    }

    /// Some rows, which stay in their file, if they are in one.
    pub(super) fn part(&self, rows: &[usize]) -> Result<Self> {
        self.with_features_of(self.features.part(rows)?, rows)
    }

    /// Some rows, whose `features` those are.
    fn with_features_of(&self, features: Features, rows: &[usize]) -> Result<Self> {
        let labels = self.labels.select(Axis(0), rows);
        let selected = Self::labelled(features, labels, self.class_table.clone())?;
        let origins = rows.iter().filter_map(|&row| self.origin(row)).collect::<Vec<_>>();
        let same_file = |a: &(&Origin, usize), b: &(&Origin, usize)| std::ptr::eq(a.0, b.0);
        let origins = origins.chunk_by(same_file).map(|rows_of_file| {
            let rows = Rows::Some(rows_of_file.iter().map(|&(_, row)| row).collect());
            Origin { rows, ..rows_of_file[0].0.clone() }
        });
        let sample_weights = self.sample_weights.as_ref().map(|weights| weights.select(Axis(0), rows));
        Ok(Self { origins: origins.collect(), sample_weights, ..selected })
    }

    /// The rows of this data set, then those of `other`, which has the same classes.
    ///
    /// # Errors
    /// [`Error::Shape`] unless both have the same dimension; [`Error::Label`] for a class that this data set does not have.
    pub fn joined(&self, other: &Self) -> Result<Self> {
        let (features, others) = (self.features.rows().all()?, other.features.rows().all()?);
        let joined = concatenate(Axis(0), &[features.view(), others.view()]).map_err(|_| Error::Shape {
            what: "features",
            found: others.shape().to_vec(),
            expected: format!("(rows, {}), the dimension of the others", features.ncols()),
        })?;
        let labels = concatenate![Axis(0), self.labels, other.labels_as(&self.class_table)?];
        let all_are_known = !self.origins.is_empty() && !other.origins.is_empty();
        let origins = if all_are_known { [&self.origins[..], &other.origins].concat() } else { Vec::new() };
        let weights = |data: &Self| data.sample_weights.clone().unwrap_or_else(|| Array1::ones(data.rows()));
        let is_weighted = self.sample_weights.is_some() || other.sample_weights.is_some();
        let sample_weights = is_weighted.then(|| concatenate![Axis(0), weights(self), weights(other)]);
        Ok(Self { features: joined.into(), labels, class_table: self.class_table.clone(), sample_weights, origins })
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
            transform.apply_to_all(self.features.rows()).map_err(|error| self.located(error, "features", |row| row))?;
        Ok(Self { features: features.into(), ..self })
    }

    /// This data set with the first `classes` classes alone, which all rows are of.
    pub(super) fn with_first_classes(self, classes: usize) -> Self {
        Self { class_table: self.class_table.first(classes), ..self }
    }

    /// Checks that features have the `dimension` of the training rows.
    ///
    /// # Errors
    /// [`Error::Shape`], in the file if they are from one.
    pub fn check_dimension(&self, dimension: usize) -> Result<()> {
        let found = self.features.rows().shape().to_vec();
        match self.dimension() == dimension {
            true => Ok(()),
            false => {
                let expected = format!("(rows, {dimension}), the dimension of the training rows");
                Err(self.located(Error::Shape { what: "features", found, expected }, "features", |row| row))
            }
        }
    }

    /// An error about row r of some rows, or of their labels, as one about row `row_of(r)` of this data set or, where there is one, of its file;
    /// `name` is what errors call the rows.
    pub fn located(&self, error: Error, name: &'static str, row_of: impl Fn(usize) -> usize) -> Error {
        if !error.is_of_rows(name) {
            return error;
        }
        let error = error.of_row(name, row_of);
        let origin = match (error.row(), &self.origins[..]) {
            (Some(row), _) => self.origin(row),
            (None, [only]) => Some((only, 0)),
            (None, _) => None,
        };
        let Some((origin, row)) = origin else { return error };
        let path = if error.subject() == Some("labels") { &origin.labels } else { &origin.features };
        error.of_row(name, |_| row).in_file(path)
    }

    /// Where a row is from, and its number there.
    fn origin(&self, row: usize) -> Option<(&Origin, usize)> {
        let mut before = 0;
        self.origins.iter().find_map(|origin| {
            let row = row - before;
            before += origin.rows.len();
            Some((origin, origin.rows.number(row)?))
        })
    }
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(rows) => rows.len(),
        }
    }

    fn number(&self, row: usize) -> Option<usize> {
        match self {
            Self::All(count) => (row < *count).then_some(row),
            Self::Some(rows) => rows.get(row).copied(),
        }
    }
}
