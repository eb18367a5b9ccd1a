//! `loss = mean_i (logsumexp(z_i) - z_{i,y_i})`, exact however well a row is fitted.
//!
//! With a scale of 64 the target's probability rounds to 1 in `f32`, and `-ln p` and `p - 1` to 0: training stops on rows
//! that still have a gradient. So the sum over the other classes is kept apart from the target. With
//! `r = Σ_{j≠y} exp(z_j - z_y)`:
//!
//! `loss = ln(1 + r)`, `p_y - 1 = -r / (1 + r)`, `p_j = exp(z_j - z_y) / (1 + r)`
//!
//! have no cancellation for small r: what is left is the rounding of `z_j - z_y` itself. Where another class leads, everything is taken relative to the largest other logit instead.

use super::Objective;
use super::checked_objective::{CheckedObjective, RowObjective, SoftTarget};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayViewMut1};

/// What [`backward`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyCache<F> {
    /// (B, C) the derivative of each row's loss with respect to its logits, `p - onehot(y)` unless the [objective](super::objective) says
    /// otherwise; zero in rows without a label.
    pub residual: Array2<F>,
    /// (B,) the loss of each row in nats; zero in rows without a label.
    pub row_losses: Array1<F>,
    /// What their sum is divided by: the number of rows with a label if the loss is a mean, 1 if it is a sum.
    pub divisor: F,
}

impl<F: Real> CrossEntropyCache<F> {
    /// The loss of rows by an objective, and the cache that holds them.
    ///
    /// # Errors
    /// [`Error::LossNotFinite`].
    pub(super) fn of_rows(
        residual: Array2<F>,
        row_losses: Array1<F>,
        objective: &CheckedObjective<F>,
    ) -> Result<(F, Self)> {
        let loss = row_losses.sum() / objective.divisor;
        if !loss.is_finite() {
            return Err(Error::LossNotFinite { loss: loss.to_double() });
        }
        Ok((loss, Self { residual, row_losses, divisor: objective.divisor }))
    }
}

/// The loss in nats of `logits` (B, C) by an objective: labels for the mean over labelled rows, or an [`Objective`].
///
/// # Errors
/// [`Error::NotFinite`] where a logit is NaN or infinite, [`Error::LossNotFinite`] where the loss overflows,
/// [`Error::TooFewClasses`] for less than two columns; what is wrong with the objective.
pub fn forward<'a, F: Real>(
    logits: Array2<F>,
    objective: impl Into<Objective<'a, F>>,
) -> Result<(F, CrossEntropyCache<F>)> {
    check_classes("softmax cross-entropy", logits.ncols())?;
    let objective = CheckedObjective::new(&objective.into(), logits.nrows(), logits.ncols())?;
    let (loss, cache, _) = forward_checked(logits, &objective, true)?;
    Ok((loss, cache))
}

/// [`forward`] by an objective that was checked against this batch. Returns the bound on residuals, too: no row's absolute residuals are
/// above it, nor half their sum. `label_in_sum`: as in [`row_terms`].
///
/// # Errors
/// [`Error::NotFinite`], [`Error::LossNotFinite`].
pub(crate) fn forward_checked<F: Real>(
    logits: Array2<F>,
    objective: &CheckedObjective<F>,
    label_in_sum: bool,
) -> Result<(F, CrossEntropyCache<F>, F)> {
    super::l2_normalize::check_finite("logits", logits.view())?;
    let mut residual = logits;
    let mut row_losses = Array1::zeros(residual.nrows());
    let mut bound = F::zero();
    let mut soft_targets = objective.soft_targets();
    for (row, (logits, &class)) in residual.rows_mut().into_iter().zip(objective.targets.class_of_row()).enumerate() {
        let (of_row, rest) = soft_targets.split_at(soft_targets.partition_point(|target| target.row <= row));
        soft_targets = rest;
        match class {
            Some(class) => {
                let terms = row_residual(logits, (row, class), objective, of_row, label_in_sum);
                row_losses[row] = terms.loss;
                bound = bound.max(terms.bound);
            }
            None => ignore(logits),
        }
    }
    let (loss, cache) = CrossEntropyCache::of_rows(residual, row_losses, objective)?;
    Ok((loss, cache, bound))
}

/// `d_logits` (B, C): the rows' residuals over the divisor.
pub fn backward<F: Real>(cache: CrossEntropyCache<F>) -> Array2<F> {
    cache.residual / cache.divisor
}

/// Checks that there is another class to tell the labelled one from. `head` is named in the error.
///
/// # Errors
/// [`Error::TooFewClasses`] for less than two.
pub fn check_classes(head: &'static str, classes: usize) -> Result<()> {
    if classes < 2 {
        return Err(Error::TooFewClasses { head, found: classes, minimum: 2, reason: "" });
    }
    Ok(())
}

/// A row's loss and probabilities, from its labelled class and the sum over the others.
pub(crate) struct RowTerms<F> {
    /// In nats; negative only without the label in the sum.
    pub loss: F,
    /// What `exp(z_j - largest_other)` is multiplied by to give `p_j`.
    pub p_over_exp: F,
    /// `1 - p_y`
    pub p_others: F,
    /// `p_y`
    pub p_label: F,
}

/// From `lead = z_y - largest_other` and `others = Σ_{j≠y} exp(z_j - largest_other)`. Without the label in the sum, probabilities are of the other
/// classes alone, and `p_y` is 0.
pub(crate) fn row_terms<F: Real>(lead: F, others: F, label_in_sum: bool) -> RowTerms<F> {
    if !label_in_sum {
        return RowTerms {
            loss: others.ln() - lead,
            p_over_exp: others.recip(),
            p_others: F::one(),
            p_label: F::zero(),
        };
    }
    // Both branches are the same quantities; each scales by the larger of the two exponentials, so neither overflows.
    if lead >= F::zero() {
        let exp = (-lead).exp();
        let r = others * exp;
        let sum = F::one() + r;
        RowTerms { loss: r.ln_1p(), p_over_exp: exp / sum, p_others: r / sum, p_label: sum.recip() }
    } else {
        let exp = lead.exp();
        let sum = others + exp;
        RowTerms { loss: sum.ln() - lead, p_over_exp: sum.recip(), p_others: others / sum, p_label: exp / sum }
    }
}

/// Turns a row of logits into its residual.
fn row_residual<F: Real>(
    mut row: ArrayViewMut1<F>,
    (number, class): (usize, usize),
    objective: &CheckedObjective<F>,
    soft_targets: &[SoftTarget<F>],
    label_in_sum: bool,
) -> RowObjective<F> {
    let target = row[class];
    row[class] = F::zero();
    let sum_of_others = if objective.is_smoothed() { row.sum() } else { F::zero() };
    row[class] = F::neg_infinity();
    let soft_logits: Vec<_> = soft_targets.iter().map(|soft| (soft.probability, row[soft.class])).collect();
    let largest_other = row.fold(F::neg_infinity(), |largest, &z| largest.max(z));
    let others = row.iter_mut().fold(F::zero(), |sum, z| {
        *z = (*z - largest_other).exp();
        sum + *z
    });
    let terms = row_terms(target - largest_other, others, label_in_sum);
    let of_row = objective.row(number, &terms, target, sum_of_others, soft_logits.into_iter());
    row.mapv_inplace(|exp| exp * (terms.p_over_exp * of_row.of_probabilities) - of_row.uniform);
    row[class] = of_row.residual;
    soft_targets.iter().for_each(|soft| row[soft.class] -= of_row.of_targets * soft.probability);
    of_row
}

fn ignore<F: Real>(mut row: ArrayViewMut1<F>) {
    row.fill(F::zero());
}
