//! The class vectors of a block, as the products take them.

use super::batch::{Batch, grow};
use crate::ops::{l2_normalize, rows};
use crate::{Real, Result};
use ndarray::ArrayView2;
use std::ops::Range;

/// ŵ of one block and ‖w‖ of all the group's columns; unused where the head takes class vectors as they are.
#[derive(Debug, Default)]
pub(super) struct UnitBlock<F> {
    unit: Vec<F>,
    /// The block that `unit` is of.
    block: Option<usize>,
    /// Of each column of the group, as far as the first pass has come.
    norms: Vec<F>,
}

impl<F: Real> UnitBlock<F> {
    /// Forgets all: class vectors have changed.
    pub fn clear(&mut self) {
        self.block = None;
        self.norms.clear();
    }

    /// w̃ (columns, D) of `block`, whose class vectors are `weights`, in row-major order. The blocks of a group must come in
    /// order the first time.
    ///
    /// # Errors
    /// The first time: NaN, infinity, a class vector without direction.
    pub fn class_vectors<'a>(
        &'a mut self,
        batch: &Batch<F>,
        weights: &'a [F],
        block: usize,
    ) -> Result<ArrayView2<'a, F>> {
        let columns = batch.blocks.columns_of(block);
        if !batch.geometry.normalizes_weights() {
            return Ok(matrix(weights, columns.len()));
        }
        grow(&mut self.unit, batch.blocks.width() * batch.dimension());
        let unit = &mut self.unit[..weights.len()];
        if self.block != Some(block) {
            self.block = None;
            let known = norms_of(batch, block);
            if self.norms.len() < known.end {
                self.norms.resize(known.end, F::zero());
                let norms = &mut self.norms[known];
                l2_normalize::normalize_rows("weights", columns.start, matrix(weights, columns.len()), unit, norms)?;
            } else {
                l2_normalize::normalize_rows_again(weights, &self.norms[known], unit);
            }
            self.block = Some(block);
        }
        Ok(matrix(unit, columns.len()))
    }

    /// The shortest ‖w‖ of all class vectors that [`class_vectors`](Self::class_vectors) has come to.
    pub fn shortest(&self) -> f64 {
        self.norms.iter().fold(F::infinity(), |shortest, &norm| shortest.min(norm)).to_double()
    }

    /// The gradient of the class vectors of `block` from that of w̃, which [`class_vectors`](Self::class_vectors) has given last.
    pub fn backward(&self, batch: &Batch<F>, block: usize, d_weights: &mut [F]) {
        if batch.geometry.normalizes_weights() {
            let dimension = batch.dimension();
            let unit_rows = self.unit.chunks_exact(dimension).zip(&self.norms[norms_of(batch, block)]);
            for (gradient, (unit, &norm)) in d_weights.chunks_exact_mut(dimension).zip(unit_rows) {
                rows::normalization_backward(gradient, unit, norm);
            }
        }
    }

    /// w̃ of one `column` of `block` and ‖w‖; the block that was held is forgotten.
    pub fn operand_of_column<'a>(
        &'a mut self,
        batch: &Batch<F>,
        weights: &'a [F],
        block: usize,
        column: usize,
    ) -> (&'a [F], F) {
        if !batch.geometry.normalizes_weights() {
            return (weights, F::one());
        }
        self.block = None;
        let unit = &mut self.unit[..weights.len()];
        let norm = norms_of(batch, block).start + column - batch.blocks.columns_of(block).start;
        l2_normalize::normalize_rows_again(weights, &self.norms[norm..=norm], unit);
        (unit, self.norms[norm])
    }
}

/// Where the norms of a block are among those of its group.
fn norms_of<F>(batch: &Batch<F>, block: usize) -> Range<usize> {
    let first = batch.blocks.columns_of(block - block % batch.blocks.in_group()).start;
    let columns = batch.blocks.columns_of(block);
    columns.start - first..columns.end - first
}

/// Elements in row-major order as a matrix of so many rows.
pub(super) fn matrix<F>(elements: &[F], rows: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((rows, elements.len() / rows), elements).expect("whole rows")
}
