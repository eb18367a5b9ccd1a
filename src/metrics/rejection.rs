//! A score below which rows are rejected, found on unknown rows for a false accept rate.

use crate::wording::{counted, number};
use crate::{Error, Result};

/// A threshold, and what it lets through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejection {
    /// Rows whose score is above it are accepted: the score of an unknown row.
    pub threshold: f64,
    /// How many of the unknown rows are.
    pub accepted: usize,
    /// The false accept rate of other unknown rows, drawn as these were, is between these in 95 % of cases. That of the k + 1-th largest of M continuous scores is distributed as
    /// Beta(k + 1, M - k).
    pub interval: (f64, f64),
}

/// The lowest threshold that is a score of an unknown row (M,) and that at most `rate` of them are above.
///
/// # Errors
/// [`Error::Setting`] for a rate that is not above 0 and below 1, [`Error::NotDefined`] where `rate` of the rows is less than one: so few cannot show such a rate.
pub fn rejection(unknown: &[f64], rate: f64) -> Result<Rejection> {
    if !(rate > 0.0 && rate < 1.0) {
        let expected = "a share above 0 and below 1".into();
        return Err(Error::Setting { name: "the false accept rate", value: number(rate), expected });
    }
    // A product that is a whole number but for rounding is that number.
    let most = (rate * unknown.len() as f64 * (1.0 + f64::EPSILON)).floor() as usize;
    let most = most.min(unknown.len().saturating_sub(1));
    if most == 0 {
        let found = format!("{} by {}", number(rate), counted(unknown.len(), "unknown row"));
        return Err(Error::NotDefined {
            what: "a false accept rate",
            found,
            expected: "so many rows that it is one of them",
        });
    }
    let mut descending = unknown.to_vec();
    descending.sort_unstable_by(|a, b| b.total_cmp(a));
    let threshold = descending[most];
    let accepted = descending.partition_point(|&score| score > threshold);
    let quantile = |share| beta_quantile(accepted, unknown.len(), share);
    Ok(Rejection { threshold, accepted, interval: (quantile(0.025), quantile(0.975)) })
}

/// The quantile of Beta(k + 1, n - k), by bisection: the distribution function at x is the probability of more than k of n, each with the probability x.
fn beta_quantile(k: usize, n: usize, share: f64) -> f64 {
    let at_most_k = |x: f64| {
        let (mut ln_choices, mut sum) = (0.0, 0.0);
        for i in 0..=k {
            sum += (ln_choices + i as f64 * x.ln() + (n - i) as f64 * (-x).ln_1p()).exp();
            ln_choices += ((n - i) as f64 / (i + 1) as f64).ln();
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        *(if 1.0 - at_most_k(middle) < share { &mut low } else { &mut high }) = middle;
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_closed_forms() {
        for share in [0.025f64, 0.5, 0.975] {
            // Beta(1, n): 1 - (1 - x)^n. Beta(n, 1): x^n.
            approx::assert_relative_eq!(
                beta_quantile(0, 50, share),
                1.0 - (1.0 - share).powf(0.02),
                max_relative = 1e-9
            );
            approx::assert_relative_eq!(beta_quantile(49, 50, share), share.powf(0.02), max_relative = 1e-9);
            // Beta(2, 2): 3 x² - 2 x³.
            let x = beta_quantile(1, 3, share);
            approx::assert_relative_eq!(3.0 * x * x - 2.0 * x * x * x, share, max_relative = 1e-9);
        }
        let (low, high) = (beta_quantile(1000, 100_000, 0.025), beta_quantile(1000, 100_000, 0.975));
        // Nearly normal, with the mean 0.01 and the deviation √(0.01 · 0.99 / 100,000).
        approx::assert_relative_eq!(high - low, 2.0 * 1.96 * (0.0099f64 / 1e5).sqrt(), max_relative = 0.01);
    }

    #[test]
    fn no_more_than_the_rate_are_accepted_ties_included() {
        let scores: Vec<f64> = (0..200).map(|row| f64::from((row * 7) % 200)).collect();
        let found = rejection(&scores, 0.01).expect("two of them");
        assert_eq!((found.threshold, found.accepted), (197.0, 2));
        // By sums of whole binomials, in Python.
        approx::assert_relative_eq!(found.interval.0, 0.003104107621553498, max_relative = 1e-9);
        approx::assert_relative_eq!(found.interval.1, 0.03565466839723979, max_relative = 1e-9);
        let ties: Vec<f64> = scores.iter().map(|score| (score / 10.0).floor()).collect();
        let found = rejection(&ties, 0.08).expect("16 of them");
        assert_eq!((found.threshold, found.accepted), (18.0, 10));
        // 0.1 · 3 is above 0.3 in binary, 0.29 · 100 below 29.
        assert_eq!(rejection(&scores[..100], 0.29).expect("29 of them").accepted, 29);
    }

    #[test]
    fn rates_that_so_few_rows_do_not_show_are_refused() {
        let message = rejection(&[1.0; 99], 0.01).expect_err("less than one").to_string();
        let expected = "a false accept rate of 0.01 by 99 unknown rows is not defined; expected so many rows that it is one of them";
        assert_eq!(message, expected);
        // The largest share below 1.
        assert!(rejection(&[1.0], 1.0 - f64::EPSILON / 2.0).is_err() && rejection(&[], 0.5).is_err());
        assert_eq!(rejection(&[1.0, 2.0], 1.0 - f64::EPSILON / 2.0).expect("one of them").accepted, 1);
        for rate in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(matches!(rejection(&[1.0; 99], rate), Err(Error::Setting { .. })), "{rate}");
        }
    }
}
