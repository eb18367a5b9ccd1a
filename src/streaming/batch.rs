//! What every task of a step is given.

use super::blocks::Blocks;
use crate::Real;
use crate::heads::Normalizes;
use ndarray::ArrayView2;
use std::ops::Range;

/// The inputs of a step, as all tasks see them.
pub(super) struct Batch<'a, F> {
    pub blocks: Blocks,
    /// As given, (B, D).
    pub features: ArrayView2<'a, F>,
    /// x̃ (B, D), in row-major order.
    pub operand: ArrayView2<'a, F>,
    pub normalizes: Normalizes,
    /// What inner products are multiplied by: α. That of cosines is left for later, since AdaCos does not know it yet.
    pub factor: F,
    /// (C,) where the head has one.
    pub bias: Option<&'a [F]>,
    /// (class, row) of the labelled rows, by class.
    pub targets: &'a [(usize, usize)],
}

impl<F> Batch<'_, F> {
    pub fn rows(&self) -> usize {
        self.operand.nrows()
    }

    pub fn dimension(&self) -> usize {
        self.operand.ncols()
    }

    /// The labelled rows whose class is in `classes`.
    pub fn targets_in(&self, classes: &Range<usize>) -> &[(usize, usize)] {
        let position = |class| self.targets.partition_point(|&(other, _)| other < class);
        &self.targets[position(classes.start)..position(classes.end)]
    }
}

/// At least `length` elements; what is there stays.
pub(super) fn grow<F: Real>(scratch: &mut Vec<F>, length: usize) {
    if scratch.len() < length {
        scratch.resize(length, F::zero());
    }
}
