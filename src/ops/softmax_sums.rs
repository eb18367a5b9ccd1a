//! Sums over a row's logits, of which all measures of its probabilities are made.

use crate::Real;
use ndarray::ArrayView1;

/// β (z_j - m) below which a class is not looked at: `exp(-80)` is 2e-35, invisible in double precision beside the 1 of the largest, however many classes there are, and
/// times the square of the exponent, too.
const VISIBLE: f64 = -80.0;

/// Of p = softmax(β z), with m = max z and `e_j = exp(β (z_j - m))`, for a row labelled y. They may come a few classes at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxSums {
    /// β
    pub beta: f64,
    /// y
    pub label: usize,
    /// z_y; -∞ as long as y is not among the classes.
    pub of_label: f64,
    /// m
    pub largest: f64,
    /// The class of m, of equal logits that with the lowest index.
    pub predicted: usize,
    /// Σ_j e_j
    pub sum: f64,
    /// Σ_j e_j²
    pub squares: f64,
    /// Σ_j e_j (z_j - m)
    pub first: f64,
    /// Σ_j e_j (z_j - m)²
    pub second: f64,
}

impl SoftmaxSums {
    /// Of all `logits` (C,).
    pub fn new<F: Real>(logits: ArrayView1<F>, label: usize, beta: f64) -> Self {
        Self::of_classes(logits.iter().map(|logit| logit.to_double()).enumerate(), label, beta)
    }

    /// Of no class.
    pub(crate) fn none(label: usize, beta: f64) -> Self {
        let nothing = f64::NEG_INFINITY;
        let (predicted, sum, squares, first, second) = (0, 0.0, 0.0, 0.0, 0.0);
        Self { beta, label, of_label: nothing, largest: nothing, predicted, sum, squares, first, second }
    }

    /// Of classes in their order, with their logits; one of -∞ takes no part.
    pub(crate) fn of_classes(logits: impl Iterator<Item = (usize, f64)> + Clone, label: usize, beta: f64) -> Self {
        let mut sums = Self::none(label, beta);
        for (class, logit) in logits.clone() {
            if logit > sums.largest {
                (sums.largest, sums.predicted) = (logit, class);
            }
            if class == label {
                sums.of_label = sums.of_label.max(logit);
            }
        }
        for (_, logit) in logits {
            let below = logit - sums.largest;
            if beta * below > VISIBLE && logit > f64::NEG_INFINITY {
                let exponential = (beta * below).exp();
                sums.sum += exponential;
                sums.squares += exponential * exponential;
                sums.first += exponential * below;
                sums.second += exponential * below * below;
            }
        }
        sums
    }

    /// Of these classes and of `next`, which come after them; of the same row at the same β.
    pub(crate) fn merge(self, next: Self) -> Self {
        let of_label = self.of_label.max(next.of_label);
        // Of equal logits that of the lower index stays.
        let (higher, lower) = if next.largest > self.largest { (next, self) } else { (self, next) };
        if lower.sum == 0.0 {
            return Self { of_label, ..higher };
        }
        let below = lower.largest - higher.largest;
        let factor = (self.beta * below).exp();
        Self {
            of_label,
            sum: higher.sum + factor * lower.sum,
            squares: higher.squares + factor * factor * lower.squares,
            first: higher.first + factor * (lower.first + below * lower.sum),
            second: higher.second + factor * (lower.second + below * (2.0 * lower.first + below * lower.sum)),
            ..higher
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_a_few_at_a_time_are_the_same() {
        let logit = |class: usize| ((7 * class * class + 3) % 41) as f64 / 1.7 - 9.0;
        let of_classes = |classes: std::ops::Range<usize>, beta| {
            SoftmaxSums::of_classes(classes.map(|class| (class, logit(class))), 23, beta)
        };
        for (beta, at_a_time) in [(0.0, 1), (0.2, 3), (1.0, 7), (7.0, 40)] {
            let whole = of_classes(0..40, beta);
            let parts = (0..40).step_by(at_a_time).map(|first| of_classes(first..(first + at_a_time).min(40), beta));
            let merged = parts.fold(SoftmaxSums::none(23, beta), SoftmaxSums::merge);
            assert_eq!(
                (merged.largest, merged.predicted, merged.of_label),
                (whole.largest, whole.predicted, logit(23))
            );
            let figures = |sums: SoftmaxSums| [sums.sum, sums.squares, sums.first, sums.second];
            for (found, expected) in figures(merged).into_iter().zip(figures(whole)) {
                approx::assert_relative_eq!(found, expected, max_relative = 1e-13);
            }
        }
    }

    #[test]
    fn equal_logits_are_of_the_first_class_and_those_of_minus_infinity_of_none() {
        let nothing = f64::NEG_INFINITY;
        let logits = [nothing, 1.0, 2.0, 2.0, nothing];
        let from = |first: usize| SoftmaxSums::of_classes((first..).zip(logits), 1, 0.0);
        let sums = from(0);
        assert_eq!((sums.predicted, sums.sum, sums.first, sums.of_label), (2, 3.0, -1.0, 1.0));
        let both = sums.merge(from(5));
        assert_eq!((both.predicted, both.sum, both.of_label), (2, 6.0, 1.0));
        let empty = SoftmaxSums::of_classes((0..).zip([nothing; 3]), 1, 0.0);
        let after = SoftmaxSums::none(1, 0.0).merge(empty).merge(from(3));
        assert_eq!((after.predicted, after.sum), (5, 3.0));
    }
}
