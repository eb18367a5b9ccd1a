//! The second pass: gradients, block by block.

use super::StreamingOptions;
use super::batch::{Batch, grow};
use super::blocks::Blocks;
use super::group::Group;
use super::merge::RowState;
use super::unit_block::matrix;
use super::visible::Visible;
use crate::Real;
use crate::heads::row::unit_row;
use crate::ops::{ClassLoss, Loss, rows};
use crate::optim::{MomentsMut, Optimizer};
use ndarray::CowArray;
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
pub(super) struct SecondPass<'a, F> {
    pub rows: &'a RowState<F>,
    /// What `Σ_i r_i x̃_i` is multiplied by, r the derivatives by the logits: s, α or 1, over the objective's divisor.
    pub factor: F,
    /// Blocks in which no row has more of its probability than this, times `steepest_others`, are left out.
    pub negligible_mass: Option<F>,
    /// No `|φ'|` of the batch is larger.
    pub steepest_others: F,
    pub wants_d_features: bool,
    pub d_scale: ScaleGradient,
    /// (D,) `Σ_i U_i x̃_i`, what is taken from every class; empty where no label is smoothed.
    pub uniform_features: Vec<F>,
}

/// How the gradient of a scale that is trained is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScaleGradient {
    NotWanted,
    /// From `Σ_j r_j φ_j` of each row, where there are rules: at a pole ψ' is so large that nothing is left of ψ in the gradient of features.
    FromProducts,
    /// From the gradient of features, `d_x̃·x̃ / s`: where there are no rules.
    FromFeatures,
}

impl<F: Real> Group<F> {
    /// The group's part of all gradients.
    pub fn differentiate(&mut self, batch: &Batch<F>, pass: &SecondPass<F>, mut vectors: ClassVectors<F>) {
        (self.gradient_norm, self.skipped, self.sum_of_residuals) = (0.0, 0, F::zero());
        let classes_of_group = batch.blocks.classes_of_group(self.number);
        self.d_bias.clear();
        self.d_bias.resize(if batch.bias.is_some() { classes_of_group.len() } else { 0 }, F::zero());
        self.mean_products.clear();
        let from_products = pass.d_scale == ScaleGradient::FromProducts;
        self.mean_products.resize(if from_products { batch.rows() } else { 0 }, F::zero());
        let mut d_weights_of_block = std::mem::take(&mut self.d_weights);
        // The last block of the first pass is still in the scratch memory.
        for block in self.blocks(&batch.blocks).rev() {
            let range = self.vectors_of(batch, block);
            match &mut vectors {
                ClassVectors::Given { weights, d_weights } => {
                    self.block(batch, pass, &weights[range.clone()], &mut d_weights[range], block);
                }
                ClassVectors::Updated { weights, moments, by } => {
                    grow(&mut d_weights_of_block, range.len());
                    let d_weights = &mut d_weights_of_block[..range.len()];
                    self.block(batch, pass, &weights[range.clone()], d_weights, block);
                    let moments = moments.part(range.clone());
                    by.optimizer.apply(&mut weights[range], d_weights, moments, by.step, by.learning_rate);
                }
            }
        }
        self.d_weights = d_weights_of_block;
    }

    fn block(&mut self, batch: &Batch<F>, pass: &SecondPass<F>, weights: &[F], d_weights: &mut [F], block: usize) {
        let columns = batch.blocks.columns_of(block);
        // What smoothing takes from each class is known without its product unless a rule or a choice of centres depends on that.
        let is_simple = !batch.objective.is_smoothed() || (batch.others.is_empty() && batch.blocks.centres() == 1);
        let may_leave_out = is_simple && pass.rows.soft_residuals_in(&columns).is_empty();
        let negligible_mass = pass.negligible_mass.filter(|_| may_leave_out);
        let visible =
            negligible_mass.map_or(Visible::Most, |mass| self.find_visible(batch, pass, weights, block, mass));
        let first = block + 1 == self.blocks(&batch.blocks).end;
        match visible {
            Visible::Most => self.whole_block(batch, pass, weights, d_weights, block, first),
            Visible::LabelsAlone | Visible::Few => self.entries_alone(batch, pass, weights, d_weights, block, first),
        }
        let negligible = visible == Visible::LabelsAlone;
        self.skipped += usize::from(negligible);
        let (dimension, divisor) = (batch.dimension(), batch.objective.divisor);
        for &(column, row) in batch.targets_in(&columns) {
            let d_weight_norm = pass.rows.d_weight_norms[row];
            if d_weight_norm != F::zero() {
                let place = column - columns.start;
                let (unit, _) =
                    unit_row("weights", matrix(weights, columns.len()), place).expect("checked in the first pass");
                let unit = unit.as_slice().expect("in one piece");
                rows::add_scaled(&mut d_weights[place * dimension..][..dimension], d_weight_norm / divisor, unit);
            }
        }
        if !(negligible && batch.targets_in(&columns).is_empty() && !batch.objective.is_smoothed()) {
            self.gradient_norm = self.gradient_norm.hypot(rows::norm(d_weights));
        }
    }

    fn whole_block(
        &mut self,
        batch: &Batch<F>,
        pass: &SecondPass<F>,
        weights: &[F],
        d_weights: &mut [F],
        block: usize,
        first: bool,
    ) {
        let columns = batch.blocks.columns_of(block);
        let state = pass.rows;
        self.bring_back(batch, weights, block);
        self.exponentiate(batch, state, block);
        let residual = self.products.of(batch, block);
        for &(column, row) in batch.targets_in(&columns) {
            residual[row * columns.len() + column - columns.start] = state.residuals[row];
        }
        for soft in state.soft_residuals_in(&columns) {
            residual[soft.row * columns.len() + soft.column - columns.start] -= soft.taken;
        }
        self.products.unmix_centres(batch, block);
        let class_vectors = self.unit.class_vectors(batch, weights, block).expect("checked in the first pass");
        let residual = self.products.of(batch, block);
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
        // Exactly, after the products.
        let labelled = if batch.mixed.is_some() { batch.targets_in(&columns) } else { &[] };
        for &(column, row) in labelled {
            let place = row * columns.len() + column - columns.start;
            batch.own_centres(row).for_each(|(centre, _)| residual[place + centre] = F::zero());
        }
        let dimension = batch.dimension();
        if pass.wants_d_features {
            grow(&mut self.d_features, batch.rows() * dimension);
            let d_features = &mut self.d_features[..batch.rows() * dimension];
            batch.multiply_d_features(&mut self.operands, residual, class_vectors, !first, d_features);
        }
        batch.multiply_d_weights(&mut self.operands, pass.factor, residual, d_weights);
        for &(column, row) in labelled {
            for (centre, share) in batch.own_centres(row) {
                let (place, residual) = (column + centre - columns.start, share * state.residuals[row]);
                let [x, vector] = [batch.features.row(row), class_vectors.row(place)];
                let [x, vector] = [x, vector].map(|row| row.to_slice().expect("in row-major order"));
                rows::add_scaled(&mut d_weights[place * dimension..][..dimension], pass.factor * residual, x);
                if pass.wants_d_features {
                    rows::add_scaled(&mut self.d_features[row * dimension..][..dimension], residual, vector);
                }
            }
        }
        self.unit.backward(batch, block, d_weights);
    }

    /// Turns the products of `block`, which are there, into the derivatives by them, but for those of labelled classes and soft targets.
    fn exponentiate(&mut self, batch: &Batch<F>, state: &RowState<F>, block: usize) {
        match batch.loss {
            Loss::Softmax | Loss::Nca => {}
            Loss::EachClass(loss) => return self.slopes_of_losses(loss, batch, state, block),
            Loss::Anchors => return self.exponentiate_columns(batch, state, block),
        }
        let width = batch.blocks.columns_of(block).len();
        let has_scale = !self.mean_products.is_empty();
        for row in 0..batch.rows() {
            let (shift, factor, uniform) = (state.shifts[row], state.factors[row], state.uniform[row]);
            if has_scale {
                let sum = rows::exp_weighted_sum(self.changed_row(batch, block, row), state.scale, shift);
                self.mean_products[row] += factor * sum;
            }
            let products = &mut self.products.of(batch, block)[row * width..][..width];
            let rule = batch.others_of(row);
            if uniform != F::zero() {
                grow(&mut self.changed, width);
                self.changed[..width].copy_from_slice(products);
            }
            match rule {
                Some(rule) => rows::scaled_exp_of(rule, products, state.scale, shift, factor),
                None => rows::scaled_exp(products, state.scale, shift, factor),
            }
            if uniform != F::zero() {
                rows::subtract_slopes(products, uniform, rule, &self.changed[..width]);
            }
        }
    }

    /// [`exponentiate`](Self::exponentiate) where each class has a loss of its own.
    fn slopes_of_losses(&mut self, loss: ClassLoss, batch: &Batch<F>, state: &RowState<F>, block: usize) {
        let width = batch.blocks.columns_of(block).len();
        let has_scale = !self.mean_products.is_empty();
        for row in 0..batch.rows() {
            let products = &mut self.products.of(batch, block)[row * width..][..width];
            let logit = (state.scale, batch.threshold);
            let rule = batch.others_of(row);
            let (sum, weighted_sum) = rows::slopes_of_losses(loss, rule, products, logit, state.factors[row]);
            self.sum_of_residuals += sum;
            if has_scale {
                self.mean_products[row] += weighted_sum;
            }
        }
    }
}

/// Adds up the groups' parts of `d_features`, and goes back through scale, mean, normalisation and norm. Returns the gradient of the scale, if
/// it is found here.
pub(super) fn merge_d_features<F: Real>(
    groups: &[Group<F>],
    batch: &Batch<F>,
    pass: &SecondPass<F>,
    scale: F,
    norms: &[F],
    d_features: &mut [F],
) -> Option<F> {
    let dimension = batch.dimension();
    let divisor = batch.objective.divisor;
    let for_scale = pass.d_scale == ScaleGradient::FromFeatures;
    // The gradient of the scale is that before it is multiplied by the scale.
    let factor = if for_scale { divisor.recip() } else { scale / divisor };
    let rows = d_features.par_chunks_mut(dimension).with_min_len(16).enumerate();
    let d_scales: Vec<F> = rows
        .map(|(row, gradient)| {
            let part = row * dimension..(row + 1) * dimension;
            gradient.fill(F::zero());
            for group in groups {
                rows::add_scaled(gradient, factor, &group.d_features[part.clone()]);
            }
            let x = batch.features.row(row).to_slice().expect("x̃ is in row-major order");
            let mut d_scale = F::zero();
            if for_scale {
                d_scale = rows::dot(gradient, x);
                rows::scale(gradient, scale);
            }
            if batch.geometry.normalizes_features() {
                rows::normalization_backward(gradient, x, norms[row]);
            }
            let d_norm = pass.rows.d_norms[row];
            if d_norm != F::zero() {
                let unit = match batch.geometry.normalizes_features() {
                    true => CowArray::from(batch.features.row(row)),
                    false => {
                        unit_row("features", batch.features, row).expect("rules are of rows with a direction").0.into()
                    }
                };
                rows::add_scaled(gradient, d_norm / divisor, unit.as_slice().expect("in one piece"));
            }
            d_scale
        })
        .collect();
    for_scale.then(|| d_scales.into_iter().sum())
}

/// The gradient of a threshold.
pub(super) fn d_threshold<F: Real>(groups: &[Group<F>], state: &RowState<F>, divisor: F) -> F {
    let of_others: F = groups.iter().map(|group| group.sum_of_residuals).sum();
    (state.d_threshold - of_others) / divisor
}

/// The gradient of a scale from the rows' products.
pub(super) fn d_scale_from_products<F: Real>(groups: &[Group<F>], state: &RowState<F>, divisor: F) -> F {
    let of_others: F = groups.iter().flat_map(|group| &group.mean_products).copied().sum();
    (of_others + state.d_scales.iter().copied().sum()) / divisor
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
