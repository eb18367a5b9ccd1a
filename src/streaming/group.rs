//! What one task works on: a group of blocks, and its scratch memory.

use super::batch::Batch;
use super::block_products::Operands;
use super::blocks::Blocks;
use super::products::Products;
use super::screening::CodedBlock;
use super::unit_block::UnitBlock;
use super::visible::Entry;
use crate::Real;
use std::ops::Range;

/// A labelled row and its class, as the pass over its block finds them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<F> {
    pub row: usize,
    /// The block that the class is in.
    pub block: usize,
    /// The inner product with its class vector, with bias.
    pub score: F,
    /// How many classes of the block come before it.
    pub rank_in_block: usize,
}

/// A soft target of a class that is not the row's label, as the pass over its block finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoftScore<F> {
    pub row: usize,
    /// The nearest of the class's centres.
    pub column: usize,
    /// t
    pub probability: F,
    /// φ
    pub value: F,
    /// φ'
    pub slope: F,
}

/// What a task finds out about its group of blocks. The memory serves again in the next step.
#[derive(Debug, Default)]
pub(super) struct Group<F> {
    /// Its place among the groups.
    pub number: usize,
    pub unit: UnitBlock<F>,
    pub products: Products<F>,
    /// Of the block's products in mixed precision.
    pub operands: Operands,
    /// Of the block's class vectors.
    pub coded: CodedBlock,
    /// For each block and row, the largest inner product of the other classes, as the head changes it.
    pub maxima: Vec<F>,
    /// For each block and row, the sum of exponentials of the other classes' logits, relative to the largest, or of their losses, or what their losses share out
    /// to it.
    pub sums: Vec<F>,
    /// [`maxima`](Self::maxima) as they were before the head changed them; empty where it changes none.
    pub unchanged_maxima: Vec<F>,
    /// For each column of the group, `ln(1 + Σ_i exp(z_i))` over the rows of other classes, where class vectors are anchors.
    pub log_sums: Vec<F>,
    /// One row of a block, changed.
    pub changed: Vec<F>,
    pub targets: Vec<Target<F>>,
    pub soft_scores: Vec<SoftScore<F>>,
    /// For each row, the sum of the other classes' inner products, as the head changes them; where labels are smoothed.
    pub sums_of_products: Vec<F>,
    /// The shortest ‖w‖ where the head normalises class vectors, the longest where not.
    pub weight_length: f64,
    /// The first row with a logit too large for the precision.
    pub overflowed: Option<usize>,
    /// For each row, how many classes of other blocks come before its own; if it was asked for.
    pub before: Vec<usize>,
    /// The group's part of `(p - onehot(y)) w̃`, (B, D).
    pub d_features: Vec<F>,
    /// For each row, the group's part of `A Σ_j p_j φ_j` over the other classes; where the scale has a gradient.
    pub mean_products: Vec<F>,
    /// The group's part of the sum of derivatives by the logits of other classes; where there is a threshold.
    pub sum_of_residuals: F,
    /// The gradient of a block that is used up at once, (width, D).
    pub d_weights: Vec<F>,
    /// The residuals of a block that count, where few do.
    pub visible: Vec<Entry<F>>,
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
        let first = batch.blocks.columns_of(self.blocks(&batch.blocks).start).start;
        let columns = batch.blocks.columns_of(block);
        (columns.start - first) * batch.dimension()..(columns.end - first) * batch.dimension()
    }

    /// Where in `log_sums` the columns of a block are.
    pub fn columns_in_group(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let vectors = self.vectors_of(batch, block);
        vectors.start / batch.dimension()..vectors.end / batch.dimension()
    }

    /// Where in `maxima` and `sums` the rows of a block are.
    pub fn rows_of(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let place = block - self.number * batch.blocks.in_group();
        place * batch.rows()..(place + 1) * batch.rows()
    }
}
