//! The first pass: products, maxima and sums of every block.

use super::batch::{Batch, grow};
use super::group::{Group, SoftScore, Target};
use super::screening::Tried;
use crate::heads::scale;
use crate::metrics::accuracy;
use crate::ops::l2_normalize::longest_row;
use crate::ops::{Loss, OthersRule, rows};
use crate::{Real, Result};
use ndarray::ArrayView1;

/// The class that a row is labelled with, for counting those that come before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnClass<F> {
    pub block: usize,
    /// Its inner product, with bias; infinite in rows without a label.
    pub score: F,
}

/// What the sums of exponentials are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sums {
    /// The logits, as the head changes them.
    OfLogits,
    /// The inner products as they are, which a scale follows from; [`sum_again`](Group::sum_again) comes after.
    OfProducts,
}

impl<F: Real> Group<F> {
    /// Finds maxima, sums at `scale`, and targets of every block; with `own`, how many classes come before the row's
    /// own, too. `weights` are the group's, in row-major order.
    ///
    /// # Errors
    /// NaN, infinity, a class vector without direction.
    pub fn score(
        &mut self,
        batch: &Batch<F>,
        weights: &[F],
        scale: F,
        sums: Sums,
        own: Option<&[OwnClass<F>]>,
    ) -> Result<()> {
        self.before.clear();
        self.before.resize(own.map_or(0, <[_]>::len), 0);
        self.maxima.clear();
        self.unchanged_maxima.clear();
        self.sums.clear();
        self.targets.clear();
        self.soft_scores.clear();
        self.sums_of_products.clear();
        self.sums_of_products.resize(if batch.objective.is_smoothed() { batch.rows() } else { 0 }, F::zero());
        (self.weight_length, self.overflowed) = (0.0, None);
        let mut tried = Tried::default();
        for block in self.blocks(&batch.blocks) {
            let weights = &weights[self.vectors_of(batch, block)];
            let columns = batch.blocks.columns_of(block);
            let class_vectors = self.unit.class_vectors(batch, weights, block)?;
            let longest = match batch.geometry.normalizes_weights() {
                true => 1.0,
                false => longest_row("weights", columns.start, class_vectors)?,
            };
            batch.check_vectors(columns.start, class_vectors, longest)?;
            self.weight_length = self.weight_length.max(longest);
            if let Some(maxima) = batch.screening.as_ref().and_then(|screening| {
                let (coded, scratch) = (&mut self.coded, &mut self.changed);
                screening.maxima_if_negligible(batch, block, class_vectors, coded, scratch, &mut tried)
            }) {
                self.maxima.extend(maxima);
                self.sums.resize(self.maxima.len(), F::zero());
                let targets = batch.targets_in(&columns).iter();
                let target = |&(_, row)| Target { row, block, score: batch.exact_own_product(row), rank_in_block: 0 };
                self.targets.extend(targets.map(target));
                continue;
            }
            let products = self.products.compute(batch, block, class_vectors, &mut self.operands);
            if !batch.holds_products(longest) {
                let overflowed = products.chunks_exact(columns.len()).position(|row| !rows::all_finite(row));
                self.overflowed = [self.overflowed, overflowed].into_iter().flatten().min();
            }
            let products = self.products.choose_centres(batch, block);
            batch.put_own_products(block, products);
            for &(column, row) in batch.targets_in(&columns) {
                let products = &products[row * columns.len()..][..columns.len()];
                let (place, score) = own_product(batch, products, column - columns.start);
                let rank_in_block = accuracy::rank(ArrayView1::from(products), place);
                self.targets.push(Target { row, block, score, rank_in_block });
            }
            mask_targets(batch, block, products);
            for soft in batch.soft_targets_in(&batch.blocks.classes_of(block)) {
                let products = &products[soft.row * columns.len()..][..columns.len()];
                let (place, product) =
                    own_product(batch, products, soft.class * batch.blocks.centres() - columns.start);
                let (value, slope) = match batch.others_of(soft.row) {
                    Some(rule) => (rule.value_at(product), rule.slope_at(product)),
                    None => (product, F::one()),
                };
                let (row, column) = (soft.row, columns.start + place);
                self.soft_scores.push(SoftScore { row, column, probability: soft.probability, value, slope });
            }
            let rows = products.chunks_exact(columns.len());
            for ((row, own), before) in rows.zip(own.unwrap_or_default()).zip(&mut self.before) {
                if own.block != block {
                    // Of equal classes the one with the lower index comes first.
                    *before += rows::count_above(row, own.score, block < own.block);
                }
            }
            let width = columns.len();
            for row in 0..batch.rows() {
                let products = &self.products.of(batch, block)[row * width..][..width];
                let (changed, maxima) = changed(batch.others_of(row), products, &mut self.changed);
                let (unchanged_maximum, maximum) = maxima.unwrap_or_else(|| {
                    let maximum = rows::maximum(products);
                    (maximum, maximum)
                });
                if !batch.others.is_empty() {
                    self.unchanged_maxima.push(unchanged_maximum);
                }
                let sum = match sums {
                    Sums::OfLogits => sum_of_logits(batch, changed, scale, maximum),
                    Sums::OfProducts => sum_of_exp(products, scale, unchanged_maximum),
                };
                let sum_of_products =
                    if batch.objective.is_smoothed() { rows::sum_of_finite(changed) } else { F::zero() };
                if let Some(sum) = self.sums_of_products.get_mut(row) {
                    *sum += sum_of_products;
                }
                self.maxima.push(maximum);
                self.sums.push(sum);
            }
            if batch.loss == Loss::Anchors && sums == Sums::OfLogits {
                self.share_out(batch, block, scale);
            }
        }
        if batch.geometry.normalizes_weights() {
            self.weight_length = self.unit.shortest();
        }
        Ok(())
    }

    /// A row of the products of `block`, which are there, as the head changes it.
    pub fn changed_row(&mut self, batch: &Batch<F>, block: usize, row: usize) -> &[F] {
        let width = batch.blocks.columns_of(block).len();
        let products = &self.products.of(batch, block)[row * width..][..width];
        changed(batch.others_of(row), products, &mut self.changed).0
    }

    /// Finds the sums once more, at another scale.
    pub fn sum_again(&mut self, batch: &Batch<F>, weights: &[F], scale: F) {
        for block in self.blocks(&batch.blocks).rev() {
            self.bring_back(batch, &weights[self.vectors_of(batch, block)], block);
            if batch.loss == Loss::Anchors {
                self.share_out(batch, block, scale);
                continue;
            }
            let table = self.rows_of(batch, block);
            for row in 0..batch.rows() {
                let maximum = self.maxima[table.start + row];
                self.sums[table.start + row] =
                    sum_of_logits(batch, self.changed_row(batch, block, row), scale, maximum);
            }
        }
    }

    /// Has the products of a block at hand that was scored before; the labelled classes are left out. `weights` are those of the block.
    pub fn bring_back(&mut self, batch: &Batch<F>, weights: &[F], block: usize) {
        if self.products.are_at_hand(batch, block) {
            return;
        }
        let products = match self.products.has(batch, block) {
            true => self.products.restore(batch, block),
            false => {
                let class_vectors = self.unit.class_vectors(batch, weights, block).expect("checked in the first pass");
                self.products.compute(batch, block, class_vectors, &mut self.operands);
                self.products.choose_centres(batch, block)
            }
        };
        mask_targets(batch, block, products);
    }
}

/// A row of products as `rule` changes them, in `scratch`, with the maxima before and after; as they are without one.
fn changed<'a, F: Real>(
    rule: Option<OthersRule<F>>,
    products: &'a [F],
    scratch: &'a mut Vec<F>,
) -> (&'a [F], Option<(F, F)>) {
    let Some(rule) = rule else { return (products, None) };
    grow(scratch, products.len());
    let scratch = &mut scratch[..products.len()];
    let maxima = rows::apply_into(rule, products, scratch);
    (scratch, Some(maxima))
}

/// Where in a row of a block the nearest centre of a labelled class is, or the mixture of all, and its product. By another order of additions, `column` may be
/// one that is as near but for rounding.
fn own_product<F: Real>(batch: &Batch<F>, products: &[F], column: usize) -> (usize, F) {
    let centres = batch.blocks.centres();
    let of_class = column - column % centres..column - column % centres + centres;
    let place = of_class.clone().find(|&place| products[place] > F::neg_infinity()).unwrap_or(column);
    (place, products[place])
}

/// Takes the labelled classes out of maxima and sums.
pub(super) fn mask_targets<F: Real>(batch: &Batch<F>, block: usize, products: &mut [F]) {
    let (columns, centres) = (batch.blocks.columns_of(block), batch.blocks.centres());
    for &(column, row) in batch.targets_in(&columns) {
        let first = row * columns.len() + column - column % centres - columns.start;
        products[first..first + centres].fill(F::neg_infinity());
    }
}

/// What a block adds to the loss of a row: a sum of exponentials relative to the largest, or of losses.
fn sum_of_logits<F: Real>(batch: &Batch<F>, row: &[F], scale: F, maximum: F) -> F {
    match batch.loss {
        Loss::Softmax | Loss::Nca => sum_of_exp(row, scale, maximum),
        Loss::EachClass(loss) => rows::sum_of_losses(loss, row, scale, batch.threshold),
        // What is shared out is known once all rows are.
        Loss::Anchors => F::zero(),
    }
}

/// `Σ_j exp(scale (e_j - maximum))`; 0 for a block that has nothing but the labelled class.
fn sum_of_exp<F: Real>(row: &[F], scale: F, maximum: F) -> F {
    if maximum == F::neg_infinity() { F::zero() } else { rows::sum_of_exp(row, scale, scale * maximum) }
}

/// All targets, by column.
pub(super) fn targets<F: Real>(groups: &[Group<F>]) -> impl Iterator<Item = &Target<F>> {
    groups.iter().flat_map(|group| &group.targets)
}

/// Maxima and sums of every block, a block at a time.
pub(super) fn tables<F: Real>(groups: &[Group<F>], rows: usize) -> impl Iterator<Item = (&[F], &[F])> + Clone {
    groups.iter().flat_map(move |group| group.maxima.chunks_exact(rows).zip(group.sums.chunks_exact(rows)))
}

/// `ln B_avg` at the scale of the sums, which are those of products.
pub(super) fn ln_b_avg<F: Real>(groups: &[Group<F>], batch: &Batch<F>, scale: F) -> F {
    let labelled: Vec<_> = batch.targets.iter().map(|&(_, row)| row).collect();
    let rows = batch.rows();
    let tables =
        groups.iter().flat_map(|group| unchanged_maxima(group).chunks_exact(rows).zip(group.sums.chunks_exact(rows)));
    let parts = tables.flat_map(|(maxima, sums)| labelled.iter().map(move |&row| (maxima[row], sums[row])));
    scale::ln_b_avg(scale, labelled.len(), parts)
}

/// How many labelled rows have no class before their own.
pub(super) fn correct<F: Real>(groups: &[Group<F>], rows: usize) -> usize {
    let leads = |target: &&Target<F>| {
        let mut maxima = groups.iter().flat_map(|group| unchanged_maxima(group).chunks_exact(rows)).enumerate();
        // Of equal classes the one with the lower index comes first.
        let before = |block, maximum| maximum > target.score || (maximum == target.score && block < target.block);
        target.rank_in_block == 0
            && !maxima.any(|(block, maxima)| block != target.block && before(block, maxima[target.row]))
    };
    targets(groups).filter(leads).count()
}

/// The largest inner product of each block and row, as it is.
fn unchanged_maxima<F>(group: &Group<F>) -> &[F] {
    if group.unchanged_maxima.is_empty() { &group.maxima } else { &group.unchanged_maxima }
}
