//! The protocol of Labeled Faces in the Wild (Huang et al. 2007): accuracy on each of ten folds of pairs at the threshold that is best on
//! the other nine.

use super::roc::Roc;
use super::similarity::merge_ties;
use crate::wording::counted;
use crate::{Error, Real, Result};

/// Accuracy over folds.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FoldAccuracy {
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation over the folds, their number in the denominator.
    pub std: f64,
    /// Of each fold.
    pub accuracies: Vec<f64>,
    /// Of each fold: the smallest score that is accepted, the highest of those equally good on the other folds; infinite where
    /// rejecting all is best.
    pub thresholds: Vec<f64>,
}

/// Accuracy of pairs with these scores, cut into folds in their order: LFW's `pairs.txt` is in the order of its ten folds. Where the number of
/// pairs is no multiple of `folds`, the first folds have one pair more.
///
/// # Errors
/// [`Error::Setting`] for fewer than two folds, [`Error::NotDefined`] for fewer pairs than folds; those of [`Roc::new`], for the pairs outside a fold, too.
pub fn fold_accuracy<F: Real>(scores: &[F], same: &[bool], folds: usize) -> Result<FoldAccuracy> {
    if folds < 2 {
        let expected = "at least 2".into();
        return Err(Error::Setting { name: "the number of folds", value: folds.to_string(), expected });
    }
    if folds > scores.len() {
        let (found, expected) = (counted(scores.len(), "pair"), "a pair for each fold");
        return Err(Error::NotDefined { what: "accuracy over folds", found, expected });
    }
    Roc::new(scores, same)?;
    // Over all folds at once, so that a threshold of some folds is one of the scores of the others.
    let scores = &merge_ties(scores)[..];
    let (size, larger) = (scores.len() / folds, scores.len() % folds);
    let start = |fold: usize| fold * size + fold.min(larger);
    let (mut accuracies, mut thresholds) = (Vec::new(), Vec::new());
    for fold in 0..folds {
        let range = start(fold)..start(fold + 1);
        let others = Roc::new(&outside(scores, &range), &outside(same, &range))?;
        let threshold = others.best_accuracy().threshold;
        let pairs = scores[range.clone()].iter().zip(&same[range.clone()]);
        let right = pairs.filter(|&(score, &same)| (score.to_double() >= threshold) == same).count();
        accuracies.push(right as f64 / range.len() as f64);
        thresholds.push(threshold);
    }
    let mean = accuracies.iter().sum::<f64>() / folds as f64;
    let variance = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / folds as f64;
    Ok(FoldAccuracy { mean, std: variance.sqrt(), accuracies, thresholds })
}

fn outside<T: Copy>(values: &[T], range: &std::ops::Range<usize>) -> Vec<T> {
    [&values[..range.start], &values[range.end..]].concat()
}
