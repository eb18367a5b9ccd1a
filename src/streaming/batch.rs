//! What every task of a step is given.

use super::block_products::Mixed;
use super::blocks::Blocks;
use super::screening::Screening;
use crate::Real;
use crate::heads::Geometry;
use crate::ops::checked_objective::{CheckedObjective, SoftTarget};
use crate::ops::{Loss, OthersRule};
use ndarray::ArrayView2;
use std::ops::Range;

/// The inputs of a step, as all tasks see them.
pub(super) struct Batch<'a, F> {
    pub blocks: Blocks,
    /// With which a class's centres are mixed; without one the nearest counts.
    pub centre_temperature: Option<F>,
    /// x̃ (B, D), in row-major order.
    pub features: ArrayView2<'a, F>,
    pub geometry: Geometry,
    pub loss: Loss,
    /// What is subtracted from every logit.
    pub threshold: F,
    /// What inner products are multiplied by before the bias is added: α. That of cosines is left for later, since it may follow from them.
    pub alpha: F,
    /// (C,) where the head has one.
    pub bias: Option<&'a [F]>,
    /// No row of x̃ is longer.
    pub longest_feature: f64,
    /// No element of the bias is larger.
    pub largest_bias: f64,
    /// (column, row) of the labelled rows, by column: the nearest of their class's centres, or the first where they are mixed.
    pub targets: &'a [(usize, usize)],
    /// (B, K) the derivatives of labelled classes' mixtures by their centres, exactly; empty where none are mixed.
    pub slopes_of_own_centres: &'a [F],
    /// What changes the other classes' cosines in each row; empty where nothing does in any.
    pub others: &'a [Option<OthersRule<F>>],
    pub objective: &'a CheckedObjective<F>,
    /// By class.
    pub soft_targets: &'a [SoftTarget<F>],
    /// In mixed precision alone.
    pub mixed: Option<Mixed<'a, F>>,
    /// Where blocks without a visible probability may be told by it.
    pub screening: Option<Screening<'a, F>>,
}

impl<F: Real> Batch<'_, F> {
    /// Whether inner products with class vectors of this length, and what is added up for them, can be held.
    pub fn holds_products(&self, longest_vector: f64) -> bool {
        let bound = self.alpha.to_double().max(1.0) * self.longest_feature * longest_vector + self.largest_bias;
        // Half of what there is: no sum is rounded by as much.
        bound <= F::max_value().to_double() / 2.0
    }

    pub fn rows(&self) -> usize {
        self.features.nrows()
    }

    pub fn dimension(&self) -> usize {
        self.features.ncols()
    }

    /// The labelled rows whose column is in `columns`.
    pub fn targets_in(&self, columns: &Range<usize>) -> &[(usize, usize)] {
        let position = |column| self.targets.partition_point(|&(other, _)| other < column);
        &self.targets[position(columns.start)..position(columns.end)]
    }

    /// The soft targets of `classes`.
    pub fn soft_targets_in(&self, classes: &Range<usize>) -> &[SoftTarget<F>] {
        let position = |class| self.soft_targets.partition_point(|soft| soft.class < class);
        &self.soft_targets[position(classes.start)..position(classes.end)]
    }

    /// The centres among which the gradient of a labelled row goes to its class, counted from the column of its target, each with its share.
    pub fn own_centres(&self, row: usize) -> impl Iterator<Item = (usize, F)> {
        let centres = self.blocks.centres();
        let slopes = self.slopes_of_own_centres.get(row * centres..(row + 1) * centres);
        let nearest = slopes.is_none().then_some(F::one());
        slopes.unwrap_or_default().iter().copied().chain(nearest).enumerate()
    }

    /// What changes the other classes' cosines in this row.
    pub fn others_of(&self, row: usize) -> Option<OthersRule<F>> {
        self.others.get(row).copied().flatten()
    }
}

/// At least `length` elements; what is there stays.
pub(super) fn grow<F: Real>(scratch: &mut Vec<F>, length: usize) {
    if scratch.len() < length {
        scratch.resize(length, F::zero());
    }
}
