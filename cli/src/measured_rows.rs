//! The rows that `arcos evaluate` measures: all of a file or those of some classes, with their labels.

use arcos::data::{ClassTable, Label, Labels};
use arcos::ops::IGNORE_LABEL;
use arcos::{Error, Result};
use ndarray::{Array1, Axis};
use std::ops::Range;
use std::path::Path;

pub(super) struct MeasuredRows<'a> {
    path: &'a Path,
    labels_path: Option<&'a Path>,
    distractors_path: Option<&'a Path>,
    /// (N,) the class of each row, or [`IGNORE_LABEL`].
    pub labels: Array1<i64>,
    pub class_table: ClassTable,
    /// Their numbers in the file, where they are not all of it.
    numbers: Option<Vec<usize>>,
    /// How many rows the file has.
    pub rows_of_file: usize,
}

impl<'a> MeasuredRows<'a> {
    /// Of the file `path`, which holds `what` of this `shape`, all rows or those with labels in the range `classes`. Without labels no row has
    /// a class.
    ///
    /// # Errors
    /// [`Error::InFile`] where there are no rows or not a label for each; [`Error::Setting`] for a range without rows.
    pub fn new(
        (path, what, shape): (&'a Path, &'static str, &[usize]),
        labels: Option<(&'a Path, Labels)>,
        classes: Option<&Range<i64>>,
        distractors_path: Option<&'a Path>,
    ) -> Result<Self> {
        if shape.contains(&0) {
            return Err(Error::Empty { what, found: shape.to_vec() }.in_file(path));
        }
        let Some((labels_path, labels)) = labels else {
            let (labels, class_table) = (Array1::from_elem(shape[0], IGNORE_LABEL), ClassTable::indices(0));
            return Ok(Self {
                path,
                labels_path: None,
                distractors_path,
                labels,
                class_table,
                numbers: None,
                rows_of_file: shape[0],
            });
        };
        let in_file = |error: Error| error.in_file(labels_path);
        let class_table = ClassTable::of(&[&labels]).map_err(in_file)?;
        let labels = class_table.encode(&labels).map_err(in_file)?;
        if labels.len() != shape[0] {
            let expected = format!("({},), one label for each row of {what}", shape[0]);
            return Err(in_file(Error::Shape { what: "labels", found: vec![labels.len()], expected }));
        }
        let numbers = classes.map(|range| rows_in(range, &labels, &class_table)).transpose()?;
        let labels = numbers.as_ref().map_or_else(|| labels.clone(), |numbers| labels.select(Axis(0), numbers));
        Ok(Self {
            path,
            labels_path: Some(labels_path),
            distractors_path,
            labels,
            class_table,
            numbers,
            rows_of_file: shape[0],
        })
    }

    /// These rows of `all` that the file has.
    ///
    /// # Errors
    /// Those of `select`.
    pub fn of<M>(&self, all: M, select: impl Fn(&M, &[usize]) -> Result<M>) -> Result<M> {
        match &self.numbers {
            Some(numbers) => select(&all, numbers),
            None => Ok(all),
        }
    }

    /// The number in the file of one of these rows.
    pub fn number(&self, row: usize) -> usize {
        self.numbers.as_ref().map_or(row, |numbers| numbers[row])
    }

    /// An error about one of these rows, which it calls `name`, its label or the distractors, with its row of the file and the file.
    pub fn located(&self, error: Error, name: &'static str) -> Error {
        let path = match error.subject() {
            Some("distractors") => self.distractors_path,
            Some("labels") => self.labels_path,
            _ if error.is_of_rows(name) => Some(self.path),
            _ => None,
        };
        let error = error.of_row(name, |row| self.number(row));
        path.into_iter().fold(error, |error, path| error.in_file(path))
    }
}

/// The rows whose labels are in `range`.
fn rows_in(range: &Range<i64>, labels: &Array1<i64>, table: &ClassTable) -> Result<Vec<usize>> {
    let is_wanted = |class: i64| {
        let label = usize::try_from(class).ok().map(|class| table.label(class));
        matches!(label, Some(Label::Number(number)) if range.contains(&number))
    };
    let rows: Vec<usize> = (0..labels.len()).filter(|&row| is_wanted(labels[row])).collect();
    if !rows.is_empty() {
        return Ok(rows);
    }
    let expected = format!("a range with rows in it: labels are {}", table.describe());
    let bound = |bound: i64, left_out: i64| if bound == left_out { String::new() } else { bound.to_string() };
    let value = format!("{}..{}", bound(range.start, i64::MIN), bound(range.end, i64::MAX));
    Err(Error::Setting { name: "--classes", value, expected })
}
