//! [`ClassLoss`]: losses of each class by itself, with their derivatives by the logits.
//!
//! `ln(1 + exp(u)) = max(u, 0) + ln(1 + exp(-|u|))` has no exponent that overflows and keeps its digits however far below 0 u is.

use super::checked_objective::{CheckedObjective, RowObjective};
use super::loss::ClassLoss;
use super::softmax_cross_entropy::CrossEntropyCache;
use crate::{Real, Result};
use ndarray::{Array1, Array2};

impl ClassLoss {
    /// Of the labelled class, with its derivative.
    pub(crate) fn of_label<F: Real>(self, logit: F) -> (F, F) {
        match self {
            Self::Logistic { positive, .. } => {
                let exp = (-logit.abs()).exp();
                let loss = (-logit).max(F::zero()) + exp.ln_1p();
                let p_not = if logit >= F::zero() { exp } else { F::one() } / (F::one() + exp);
                (F::of(positive) * loss, -F::of(positive) * p_not)
            }
            Self::Squared => (F::of(0.5) * (F::one() - logit).powi(2), logit - F::one()),
        }
    }

    /// Of another class, before [`weight_of_others`](Self::weight_of_others); 0 for a logit of -∞, that of a class which takes no part.
    #[inline(always)] // into the code of several instruction sets
    pub(crate) fn of_other<F: Real, const FUSED: bool>(self, logit: F) -> F {
        match self {
            Self::Logistic { .. } => {
                (if logit > F::zero() { logit } else { F::zero() })
                    + ln_1p_of_share((-logit.abs()).exp_of_nonpositive::<FUSED>())
            }
            Self::Squared => F::of(0.5) * square_unless_infinite(logit),
        }
    }

    /// The derivative of [`of_other`](Self::of_other).
    #[inline(always)]
    pub(crate) fn slope_of_other<F: Real, const FUSED: bool>(self, logit: F) -> F {
        match self {
            Self::Logistic { .. } => {
                let exp = (-logit.abs()).exp_of_nonpositive::<FUSED>();
                (if logit >= F::zero() { F::one() } else { exp }) / (F::one() + exp)
            }
            Self::Squared => {
                if logit > F::neg_infinity() {
                    logit
                } else {
                    F::zero()
                }
            }
        }
    }

    /// What the other classes' losses are multiplied by.
    pub(crate) fn weight_of_others<F: Real>(self) -> F {
        match self {
            Self::Logistic { negative, .. } => F::of(negative),
            Self::Squared => F::one(),
        }
    }

    /// The derivatives of so many other classes have no larger sum, from the sum of their losses.
    pub(crate) fn largest_sum_of_slopes<F: Real>(self, classes: usize, losses: F) -> F {
        match self {
            // exp(u) / (1 + exp(u)) ≤ ln(1 + exp(u))
            Self::Logistic { .. } => losses,
            // Cauchy and Schwarz.
            Self::Squared => (F::of(2.0 * classes as f64) * losses).sqrt(),
        }
    }

    /// A row of weight ω, from the logit of its class and the sum of the others' losses.
    pub(crate) fn row<F: Real>(self, weight: F, target_logit: F, classes: usize, others: F) -> RowObjective<F> {
        let (loss, residual) = self.of_label(target_logit);
        let of_others = self.weight_of_others::<F>();
        RowObjective {
            loss: weight * (loss + of_others * others),
            of_probabilities: weight * of_others,
            uniform: F::zero(),
            residual: weight * residual,
            of_targets: F::zero(),
            bound: weight * (residual.abs() + of_others * self.largest_sum_of_slopes(classes - 1, others)),
        }
    }

    /// The loss of `logits` (B, C), with what [`backward`](super::softmax_cross_entropy::backward) needs and the bound on residuals, as
    /// [`softmax_cross_entropy`](super::softmax_cross_entropy) has them.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::LossNotFinite`](crate::Error::LossNotFinite).
    pub(crate) fn forward_checked<F: Real>(
        self,
        logits: Array2<F>,
        objective: &CheckedObjective<F>,
    ) -> Result<(F, CrossEntropyCache<F>, F)> {
        super::l2_normalize::check_finite("logits", logits.view())?;
        let mut residual = logits;
        let mut row_losses = Array1::zeros(residual.nrows());
        let mut bound = F::zero();
        for (row, (mut logits, &class)) in
            residual.rows_mut().into_iter().zip(objective.targets.class_of_row()).enumerate()
        {
            let Some(class) = class else {
                logits.fill(F::zero());
                continue;
            };
            let target = std::mem::replace(&mut logits[class], F::neg_infinity());
            let others = logits.iter().map(|&logit| self.of_other::<F, false>(logit)).sum();
            let of_row = self.row(objective.weight(row), target, logits.len(), others);
            logits.mapv_inplace(|logit| of_row.of_probabilities * self.slope_of_other::<F, false>(logit));
            logits[class] = of_row.residual;
            row_losses[row] = of_row.loss;
            bound = bound.max(of_row.bound);
        }
        let (loss, cache) = CrossEntropyCache::of_rows(residual, row_losses, objective)?;
        Ok((loss, cache, bound))
    }
}

#[inline(always)]
fn square_unless_infinite<F: Real>(value: F) -> F {
    if value > F::neg_infinity() { value * value } else { F::zero() }
}

/// `ln(1 + x)` for x from 0 to 1 to a few units in the last place, without branches or table, so that loops over it vectorise:
/// `2 artanh(x / (2 + x))`, by the series `artanh(y) = y + y³/3 + y⁵/5 + …`, in which `y ≤ 1/3`.
#[inline(always)]
fn ln_1p_of_share<F: Real>(x: F) -> F {
    let two = F::of(2.0);
    let y = x / (two + x);
    let square = y * y;
    // What is left out is below 3^(-2 terms) / (2 terms), a fortieth of a unit in the last place.
    let terms = if size_of::<F>() == 4 { 8 } else { 17 };
    let mut sum = F::zero();
    for term in (0..terms).rev() {
        sum = sum * square + F::of(1.0 / (2 * term + 1) as f64);
    }
    two * y * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_standard_library() {
        for step in 0..=10_000 {
            for x in [f64::from(step) / 1e4, 10f64.powf(-f64::from(step) / 50.0)] {
                let (found, expected) = (ln_1p_of_share(x), x.ln_1p());
                assert!(
                    (found - expected).abs() <= 4.0 * f64::EPSILON * expected,
                    "ln(1 + {x:e}): {found:e}, {expected:e}"
                );
                if x < f32::MIN_POSITIVE.into() {
                    continue;
                }
                let (found, expected) = (ln_1p_of_share(x as f32), (x as f32).ln_1p());
                assert!(
                    (found - expected).abs() <= 4.0 * f32::EPSILON * expected,
                    "ln(1 + {x:e}): {found:e}, {expected:e}"
                );
            }
        }
    }

    #[test]
    fn losses_keep_their_digits_at_both_ends_and_slopes_are_differences() {
        let loss = ClassLoss::Logistic { positive: 0.7, negative: 0.3 };
        for u in [-700.0, -50.0, -3.0, -1e-9, 0.0, 0.4, 5.0, 800.0f64] {
            let exact = if u > 0.0 { u + (-u).exp().ln_1p() } else { u.exp().ln_1p() };
            let found = loss.of_other::<f64, true>(u);
            assert!((found - exact).abs() <= 1e-14 * exact, "{u}: {found:e}, {exact:e}");
            let (of_label, slope) = loss.of_label(-u);
            assert!((of_label - 0.7 * exact).abs() <= 1e-14 * exact, "{u}: {of_label:e}, {exact:e}");
            assert!((slope + 0.7 * loss.slope_of_other::<f64, true>(u)).abs() <= 1e-14, "{u}: {slope:e}");
        }
        for (loss, u) in [(loss, -1.3), (loss, 0.7), (ClassLoss::Squared, -0.4), (ClassLoss::Squared, 0.9)] {
            let step = 1e-5;
            let quotient = |function: &dyn Fn(f64) -> f64| (function(u + step) - function(u - step)) / (2.0 * step);
            let of_other = quotient(&|u| loss.of_other::<f64, true>(u));
            assert!((of_other - loss.slope_of_other::<f64, true>(u)).abs() < 1e-9);
            assert!((quotient(&|u| loss.of_label(u).0) - loss.of_label(u).1).abs() < 1e-9);
        }
    }

    #[test]
    fn classes_that_take_no_part_add_nothing() {
        for loss in [ClassLoss::Logistic { positive: 1.0, negative: 1.0 }, ClassLoss::Squared] {
            let logit = f32::NEG_INFINITY;
            assert_eq!((loss.of_other::<f32, true>(logit), loss.slope_of_other::<f32, true>(logit)), (0.0, 0.0));
        }
    }
}
