//! Labels: checked once, then plain indices.

use crate::{Error, Result};
use ndarray::ArrayView1;

/// Rows with this label are left out of the loss, the gradients and AdaCos's statistics.
///
/// The value is the default `ignore_index` of PyTorch's cross-entropy.
pub const IGNORE_LABEL: i64 = -100;

/// The class of each row, checked against the number of rows and of classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    class_of_row: Vec<Option<usize>>,
    classes: usize,
    labelled: usize,
}

impl Targets {
    /// Checks `labels` (B,) against the number of rows and of classes.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one label a row, [`Error::Setting`] for no classes at all,
    /// [`Error::LabelOutOfRange`] for a label that is neither in `0..classes` nor [`IGNORE_LABEL`],
    /// [`Error::NothingLabelled`] if no row is left.
    pub fn new(labels: ArrayView1<i64>, rows: usize, classes: usize) -> Result<Self> {
        if labels.len() != rows {
            return Err(Error::Shape {
                what: "labels",
                found: labels.shape().to_vec(),
                expected: format!("({rows},), one label for each row of features"),
            });
        }
        if classes == 0 {
            return Err(Error::Setting {
                name: "the number of classes",
                value: "0".into(),
                expected: "at least 1".into(),
            });
        }
        let class_of = |(row, &label): (usize, &i64)| match usize::try_from(label) {
            _ if label == IGNORE_LABEL => Ok(None),
            Ok(class) if class < classes => Ok(Some(class)),
            _ => Err(Error::LabelOutOfRange { row, label, classes, ignore: IGNORE_LABEL }),
        };
        let class_of_row = labels.iter().enumerate().map(class_of).collect::<Result<Vec<_>>>()?;
        let labelled = class_of_row.iter().flatten().count();
        if labelled == 0 {
            return Err(Error::NothingLabelled { rows, ignore: IGNORE_LABEL });
        }
        Ok(Self { class_of_row, classes, labelled })
    }

    /// The class of each row; `None` where the label is [`IGNORE_LABEL`].
    pub fn class_of_row(&self) -> &[Option<usize>] {
        &self.class_of_row
    }

    /// The number of classes the labels were checked against.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many rows have a class; at least one. The mean loss is over these.
    pub fn labelled(&self) -> usize {
        self.labelled
    }

    /// The labelled rows as (row, class).
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> + Clone {
        self.class_of_row.iter().enumerate().filter_map(|(row, class)| class.map(|class| (row, class)))
    }
}
