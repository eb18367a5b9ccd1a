//! What one task works on: a group of blocks, and its scratch memory.

use super::blocks::Blocks;
use super::products::Products;
use super::unit_block::UnitBlock;
use crate::Real;
use crate::heads::{Margin, Normalizes};
use crate::ops::Angle;
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

/// A labelled row and its class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<F> {
    pub row: usize,
    /// The block that the class is in.
    pub block: usize,
    /// The inner product with its class vector, with bias.
    pub score: F,
    /// How many classes of the block come before it.
    pub rank_in_block: usize,
    /// `None` if the feature or the class vector has no direction.
    pub angle: Option<Angle<F>>,
}

impl<F: Real> Target<F> {
    /// Its inner product in place of a margin function.
    pub fn without_margin(&self) -> Margin<F> {
        Margin { value: self.score, slope: F::one() }
    }
}

/// What a task finds out about its group of blocks. The memory serves again in the next step.
#[derive(Debug, Default)]
pub(super) struct Group<F> {
    /// Its place among the groups.
    pub number: usize,
    pub unit: UnitBlock<F>,
    pub products: Products<F>,
    /// For each block and row, the largest inner product of the other classes.
    pub maxima: Vec<F>,
    /// For each block and row, the sum of exponentials of the other classes' logits, relative to the largest.
    pub sums: Vec<F>,
    pub targets: Vec<Target<F>>,
    /// For each row, how many classes of other blocks come before its own; if it was asked for.
    pub before: Vec<usize>,
    /// The group's part of `(p - onehot(y)) w̃`, (B, D).
    pub d_features: Vec<F>,
    /// The gradient of a block that is used up at once, (width, D).
    pub d_weights: Vec<F>,
    /// The sum of `p - onehot(y)` over rows for each class of the group.
    pub d_bias: Vec<F>,
    /// `‖d_weights‖²` of the group's classes.
    pub squared_norm: f64,
    /// Blocks that the filter left out of the gradients.
    pub skipped: usize,
}

impl<F: Real> Group<F> {
    /// The blocks of the group.
    pub fn blocks(&self, blocks: &Blocks) -> Range<usize> {
        self.number * blocks.in_group()..(self.number + 1) * blocks.in_group()
    }

    /// The class vectors of a block among those of the group, as elements in row-major order.
    pub fn vectors_of(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let first = batch.blocks.classes_of_group(self.number).start;
        let classes = batch.blocks.classes_of(block);
        (classes.start - first) * batch.dimension()..(classes.end - first) * batch.dimension()
    }

    /// Where in `maxima` and `sums` the rows of a block are.
    pub fn rows_of(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let place = block - self.number * batch.blocks.in_group();
        place * batch.rows()..(place + 1) * batch.rows()
    }
}

/// At least `length` elements; what is there stays.
pub(super) fn grow<F: Real>(scratch: &mut Vec<F>, length: usize) {
    if scratch.len() < length {
        scratch.resize(length, F::zero());
    }
}
