//! Open-set recognition: is a row of one of the known classes at all?
//!
//! A row is accepted where a score of its reaches a threshold. Known rows should be, rows of no known class should not.

use super::roc::Roc;
use crate::wording::counted;
use crate::{Error, Real, Result};

/// How well a score tells known rows from unknown ones.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct UnknownRows {
    /// The probability that a known row scores higher than an unknown one, ties counting half.
    pub auroc: f64,
    /// The share of unknown rows that the highest threshold accepts which accepts 95 % of the known ones.
    pub fpr_at_95_tpr: f64,
    /// The area under the share of known rows that are accepted and predicted right, over the share of unknown rows that are accepted (Dhamija et al. 2018, arXiv 1811.04110): at
    /// most the accuracy, and the AUROC.
    pub oscr: f64,
}

/// Of known rows with these scores (N,), each predicted right or not, and of the scores of unknown rows (M,). Scores that differ by no more than [`Roc::new`] says are ties.
///
/// # Errors
/// [`Error::Shape`], [`Error::NotFinite`]; [`Error::NotDefined`] unless there are known rows and unknown ones.
pub fn unknown_rows<F: Real>(known: &[F], right: &[bool], unknown: &[F]) -> Result<UnknownRows> {
    if known.len() != right.len() {
        let expected = format!("({},), a score for each known row", right.len());
        return Err(Error::Shape { what: "scores", found: vec![known.len()], expected });
    }
    if known.is_empty() || unknown.is_empty() {
        let found = format!("{} and {}", counted(known.len(), "known row"), counted(unknown.len(), "unknown row"));
        return Err(Error::NotDefined { what: "recognition", found, expected: "at least one of each" });
    }
    let against_unknown = |known: Vec<F>| {
        let same: Vec<bool> = (0..known.len() + unknown.len()).map(|row| row < known.len()).collect();
        Roc::new(&[&known, unknown].concat(), &same)
    };
    let roc = against_unknown(known.to_vec())?;
    let right: Vec<F> = known.iter().zip(right).filter(|(_, right)| **right).map(|(&score, _)| score).collect();
    // The share of right rows among all, times their share of those that are accepted.
    let accuracy = right.len() as f64 / known.len() as f64;
    let oscr = if right.is_empty() { 0.0 } else { accuracy * against_unknown(right)?.auc() };
    Ok(UnknownRows { auroc: roc.auc(), fpr_at_95_tpr: roc.far_at_tar(0.95), oscr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_rows_by_hand() {
        let known = [0.9, 0.8, 0.4, 0.2];
        let found = unknown_rows(&known, &[true, false, true, true], &[0.85, 0.3]).expect("both kinds");
        // Of eight pairs 0.9 wins two, 0.8 and 0.4 one each, 0.2 none.
        assert_eq!((found.auroc, found.fpr_at_95_tpr), (0.5, 1.0));
        // Right and accepted: one of four up to the first unknown row, two up to the second.
        assert_eq!(found.oscr, 0.5 * 0.25 + 0.5 * 0.5);
        let all_right = unknown_rows(&known, &[true; 4], &[0.85, 0.3]).expect("both kinds");
        assert_eq!(all_right.oscr, all_right.auroc);
        assert_eq!(unknown_rows(&known, &[false; 4], &[0.85, 0.3]).expect("both kinds").oscr, 0.0);
    }

    #[test]
    fn ninety_five_of_a_hundred_are_accepted() {
        let known: Vec<f64> = (0..100).map(f64::from).collect();
        // Five known rows lie below 5, and may be rejected.
        for (unknown, rate) in [(4.5, 0.0), (5.5, 0.5), (99.5, 0.5)] {
            let found = unknown_rows(&known, &[true; 100], &[unknown, -1.0]).expect("both kinds");
            assert_eq!(found.fpr_at_95_tpr, rate, "{unknown}");
        }
        let apart = unknown_rows(&known, &[true; 100], &[-1.0, -2.0]).expect("both kinds");
        assert_eq!((apart.auroc, apart.fpr_at_95_tpr, apart.oscr), (1.0, 0.0, 1.0));
    }

    #[test]
    fn one_kind_alone_is_not_measured() {
        let message = unknown_rows(&[0.5f32], &[true], &[]).expect_err("no unknown row").to_string();
        assert_eq!(
            message,
            "recognition of 1 known row and 0 unknown rows is not defined; expected at least one of each"
        );
        assert!(unknown_rows::<f32>(&[], &[], &[0.5]).is_err() && unknown_rows(&[0.5], &[], &[0.5]).is_err());
        assert!(matches!(unknown_rows(&[f64::NAN], &[true], &[0.5]), Err(Error::NotFinite { .. })));
    }
}
