//! Data on their way to the head: transformed whole, or a batch at a time where that would copy a file into memory.

use crate::data::{Dataset, Transform, TransformKind};
use crate::{Error, Result};
use ndarray::Array2;

/// A data set and whether its features are transformed already, or batch by batch.
#[derive(Debug)]
pub(super) struct TransformedDataset {
    pub data: Dataset,
    pub by_batch: bool,
}

impl TransformedDataset {
    /// Features in memory are transformed at once. Those of a file that may be larger than memory stay there: to centre and
    /// standardise a batch costs little. Whitening is a product, and worth a copy.
    pub fn new(data: Dataset, transform: &Transform) -> Result<Self> {
        let is_cheap = matches!(transform.kind(), TransformKind::Centre | TransformKind::Standardise);
        match data.features.is_in_file() && is_cheap {
            true => Ok(Self { data, by_batch: true }),
            false => Ok(Self { data: data.transformed(transform)?, by_batch: false }),
        }
    }

    /// An error about row r of a batch of `rows` as one about its row of the data set or its file; the head takes `name`.
    pub fn located(&self, error: Error, name: &'static str, rows: &[usize]) -> Error {
        self.data.located(error, name, |row| rows[row])
    }

    /// Some rows, transformed.
    pub fn batch(&self, rows: &[usize], transform: &Transform) -> Result<Array2<f32>> {
        let gathered = self.data.features.rows().select(rows)?;
        if self.by_batch { transform.apply(gathered.view()) } else { Ok(gathered) }
    }
}
