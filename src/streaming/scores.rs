//! The first pass, and what is known when every block is in: loss and softmax denominators.

use super::batch::{Batch, grow};
use super::group::{Group, Target};
use crate::heads::rules::RowRules;
use crate::heads::scale;
use crate::metrics::accuracy;
use crate::ops::l2_normalize::longest_row;
use crate::ops::rows;
use crate::ops::softmax_cross_entropy::{RowTerms, row_terms};
use crate::{Error, Real, Result};
use ndarray::ArrayView1;

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
    /// (B,) the loss's derivative by ‖x‖ apart from the direction of x, `(p_y - 1) s ∂ψ/∂‖x‖ + g'`; empty where no head's rule depends on it.
    pub d_norms: Vec<F>,
    /// (B,) `(p_y - 1) (ψ - ψ' cosθ)`: of the gradient of s what is not along x̂.
    pub beside_products: Vec<F>,
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
        self.unchanged_maxima.clear();
        self.sums.clear();
        self.targets.clear();
        (self.weight_length, self.overflowed) = (0.0, None);
        for block in self.blocks(&batch.blocks) {
            let weights = &weights[self.vectors_of(batch, block)];
            let columns = batch.blocks.columns_of(block);
            let operand = self.unit.operand(batch, weights, block)?;
            let longest = match batch.geometry.normalizes_weights() {
                true => 1.0,
                false => longest_row("weights", columns.start, operand)?,
            };
            self.weight_length = self.weight_length.max(longest);
            let products = self.products.compute(batch, block, operand);
            if !batch.holds_products(longest) {
                let overflowed = products.chunks_exact(columns.len()).position(|row| !rows::all_finite(row));
                self.overflowed = [self.overflowed, overflowed].into_iter().flatten().min();
            }
            keep_nearest(batch, products);
            for &(column, row) in batch.targets_in(&columns) {
                let products = &products[row * columns.len()..][..columns.len()];
                let (place, score) = own_product(batch, products, column - columns.start);
                let rank_in_block = accuracy::rank(ArrayView1::from(products), place);
                self.targets.push(Target { row, block, score, rank_in_block });
            }
            mask_targets(batch, block, products);
            let rows = products.chunks_exact(columns.len());
            for ((row, own), before) in rows.zip(own.unwrap_or_default()).zip(&mut self.before) {
                if own.block != block {
                    // Of equal classes the one with the lower index comes first.
                    *before += rows::count_above(row, own.score, block < own.block);
                }
            }
            if !batch.others.is_empty() {
                self.unchanged_maxima.extend(products.chunks_exact(columns.len()).map(rows::maximum));
            }
            for row in 0..batch.rows() {
                let changed = self.changed_row(batch, block, row);
                let maximum = rows::maximum(changed);
                let sum = sum_of_exp(changed, scale, maximum);
                self.maxima.push(maximum);
                self.sums.push(sum);
            }
        }
        if batch.geometry.normalizes_weights() {
            self.weight_length = self.unit.shortest();
        }
        Ok(())
    }

    /// A row of the products of `block`, which are there, as the head changes it.
    fn changed_row(&mut self, batch: &Batch<F>, block: usize, row: usize) -> &[F] {
        let width = batch.blocks.columns_of(block).len();
        let products = &self.products.of(batch, block)[row * width..][..width];
        match batch.others_of(row) {
            Some(rule) => {
                grow(&mut self.changed, width);
                rows::apply_into(rule, products, &mut self.changed[..width]);
                &self.changed[..width]
            }
            None => products,
        }
    }

    /// Finds the sums once more, at another scale.
    pub fn sum_again(&mut self, batch: &Batch<F>, weights: &[F], scale: F) {
        for block in self.blocks(&batch.blocks).rev() {
            if !self.products.has(batch, block) {
                self.compute_again(batch, &weights[self.vectors_of(batch, block)], block);
            }
            let table = self.rows_of(batch, block);
            for row in 0..batch.rows() {
                let maximum = self.maxima[table.start + row];
                self.sums[table.start + row] = sum_of_exp(self.changed_row(batch, block, row), scale, maximum);
            }
        }
    }

    /// The products of a block that was scored before; the labelled classes are left out. `weights` are those of the block.
    pub fn compute_again(&mut self, batch: &Batch<F>, weights: &[F], block: usize) {
        let operand = self.unit.operand(batch, weights, block).expect("checked in the first pass");
        let products = self.products.compute(batch, block, operand);
        keep_nearest(batch, products);
        mask_targets(batch, block, products);
    }
}

/// Leaves of each class's centres the one with the largest product.
fn keep_nearest<F: Real>(batch: &Batch<F>, products: &mut [F]) {
    let centres = batch.blocks.centres();
    if centres == 1 {
        return;
    }
    for of_class in products.chunks_exact_mut(centres) {
        let (mut nearest, mut largest) = (0, of_class[0]);
        for (centre, &product) in of_class.iter().enumerate().skip(1) {
            // Of equal centres the first, as everywhere.
            (nearest, largest) = if product > largest { (centre, product) } else { (nearest, largest) };
        }
        of_class.fill(F::neg_infinity());
        of_class[nearest] = largest;
    }
}

/// Where in a row of a block the nearest centre of a labelled class is, and its product. By another order of additions, `column` may be
/// one that is as near but for rounding.
fn own_product<F: Real>(batch: &Batch<F>, products: &[F], column: usize) -> (usize, F) {
    let centres = batch.blocks.centres();
    let of_class = column - column % centres..column - column % centres + centres;
    let place = of_class.clone().find(|&place| products[place] > F::neg_infinity()).unwrap_or(column);
    (place, products[place])
}

/// Takes the labelled classes out of maxima and sums.
fn mask_targets<F: Real>(batch: &Batch<F>, block: usize, products: &mut [F]) {
    let (columns, centres) = (batch.blocks.columns_of(block), batch.blocks.centres());
    for &(column, row) in batch.targets_in(&columns) {
        let first = row * columns.len() + column - column % centres - columns.start;
        products[first..first + centres].fill(F::neg_infinity());
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
fn tables<F: Real>(groups: &[Group<F>], rows: usize) -> impl Iterator<Item = (&[F], &[F])> + Clone {
    groups.iter().flat_map(move |group| group.maxima.chunks_exact(rows).zip(group.sums.chunks_exact(rows)))
}

/// `ln B_avg` at the scale of the sums.
pub(super) fn ln_b_avg<F: Real>(groups: &[Group<F>], batch: &Batch<F>, scale: F) -> F {
    let labelled: Vec<_> = batch.targets.iter().map(|&(_, row)| row).collect();
    let parts = tables(groups, batch.rows())
        .flat_map(|(maxima, sums)| labelled.iter().map(move |&row| (maxima[row], sums[row])));
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

/// The mean loss and the state of each row, from the tables of all groups.
///
/// # Errors
/// Logits or a loss too large for the precision.
pub(super) fn merge<F: Real>(
    groups: &[Group<F>],
    batch: &Batch<F>,
    weights: &[F],
    scale: F,
    rules: &[Option<RowRules<F>>],
    state: &mut RowState<F>,
) -> Result<F> {
    let rows = batch.rows();
    state.scale = scale;
    for (values, start) in [
        (&mut state.shifts, F::neg_infinity()),
        (&mut state.factors, F::zero()),
        (&mut state.residuals, F::zero()),
        (&mut state.d_norms, F::zero()),
        (&mut state.beside_products, F::zero()),
    ] {
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
    let rules_of = |row| rules.get(row).copied().flatten();
    let logit_of =
        |target: &Target<F>| scale * rules_of(target.row).map_or(target.score, |rules: RowRules<F>| rules.target.value);
    let overflowed = groups.iter().filter_map(|group| group.overflowed);
    let of_others = (0..rows).find(|&row| !(state.shifts[row] + others[row]).is_finite());
    let of_targets = targets(groups).filter(|target| !logit_of(target).is_finite()).map(|target| target.row);
    if let Some(row) = overflowed.chain(of_others).chain(of_targets).min() {
        return Err(logit_not_finite(batch, weights, scale, row, rules_of(row)));
    }
    let mut total = F::zero();
    for target in targets(groups) {
        let row = target.row;
        let rules = rules_of(row);
        let logit = logit_of(target);
        let RowTerms { loss, p_over_exp, p_others } = row_terms(logit - state.shifts[row], others[row]);
        total += loss;
        state.factors[row] = p_over_exp;
        state.residuals[row] = -p_others;
        if let Some(RowRules { target: logit, penalty, .. }) = rules {
            total += penalty.value;
            state.residuals[row] *= logit.slope;
            state.d_norms[row] = penalty.slope - p_others * scale * logit.slope_of_norm;
            state.beside_products[row] = -p_others * (logit.value - logit.slope * target.score);
        }
    }
    let loss = total / F::of(batch.targets.len() as f64);
    if loss.is_finite() { Ok(loss) } else { Err(Error::LossNotFinite { loss: loss.to_double() }) }
}

/// Names the first logit of a row that is not finite: too large for the precision, or made so by the head's `rules`.
fn logit_not_finite<F: Real>(
    batch: &Batch<F>,
    weights: &[F],
    scale: F,
    row: usize,
    rules: Option<RowRules<F>>,
) -> Error {
    let (dimension, centres) = (batch.dimension(), batch.blocks.centres());
    let x = batch.operand.row(row).to_slice().expect("x̃ is in row-major order");
    let own_class = batch.targets.iter().find(|&&(_, other)| other == row).map(|(column, _)| column / centres);
    let product = |vector: &[F]| {
        let norm = if batch.geometry.normalizes_weights() { F::of(rows::norm(vector)) } else { F::one() };
        batch.factor * rows::dot(x, vector) / norm
    };
    let logit = |(class, vectors): (usize, &[F])| {
        let products = vectors.chunks_exact(dimension).map(product);
        let nearest = products.reduce(|best, next| if next > best { next } else { best }).expect("at least one centre");
        let product = nearest + batch.bias.map_or(F::zero(), |bias| bias[class]);
        let value = match rules {
            Some(rules) if own_class == Some(class) => rules.target.value,
            Some(RowRules { others: Some(others), .. }) => others.value_at(product),
            _ => product,
        };
        scale * value
    };
    let mut logits = weights.chunks_exact(dimension * centres).enumerate().map(logit).enumerate();
    let (column, value) = logits.find(|(_, logit)| !logit.is_finite()).unwrap_or((0, F::nan()));
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
