//! The receiver operating characteristic: a pair is accepted where its score reaches a threshold.

use super::similarity::as_similar_as;
use crate::wording::counted;
use crate::{Error, Real, Result};
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::cmp::Ordering;

/// The receiver operating characteristic: how many pairs of each kind every threshold accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    /// Every distinct score, the highest first, after infinity, which accepts no pair.
    pub thresholds: Vec<f64>,
    /// Genuine pairs that reach each threshold; all of them at the last.
    pub true_accepts: Vec<u64>,
    /// Impostors that reach each threshold; all of them at the last.
    pub false_accepts: Vec<u64>,
}

impl Roc {
    /// Of pairs with these scores (N,), cosines or of their size: those that differ by no more than 16 units in the last place of 1 are ties, at the
    /// threshold of the highest of them.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`]; [`Error::NotDefined`] unless there are genuine pairs and impostors.
    pub fn new<F: Real>(scores: &[F], same: &[bool]) -> Result<Self> {
        if scores.len() != same.len() {
            let expected = format!("({},), a score for each pair", same.len());
            return Err(Error::Shape { what: "scores", found: vec![scores.len()], expected });
        }
        let view = ArrayView2::from_shape((scores.len(), 1), scores).expect("a column");
        crate::ops::l2_normalize::check_finite("scores", view)?;
        Self::of_pairs(scores.iter().copied().zip(same.iter().copied()).collect())
    }

    /// [`new`](Self::new) of finite scores, each with whether its pair is genuine.
    pub(super) fn of_pairs<F: Real>(mut pairs: Vec<(F, bool)>) -> Result<Self> {
        pairs.par_sort_unstable_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
        let mut rest = &pairs[..];
        let of_equal_score = std::iter::from_fn(|| {
            let &(highest, _) = rest.first()?;
            let (ties, below) = rest.split_at(rest.partition_point(|&(score, _)| score >= as_similar_as(highest)));
            rest = below;
            let genuine = ties.iter().filter(|(_, same)| *same).count();
            Some((highest.to_double(), genuine as u64, (ties.len() - genuine) as u64))
        });
        Self::from_counts(of_equal_score)
    }

    /// Of (score, genuine pairs, impostors) from the highest score.
    pub(super) fn from_counts(counts: impl Iterator<Item = (f64, u64, u64)>) -> Result<Self> {
        let mut roc = Self { thresholds: vec![f64::INFINITY], true_accepts: vec![0], false_accepts: vec![0] };
        let (mut genuine, mut impostors) = (0, 0);
        for (score, more_genuine, more_impostors) in counts {
            (genuine, impostors) = (genuine + more_genuine, impostors + more_impostors);
            roc.thresholds.push(score);
            roc.true_accepts.push(genuine);
            roc.false_accepts.push(impostors);
        }
        if genuine == 0 || impostors == 0 {
            return Err(Error::NotDefined {
                what: "verification",
                found: format!("{} and {}", counted(genuine, "genuine pair"), counted(impostors, "impostor")),
                expected: "at least one of each",
            });
        }
        Ok(roc)
    }

    /// Genuine pairs.
    pub fn genuine(&self) -> u64 {
        self.true_accepts[self.true_accepts.len() - 1]
    }

    /// Pairs of two classes.
    pub fn impostors(&self) -> u64 {
        self.false_accepts[self.false_accepts.len() - 1]
    }

    /// (false accept rate, true accept rate) at each threshold: from (0, 0) to (1, 1).
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let (genuine, impostors) = (self.genuine() as f64, self.impostors() as f64);
        let counts = self.false_accepts.iter().zip(&self.true_accepts);
        counts.map(move |(&accepted, &right)| (accepted as f64 / impostors, right as f64 / genuine))
    }

    /// The area under the curve: the probability that a genuine pair scores higher than an impostor, ties counting half.
    pub fn auc(&self) -> f64 {
        let points: Vec<_> = self.points().collect();
        points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1) / 2.0).sum()
    }

    /// The equal error rate: where the curve, straight between its points, has as many false accepts as false rejects.
    pub fn eer(&self) -> f64 {
        let points: Vec<_> = self.points().collect();
        let crossing = points.windows(2).find(|pair| pair[1].0 + pair[1].1 >= 1.0);
        let pair = crossing.expect("the curve goes from (0, 0) to (1, 1)");
        let [(far, tar), (next_far, next_tar)] = [pair[0], pair[1]];
        let part = (1.0 - far - tar) / (next_far + next_tar - far - tar);
        far + part * (next_far - far)
    }

    /// TAR at FAR: the largest true accept rate of a threshold whose false accept rate is at most `far`; nothing is interpolated. `None` where
    /// `far` of the impostors is less than one pair: so few cannot show such a rate.
    pub fn tar_at_far(&self, far: f64) -> Option<f64> {
        let measurable = far * self.impostors() as f64 >= 1.0;
        let rates = self.points().take_while(|&(false_accepts, _)| false_accepts <= far);
        rates.last().filter(|_| measurable).map(|(_, true_accepts)| true_accepts)
    }

    /// FAR at TAR: the smallest false accept rate of a threshold whose true accept rate is at least `tar`; nothing is interpolated.
    pub fn far_at_tar(&self, tar: f64) -> f64 {
        let reaching = self.points().find(|&(_, true_accepts)| true_accepts >= tar);
        reaching.map_or(1.0, |(false_accepts, _)| false_accepts)
    }

    /// The largest share of pairs that a threshold gets right, and that threshold, the highest among equally good ones.
    pub fn best_accuracy(&self) -> BestAccuracy {
        let (genuine, impostors) = (self.genuine(), self.impostors());
        let right = |index: usize| self.true_accepts[index] + impostors - self.false_accepts[index];
        let best =
            (0..self.thresholds.len()).fold(0, |best, index| if right(index) > right(best) { index } else { best });
        let accuracy = right(best) as f64 / (genuine + impostors) as f64;
        BestAccuracy { threshold: self.thresholds[best], accuracy }
    }
}

/// See [`Roc::best_accuracy`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BestAccuracy {
    /// The smallest score that is accepted; infinite where it is best to accept none.
    pub threshold: f64,
    /// The share of pairs that are then judged rightly.
    pub accuracy: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_pairs_by_hand() {
        let roc = Roc::new(&[0.9, 0.8, 0.3, 0.1], &[true, false, true, false]).expect("both kinds");
        assert_eq!(roc.points().collect::<Vec<_>>(), [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!((roc.auc(), roc.eer()), (0.75, 0.5));
        assert_eq!(roc.best_accuracy(), BestAccuracy { threshold: 0.9, accuracy: 0.75 });
        assert_eq!((roc.tar_at_far(0.5), roc.tar_at_far(0.49)), (Some(1.0), None));
        assert_eq!([0.0, 0.5, 0.51, 1.0].map(|tar| roc.far_at_tar(tar)), [0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn equal_scores_say_nothing() {
        let roc = Roc::new(&[0.0, -0.0, 0.0], &[true, false, true]).expect("both kinds");
        assert_eq!((roc.auc(), roc.eer(), roc.thresholds.len()), (0.5, 0.5, 2));
        assert_eq!(roc.tar_at_far(1.0), Some(1.0));
    }

    #[test]
    fn one_kind_of_pairs_cannot_be_measured() {
        let error = Roc::new(&[0.1, 0.2], &[true, true]).expect_err("no impostors").to_string();
        assert!(error.starts_with("verification of 2 genuine pairs and 0 impostors is not defined"), "{error}");
        assert!(matches!(Roc::new(&[f32::NAN, 0.2], &[true, false]), Err(Error::NotFinite { what: "scores", .. })));
    }
}
