//! The second pass: gradients, block by block.

use super::StreamingOptions;
use super::batch::{Batch, grow};
use super::blocks::Blocks;
use super::group::Group;
use super::scores::RowState;
use crate::Real;
use crate::ops::{OthersRule, rows};
use crate::optim::{MomentsMut, Optimizer};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

/// A group's class vectors, and what becomes of their gradient.
pub(super) enum ClassVectors<'a, F> {
    /// The gradient is wanted.
    Given { weights: &'a [F], d_weights: &'a mut [F] },
    /// The optimizer takes it at once, while it is in cache.
    Updated { weights: &'a mut [F], moments: MomentsMut<'a, F>, by: WeightUpdate },
}

impl<'a, F> ClassVectors<'a, F> {
    pub fn weights(&self) -> &[F] {
        match self {
            Self::Given { weights, .. } => weights,
            Self::Updated { weights, .. } => weights,
        }
    }

    /// The parts of the groups.
    pub fn split(self, blocks: &Blocks, dimension: usize) -> Vec<Self> {
        match self {
            Self::Given { weights, d_weights } => {
                let d_weights = blocks.split_mut(d_weights, dimension);
                let parts = blocks.split(weights, dimension).into_iter().zip(d_weights);
                parts.map(|(weights, d_weights)| Self::Given { weights, d_weights }).collect()
            }
            Self::Updated { weights, moments, by } => {
                let [weights, first, second] =
                    [weights, moments.first, moments.second].map(|whole| blocks.split_mut(whole, dimension));
                let moments = first.into_iter().zip(second).map(|(first, second)| MomentsMut { first, second });
                weights
                    .into_iter()
                    .zip(moments)
                    .map(|(weights, moments)| Self::Updated { weights, moments, by })
                    .collect()
            }
        }
    }
}

/// An optimizer's step on class vectors, checked.
#[derive(Clone, Copy)]
pub(super) struct WeightUpdate {
    pub optimizer: Optimizer,
    pub step: u64,
    pub learning_rate: f64,
}

/// What the second pass is to do.
pub(super) struct Task<'a, F> {
    pub rows: &'a RowState<F>,
    /// What `Σ_i (p - onehot(y))_i x̃_i` is multiplied by: s, α or 1, over the number of labelled rows.
    pub factor: F,
    /// Blocks in which no row has more of its probability than this, times `steepest_others`, are left out.
    pub negligible_mass: Option<F>,
    /// No `|φ'|` of the batch is larger.
    pub steepest_others: F,
    pub wants_d_features: bool,
    /// Needs those of features, too.
    pub wants_d_scale: bool,
}

impl<F: Real> Group<F> {
    /// The group's part of all gradients.
    pub fn differentiate(&mut self, batch: &Batch<F>, task: &Task<F>, mut vectors: ClassVectors<F>) {
        (self.gradient_norm, self.skipped) = (0.0, 0);
        let classes_of_group = batch.blocks.classes_of_group(self.number);
        self.d_bias.clear();
        self.d_bias.resize(if batch.bias.is_some() { classes_of_group.len() } else { 0 }, F::zero());
        self.beside_products.clear();
        let changes_scale = task.wants_d_scale && !batch.others.is_empty();
        self.beside_products.resize(if changes_scale { batch.rows() } else { 0 }, F::zero());
        let mut d_weights_of_block = std::mem::take(&mut self.d_weights);
        // The last block of the first pass is still in the scratch memory.
        for block in self.blocks(&batch.blocks).rev() {
            let range = self.vectors_of(batch, block);
            match &mut vectors {
                ClassVectors::Given { weights, d_weights } => {
                    self.block(batch, task, &weights[range.clone()], &mut d_weights[range], block);
                }
                ClassVectors::Updated { weights, moments, by } => {
                    grow(&mut d_weights_of_block, range.len());
                    let d_weights = &mut d_weights_of_block[..range.len()];
                    self.block(batch, task, &weights[range.clone()], d_weights, block);
                    let moments = moments.part(range.clone());
                    by.optimizer.apply(&mut weights[range], d_weights, moments, by.step, by.learning_rate);
                }
            }
        }
        self.d_weights = d_weights_of_block;
    }

    fn block(&mut self, batch: &Batch<F>, task: &Task<F>, weights: &[F], d_weights: &mut [F], block: usize) {
        let table = self.rows_of(batch, block);
        let mass = || task.rows.largest_mass(&self.maxima[table.clone()], &self.sums[table]) * task.steepest_others;
        let negligible = task.negligible_mass.is_some_and(|negligible| mass() < negligible);
        let first = block + 1 == self.blocks(&batch.blocks).end;
        if negligible {
            self.targets_alone(batch, task, weights, d_weights, block, first);
            self.skipped += 1;
        } else {
            self.whole_block(batch, task, weights, d_weights, block, first);
        }
        if !(negligible && batch.targets_in(&batch.blocks.columns_of(block)).is_empty()) {
            self.gradient_norm = self.gradient_norm.hypot(rows::norm(d_weights));
        }
    }

    fn whole_block(
        &mut self,
        batch: &Batch<F>,
        task: &Task<F>,
        weights: &[F],
        d_weights: &mut [F],
        block: usize,
        first: bool,
    ) {
        let columns = batch.blocks.columns_of(block);
        let state = task.rows;
        if !self.products.has(batch, block) {
            self.compute_again(batch, weights, block);
        }
        let operand = self.unit.operand(batch, weights, block).expect("checked in the first pass");
        let residual = self.products.of(batch, block);
        for (row, products) in residual.chunks_exact_mut(columns.len()).enumerate() {
            let (shift, factor) = (state.shifts[row], state.factors[row]);
            match batch.others_of(row) {
                Some(rule) => {
                    if let Some(beside) = self.beside_products.get_mut(row) {
                        *beside += beside_products(rule, products, state.scale, shift, factor);
                    }
                    rows::scaled_exp_of(rule, products, state.scale, shift, factor);
                }
                None => rows::scaled_exp(products, state.scale, shift, factor),
            }
        }
        for &(column, row) in batch.targets_in(&columns) {
            residual[row * columns.len() + column - columns.start] = state.residuals[row];
        }
        if !self.d_bias.is_empty() {
            let classes = batch.blocks.classes_of(block);
            let start = classes.start - batch.blocks.classes_of_group(self.number).start;
            let (d_bias, centres) = (&mut self.d_bias[start..][..classes.len()], batch.blocks.centres());
            for row in residual.chunks_exact(columns.len()) {
                match centres {
                    1 => rows::add(d_bias, row),
                    _ => row.iter().enumerate().for_each(|(column, &residual)| d_bias[column / centres] += residual),
                }
            }
        }
        let residual = ArrayView2::from_shape((batch.rows(), columns.len()), residual).expect("the size of the block");
        if task.wants_d_features {
            let shape = (batch.rows(), batch.dimension());
            grow(&mut self.d_features, shape.0 * shape.1);
            let d_features = &mut self.d_features[..shape.0 * shape.1];
            let d_features = ArrayViewMut2::from_shape(shape, d_features).expect("as many elements as features");
            F::product(F::one(), residual, operand, !first, d_features);
        }
        let shape = (columns.len(), batch.dimension());
        let view = ArrayViewMut2::from_shape(shape, &mut *d_weights).expect("as many elements as the block's weights");
        F::product(task.factor, residual.t(), batch.operand, false, view);
        self.unit.backward(batch, block, d_weights);
    }

    /// What remains of a block whose other probabilities are negligible: the residuals of the labelled classes.
    fn targets_alone(
        &mut self,
        batch: &Batch<F>,
        task: &Task<F>,
        weights: &[F],
        d_weights: &mut [F],
        block: usize,
        first: bool,
    ) {
        let columns = batch.blocks.columns_of(block);
        let dimension = batch.dimension();
        d_weights.fill(F::zero());
        if task.wants_d_features && first {
            grow(&mut self.d_features, batch.rows() * dimension);
            self.d_features[..batch.rows() * dimension].fill(F::zero());
        }
        for same_column in batch.targets_in(&columns).chunk_by(|(column, _), (other, _)| column == other) {
            let column = same_column[0].0;
            let range = (column - columns.start) * dimension..(column - columns.start + 1) * dimension;
            let (vector, norm) = self.unit.operand_of_column(batch, &weights[range.clone()], block, column);
            let class = column / batch.blocks.centres();
            for &(_, row) in same_column {
                let residual = task.rows.residuals[row];
                let x = batch.operand.row(row);
                let x = x.to_slice().expect("x̃ is in row-major order");
                rows::add_scaled(&mut d_weights[range.clone()], task.factor * residual, x);
                if task.wants_d_features {
                    rows::add_scaled(&mut self.d_features[row * dimension..][..dimension], residual, vector);
                }
                if let Some(d_bias) = self.d_bias.get_mut(class - batch.blocks.classes_of_group(self.number).start) {
                    *d_bias += residual;
                }
            }
            if batch.geometry.normalizes_weights() {
                rows::normalization_backward(&mut d_weights[range], vector, norm);
            }
        }
    }
}

/// `Σ_j p_j (φ_j - φ'_j c_j)` over the classes that the rule changes, from their inner products.
fn beside_products<F: Real>(rule: OthersRule<F>, products: &[F], scale: F, shift: F, factor: F) -> F {
    let changed = products.iter().copied().filter(|&product| product > rule.threshold);
    let beside = changed.map(|product| {
        let value = rule.value_at(product);
        (scale * value - shift).exp() * (value - rule.slope_at(product) * product)
    });
    factor * beside.sum()
}

/// Adds up the groups' parts of `d_features`, and goes back through scale, mean, normalisation and norm. Returns the gradient of the scale, if
/// it is wanted.
pub(super) fn merge_d_features<F: Real>(
    groups: &[Group<F>],
    batch: &Batch<F>,
    task: &Task<F>,
    scale: F,
    labelled: F,
    norms: &[F],
    d_features: &mut [F],
) -> Option<F> {
    let dimension = batch.dimension();
    // The gradient of the scale is that before it is multiplied by the scale.
    let factor = if task.wants_d_scale { labelled.recip() } else { scale / labelled };
    let rows = d_features.par_chunks_mut(dimension).with_min_len(16).enumerate();
    let d_scales: Vec<F> = rows
        .map(|(row, gradient)| {
            let part = row * dimension..(row + 1) * dimension;
            gradient.fill(F::zero());
            for group in groups {
                rows::add_scaled(gradient, factor, &group.d_features[part.clone()]);
            }
            let x = batch.operand.row(row).to_slice().expect("x̃ is in row-major order");
            let mut d_scale = F::zero();
            if task.wants_d_scale {
                let of_others: F = groups.iter().filter_map(|group| group.beside_products.get(row).copied()).sum();
                d_scale = rows::dot(gradient, x) + (task.rows.beside_products[row] + of_others) / labelled;
                rows::scale(gradient, scale);
            }
            if batch.geometry.normalizes_features() {
                rows::normalization_backward(gradient, x, norms[row]);
            }
            let d_norm = task.rows.d_norms[row];
            if d_norm != F::zero() {
                rows::add_scaled(gradient, d_norm / labelled, x);
            }
            d_scale
        })
        .collect();
    task.wants_d_scale.then(|| d_scales.into_iter().sum())
}

impl StreamingOptions {
    /// The mass below which one of so many blocks is left out.
    pub(super) fn negligible_mass<F: Real>(&self, blocks: usize) -> Option<F> {
        match self.filter {
            super::GradientFilter::Off => None,
            super::GradientFilter::Mass(mass) => Some(F::of(mass / blocks as f64)),
        }
    }
}
