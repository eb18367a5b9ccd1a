//! Is one classifier better than another, or was it luck? Exact tests on the rows that both were tried on.

/// The standard error `sqrt(p (1 - p) / n)` of an accuracy p on `rows` rows.
pub fn standard_error(accuracy: f64, rows: usize) -> f64 {
    (accuracy * (1.0 - accuracy) / rows as f64).sqrt()
}

/// The two-sided exact sign test: how likely a split at least as uneven as `first` to `second` is if each is as likely as the other,
/// `min(1, 2 Σ_{i ≤ min} binom(n, i) / 2^n)` with n their sum. Of rows that one classifier has right and the other wrong this is McNemar's exact test
/// (McNemar 1947, *Note on the sampling error of the difference between correlated proportions or percentages*).
pub fn sign_test(first: usize, second: usize) -> f64 {
    let (few, all) = (first.min(second), first + second);
    let mut log_term = -(all as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for i in 0..=few {
        tail += log_term.exp();
        log_term += ((all - i) as f64).ln() - ((i + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

/// Holm's correction (1979, *A simple sequentially rejective multiple test procedure*): each of several p-values as what it is worth given that there
/// are the others. Those at most α are then significant together at α.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (place, &number) in order.iter().enumerate() {
        largest = largest.max(((p_values.len() - place) as f64 * p_values[number]).min(1.0));
        corrected[number] = largest;
    }
    corrected
}

/// How a classifier stands beside the best of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Mean over its runs of the share of rows that it has right.
    pub accuracy: f64,
    /// Standard deviation of that over its runs, one less than their number in the denominator; `None` of a single run.
    pub deviation: Option<f64>,
    /// How likely a difference from the best at least as large is by chance: [`sign_test`] with [`holm`]'s correction for the number of classifiers.
    /// `None` for the best.
    pub p_value: Option<f64>,
}

/// Compares classifiers on the same rows. `right` has the runs of each classifier, and of each run whether each row is right; a classifier without runs has
/// accuracy NaN. The best is that with the largest mean accuracy, of equals the first. A row speaks for the one that has it right in the larger share of its runs:
/// runs on the same rows are not independent, and are not counted as if they were.
pub fn standings(right: &[Vec<Vec<bool>>]) -> Vec<Standing> {
    let share = |run: &[bool]| run.iter().filter(|&&right| right).count() as f64 / run.len() as f64;
    let accuracies = |runs: &[Vec<bool>]| runs.iter().map(|run| share(run)).collect::<Vec<f64>>();
    let of_runs: Vec<(f64, Option<f64>)> = right.iter().map(|runs| mean_and_deviation(&accuracies(runs))).collect();
    let better = |best: usize, next: usize| if of_runs[next].0 > of_runs[best].0 { next } else { best };
    let Some(best) = (0..right.len()).filter(|&number| !of_runs[number].0.is_nan()).reduce(better) else {
        return of_runs.iter().map(|&(accuracy, deviation)| Standing { accuracy, deviation, p_value: None }).collect();
    };
    let others: Vec<usize> = (0..right.len()).filter(|&number| number != best).collect();
    let p_values: Vec<f64> = others.iter().map(|&other| paired(&right[other], &right[best])).collect();
    let mut standings: Vec<Standing> =
        of_runs.iter().map(|&(accuracy, deviation)| Standing { accuracy, deviation, p_value: None }).collect();
    for (other, p_value) in others.into_iter().zip(holm(&p_values)) {
        standings[other].p_value = Some(p_value);
    }
    standings
}

/// The mean and the standard deviation of some values, one less than their number in the denominator; the mean of none is NaN.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt()))
}

/// The sign test of rows that speak for one and the other.
fn paired(runs: &[Vec<bool>], others: &[Vec<bool>]) -> f64 {
    let rows = runs.iter().chain(others).map(Vec::len).min().unwrap_or(0);
    let count = |runs: &[Vec<bool>], row: usize| runs.iter().filter(|run| run[row]).count();
    // Shares with a common denominator.
    let shares = |row: usize| (count(runs, row) * others.len(), count(others, row) * runs.len());
    let first = (0..rows).filter(|&row| shares(row).0 > shares(row).1).count();
    let second = (0..rows).filter(|&row| shares(row).0 < shares(row).1).count();
    sign_test(first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_is_that_of_the_tables() {
        // scipy.stats.binomtest(first, first + second).pvalue
        let cases = [
            (0, 0, 1.0),
            (5, 0, 0.0625),
            (3, 9, 0.14599609375),
            (10, 10, 1.0),
            (40, 70, 0.005447429511444476),
            (480, 520, 0.2174482932041415),
            (49_000, 51_000, 2.5887160383468943e-10),
        ];
        for (first, second, expected) in cases {
            for found in [sign_test(first, second), sign_test(second, first)] {
                assert!((found - expected).abs() <= 1e-9 * expected, "{first} to {second}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn holm_steps_down() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[]), [0.0; 0]);
    }

    #[test]
    fn rows_speak_for_the_one_that_is_right_more_often() {
        let rows =
            |right: [usize; 3]| right.map(|right| (0..10).map(|row| row < right).collect::<Vec<bool>>()).to_vec();
        let found = standings(&[rows([9, 9, 8]), rows([2, 2, 3]), rows([9, 8, 8])]);
        assert!((found[0].accuracy - 26.0 / 30.0).abs() < 1e-12 && found[0].p_value.is_none());
        assert!((found[0].deviation.expect("three runs") - 0.057735).abs() < 1e-6);
        // Rows 3 to 8 speak for the first, and of row 2 each has some: 7 to 0, corrected for two comparisons.
        assert!((found[1].p_value.expect("not the best") - 2.0 * 2.0 / 128.0).abs() < 1e-12);
        // One row, and no other, speaks for the first.
        assert!((found[2].p_value.expect("not the best") - 1.0).abs() < 1e-12);
        let single = standings(&[vec![vec![true, false]], vec![]]);
        assert_eq!((single[0].accuracy, single[0].deviation), (0.5, None));
        assert!(single[1].accuracy.is_nan());
        assert!(standings(&[]).is_empty());
    }

    #[test]
    fn an_accuracy_of_a_half_is_the_least_certain() {
        assert_eq!(standard_error(0.5, 100), 0.05);
        assert_eq!(standard_error(1.0, 100), 0.0);
    }
}
