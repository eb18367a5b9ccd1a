//! Verification: are two rows of one class? Scores of pairs are cosines; [`Roc`] judges them.

use super::angles::AngleHistogram;
use super::roc::Roc;
use super::score_bins::{BINS, Counts, Division, bin, bins, cosine_of, descending};
use super::similarity::{Block, for_each_pair_of_blocks, lock, row, unit, unit_rows, unlocked};
use crate::ops::{IGNORE_LABEL, rows};
use crate::{Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2};
use std::sync::Mutex;

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

/// The cosines of `pairs` of embeddings (N, D), from -1 to 1: (pairs,).
///
/// # Errors
/// [`Error::Empty`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Setting`] for a pair of a row that is not there.
pub fn scores<F: Real>(embeddings: ArrayView2<F>, pairs: &[Pair]) -> Result<Vec<F>> {
    scores_of_unit(unit("embeddings", embeddings)?.view(), pairs)
}

/// [`scores`] of unit rows.
pub(super) fn scores_of_unit<F: Real>(unit: ArrayView2<F>, pairs: &[Pair]) -> Result<Vec<F>> {
    let row = |number: usize| match number < unit.nrows() {
        true => Ok(row(unit, number)),
        false => {
            let expected = format!("a number from 0 to {}", unit.nrows() - 1);
            Err(Error::Setting { name: "the row of a pair", value: number.to_string(), expected })
        }
    };
    // Rounding takes the inner product of unit rows past ±1.
    let cosine = |pair: &Pair| Ok(rows::dot(row(pair.first)?, row(pair.second)?).max(-F::one()).min(F::one()));
    pairs.iter().map(cosine).collect()
}

/// All pairs of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct AllPairs {
    /// Of up to four million pairs that of their scores. Of more, scores are counted in bins 2⁻¹⁷ = 7.6e-6 wide, and narrower where many pairs of
    /// both kinds fall into one: pairs in one bin are ties.
    pub roc: Roc,
    /// Angles between rows of one class.
    pub genuine: AngleHistogram,
    /// Angles between rows of two classes.
    pub impostors: AngleHistogram,
}

/// Pairs whose scores are kept: 64 MB of them in double precision.
const MOST_KEPT: usize = 1 << 22;

/// How often bins are divided, at most: each time all similarities are computed again.
const MOST_DIVISIONS: usize = 3;

/// Every pair of two rows of embeddings (N, D) with labels (N,). Rows labelled [`IGNORE_LABEL`] are in no pair.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::NotDefined`] unless there are two rows of one
/// class and rows of two classes.
pub fn all_pairs<F: Real>(embeddings: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<AllPairs> {
    all_pairs_of_unit(unit_rows("embeddings", embeddings, labels)?.view(), labels)
}

/// [`all_pairs`] of unit rows.
pub(super) fn all_pairs_of_unit<F: Real>(unit: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<AllPairs> {
    let labels = labels.to_vec();
    let labelled = labels.iter().filter(|&&label| label != IGNORE_LABEL).count();
    match labelled * labelled.saturating_sub(1) / 2 <= MOST_KEPT {
        true => kept(unit, &labels),
        false => counted(unit, &labels),
    }
}

/// [`all_pairs`] by all scores.
fn kept<F: Real>(unit: ArrayView2<F>, labels: &[i64]) -> Result<AllPairs> {
    let scores: Mutex<Vec<(F, bool)>> = Mutex::default();
    for_each_pair_of_blocks(unit, |block| {
        let mut of_block = Vec::new();
        // Rounding takes the inner product of unit rows past ±1.
        for_each_pair(&block, labels, |cosine, same| of_block.push((cosine.max(-F::one()).min(F::one()), same)));
        lock(&scores).append(&mut of_block);
    });
    let scores = unlocked(scores);
    let (mut genuine, mut impostors) = (AngleHistogram::default(), AngleHistogram::default());
    for &(cosine, same) in &scores {
        let angles = if same { &mut genuine } else { &mut impostors };
        angles.add(cosine.to_double().acos());
    }
    Ok(AllPairs { roc: Roc::of_pairs(scores)?, genuine, impostors })
}

/// [`all_pairs`] by counts in bins.
fn counted<F: Real>(unit: ArrayView2<F>, labels: &[i64]) -> Result<AllPairs> {
    let counts = counts(unit, labels, BINS, |cosine| Some(bin(cosine)));
    let (mut genuine, mut impostors) = (AngleHistogram::default(), AngleHistogram::default());
    for bin in 0..BINS {
        let theta = cosine_of(bin).acos();
        genuine.add_many(theta, counts.genuine[bin]);
        impostors.add_many(theta, counts.impostors[bin]);
    }
    let mut bins = bins::<F>(&counts);
    for _ in 0..MOST_DIVISIONS {
        let Some(division) = Division::of::<F>(&bins) else { break };
        let counts = self::counts(unit, labels, division.parts(), |cosine| division.part(cosine));
        bins = division.divide(&bins, &counts);
    }
    Ok(AllPairs { roc: Roc::from_counts(descending::<F>(&bins).into_iter())?, genuine, impostors })
}

/// How many pairs fall into each of `bins` bins.
fn counts<F: Real>(
    unit: ArrayView2<F>,
    labels: &[i64],
    bins: usize,
    bin: impl Fn(F) -> Option<usize> + Sync,
) -> Counts {
    // A table for each task that is running; impostors, then genuine pairs.
    let tables: Mutex<Vec<Vec<u64>>> = Mutex::default();
    for_each_pair_of_blocks(unit, |block| {
        let table = lock(&tables).pop();
        let mut table = table.unwrap_or_else(|| vec![0; 2 * bins]);
        for_each_pair(&block, labels, |cosine, same| {
            if let Some(bin) = bin(cosine) {
                table[usize::from(same) * bins + bin] += 1;
            }
        });
        lock(&tables).push(table);
    });
    let tables = unlocked(tables);
    let sum = |index: usize| tables.iter().map(|table| table[index]).sum::<u64>();
    Counts { genuine: (bins..2 * bins).map(sum).collect(), impostors: (0..bins).map(sum).collect() }
}

/// Each pair of labelled rows in a block: the cosine, and whether both are of one class. On the diagonal each is there once.
#[inline(always)]
fn for_each_pair<F: Real>(block: &Block<F>, labels: &[i64], mut each: impl FnMut(F, bool)) {
    let on_diagonal = block.queries == block.references;
    for (row, (query, similarities)) in block.rows().enumerate() {
        let after = if on_diagonal { row + 1 } else { 0 };
        let label = labels[query];
        if label == IGNORE_LABEL {
            continue;
        }
        for (&similarity, &other) in similarities.iter().zip(&labels[block.references.clone()]).skip(after) {
            if other != IGNORE_LABEL {
                each(similarity, other == label);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_pair_of_a_row_that_is_not_there_is_refused() {
        let pair = Pair { first: 0, second: 9, same: true };
        let error = scores(ndarray::array![[1.0], [2.0]].view(), &[pair]).expect_err("no such row").to_string();
        assert_eq!(error, "the row of a pair is 9; expected a number from 0 to 1");
    }

    /// Rows of classes around one direction: so far apart are the classes, and so far the rows of one.
    fn close<F: Real>(rows: usize, between: f64, within: f64) -> (Array2<F>, Vec<i64>) {
        let classes = 6;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let centres = Array2::from_shape_simple_fn((classes, 8), || 1.0 + between * rng.random_range(-1.0..1.0));
        let embeddings = Array2::from_shape_fn((rows, 8), |(row, column)| {
            F::of(centres[[row % classes, column]] + within * rng.random_range(-1.0..1.0))
        });
        (embeddings, (0..rows).map(|row| (row % classes) as i64).collect())
    }

    fn check<F: Real>(embeddings: &Array2<F>, labels: &[i64]) -> Roc {
        let unit = unit("embeddings", embeddings.view()).expect("directions");
        let [counted, kept] =
            [counted(unit.view(), labels), kept(unit.view(), labels)].map(|found| found.expect("classes"));
        assert_eq!((counted.genuine.total(), counted.impostors.total()), (kept.roc.genuine(), kept.roc.impostors()));
        assert_eq!((counted.roc.genuine(), counted.roc.impostors()), (kept.roc.genuine(), kept.roc.impostors()));
        assert!((counted.roc.auc() - kept.roc.auc()).abs() < 5e-4, "{} {}", counted.roc.auc(), kept.roc.auc());
        assert!((counted.roc.eer() - kept.roc.eer()).abs() < 1e-3, "{} {}", counted.roc.eer(), kept.roc.eer());
        let (counted, kept) = (counted.roc.best_accuracy(), kept.roc.best_accuracy());
        assert!((counted.accuracy - kept.accuracy).abs() < 1e-3, "{counted:?} {kept:?}");
        all_pairs(embeddings.view(), Array1::from(labels.to_vec()).view()).expect("classes").roc
    }

    #[test]
    fn bins_tell_apart_what_scores_do() {
        for (between, within) in [(1e-4, 1e-6), (1e-4, 1e-4), (1e-6, 1e-7), (1e-2, 1e-2), (1.0, 0.7)] {
            let (embeddings, labels) = close::<f64>(700, between, within);
            let roc = check(&embeddings, &labels);
            assert!(roc.auc() == 1.0 || within * 5.0 > between, "{between} {within}: {}", roc.auc());
            check(&embeddings.mapv(|value| value as f32), &labels);
        }
    }

    #[test]
    fn identical_rows_are_ties_in_bins_as_they_are_by_their_scores() {
        // Two directions; rows of one differ by their lengths and what comes of rounding.
        let double = Array2::from_shape_fn((300, 24), |(row, column)| {
            ((1.0 + (row % 2) as f64) * column as f64).sin() * (1.0 + row as f64)
        });
        let labels: Vec<i64> = (0..300).map(|row| row % 5).collect();
        let counted_by = |unit: Array2<f64>| counted(unit.view(), &labels).expect("classes").roc;
        let roc = counted_by(unit("embeddings", double.view()).expect("directions"));
        assert_eq!(roc.thresholds.len(), 3, "{:?}", roc.thresholds);
        check(&double, &labels);
        check(&double.mapv(|value| value as f32), &labels);
    }
}
