//! The class vectors of a block, as the products take them.

use super::group::{Batch, grow};
use crate::ops::{l2_normalize, rows};
use crate::{Real, Result};
use ndarray::ArrayView2;

/// ŵ and ‖w‖ of one block; unused where the head takes class vectors as they are.
#[derive(Debug, Default)]
pub(super) struct UnitBlock<F> {
    unit: Vec<F>,
    norms: Vec<F>,
    /// The block that they are of.
    block: Option<usize>,
}

impl<F: Real> UnitBlock<F> {
    /// Forgets which block it holds: class vectors have changed.
    pub fn clear(&mut self) {
        self.block = None;
    }

    /// w̃ (classes, D) of `block`, whose class vectors are `weights`, in row-major order.
    ///
    /// # Errors
    /// NaN, infinity, a class vector without direction.
    pub fn operand<'a>(&'a mut self, batch: &Batch<F>, weights: &'a [F], block: usize) -> Result<ArrayView2<'a, F>> {
        let classes = batch.blocks.classes_of(block);
        let view = |elements| matrix(elements, classes.len());
        if !batch.normalizes.weights() {
            return Ok(view(weights));
        }
        if self.block != Some(block) {
            self.block = None;
            grow(&mut self.unit, batch.blocks.width() * batch.dimension());
            grow(&mut self.norms, batch.blocks.width());
            let (unit, norms) = (&mut self.unit[..weights.len()], &mut self.norms[..classes.len()]);
            l2_normalize::normalize_rows("weights", classes.start, view(weights), unit, norms)?;
            self.block = Some(block);
        }
        Ok(view(&self.unit[..weights.len()]))
    }

    /// w̃ of one class; the block that was held is forgotten.
    pub fn operand_of_class<'a>(&'a mut self, batch: &Batch<F>, weights: &'a [F], class: usize) -> Result<&'a [F]> {
        if !batch.normalizes.weights() {
            return Ok(weights);
        }
        self.block = None;
        grow(&mut self.unit, weights.len());
        grow(&mut self.norms, 1);
        let unit = &mut self.unit[..weights.len()];
        l2_normalize::normalize_rows("weights", class, matrix(weights, 1), unit, &mut self.norms[..1])?;
        Ok(unit)
    }

    /// The gradient of the class vectors that [`operand`](Self::operand) or [`operand_of_class`](Self::operand_of_class)
    /// gave, from that of w̃.
    pub fn backward(&self, batch: &Batch<F>, d_weights: &mut [F]) {
        if batch.normalizes.weights() {
            let dimension = batch.dimension();
            let unit_rows = self.unit.chunks_exact(dimension).zip(&self.norms);
            for (gradient, (unit, &norm)) in d_weights.chunks_exact_mut(dimension).zip(unit_rows) {
                rows::normalization_backward(gradient, unit, norm);
            }
        }
    }
}

/// Elements in row-major order as a matrix of so many rows.
pub(super) fn matrix<F>(elements: &[F], rows: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((rows, elements.len() / rows), elements).expect("whole rows")
}
