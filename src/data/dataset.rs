//! Features with their labels.

use super::{Features, Transform, TransformKind, read_features, read_labels};
use crate::ops::{IGNORE_LABEL, l2_normalize};
use crate::{Error, Result};
use ndarray::{Array1, Axis, concatenate};
use std::collections::HashSet;
use std::path::Path;

/// Features (N, D) with labels (N,).
#[derive(Clone, Debug)]
pub struct Dataset {
    /// (N, D), finite.
    pub features: Features,
    /// (N,) from 0, or [`IGNORE_LABEL`].
    pub labels: Array1<i64>,
}

impl Dataset {
    /// Checks that there is one label a row, that labels are not negative, and that features are finite.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::NothingLabelled`]; [`Error::Label`] for a negative
    /// label.
    pub fn new(features: Features, labels: Array1<i64>) -> Result<Self> {
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
        let is_label = |&label: &i64| label >= 0 || label == IGNORE_LABEL;
        if let Some(row) = labels.iter().position(|label| !is_label(label)) {
            return Err(Error::Label {
                row,
                label: labels[row],
                expected: format!("0 or more, or {IGNORE_LABEL} for none"),
            });
        }
        if labels.iter().all(|&label| label == IGNORE_LABEL) {
            return Err(Error::NothingLabelled { rows: labels.len(), ignore: IGNORE_LABEL });
        }
        Ok(Self { features, labels })
    }

    /// Reads both files; `labels_start` is the label of the first class, 0 or 1 mostly.
    ///
    /// # Errors
    /// Those of [`read_features`], [`read_labels`] and [`new`](Self::new).
    pub fn read(features: &Path, labels: &Path, labels_start: i64) -> Result<Self> {
        Self::new(read_features(features)?, read_labels(labels, labels_start)?)
    }

    /// N
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// D
    pub fn dimension(&self) -> usize {
        self.features.view().ncols()
    }

    /// The largest label and one: labels count from 0.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&largest| largest as usize + 1)
    }

    /// Whether there is a row whose label `is_wanted`.
    pub fn has_rows(&self, is_wanted: impl Fn(i64) -> bool) -> bool {
        self.labels.iter().any(|&label| is_wanted(label))
    }

    /// How many different labels there are.
    pub fn classes_present(&self) -> usize {
        let labelled = self.labels.iter().filter(|&&label| label != IGNORE_LABEL);
        labelled.collect::<HashSet<_>>().len()
    }

    /// A copy of the rows whose label `is_wanted`.
    ///
    /// # Errors
    /// [`Error::Empty`] if there is none, [`Error::NothingLabelled`] if none has a label.
    pub fn select(&self, is_wanted: impl Fn(i64) -> bool) -> Result<Self> {
        let rows: Vec<usize> = (0..self.rows()).filter(|&row| is_wanted(self.labels[row])).collect();
        let features = self.features.view().select(Axis(0), &rows);
        Self::new(features.into(), self.labels.select(Axis(0), &rows))
    }

    /// The rows of this data set, then those of `other`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless both have the same dimension.
    pub fn joined(&self, other: &Self) -> Result<Self> {
        let (features, others) = (self.features.view(), other.features.view());
        let joined = concatenate(Axis(0), &[features, others]).map_err(|_| Error::Shape {
            what: "features",
            found: others.shape().to_vec(),
            expected: format!("(rows, {}), the dimension of the others", features.ncols()),
        })?;
        Ok(Self { features: joined.into(), labels: concatenate![Axis(0), self.labels, other.labels] })
    }

    /// This data set with transformed features: a copy in memory, unless the transform changes nothing.
    ///
    /// # Errors
    /// Those of [`Transform::apply`].
    pub fn transformed(self, transform: &Transform) -> Result<Self> {
        if transform.kind() == TransformKind::None {
            return Ok(self);
        }
        Ok(Self { features: transform.apply(self.features.view())?.into(), labels: self.labels })
    }
}
