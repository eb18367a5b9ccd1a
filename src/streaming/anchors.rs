//! Class vectors as anchors ([`Loss::Anchors`](crate::ops::Loss::Anchors)): sums down the columns of a block, which has them whole, so that nothing
//! is to be merged between blocks but what is shared out to the rows.

use super::batch::Batch;
use super::group::Group;
use super::merge::RowState;
use crate::Real;
use crate::ops::{anchor_loss, rows};

impl<F: Real> Group<F> {
    /// The sums down the columns of `block`, whose products are there, over rows of other classes; `sums` become what they share out to the rows.
    pub fn share_out(&mut self, batch: &Batch<F>, block: usize, scale: F) {
        let columns = self.columns_in_group(batch, block);
        let (mut largest, mut sums) = (vec![F::zero(); columns.len()], vec![F::zero(); columns.len()]);
        let is_labelled = |row: &usize| batch.objective.targets.class_of_row()[*row].is_some();
        for row in (0..batch.rows()).filter(is_labelled) {
            rows::raise(&mut largest, self.changed_row(batch, block, row), scale);
        }
        for row in (0..batch.rows()).filter(is_labelled) {
            rows::add_exp(&mut sums, self.changed_row(batch, block, row), scale, &largest);
        }
        let log_sums: Vec<_> =
            largest.iter().zip(&sums).map(|(&largest, &sum)| anchor_loss::log_sum(largest, sum)).collect();
        let shares: Vec<_> =
            log_sums.iter().zip(&sums).map(|(&log_sum, &sum)| anchor_loss::share(log_sum, sum)).collect();
        let table = self.rows_of(batch, block);
        for row in (0..batch.rows()).filter(is_labelled) {
            let row_of_block = self.changed_row(batch, block, row);
            self.sums[table.start + row] = rows::weighted_sum_of_exp(row_of_block, scale, &largest, &shares);
        }
        if self.log_sums.len() < columns.end {
            self.log_sums.resize(columns.end, F::zero());
        }
        self.log_sums[columns].copy_from_slice(&log_sums);
    }

    /// Turns the products of `block`, which are there, into the derivatives by them, but for those of labelled classes.
    pub fn exponentiate_columns(&mut self, batch: &Batch<F>, state: &RowState<F>, block: usize) {
        let width = batch.blocks.columns_of(block).len();
        let anchors = self.columns_in_group(batch, block);
        let has_scale = !self.mean_products.is_empty();
        for row in 0..batch.rows() {
            let products = &mut self.products.of(batch, block)[row * width..][..width];
            if state.factors[row] == F::zero() {
                products.fill(F::zero());
                continue;
            }
            let (rule, log_sums) = (batch.others_of(row), &self.log_sums[anchors.clone()]);
            let weighted_sum = rows::scaled_exp_down(rule, products, state.scale, log_sums, state.factors[row]);
            if has_scale {
                self.mean_products[row] += weighted_sum;
            }
        }
    }
}
