//! Verification: are two rows of one class? Scores of pairs are cosines; [`Roc`] judges them.

use super::angles::AngleHistogram;
use super::roc::Roc;
use super::similarity::{for_each_pair_of_blocks, lock, row, unit, unit_rows, unlocked};
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
    /// Scores are rounded to 2⁻¹⁷ = 7.6e-6, so that pairs need not be kept; those closer than that are ties.
    pub roc: Roc,
    /// Angles between rows of one class.
    pub genuine: AngleHistogram,
    /// Angles between rows of two classes.
    pub impostors: AngleHistogram,
}

/// Bins for cosines from -1 to 1, both of which are the middle of one, as 0 and ±½ are: rounding does not part the cosines of rows that are the
/// same, opposite or at right angles.
const BINS: usize = HALF * 2 + 1;
const HALF: usize = 1 << 17;

/// Every pair of two rows of embeddings (N, D) with labels (N,). Rows labelled [`IGNORE_LABEL`] are in no pair.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Unmeasurable`] unless there are two rows of one
/// class and rows of two classes.
pub fn all_pairs<F: Real>(embeddings: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<AllPairs> {
    all_pairs_of_unit(unit_rows("embeddings", embeddings, labels)?.view(), labels)
}

/// [`all_pairs`] of unit rows.
pub(super) fn all_pairs_of_unit<F: Real>(unit: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<AllPairs> {
    let labels = labels.to_vec();
    // A table for each task that is running; impostors, then genuine pairs.
    let tables: Mutex<Vec<Vec<u64>>> = Mutex::default();
    for_each_pair_of_blocks(unit, |block| {
        let table = lock(&tables).pop();
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
        lock(&tables).push(table);
    });
    let tables = unlocked(tables);
    let count = |index: usize| tables.iter().map(|table| table[index]).sum::<u64>();
    let bins = (0..BINS).rev().map(|bin| (bin, count(BINS + bin), count(bin)));
    let bins: Vec<(usize, u64, u64)> = bins.filter(|&(_, of_one_class, of_two)| of_one_class + of_two > 0).collect();
    let (mut genuine, mut impostors) = (AngleHistogram::default(), AngleHistogram::default());
    for &(bin, of_one_class, of_two) in &bins {
        let theta = cosine_of(bin).acos();
        genuine.add_many(theta, of_one_class);
        impostors.add_many(theta, of_two);
    }
    // All of a bin are accepted from its lower edge on.
    let lower_edge = |bin: usize| (cosine_of(bin) - 0.5 / HALF as f64).max(-1.0);
    let counts = bins.into_iter().map(|(bin, of_one_class, of_two)| (lower_edge(bin), of_one_class, of_two));
    Ok(AllPairs { roc: Roc::from_counts(counts)?, genuine, impostors })
}

fn bin<F: Real>(cosine: F) -> usize {
    // Half a bin more, since the conversion rounds down. Rounding can take a cosine past ±1; the conversion stops at 0.
    let bin = (cosine + F::one()) * F::of(HALF as f64) + F::of(0.5);
    bin.to_usize().unwrap_or(0).min(BINS - 1)
}

/// The cosine in the middle of a bin.
fn cosine_of(bin: usize) -> f64 {
    bin as f64 / HALF as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_a_row_that_is_not_there_is_refused() {
        let pair = Pair { first: 0, second: 9, same: true };
        let error = scores(ndarray::array![[1.0], [2.0]].view(), &[pair]).expect_err("no such row").to_string();
        assert_eq!(error, "the row of a pair is 9; expected a number from 0 to 1");
    }

    #[test]
    fn bins_reach_from_end_to_end() {
        assert_eq!((bin(-1.0f32), bin(1.0f32), bin(-1.000_001f32), bin(1.000_001f32)), (0, BINS - 1, 0, BINS - 1));
        assert!((cosine_of(bin(0.3)) - 0.3).abs() <= 1.0 / BINS as f64);
        for cosine in [-1.0f32, -0.5, 0.0, 0.25, 0.5, 1.0] {
            for score in [cosine - 1e-6, cosine, cosine + 1e-6] {
                assert_eq!(cosine_of(bin(score)), f64::from(cosine), "{score}");
            }
        }
    }
}
