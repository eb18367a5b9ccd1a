//! [`Loss::Anchors`](super::Loss::Anchors): each class vector is an anchor, to which the rows of a batch are compared.
//!
//! `ln(1 + Σ exp(u)) = max(u, 0) + ln(exp(-max) + Σ exp(u - max))`, in which 0 counts as one of the u: nothing overflows, and sums far below 1
//! keep their digits. A class's loss is shared among its rows by their exponentials, so that the losses of rows have the loss of the batch as
//! their mean.

use super::checked_objective::{CheckedObjective, RowObjective};
use super::softmax_cross_entropy::CrossEntropyCache;
use crate::{Real, Result};
use ndarray::{Array1, Array2};

/// `ln(1 + Σ_i exp(u_i))` of a column, from its largest u or 0, whichever is larger, and `Σ_i exp(u_i - largest)`.
pub(crate) fn log_sum<F: Real>(largest: F, sum: F) -> F {
    if largest > F::zero() { largest + ((-largest).exp() + sum).ln() } else { sum.ln_1p() }
}

/// What `exp(u_i - largest)` is multiplied by to give row i's share of the loss, from [`log_sum`] and its `sum`: what rounding does to the exponentials it
/// does to their sum, too.
pub(crate) fn share<F: Real>(log_sum: F, sum: F) -> F {
    if sum > F::zero() { log_sum / sum } else { F::zero() }
}

/// The loss of labelled rows as those of their classes, `(1/|P⁺|) Σ_p ln(1 + Σ_{i: y_i = p} exp(-z_i))` times their number: of each row its share and
/// its derivative by z. `rows` are (class, z).
pub(crate) fn of_labels<F: Real>(rows: &[(usize, F)], classes: usize) -> Vec<(F, F)> {
    let mut largest = vec![F::zero(); classes];
    let mut sums = vec![F::zero(); classes];
    let mut has_rows = vec![false; classes];
    for &(class, logit) in rows {
        largest[class] = largest[class].max(-logit);
        has_rows[class] = true;
    }
    for &(class, logit) in rows {
        sums[class] += (-logit - largest[class]).exp();
    }
    let anchors = has_rows.into_iter().filter(|&has_rows| has_rows).count();
    let factor = F::of(rows.len() as f64 / anchors as f64);
    let of_row = |&(class, logit): &(usize, F)| {
        let log_sum = log_sum(largest[class], sums[class]);
        let share = share(log_sum, sums[class]) * (-logit - largest[class]).exp();
        (factor * share, -factor * (-logit - log_sum).exp())
    };
    rows.iter().map(of_row).collect()
}

/// A row, from its part of [`of_labels`] and what the other classes' losses share out to it.
pub(crate) fn row<F: Real>((loss, residual): (F, F), labelled: usize, classes: usize, others: F) -> RowObjective<F> {
    let of_others = F::of(labelled as f64 / classes as f64);
    RowObjective {
        loss: loss + of_others * others,
        of_probabilities: of_others,
        uniform: F::zero(),
        residual,
        of_targets: F::zero(),
        bound: F::of(labelled as f64),
    }
}

/// The loss of `logits` (B, C), as [`ClassLoss::forward_checked`](super::ClassLoss::forward_checked).
///
/// # Errors
/// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::LossNotFinite`](crate::Error::LossNotFinite).
pub(crate) fn forward_checked<F: Real>(
    logits: Array2<F>,
    objective: &CheckedObjective<F>,
) -> Result<(F, CrossEntropyCache<F>, F)> {
    super::l2_normalize::check_finite("logits", logits.view())?;
    let (classes, labelled) = (logits.ncols(), objective.targets.labelled());
    let own: Vec<_> = objective.targets.iter().map(|(row, class)| (class, logits[[row, class]])).collect();
    let of_labels = of_labels(&own, classes);
    let mut residual = logits;
    for (row, &class) in objective.targets.class_of_row().iter().enumerate() {
        match class {
            Some(class) => residual[[row, class]] = F::neg_infinity(),
            None => residual.row_mut(row).fill(F::neg_infinity()),
        }
    }
    let mut others = Array1::zeros(residual.nrows());
    for mut column in residual.columns_mut() {
        let largest = column.fold(F::zero(), |largest, &logit| largest.max(logit));
        let exps = column.mapv(|logit| (logit - largest).exp());
        let log_sum = log_sum(largest, exps.sum());
        others.scaled_add(share(log_sum, exps.sum()), &exps);
        column.mapv_inplace(|logit| (logit - log_sum).exp());
    }
    let mut row_losses = Array1::zeros(residual.nrows());
    for ((number, class), of_label) in objective.targets.iter().zip(of_labels) {
        let of_row = row(of_label, labelled, classes, others[number]);
        residual.row_mut(number).mapv_inplace(|probability| of_row.of_probabilities * probability);
        residual[[number, class]] = of_row.residual;
        row_losses[number] = of_row.loss;
    }
    let (loss, cache) = CrossEntropyCache::of_rows(residual, row_losses, objective)?;
    Ok((loss, cache, F::of(labelled as f64)))
}
