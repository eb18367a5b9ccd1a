//! Temperature scaling: one number that divides logits, so that probabilities mean what they say (Guo et al. 2017, arXiv 1706.04599, section 4.2).
//!
//! No row's prediction changes. In β = 1 / T the mean negative log-likelihood of rows with logits z and labels y,
//! f(β) = mean(ln Σ_k exp(β z_k) - β z_y), is convex: its slope is mean(E z - z_y), its curvature mean(Var z), both under p = softmax(β z).

use crate::ops::{SoftmaxSums, Targets};
use crate::optim::check_setting;
use crate::wording::counted;
use crate::{Error, Real, Result};
use ndarray::ArrayView2;

/// Slope and curvature of the mean negative log-likelihood at one β, as sums over rows, which may come a few at a time.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct LikelihoodSlope {
    rows: usize,
    /// Rows of which another class has a larger logit than their own.
    wrong: usize,
    slope: f64,
    curvature: f64,
}

impl LikelihoodSlope {
    /// Adds the labelled rows of `logits` (B, C) at `beta`.
    pub fn add<F: Real>(&mut self, logits: ArrayView2<F>, targets: &Targets, beta: f64) {
        targets.iter().for_each(|(row, class)| self.add_row(&SoftmaxSums::new(logits.row(row), class, beta)));
    }

    /// Adds a row by its sums at the β in question.
    pub fn add_row(&mut self, row: &SoftmaxSums) {
        let &SoftmaxSums { of_label, largest, sum, first, second, .. } = row;
        // From the largest, which moves the mean and not the variance.
        let (mean, of_label) = (first / sum, of_label - largest);
        self.rows += 1;
        self.wrong += usize::from(of_label < 0.0);
        self.slope += mean - of_label;
        self.curvature += second / sum - mean * mean;
    }
}

/// No temperature is below 1 / this, or above it: in single precision logits are no longer divided by what is.
const MOST: f64 = 1e30;

/// Checks a number that is to divide logits.
///
/// # Errors
/// [`Error::Setting`].
pub fn check_temperature(temperature: f64) -> Result<()> {
    check_setting("temperature", temperature, is_in_range(temperature), "a number from 1e-30 to 1e30")
}

fn is_in_range(temperature: f64) -> bool {
    (1.0 / MOST..=MOST).contains(&temperature)
}

/// Passes over the rows, at most: each halves the interval, if it does no better.
const MOST_PASSES: usize = 200;

/// The last step of Newton's method, relative to β; what is left after it is of the order of its square.
const PRECISION: f64 = 1e-12;

/// The temperature at which the labels are likeliest; `pass` adds all rows at a β. By Newton's method, with bisection where that would leave the
/// interval that is known to hold the minimum.
///
/// # Errors
/// What `pass` returns. [`Error::NotDefined`] where every row is predicted right, which the likelihood rewards with ever lower temperatures, and where
/// the labelled logits are on average no higher than the others, which asks for ever higher ones; for a temperature that is [none](check_temperature).
pub fn fit_temperature(mut pass: impl FnMut(f64) -> Result<LikelihoodSlope>) -> Result<f64> {
    let undefined = |found, expected| Error::NotDefined { what: "a temperature", found, expected };
    let flat = pass(0.0)?;
    if flat.wrong == 0 {
        let found = format!("{}, all of them predicted right,", counted(flat.rows, "row"));
        return Err(undefined(found, "a wrong one among them"));
    }
    if flat.slope >= 0.0 {
        let found = format!("{}, whose labelled logits are no higher than others,", counted(flat.rows, "row"));
        return Err(undefined(found, "logits that say something of the labels"));
    }
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut beta = 1.0;
    for _ in 0..MOST_PASSES {
        let LikelihoodSlope { slope, curvature, .. } = pass(beta)?;
        *(if slope < 0.0 { &mut low } else { &mut high }) = beta;
        let newton = beta - slope / curvature;
        let next = match newton > low && newton < high {
            true => newton,
            false if high.is_infinite() => 2.0 * low,
            false => 0.5 * (low + high),
        };
        if (next - beta).abs() <= PRECISION * beta {
            break;
        }
        beta = next;
    }
    let temperature = 1.0 / beta;
    if !is_in_range(temperature) {
        let found = format!("{}, whose labels are likeliest at {temperature:e},", counted(flat.rows, "row"));
        return Err(undefined(found, "one from 1e-30 to 1e30"));
    }
    Ok(temperature)
}

#[cfg(test)]
mod tests {
    use super::super::accuracy::predict;
    use super::super::calibration::Calibration;
    use super::*;
    use ndarray::{Array1, Array2, array};

    fn fitted(logits: &Array2<f64>, labels: &Array1<i64>) -> (Result<f64>, usize) {
        let targets = Targets::new(labels.view(), logits.nrows(), logits.ncols()).expect("labels in range");
        let mut passes = 0;
        let temperature = fit_temperature(|beta| {
            passes += 1;
            let mut slope = LikelihoodSlope::default();
            slope.add(logits.view(), &targets, beta);
            Ok(slope)
        });
        (temperature, passes)
    }

    /// Two classes whose logits differ by d, right in a share q of rows: p = q where d / T = ln(q / (1 - q)).
    #[test]
    fn two_classes_have_a_closed_form() {
        let labels = array![0, 0, 0, 1];
        for difference in [1e-6, 0.3, 8.0, 1e4, 1e9] {
            let logits = Array2::from_shape_fn((4, 2), |(_, k)| if k == 0 { 5.0 + difference } else { 5.0 });
            let (temperature, passes) = fitted(&logits, &labels);
            // What is left of the difference beside 5.
            let held = logits[[0, 0]] - 5.0;
            approx::assert_relative_eq!(temperature.expect("a wrong row"), held / 3f64.ln(), max_relative = 1e-12);
            assert!(passes <= 80, "{passes} passes for {difference}");
        }
    }

    /// Sixty rows, of every three of which two have the class with the largest logit.
    fn two_in_three() -> (Array2<f64>, Array1<i64>) {
        let logits = Array2::from_shape_fn((60, 5), |(row, k)| ((7 * row + 11 * k * k + row * k) % 17) as f64 / 2.0);
        let predicted = predict(logits.view()).into_iter().enumerate();
        let labels = predicted.map(|(row, class)| if row % 3 == 0 { (class as i64 + 1) % 5 } else { class as i64 });
        (logits, labels.collect())
    }

    /// By the definitions in fifty decimal digits, and golden-section search over T.
    #[test]
    fn fifty_digits_say_the_same() {
        let (logits, labels) = two_in_three();
        let targets = Targets::new(labels.view(), 60, 5).expect("in range");
        let temperature = fitted(&logits, &labels).0.expect("right and wrong rows");
        approx::assert_relative_eq!(temperature, 2.03347660163962, max_relative = 1e-12);
        for (temperature, nll, brier, ece) in [
            (1.0, 1.45070699598008, 0.633700115461442, 0.199261382530358),
            (temperature, 1.25677819085887, 0.623034069986146, 0.18823226529725),
        ] {
            let mut found = Calibration::default();
            found.add(logits.view(), &targets, temperature);
            approx::assert_relative_eq!(found.nll(), nll, max_relative = 1e-12);
            approx::assert_relative_eq!(found.brier(), brier, max_relative = 1e-12);
            approx::assert_relative_eq!(found.ece(), ece, max_relative = 1e-12);
        }
    }

    #[test]
    fn the_slope_is_zero_there_and_the_likelihood_is_lower_than_beside_it() {
        let (logits, labels) = two_in_three();
        let temperature = fitted(&logits, &labels).0.expect("right and wrong rows");
        let targets = Targets::new(labels.view(), 60, 5).expect("in range");
        let nll = |temperature: f64| {
            let mut calibration = Calibration::default();
            calibration.add(logits.view(), &targets, temperature);
            calibration.nll()
        };
        let mut slope = LikelihoodSlope::default();
        slope.add(logits.view(), &targets, 1.0 / temperature);
        assert!(slope.slope.abs() < 1e-11, "{slope:?}");
        let step = 1e-5;
        let (below, above) = (nll(1.0 / (1.0 / temperature - step)), nll(1.0 / (1.0 / temperature + step)));
        assert!(nll(temperature) < below && nll(temperature) < above);
        // Curvature and slope are the derivatives of the likelihood.
        let at = |beta: f64| {
            let mut slope = LikelihoodSlope::default();
            slope.add(logits.view(), &targets, beta);
            (slope.slope / 60.0, slope.curvature / 60.0)
        };
        for beta in [0.1, 0.7, 2.0] {
            let difference = (nll(1.0 / (beta + 1e-6)) - nll(1.0 / (beta - 1e-6))) / 2e-6;
            approx::assert_relative_eq!(at(beta).0, difference, max_relative = 1e-6, epsilon = 1e-8);
            let difference = (at(beta + 1e-6).0 - at(beta - 1e-6).0) / 2e-6;
            approx::assert_relative_eq!(at(beta).1, difference, max_relative = 1e-6);
        }
    }

    #[test]
    fn what_has_no_temperature_is_refused() {
        let logits = array![[2.0, 1.0], [0.5, 1.5]];
        let message = fitted(&logits, &array![0, 1]).0.expect_err("no wrong row").to_string();
        let expected =
            "a temperature of 2 rows, all of them predicted right, is not defined; expected a wrong one among them";
        assert_eq!(message, expected);
        let message = fitted(&logits, &array![1, 0]).0.expect_err("no right row").to_string();
        assert!(message.contains("whose labelled logits are no higher than others"), "{message}");
        // One of each, as far off: a coin tells as much.
        assert!(fitted(&logits, &array![0, 0]).0.is_err());
    }
}
