//! Do probabilities mean what they say: likelihood, Brier score, calibration error, and the bins of a reliability diagram.
//!
//! Probabilities of a row are p = softmax(z / T), of its logits z (C,) and a [temperature](super::temperature) T.

use crate::Real;
use crate::ops::{SoftmaxSums, Targets};
use ndarray::ArrayView2;

/// Bins of the calibration error, as Guo et al. 2017 (arXiv 1706.04599, table 1) have them.
pub const BINS: usize = 15;

/// Sums over the labelled rows that have been [added](Self::add), however few at a time.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Calibration {
    rows: usize,
    nll: f64,
    brier: f64,
    bins: [ConfidenceBin; BINS],
}

/// Rows whose confidence, the largest of their probabilities, is in ((m - 1) / [`BINS`], m / [`BINS`]] for one m.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct ConfidenceBin {
    /// How many there are.
    pub rows: usize,
    /// How many of them have the class with the largest probability.
    pub correct: usize,
    /// The sum of their confidences.
    pub confidence: f64,
}

impl Calibration {
    /// Adds the labelled rows of `logits` (B, C), which `temperature` divides.
    pub fn add<F: Real>(&mut self, logits: ArrayView2<F>, targets: &Targets, temperature: f64) {
        let rows = targets.iter().map(|(row, class)| SoftmaxSums::new(logits.row(row), class, 1.0 / temperature));
        rows.for_each(|row| self.add_row(&row));
    }

    /// Adds a row by its sums at β = 1 / T.
    pub fn add_row(&mut self, row: &SoftmaxSums) {
        let &SoftmaxSums { beta, largest, of_label, sum, squares, .. } = row;
        let exponent = beta * (of_label - largest);
        self.rows += 1;
        self.nll += sum.ln() - exponent;
        self.brier += squares / (sum * sum) - 2.0 * exponent.exp() / sum + 1.0;
        let confidence = 1.0 / sum;
        let bin = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[bin.clamp(1, BINS) - 1];
        bin.rows += 1;
        bin.correct += usize::from(row.predicted == row.label);
        bin.confidence += confidence;
    }

    /// Labelled rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The mean over rows of -ln p_y, in nats.
    pub fn nll(&self) -> f64 {
        self.nll / self.rows as f64
    }

    /// The mean over rows of Σ_k (p_k - [k = y])², from 0 to 2 (Brier 1950).
    pub fn brier(&self) -> f64 {
        self.brier / self.rows as f64
    }

    /// The expected calibration error: Σ_m (n_m / n) |accuracy of bin m - mean confidence of bin m|, over bins of equal width (Guo et al. 2017,
    /// equation 3).
    pub fn ece(&self) -> f64 {
        let gap = |bin: &ConfidenceBin| (bin.correct as f64 - bin.confidence).abs();
        self.bins.iter().map(gap).sum::<f64>() / self.rows as f64
    }

    /// The bins, the least confident first: the reliability diagram.
    pub fn bins(&self) -> &[ConfidenceBin; BINS] {
        &self.bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, array};

    fn of(probabilities: Array2<f64>, labels: Array1<i64>, temperature: f64) -> Calibration {
        let logits = probabilities.mapv(f64::ln);
        let targets = Targets::new(labels.view(), logits.nrows(), logits.ncols()).expect("labels in range");
        let mut calibration = Calibration::default();
        calibration.add(logits.view(), &targets, temperature);
        calibration
    }

    #[test]
    fn four_rows_by_hand() {
        let probabilities = array![[0.7, 0.2, 0.1], [0.25, 0.6, 0.15], [0.34, 0.33, 0.33], [0.01, 0.01, 0.98]];
        let found = of(probabilities, array![0, 0, 1, 2], 1.0);
        let nll = -(0.7f64.ln() + 0.25f64.ln() + 0.33f64.ln() + 0.98f64.ln()) / 4.0;
        approx::assert_relative_eq!(found.nll(), nll, max_relative = 1e-12);
        let brier = (0.09 + 0.04 + 0.01)
            + (0.5625 + 0.36 + 0.0225)
            + (0.34f64.powi(2) + 0.67f64.powi(2) + 0.33f64.powi(2))
            + 2.0 * 0.01f64.powi(2)
            + 0.02f64.powi(2);
        approx::assert_relative_eq!(found.brier(), brier / 4.0, max_relative = 1e-12);
        // Four bins with a row each: right at 0.7 and 0.98, wrong at 0.6 and 0.34.
        approx::assert_relative_eq!(found.ece(), (0.3 + 0.6 + 0.34 + 0.02) / 4.0, max_relative = 1e-12);
        let rows = found.bins().map(|bin| bin.rows);
        assert_eq!(rows, [0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
        assert_eq!(found.rows(), 4);
    }

    #[test]
    fn rows_of_one_bin_are_compared_together() {
        // Three of four right at 0.8: 0.05 too sure. One at a time they would be 0.2 or 0.8 off.
        let found = of(Array2::from_shape_fn((4, 2), |(_, k)| [0.8, 0.2][k]), array![0, 0, 1, 0], 1.0);
        approx::assert_relative_eq!(found.ece(), 0.05, max_relative = 1e-12);
        // The upper edge of a bin is in it, and rows without label are in none.
        let found = of(array![[1.0, 1e-300], [0.5, 0.5], [0.9, 0.1]], array![0, 1, crate::ops::IGNORE_LABEL], 1.0);
        assert_eq!((found.bins()[BINS - 1].rows, found.bins()[7].rows, found.rows()), (1, 1, 2));
        approx::assert_relative_eq!(found.ece(), 0.25, max_relative = 1e-12);
    }

    #[test]
    fn temperature_divides_logits_and_few_rows_at_a_time_are_the_same() {
        let probabilities = array![[0.7, 0.2, 0.1], [0.25, 0.6, 0.15], [0.34, 0.33, 0.33]];
        let labels = array![0, 0, 1];
        let powers = probabilities.mapv(|p: f64| p.powf(1.0 / 2.5));
        let sums = powers.sum_axis(ndarray::Axis(1)).insert_axis(ndarray::Axis(1));
        let (at_once, divided) =
            (of(probabilities.clone(), labels.clone(), 2.5), of(powers / sums, labels.clone(), 1.0));
        approx::assert_relative_eq!(at_once.nll(), divided.nll(), max_relative = 1e-12);
        approx::assert_relative_eq!(at_once.brier(), divided.brier(), max_relative = 1e-12);
        approx::assert_relative_eq!(at_once.ece(), divided.ece(), max_relative = 1e-12);
        let mut one_by_one = Calibration::default();
        for row in 0..3 {
            let targets = Targets::new(labels.slice(ndarray::s![row..=row]), 1, 3).expect("in range");
            one_by_one.add(probabilities.slice(ndarray::s![row..=row, ..]).mapv(f64::ln).view(), &targets, 2.5);
        }
        assert_eq!(one_by_one, at_once);
    }

    #[test]
    fn logits_of_any_size_have_finite_measures() {
        let logits = array![[1e30f32, -1e30, 0.0], [0.0, 0.0, 0.0]];
        let targets = Targets::new(array![1, 2].view(), 2, 3).expect("in range");
        let mut found = Calibration::default();
        found.add(logits.view(), &targets, 0.01);
        assert!(found.nll().is_finite() && found.nll() > 1e30 && found.brier() <= 2.0, "{found:?}");
    }
}
