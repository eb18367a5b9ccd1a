//! Between the passes: what every block has found, together. Losses, softmax denominators, and what the second pass needs of each row.

use super::batch::Batch;
use super::group::{Group, Target};
use super::scores::{tables, targets};
use crate::heads::rules::RowRules;
use crate::ops::softmax_cross_entropy::row_terms;
use crate::ops::{Loss, anchor_loss, rows};
use crate::{Error, Real, Result};
use std::ops::Range;

/// What the second pass needs of each row: its probabilities are `p_j = factor exp(scale e_j - shift)`, e its inner products, and the
/// derivatives by its logits `A p_j - U`, of which `factor` holds A. Where each class has a loss ℓ of its own they are
/// `factor ℓ'(scale e_j - threshold)`, where class vectors are anchors `factor exp(scale e_j - log_sum_j)`.
#[derive(Debug, Default)]
pub(super) struct RowState<F> {
    pub scale: F,
    /// (B,) the largest logit of the other classes; 0 where their losses are not relative to it.
    pub shifts: Vec<F>,
    /// (B,) zero in rows without a label.
    pub factors: Vec<F>,
    /// (B,) what is taken from every other class: U of the [objective](crate::ops::objective).
    pub uniform: Vec<F>,
    /// (B,) `(p_y - 1) ψ'`, or what the objective makes of it.
    pub residuals: Vec<F>,
    /// What is taken from soft targets, by column.
    pub soft_residuals: Vec<SoftResidual<F>>,
    /// (B,) the loss's derivative by ‖x‖ apart from the direction of x, `(p_y - 1) s ∂ψ/∂‖x‖ + ω g'`; zero where no rule depends on it.
    pub d_norms: Vec<F>,
    /// (B,) likewise by ‖w‖ of the row's class vector, `(p_y - 1) s ∂ψ/∂‖w‖`.
    pub d_weight_norms: Vec<F>,
    /// The labelled classes' part of the gradient of the threshold.
    pub d_threshold: F,
    /// (B,) the row's part of the gradient of s, but for `A Σ_j p_j φ_j` over the other classes.
    pub d_scales: Vec<F>,
    /// (B,) the loss of each row.
    pub losses: Vec<F>,
    /// No residual is larger, nor half the sum of a row's.
    pub bound: F,
}

/// What is taken from the residual of a soft target.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoftResidual<F> {
    pub row: usize,
    pub column: usize,
    pub taken: F,
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
    let RowState { shifts, factors, uniform, residuals, d_norms, d_weight_norms, d_scales, losses, .. } = state;
    let is_relative = matches!(batch.loss, Loss::Softmax | Loss::Nca);
    for (values, start) in [
        (shifts, if is_relative { F::neg_infinity() } else { F::zero() }),
        (factors, F::zero()),
        (uniform, F::zero()),
        (residuals, F::zero()),
        (d_norms, F::zero()),
        (d_weight_norms, F::zero()),
        (d_scales, F::zero()),
        (losses, F::zero()),
    ] {
        values.clear();
        values.resize(rows, start);
    }
    (state.bound, state.d_threshold, state.soft_residuals) = (F::zero(), F::zero(), Vec::new());
    let mut others = vec![F::zero(); rows];
    if is_relative {
        for (maxima, _) in tables(groups, rows) {
            for (shift, &maximum) in state.shifts.iter_mut().zip(maxima) {
                *shift = shift.max(scale * maximum);
            }
        }
        for (maxima, sums) in tables(groups, rows) {
            for (((other, &shift), &maximum), &sum) in others.iter_mut().zip(&state.shifts).zip(maxima).zip(sums) {
                *other += sum * (scale * maximum - shift).exp();
            }
        }
    } else {
        tables(groups, rows).for_each(|(_, sums)| rows::add(&mut others, sums));
    }
    let rules_of = |row| rules.get(row).copied().flatten();
    let logit_of = |target: &Target<F>| {
        scale * rules_of(target.row).map_or(target.score, |rules: RowRules<F>| rules.target.value) - batch.threshold
    };
    let overflowed = groups.iter().filter_map(|group| group.overflowed);
    let of_others = (0..rows).find(|&row| !(state.shifts[row] + others[row]).is_finite());
    let of_targets = targets(groups).filter(|target| !logit_of(target).is_finite()).map(|target| target.row);
    if let Some(row) = overflowed.chain(of_others).chain(of_targets).min() {
        return Err(logit_not_finite(batch, weights, scale, row, rules_of(row)));
    }
    let soft_scores = || groups.iter().flat_map(|group| &group.soft_scores);
    let mut soft_of_rows = vec![Vec::new(); if batch.soft_targets.is_empty() { 0 } else { rows }];
    soft_scores().for_each(|soft| soft_of_rows[soft.row].push((soft.probability, scale * soft.value)));
    let mut of_targets = vec![F::zero(); soft_of_rows.len()];
    let classes = batch.objective.targets.classes();
    let class_of = |row: usize| batch.objective.targets.class_of_row()[row].expect("a target has a label");
    let own: Vec<_> = match batch.loss {
        Loss::Anchors => targets(groups).map(|target| (class_of(target.row), logit_of(target))).collect(),
        _ => Vec::new(),
    };
    let of_anchors = anchor_loss::of_labels(&own, classes);
    for (number, target) in targets(groups).enumerate() {
        let row = target.row;
        let rules = rules_of(row);
        let logit = logit_of(target);
        let sum_of_products: F = groups.iter().filter_map(|group| group.sums_of_products.get(row).copied()).sum();
        let soft_targets = soft_of_rows.get(row).into_iter().flatten().copied();
        let (of_row, p_over_exp) = match batch.loss {
            Loss::EachClass(loss) => (loss.row(batch.objective.weight(row), logit, classes, others[row]), F::one()),
            Loss::Anchors => (anchor_loss::row(of_anchors[number], own.len(), classes, others[row]), F::one()),
            loss @ (Loss::Softmax | Loss::Nca) => {
                let terms = row_terms(logit - state.shifts[row], others[row], loss == Loss::Softmax);
                let of_row = batch.objective.row(row, &terms, logit, scale * sum_of_products, soft_targets);
                (of_row, terms.p_over_exp)
            }
        };
        state.losses[row] = of_row.loss;
        state.bound = state.bound.max(of_row.bound);
        state.factors[row] = p_over_exp * of_row.of_probabilities;
        state.uniform[row] = of_row.uniform;
        state.residuals[row] = of_row.residual;
        state.d_threshold -= of_row.residual;
        let mut value = target.score;
        if let Some(RowRules { target: logit, penalty, .. }) = rules {
            let weight = batch.objective.weight(row);
            state.losses[row] += weight * penalty.value;
            state.residuals[row] *= logit.slope;
            state.d_norms[row] = weight * penalty.slope + of_row.residual * scale * logit.slope_of_norm;
            state.d_weight_norms[row] = of_row.residual * scale * logit.slope_of_weight_norm;
            value = logit.value;
        }
        state.d_scales[row] = of_row.residual * value - of_row.uniform * sum_of_products;
        if let Some(of_targets) = of_targets.get_mut(row) {
            *of_targets = of_row.of_targets;
        }
    }
    for soft in soft_scores() {
        let taken = of_targets[soft.row] * soft.probability;
        state.d_scales[soft.row] -= taken * soft.value;
        state.soft_residuals.push(SoftResidual { row: soft.row, column: soft.column, taken: taken * soft.slope });
    }
    let loss = state.losses.iter().copied().sum::<F>() / batch.objective.divisor;
    if loss.is_finite() { Ok(loss) } else { Err(Error::LossNotFinite { loss: loss.to_double() }) }
}

/// Names the first logit of a row that is not finite: too large for the precision, or made so by the head's `rules`.
pub(super) fn logit_not_finite<F: Real>(
    batch: &Batch<F>,
    weights: &[F],
    scale: F,
    row: usize,
    rules: Option<RowRules<F>>,
) -> Error {
    let (dimension, centres) = (batch.dimension(), batch.blocks.centres());
    let x = batch.features.row(row).to_slice().expect("x̃ is in row-major order");
    let own_class = batch.targets.iter().find(|&&(_, other)| other == row).map(|(column, _)| column / centres);
    let product = |vector: &[F]| {
        let norm = if batch.geometry.normalizes_weights() { F::of(rows::norm(vector)) } else { F::one() };
        batch.alpha * rows::dot(x, vector) / norm
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
    /// The soft targets of `columns`.
    pub fn soft_residuals_in(&self, columns: &Range<usize>) -> &[SoftResidual<F>] {
        let position = |column| self.soft_residuals.partition_point(|soft| soft.column < column);
        &self.soft_residuals[position(columns.start)..position(columns.end)]
    }

    /// The share that a block of so many columns has in the probability of each row, times its A, from the rows' maxima and sums: the derivatives by its logits have
    /// no larger sum.
    pub fn masses(&self, loss: Loss, columns: usize, maxima: &[F], sums: &[F]) -> impl Iterator<Item = F> {
        let rows = self.shifts.iter().zip(&self.factors).zip(maxima.iter().zip(sums));
        rows.map(move |((&shift, &factor), (&maximum, &sum))| match loss {
            Loss::Softmax | Loss::Nca => factor.abs() * sum * (self.scale * maximum - shift).exp(),
            Loss::EachClass(loss) => factor * loss.largest_sum_of_slopes(columns, sum),
            // exp(z - log_sum) is at most what is shared out for it.
            Loss::Anchors => factor * sum,
        })
    }
}
