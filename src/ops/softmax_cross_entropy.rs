//! `loss = mean_i (logsumexp(z_i) - z_{i,y_i})`, exact however well a row is fitted.
//!
//! With a scale of 64 the target's probability rounds to 1 in `f32`, and `-ln p` and `p - 1` to 0: training stops on rows
//! that still have a gradient. So the sum over the other classes is kept apart from the target. With
//! `r = Σ_{j≠y} exp(z_j - z_y)`:
//!
//! `loss = ln(1 + r)`, `p_y - 1 = -r / (1 + r)`, `p_j = exp(z_j - z_y) / (1 + r)`
//!
//! have no cancellation for small r: what is left is the rounding of `z_j - z_y` itself. Where another class leads, everything is taken relative to the largest other logit instead.

use super::Targets;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayViewMut1};

/// What [`backward`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyCache<F> {
    /// (B, C) `p - onehot(y)`; zero in rows without a label.
    pub residual: Array2<F>,
    /// Rows with a label: what the mean is over.
    pub labelled: usize,
}

/// The mean loss in nats over the labelled rows of `logits` (B, C).
///
/// # Errors
/// [`Error::NotFinite`] where a logit is NaN or infinite, [`Error::LossNotFinite`] where the loss overflows,
/// [`Error::TooFewClasses`] for less than two columns, [`Error::Shape`] if `targets` is not of this batch.
pub fn forward<F: Real>(logits: Array2<F>, targets: &Targets) -> Result<(F, CrossEntropyCache<F>)> {
    let expected = (targets.class_of_row().len(), targets.classes());
    if logits.dim() != expected {
        return Err(Error::Shape {
            what: "logits",
            found: logits.shape().to_vec(),
            expected: format!("{expected:?}, the rows and classes that the labels were checked against"),
        });
    }
    check_classes("softmax cross-entropy", logits.ncols())?;
    super::l2_normalize::check_finite("logits", logits.view())?;
    let mut residual = logits;
    let mut total = F::zero();
    for (row, &class) in residual.rows_mut().into_iter().zip(targets.class_of_row()) {
        total += match class {
            Some(class) => row_loss(row, class),
            None => ignore(row),
        };
    }
    let loss = total / F::of(targets.labelled() as f64);
    if !loss.is_finite() {
        return Err(Error::LossNotFinite { loss: loss.to_double() });
    }
    Ok((loss, CrossEntropyCache { residual, labelled: targets.labelled() }))
}

/// `d_logits = (p - onehot(y)) / n` (B, C), n the number of labelled rows.
pub fn backward<F: Real>(cache: CrossEntropyCache<F>) -> Array2<F> {
    cache.residual / F::of(cache.labelled as f64)
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
    /// In nats.
    pub loss: F,
    /// What `exp(z_j - largest_other)` is multiplied by to give `p_j`.
    pub p_over_exp: F,
    /// `1 - p_y`
    pub p_others: F,
}

/// From `lead = z_y - largest_other` and `others = Σ_{j≠y} exp(z_j - largest_other)`.
pub(crate) fn row_terms<F: Real>(lead: F, others: F) -> RowTerms<F> {
    // Both branches are the same quantities; each scales by the larger of the two exponentials, so neither overflows.
    if lead >= F::zero() {
        let exp = (-lead).exp();
        let r = others * exp;
        RowTerms { loss: r.ln_1p(), p_over_exp: exp / (F::one() + r), p_others: r / (F::one() + r) }
    } else {
        let sum = others + lead.exp();
        RowTerms { loss: sum.ln() - lead, p_over_exp: F::one() / sum, p_others: others / sum }
    }
}

/// Turns a row of logits into `p - onehot(y)` and returns its loss.
fn row_loss<F: Real>(mut row: ArrayViewMut1<F>, class: usize) -> F {
    let target = row[class];
    row[class] = F::neg_infinity();
    let largest_other = row.fold(F::neg_infinity(), |largest, &z| largest.max(z));
    let others = row.iter_mut().fold(F::zero(), |sum, z| {
        *z = (*z - largest_other).exp();
        sum + *z
    });
    let RowTerms { loss, p_over_exp, p_others } = row_terms(target - largest_other, others);
    row.mapv_inplace(|exp| exp * p_over_exp);
    row[class] = -p_others;
    loss
}

fn ignore<F: Real>(mut row: ArrayViewMut1<F>) -> F {
    row.fill(F::zero());
    F::zero()
}
