//! Blocks of which the gradient filter leaves little: none of the other classes, or a few entries.

use super::batch::{Batch, grow};
use super::gradients::SecondPass;
use super::group::Group;
use crate::Real;
use crate::ops::{Loss, rows};

/// One residual in so many makes a block's products, which are dense, as fast as the products of the visible residuals.
const DENSE: usize = 64;

/// What of a block's residuals counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    /// Those of the labelled classes.
    LabelsAlone,
    /// Those of the labelled classes and a few others.
    Few,
    /// So many that all may count.
    Most,
}

/// A residual that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<F> {
    pub column: usize,
    pub row: usize,
    pub residual: F,
}

impl<F: Real> Group<F> {
    /// Finds what of a block counts if each row may lose `negligible_mass` of its probability there, and leaves it in `visible`, by column. What is left out of a row
    /// that has more in the block are elements that do not have as much together.
    pub fn find_visible(
        &mut self,
        batch: &Batch<F>,
        pass: &SecondPass<F>,
        weights: &[F],
        block: usize,
        negligible_mass: F,
    ) -> Visible {
        let (columns, table) = (batch.blocks.columns_of(block), self.rows_of(batch, block));
        self.visible.clear();
        let (maxima, sums) = (&self.maxima[table.clone()], &self.sums[table]);
        let masses = pass.rows.masses(batch.loss, columns.len(), maxima, sums);
        // NaN where a row has no other class in the block.
        let counting = masses.enumerate().filter(|&(_, mass)| mass * pass.steepest_others >= negligible_mass);
        let counting: Vec<_> = counting.map(|(row, _)| row).collect();
        let labelled = batch.targets_in(&columns);
        for &(column, row) in labelled {
            // What smoothing takes from every class was taken from this one, too.
            let residual = pass.rows.residuals[row] + pass.rows.uniform[row];
            let entries = batch.own_centres(row);
            self.visible.extend(entries.map(|(centre, share)| Entry {
                column: column + centre,
                row,
                residual: share * residual,
            }));
        }
        let labelled = self.visible.len();
        self.visible.sort_unstable_by_key(|entry| (entry.column, entry.row));
        if counting.is_empty() {
            return Visible::LabelsAlone;
        }
        let is_softmax = matches!(batch.loss, Loss::Softmax | Loss::Nca);
        let is_plain = batch.others.is_empty() && batch.centre_temperature.is_none() && !batch.objective.is_smoothed();
        if !is_softmax || !is_plain {
            return Visible::Most;
        }
        self.bring_back(batch, weights, block);
        let most = batch.rows() * columns.len() / DENSE;
        // Half of it leaves room for rounding.
        let negligible = negligible_mass / F::of(2.0 * columns.len() as f64);
        let (scale, products) = (pass.rows.scale, self.products.of(batch, block));
        grow(&mut self.changed, columns.len());
        let thresholds = &mut self.changed[..columns.len()];
        for row in counting {
            let (shift, factor) = (pass.rows.shifts[row], pass.rows.factors[row]);
            thresholds.fill((shift + (negligible / factor.abs()).ln()) / scale);
            let products = &products[row * columns.len()..][..columns.len()];
            rows::for_each_reaching(products, thresholds, |place| {
                let residual = factor * (scale * products[place] - shift).exp();
                self.visible.push(Entry { column: columns.start + place, row, residual });
            });
            if self.visible.len() > most {
                return Visible::Most;
            }
        }
        if !self.mean_products.is_empty() {
            for &Entry { column, row, residual } in &self.visible[labelled..] {
                self.mean_products[row] += residual * products[row * columns.len() + column - columns.start];
            }
        }
        self.visible.sort_unstable_by_key(|entry| (entry.column, entry.row));
        Visible::Few
    }

    /// The gradients of a block from the residuals that [`find_visible`](Self::find_visible) has found, and what smoothing takes.
    pub fn entries_alone(
        &mut self,
        batch: &Batch<F>,
        pass: &SecondPass<F>,
        weights: &[F],
        d_weights: &mut [F],
        block: usize,
        first: bool,
    ) {
        let columns = batch.blocks.columns_of(block);
        let dimension = batch.dimension();
        d_weights.fill(F::zero());
        if pass.wants_d_features && first {
            grow(&mut self.d_features, batch.rows() * dimension);
            self.d_features[..batch.rows() * dimension].fill(F::zero());
        }
        if batch.objective.is_smoothed() {
            self.smoothing_alone(batch, pass, weights, d_weights, block);
        }
        for of_column in self.visible.chunk_by(|entry, other| entry.column == other.column) {
            let column = of_column[0].column;
            let range = (column - columns.start) * dimension..(column - columns.start + 1) * dimension;
            let (vector, norm) = self.unit.operand_of_column(batch, &weights[range.clone()], block, column);
            let class = column / batch.blocks.centres();
            for &Entry { row, residual, .. } in of_column {
                let x = batch.features.row(row);
                let x = x.to_slice().expect("x̃ is in row-major order");
                rows::add_scaled(&mut d_weights[range.clone()], pass.factor * residual, x);
                if pass.wants_d_features {
                    rows::add_scaled(&mut self.d_features[row * dimension..][..dimension], residual, vector);
                }
                if let Some(d_bias) = self.d_bias.get_mut(class - batch.blocks.classes_of_group(self.number).start) {
                    *d_bias += residual;
                }
            }
            // Through the normalisation all together where smoothing reaches all.
            if batch.geometry.normalizes_weights() && !batch.objective.is_smoothed() {
                rows::normalization_backward(&mut d_weights[range], vector, norm);
            }
        }
        if batch.objective.is_smoothed() {
            self.unit.class_vectors(batch, weights, block).expect("checked in the first pass");
            self.unit.backward(batch, block, d_weights);
        }
    }

    /// Takes `U_i` from every class of a block: `-U_i Σ_j w̃_j` from the gradient of each row, `-Σ_i U_i x̃_i` from that of each class.
    fn smoothing_alone(
        &mut self,
        batch: &Batch<F>,
        pass: &SecondPass<F>,
        weights: &[F],
        d_weights: &mut [F],
        block: usize,
    ) {
        let dimension = batch.dimension();
        if pass.wants_d_features {
            let class_vectors = self.unit.class_vectors(batch, weights, block).expect("checked in the first pass");
            let mut sum = vec![F::zero(); dimension];
            class_vectors
                .rows()
                .into_iter()
                .for_each(|vector| rows::add(&mut sum, vector.to_slice().expect("in row-major order")));
            for (gradient, &uniform) in self.d_features.chunks_exact_mut(dimension).zip(&pass.rows.uniform) {
                rows::add_scaled(gradient, -uniform, &sum);
            }
        }
        for gradient in d_weights.chunks_exact_mut(dimension) {
            rows::add_scaled(gradient, -pass.factor, &pass.uniform_features);
        }
        if !self.d_bias.is_empty() {
            let classes = batch.blocks.classes_of(block);
            let start = classes.start - batch.blocks.classes_of_group(self.number).start;
            let taken: F = pass.rows.uniform.iter().copied().sum();
            self.d_bias[start..][..classes.len()].iter_mut().for_each(|d_bias| *d_bias -= taken);
        }
    }
}
