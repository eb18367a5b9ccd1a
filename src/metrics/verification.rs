//! Verification: are two rows of one class? A pair is accepted where its score, a cosine, reaches a threshold.

use super::angles::AngleHistogram;
use super::similarity::{for_each_pair_of_blocks, unit, unit_rows};
use crate::ops::{IGNORE_LABEL, rows};
use crate::{Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2, Axis};
use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

/// Two rows, and whether they are of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Number of a row.
    pub first: usize,
    /// Number of another.
    pub second: usize,
    /// Whether both are of one class: a genuine pair; else the pair is an impostor.
    pub same: bool,
}

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
    /// Of pairs with these scores (N,).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`]; [`Error::Unmeasurable`] unless there are genuine pairs and impostors.
    pub fn new<F: Real>(scores: &[F], same: &[bool]) -> Result<Self> {
        if scores.len() != same.len() {
            let expected = format!("({},), a score for each pair", same.len());
            return Err(Error::Shape { what: "scores", found: vec![scores.len()], expected });
        }
        let view = ArrayView2::from_shape((scores.len(), 1), scores).expect("a column");
        crate::ops::l2_normalize::check_finite("scores", view)?;
        let mut pairs: Vec<(f64, bool)> =
            scores.iter().map(|score| score.to_double()).zip(same.iter().copied()).collect();
        pairs.sort_unstable_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
        let of_equal_score = pairs.chunk_by(|a, b| a.0 == b.0).map(|pairs| {
            let genuine = pairs.iter().filter(|(_, same)| *same).count();
            (pairs[0].0, genuine as u64, (pairs.len() - genuine) as u64)
        });
        Self::from_counts(of_equal_score)
    }

    /// Of (score, genuine pairs, impostors) from the highest score.
    fn from_counts(counts: impl Iterator<Item = (f64, u64, u64)>) -> Result<Self> {
        let mut roc = Self { thresholds: vec![f64::INFINITY], true_accepts: vec![0], false_accepts: vec![0] };
        let (mut genuine, mut impostors) = (0, 0);
        for (score, more_genuine, more_impostors) in counts {
            (genuine, impostors) = (genuine + more_genuine, impostors + more_impostors);
            roc.thresholds.push(score);
            roc.true_accepts.push(genuine);
            roc.false_accepts.push(impostors);
        }
        if genuine == 0 || impostors == 0 {
            return Err(Error::Unmeasurable {
                what: "verification",
                found: format!("{genuine} genuine pairs and {impostors} impostors"),
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
    /// The smallest score that is accepted.
    pub threshold: f64,
    /// The share of pairs that are then judged rightly.
    pub accuracy: f64,
}

/// The cosines of `pairs` of embeddings (N, D): (pairs,).
///
/// # Errors
/// [`Error::Empty`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Setting`] for a pair of a row that is not there.
pub fn scores<F: Real>(embeddings: ArrayView2<F>, pairs: &[Pair]) -> Result<Vec<F>> {
    let unit = unit("embeddings", embeddings)?;
    let row = |number: usize| match unit.axis_iter(Axis(0)).nth(number).and_then(|row| row.to_slice()) {
        Some(row) => Ok(row),
        None => {
            let expected = format!("a number from 0 to {}", unit.nrows() - 1);
            Err(Error::Setting { name: "the row of a pair", value: number.to_string(), expected })
        }
    };
    pairs.iter().map(|pair| Ok(rows::dot(row(pair.first)?, row(pair.second)?))).collect()
}

/// All pairs of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct AllPairs {
    /// Scores are rounded to 2⁻¹⁷ = 7.6e-6, so that pairs need not be kept; those closer than that are ties.
    pub roc: Roc,
    /// Angles between rows of one class.
    pub genuine: AngleHistogram,
    /// Angles between rows of two classes.
    pub impostors: AngleHistogram,
}

/// Bins for cosines from -1 to 1.
const BINS: usize = 1 << 18;

/// Every pair of two rows of embeddings (N, D) with labels (N,). Rows labelled [`IGNORE_LABEL`] are in no pair.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Unmeasurable`] unless there are two rows of one
/// class and rows of two classes.
pub fn all_pairs<F: Real>(embeddings: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<AllPairs> {
    let unit = unit_rows("embeddings", embeddings, labels)?;
    let labels = labels.to_vec();
    // A table for each task that is running; impostors, then genuine pairs.
    let tables: Mutex<Vec<Vec<u64>>> = Mutex::default();
    let tables_now = || tables.lock().unwrap_or_else(PoisonError::into_inner);
    for_each_pair_of_blocks(unit.view(), |block| {
        let table = tables_now().pop();
        let mut table = table.unwrap_or_else(|| vec![0; 2 * BINS]);
        let on_diagonal = block.queries == block.references;
        for (row, (query, similarities)) in block.rows().enumerate() {
            let after = if on_diagonal { row + 1 } else { 0 };
            let label = labels[query];
            if label == IGNORE_LABEL {
                continue;
            }
            for (&similarity, &other) in similarities.iter().zip(&labels[block.references.clone()]).skip(after) {
                if other != IGNORE_LABEL {
                    table[usize::from(other == label) * BINS + bin(similarity)] += 1;
                }
            }
        }
        tables_now().push(table);
    });
    let tables = tables.into_inner().unwrap_or_else(PoisonError::into_inner);
    let count = |index: usize| tables.iter().map(|table| table[index]).sum::<u64>();
    let counts: Vec<(f64, u64, u64)> = (0..BINS)
        .rev()
        .map(|bin| (middle(bin), count(BINS + bin), count(bin)))
        .filter(|&(_, a, b)| a + b > 0)
        .collect();
    let (mut genuine, mut impostors) = (AngleHistogram::default(), AngleHistogram::default());
    for &(cosine, of_one_class, of_two) in &counts {
        genuine.add_many(cosine.acos(), of_one_class);
        impostors.add_many(cosine.acos(), of_two);
    }
    Ok(AllPairs { roc: Roc::from_counts(counts.into_iter())?, genuine, impostors })
}

fn bin<F: Real>(cosine: F) -> usize {
    let half = F::of((BINS / 2) as f64);
    // Rounding can take a cosine past ±1; the conversion stops at 0.
    ((cosine * half + half).to_usize().unwrap_or(0)).min(BINS - 1)
}

fn middle(bin: usize) -> f64 {
    (bin as f64 + 0.5) / (BINS / 2) as f64 - 1.0
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
        let pair = Pair { first: 0, second: 9, same: true };
        let error = scores(ndarray::array![[1.0], [2.0]].view(), &[pair]).expect_err("no such row").to_string();
        assert_eq!(error, "the row of a pair is 9; expected a number from 0 to 1");
    }

    #[test]
    fn bins_reach_from_end_to_end() {
        assert_eq!((bin(-1.0f32), bin(1.0f32), bin(-1.000_001f32), bin(1.000_001f32)), (0, BINS - 1, 0, BINS - 1));
        assert!((middle(bin(0.3)) - 0.3).abs() <= 1.0 / BINS as f64);
    }
}
