//! Cosine similarities of many rows to many, a block at a time.

use crate::ops::l2_normalize;
use crate::real::SingleThreaded;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows of a block: its similarities fit a core's cache.
pub(super) const BLOCK: usize = 512;

/// The similarities of some rows to some others.
pub(super) struct Block<'a, F> {
    pub queries: Range<usize>,
    pub references: Range<usize>,
    /// In row-major order, a row a query.
    pub similarities: &'a [F],
}

impl<'a, F> Block<'a, F> {
    /// Each query with its similarities.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &'a [F])> {
        self.queries.clone().zip(self.similarities.chunks_exact(self.references.len()))
    }
}

/// Unit rows of embeddings (N, D) in row-major order, checked along with their labels (N,).
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`].
pub(super) fn unit_rows<F: Real>(
    what: &'static str,
    embeddings: ArrayView2<F>,
    labels: ArrayView1<i64>,
) -> Result<Array2<F>> {
    if labels.len() != embeddings.nrows() {
        let expected = format!("({},), one label for each row of {what}", embeddings.nrows());
        return Err(Error::Shape { what: "labels", found: labels.shape().to_vec(), expected });
    }
    unit(what, embeddings)
}

/// Unit rows of embeddings (N, D) in row-major order.
///
/// # Errors
/// [`Error::Empty`], [`Error::NotFinite`], [`Error::ZeroNorm`].
pub(super) fn unit<F: Real>(what: &'static str, embeddings: ArrayView2<F>) -> Result<Array2<F>> {
    if embeddings.is_empty() {
        return Err(Error::Empty { what, found: embeddings.shape().to_vec() });
    }
    Ok(l2_normalize::forward(what, embeddings)?.unit)
}

/// A row of a matrix in row-major order, as those of [`unit`] are.
pub(super) fn row<'a, F>(matrix: ArrayView2<'a, F>, number: usize) -> &'a [F] {
    let columns = matrix.ncols();
    let elements = matrix.to_slice().expect("in row-major order");
    &elements[number * columns..(number + 1) * columns]
}

/// What a mutex holds, be it after another task's panic: that is passed on by whoever waits for the tasks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a mutex held.
pub(super) fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Checks that both have the same dimension.
///
/// # Errors
/// [`Error::Shape`].
pub(crate) fn check_dimensions<F>(what: &'static str, rows: ArrayView2<F>, dimension: usize) -> Result<()> {
    if rows.ncols() == dimension {
        return Ok(());
    }
    let expected = format!("(rows, {dimension}), the dimension of what it is compared with");
    Err(Error::Shape { what, found: rows.shape().to_vec(), expected })
}

/// Similarities that differ by no more units in the last place of 1 are ties, since the same inner product rounds differently in a block than by
/// itself. A power of two.
pub(super) const TIE: i64 = 16;

/// [`TIE`] as a difference of similarities.
pub(super) fn tie<F: Real>() -> F {
    F::of(TIE as f64) * F::epsilon()
}

/// What counts as at least as similar as `similarity`.
pub(super) fn as_similar_as<F: Real>(similarity: F) -> F {
    similarity - tie()
}

/// `similarity` on a grid that is a [`tie`] wide, on which 0 and ±1 lie: an order by it is transitive, unlike one that compares every
/// two. Rounding parts only what is at the middle between two points; past ±1 is ±1.
pub(super) fn on_tie_grid<F: Real>(similarity: F) -> F {
    (similarity.max(-F::one()).min(F::one()) / tie()).round() * tie()
}

/// `scores` with ties at one value, the highest of them. From the highest score on, those within a [`tie`] of it are one; the next below
/// begins the next, so that a dense row of scores does not melt into one.
pub(super) fn merge_ties<F: Real>(scores: &[F]) -> Vec<F> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(std::cmp::Ordering::Equal));
    let mut merged = scores.to_vec();
    let mut highest = F::infinity();
    for number in order {
        if scores[number] < as_similar_as(highest) {
            highest = scores[number];
        }
        merged[number] = highest;
    }
    merged
}

/// Calls `each`, in parallel and in any order, with all blocks of `queries` (N, D) to `references` (M, D); both are unit rows.
pub(super) fn for_each_block<F: Real>(
    queries: ArrayView2<F>,
    references: ArrayView2<F>,
    each: impl Fn(Block<F>) + Sync,
) {
    multiply(queries, references, all_blocks(queries.nrows(), references.nrows()), each);
}

/// All blocks of so many queries to so many references.
pub(super) fn all_blocks(queries: usize, references: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let of_query = |query: Range<usize>| blocks(references).map(move |other| (query.clone(), other));
    blocks(queries).flat_map(of_query).collect()
}

/// [`for_each_block`] of `embeddings` (N, D) to themselves, each pair of blocks once: references are never before the queries. A block
/// of rows to themselves has both halves.
pub(super) fn for_each_pair_of_blocks<F: Real>(embeddings: ArrayView2<F>, each: impl Fn(Block<F>) + Sync) {
    multiply(embeddings, embeddings, pairs_of_blocks(embeddings.nrows()), each);
}

/// All blocks of so many rows to themselves, each pair of blocks once.
pub(super) fn pairs_of_blocks(rows: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let upper = |query: Range<usize>| blocks(rows).skip(query.start / BLOCK).map(move |other| (query.clone(), other));
    blocks(rows).flat_map(upper).collect()
}

/// `0..rows` in parts.
pub(super) fn blocks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(BLOCK).map(move |start| start..rows.min(start + BLOCK))
}

fn multiply<F: Real>(
    queries: ArrayView2<F>,
    references: ArrayView2<F>,
    pairs: Vec<(Range<usize>, Range<usize>)>,
    each: impl Fn(Block<F>) + Sync,
) {
    let _single_threaded = SingleThreaded::begin();
    let scratch = || vec![F::zero(); BLOCK * BLOCK];
    pairs.into_par_iter().for_each_init(scratch, |scratch, (query, other)| {
        let shape = (query.len(), other.len());
        let similarities = &mut scratch[..shape.0 * shape.1];
        let product = ArrayViewMut2::from_shape(shape, &mut *similarities).expect("the slice has this length");
        let (a, b) = (queries.slice(s![query.clone(), ..]), references.slice(s![other.clone(), ..]));
        F::product(F::one(), a, b.t(), false, product);
        each(Block { queries: query, references: other, similarities });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_as_wide_as_said_and_do_not_chain() {
        let unit = f64::EPSILON;
        let scores = [0.5, 0.5 - 16.0 * unit, 0.5 - 17.0 * unit, -0.25, 0.5 - 8.0 * unit, 0.5 - 33.0 * unit];
        let (second, none) = (0.5 - 17.0 * unit, -0.25);
        let merged = merge_ties(&scores);
        assert_eq!(merged, [0.5, 0.5, second, none, 0.5, second]);
        assert_eq!(merge_ties(&merged), merged);
        let steps: Vec<f64> = (0..1000).map(|step| 0.5 - f64::from(step) * unit).collect();
        let mut distinct = merge_ties(&steps);
        distinct.dedup();
        assert_eq!(distinct.len(), 1000_usize.div_ceil(17));
        assert_eq!([1.0 - 7.0 * unit, -1.0 + 7.0 * unit, 7.0 * unit].map(on_tie_grid), [1.0, -1.0, 0.0]);
        assert_eq!(on_tie_grid(1.0 - 9.0 * unit), 1.0 - 16.0 * unit);
        assert_eq!([1.0 + 20.0 * unit, -1.0 - 20.0 * unit].map(on_tie_grid), [1.0, -1.0]);
    }
}
