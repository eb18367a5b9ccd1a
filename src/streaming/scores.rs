//! The first pass, and what is known when every block is in: loss and softmax denominators.

use super::batch::Batch;
use super::group::{Group, Target};
use crate::heads::softmax::angle_of_rows;
use crate::heads::{AdaCos, Margin};
use crate::metrics::accuracy;
use crate::ops::l2_normalize::longest_row;
use crate::ops::{Angle, rows};
use crate::{Error, Real, Result};
use ndarray::ArrayView1;
use std::ops::Range;

/// What the second pass needs of each row: its probabilities are `p_j = factor exp(scale e_j - shift)`, e its inner products.
#[derive(Debug, Default)]
pub(super) struct RowState<F> {
    pub scale: F,
    /// (B,) the largest logit of the other classes.
    pub shifts: Vec<F>,
    /// (B,) zero in rows without a label.
    pub factors: Vec<F>,
    /// (B,) `(p_y - 1) ψ'`
    pub residuals: Vec<F>,
}

/// The class that a row is labelled with, for counting those that come before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnClass<F> {
    pub block: usize,
    /// Its inner product, with bias; infinite in rows without a label.
    pub score: F,
}

impl<F: Real> Group<F> {
    /// Finds maxima, sums at `scale`, and targets of every block; with `own`, how many classes come before the row's
    /// own, too. `weights` are the group's, in row-major order.
    ///
    /// # Errors
    /// NaN, infinity, a class vector without direction.
    pub fn score(&mut self, batch: &Batch<F>, weights: &[F], scale: F, own: Option<&[OwnClass<F>]>) -> Result<()> {
        self.before.clear();
        self.before.resize(own.map_or(0, <[_]>::len), 0);
        self.maxima.clear();
        self.sums.clear();
        self.targets.clear();
        (self.weight_length, self.overflowed) = (0.0, None);
        for block in self.blocks(&batch.blocks) {
            let weights = &weights[self.vectors_of(batch, block)];
            let classes = batch.blocks.classes_of(block);
            let operand = self.unit.operand(batch, weights, block)?;
            let longest = match batch.normalizes.weights() {
                true => 1.0,
                false => longest_row("weights", classes.start, operand)?,
            };
            self.weight_length = self.weight_length.max(longest);
            let products = self.products.compute(batch, block, operand);
            if !batch.holds_products(longest) {
                let overflowed = products.chunks_exact(classes.len()).position(|row| !rows::all_finite(row));
                self.overflowed = [self.overflowed, overflowed].into_iter().flatten().min();
            }
            for &(class, row) in batch.targets_in(&classes) {
                let vector = operand.row(class - classes.start);
                let angle = match batch.normalizes.weights() {
                    true => Some(Angle::between(batch.operand.row(row), vector)),
                    false => angle_of_rows(batch.features.row(row), vector),
                };
                let products = ArrayView1::from(&products[row * classes.len()..][..classes.len()]);
                let rank_in_block = accuracy::rank(products, class - classes.start);
                let score = products[class - classes.start];
                self.targets.push(Target { row, block, score, rank_in_block, angle });
            }
            mask_targets(batch, &classes, products);
            let rows = products.chunks_exact(classes.len());
            for ((row, own), before) in rows.zip(own.unwrap_or_default()).zip(&mut self.before) {
                if own.block != block {
                    // Of equal classes the one with the lower index comes first.
                    *before += rows::count_above(row, own.score, block < own.block);
                }
            }
            self.maxima.extend(products.chunks_exact(classes.len()).map(rows::maximum));
            let maxima = &self.maxima[self.maxima.len() - batch.rows()..];
            let sums = products.chunks_exact(classes.len()).zip(maxima);
            self.sums.extend(sums.map(|(row, &maximum)| sum_of_exp(row, scale, maximum)));
        }
        if batch.normalizes.weights() {
            self.weight_length = self.unit.shortest();
        }
        Ok(())
    }

    /// Finds the sums once more, at another scale.
    pub fn sum_again(&mut self, batch: &Batch<F>, weights: &[F], scale: F) {
        for block in self.blocks(&batch.blocks).rev() {
            let classes = batch.blocks.classes_of(block);
            if !self.products.has(batch, block) {
                let weights = &weights[self.vectors_of(batch, block)];
                let operand = self.unit.operand(batch, weights, block).expect("checked in the first pass");
                let products = self.products.compute(batch, block, operand);
                mask_targets(batch, &classes, products);
            }
            let table = self.rows_of(batch, block);
            let products = self.products.of(batch, block).chunks_exact(classes.len());
            let maxima = &self.maxima[table.clone()];
            for ((row, &maximum), sum) in products.zip(maxima).zip(&mut self.sums[table]) {
                *sum = sum_of_exp(row, scale, maximum);
            }
        }
    }
}

/// Takes the labelled classes out of maxima and sums.
fn mask_targets<F: Real>(batch: &Batch<F>, classes: &Range<usize>, products: &mut [F]) {
    for &(class, row) in batch.targets_in(classes) {
        products[row * classes.len() + class - classes.start] = F::neg_infinity();
    }
}

/// `Σ_j exp(scale (e_j - maximum))`; 0 for a block that has nothing but the labelled class.
fn sum_of_exp<F: Real>(row: &[F], scale: F, maximum: F) -> F {
    if maximum == F::neg_infinity() { F::zero() } else { rows::sum_of_exp(row, scale, scale * maximum) }
}

/// All targets, by class.
pub(super) fn targets<F: Real>(groups: &[Group<F>]) -> impl Iterator<Item = &Target<F>> {
    groups.iter().flat_map(|group| &group.targets)
}

/// Maxima and sums of every block, a block at a time.
fn tables<F: Real>(groups: &[Group<F>], rows: usize) -> impl Iterator<Item = (&[F], &[F])> {
    groups.iter().flat_map(move |group| group.maxima.chunks_exact(rows).zip(group.sums.chunks_exact(rows)))
}

/// AdaCos's scale, with the sums at the previous one.
///
/// # Errors
/// A scale that cannot be used.
pub(super) fn next_scale<F: Real>(groups: &[Group<F>], batch: &Batch<F>, head: AdaCos, previous: F) -> Result<F> {
    let labelled = || batch.targets.iter().map(|&(_, row)| row);
    let each =
        || tables(groups, batch.rows()).flat_map(|(maxima, sums)| labelled().map(|row| (maxima[row], sums[row])));
    let largest = each().fold(F::neg_infinity(), |largest, (maximum, _)| largest.max(maximum));
    let sum: F = each().map(|(maximum, sum)| sum * (previous * (maximum - largest)).exp()).sum();
    let ln_b_avg = previous * largest + (sum / F::of(batch.targets.len() as f64)).ln();
    head.next_scale(previous, ln_b_avg, targets(groups).filter_map(|target| target.angle))
}

/// How many labelled rows have no class before their own.
pub(super) fn correct<F: Real>(groups: &[Group<F>], rows: usize) -> usize {
    let leads = |target: &&Target<F>| {
        let mut tables = tables(groups, rows).enumerate().filter(|&(block, _)| block != target.block);
        // Of equal classes the one with the lower index comes first.
        let before = |block, maximum| maximum > target.score || (maximum == target.score && block < target.block);
        target.rank_in_block == 0 && !tables.any(|(block, (maxima, _))| before(block, maxima[target.row]))
    };
    targets(groups).filter(leads).count()
}

/// The mean loss and the state of each row, from the tables of all groups.
///
/// # Errors
/// Logits or a loss too large for the precision.
pub(super) fn merge<F: Real>(
    groups: &[Group<F>],
    batch: &Batch<F>,
    weights: &[F],
    scale: F,
    margin: impl Fn(&Target<F>) -> Margin<F>,
    state: &mut RowState<F>,
) -> Result<F> {
    let rows = batch.rows();
    state.scale = scale;
    for (values, start) in
        [(&mut state.shifts, F::neg_infinity()), (&mut state.factors, F::zero()), (&mut state.residuals, F::zero())]
    {
        values.clear();
        values.resize(rows, start);
    }
    for (maxima, _) in tables(groups, rows) {
        for (shift, &maximum) in state.shifts.iter_mut().zip(maxima) {
            *shift = shift.max(scale * maximum);
        }
    }
    let mut others = vec![F::zero(); rows];
    for (maxima, sums) in tables(groups, rows) {
        for (((other, &shift), &maximum), &sum) in others.iter_mut().zip(&state.shifts).zip(maxima).zip(sums) {
            *other += sum * (scale * maximum - shift).exp();
        }
    }
    let overflowed = groups.iter().filter_map(|group| group.overflowed).min();
    if let Some(row) = overflowed.or_else(|| (0..rows).find(|&row| !(state.shifts[row] + others[row]).is_finite())) {
        return Err(logit_not_finite(batch, weights, row));
    }
    let mut total = F::zero();
    for target in targets(groups) {
        let (row, Margin { value, slope }) = (target.row, margin(target));
        let logit = scale * value;
        if !logit.is_finite() {
            return Err(logit_not_finite(batch, weights, row));
        }
        let lead = logit - state.shifts[row];
        let others = others[row];
        // As in softmax cross-entropy: each branch scales by the larger of the two exponentials, so neither overflows.
        let (loss, factor, p_others) = if lead >= F::zero() {
            let r = others * (-lead).exp();
            (r.ln_1p(), (-lead).exp() / (F::one() + r), r / (F::one() + r))
        } else {
            let sum = others + lead.exp();
            (sum.ln() - lead, F::one() / sum, others / sum)
        };
        total += loss;
        state.factors[row] = factor;
        state.residuals[row] = -p_others * slope;
    }
    let loss = total / F::of(batch.targets.len() as f64);
    if loss.is_finite() { Ok(loss) } else { Err(Error::LossNotFinite { loss: loss.to_double() }) }
}

/// Names the first logit of a row that is too large for the precision.
fn logit_not_finite<F: Real>(batch: &Batch<F>, weights: &[F], row: usize) -> Error {
    let x = batch.operand.row(row).to_slice().expect("x̃ is in row-major order");
    let bias = |class| batch.bias.map_or(F::zero(), |bias: &[F]| bias[class]);
    let logit = |(class, w)| batch.factor * rows::dot(x, w) + bias(class);
    let mut logits = weights.chunks_exact(batch.dimension()).enumerate().map(logit);
    let (column, value) = logits.by_ref().enumerate().find(|(_, logit)| !logit.is_finite()).unwrap_or((0, F::nan()));
    Error::NotFinite { what: "logits", row, column, value: value.to_double() }
}

impl<F: Real> RowState<F> {
    /// The largest share that a block has in the probability of a row, from the rows' maxima and sums.
    pub fn largest_mass(&self, maxima: &[F], sums: &[F]) -> F {
        let rows = self.shifts.iter().zip(&self.factors);
        let mass = |((&shift, &factor), (&maximum, &sum)): ((&F, &F), (&F, &F))| {
            factor * sum * (self.scale * maximum - shift).exp()
        };
        rows.zip(maxima.iter().zip(sums)).map(mass).fold(F::zero(), |largest, mass| largest.max(mass))
    }
}
