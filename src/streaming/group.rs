//! What one task works on: a group of blocks, and its scratch memory.

use super::batch::Batch;
use super::blocks::Blocks;
use super::products::Products;
use super::unit_block::UnitBlock;
use crate::Real;
use crate::heads::Margin;
use crate::ops::Angle;
use std::ops::Range;

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
    /// The shortest ‖w‖ where the head normalises class vectors, the longest where not.
    pub weight_length: f64,
    /// The first row with a logit too large for the precision.
    pub overflowed: Option<usize>,
    /// For each row, how many classes of other blocks come before its own; if it was asked for.
    pub before: Vec<usize>,
    /// The group's part of `(p - onehot(y)) w̃`, (B, D).
    pub d_features: Vec<F>,
    /// The gradient of a block that is used up at once, (width, D).
    pub d_weights: Vec<F>,
    /// The sum of `p - onehot(y)` over rows for each class of the group.
    pub d_bias: Vec<F>,
    /// ‖d_weights‖ of the group's classes.
    pub gradient_norm: f64,
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
