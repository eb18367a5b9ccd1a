//! Data on their way to the head: transformed whole, or a batch at a time where that would copy a file into memory.

use crate::data::{Dataset, Transform, TransformKind};
use crate::{Error, Result};
use ndarray::Array2;

/// A data set, transformed or not yet.
#[derive(Debug)]
pub(super) struct Prepared {
    pub data: Dataset,
    pub is_transformed: bool,
}

impl Prepared {
    /// Features in memory are transformed at once. Those of a file that may be larger than memory stay there: to centre and
    /// standardise a batch costs little. Whitening is a product, and worth a copy.
    pub fn new(data: Dataset, transform: &Transform) -> Result<Self> {
        let by_batch = matches!(transform.kind(), TransformKind::Centre | TransformKind::Standardise);
        match data.features.is_in_file() && by_batch {
            true => Ok(Self { data, is_transformed: false }),
            false => Ok(Self { data: data.transformed(transform)?, is_transformed: true }),
        }
    }

    /// An error about row r of a batch of `rows` as one about its row of the data set or its file; the head takes `name`.
    pub fn located(&self, error: Error, name: &'static str, rows: &[usize]) -> Error {
        self.data.located(error, name, |row| rows[row])
    }

    /// Some rows, transformed.
    pub fn batch(&self, rows: &[usize], transform: &Transform) -> Result<Array2<f32>> {
        let gathered = self.data.features.rows().select(rows)?;
        if self.is_transformed { Ok(gathered) } else { transform.apply(gathered.view()) }
    }
}
