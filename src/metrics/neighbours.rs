//! The rows most similar to each row.

use super::similarity::{
    BLOCK, Block, blocks, for_each_block, for_each_pair_of_blocks, lock, on_tie_grid, tie, unlocked,
};
use crate::Real;
use crate::ops::rows;
use ndarray::{ArrayView2, s};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::sync::Mutex;

/// Bytes for candidates that are in memory at a time.
const CANDIDATES: usize = 1 << 30;

/// Candidates of a row that memory is taken for at once; more are rare, and grow.
const MOST_RESERVED: usize = 1 << 12;

/// Another row: its similarity, on the grid of ties, and its number.
pub(crate) type Neighbour<F> = (F, u32);

/// Calls `each` with every row of `unit` (N, D) that wants neighbours: those that it wants, the most similar first, of equally similar ones
/// (on the grid of ties) the one with the lower number; never the row itself. `wanted` (N,). The results are in the order of rows, without those that want none.
pub(crate) fn map_nearest<F: Real, T: Send>(
    unit: ArrayView2<F>,
    wanted: &[usize],
    each: impl Fn(usize, &[Neighbour<F>]) -> T + Sync,
) -> Vec<T> {
    let blocks_at_a_time = blocks_at_a_time::<F>(wanted);
    if blocks_at_a_time >= blocks(unit.nrows()).count() {
        // Half the products: a pair's similarity is the same for both.
        let nearest: Vec<_> = blocks(unit.nrows()).map(|rows| Mutex::new(Nearest::new(&wanted[rows]))).collect();
        for_each_pair_of_blocks(unit, |block| {
            let (query, reference) = (block.queries.start / BLOCK, block.references.start / BLOCK);
            lock(&nearest[query]).offer_references(&block);
            if query != reference {
                lock(&nearest[reference]).offer_queries(&block);
            }
        });
        return results(nearest, 0, &each);
    }
    some_rows_at_a_time(unit, unit, 0, wanted, blocks_at_a_time, &each)
}

/// As [`map_nearest`], with `wanted` of the rows of `references` (M, D) for each of `queries` (N, D), none of which is one of them; unit rows.
pub(crate) fn map_nearest_among<F: Real, T: Send>(
    queries: ArrayView2<F>,
    references: ArrayView2<F>,
    wanted: usize,
    each: impl Fn(usize, &[Neighbour<F>]) -> T + Sync,
) -> Vec<T> {
    let wanted = vec![wanted; queries.nrows()];
    some_rows_at_a_time(queries, references, references.nrows(), &wanted, blocks_at_a_time::<F>(&wanted), &each)
}

/// How many blocks of rows can look for their neighbours at a time.
fn blocks_at_a_time<F>(wanted: &[usize]) -> usize {
    let largest = wanted.iter().max().map_or(1, |&most| most.max(1));
    let bytes_of_block = BLOCK.saturating_mul(largest).saturating_mul(2 * size_of::<Neighbour<F>>());
    (CANDIDATES / bytes_of_block).max(1)
}

/// The nearest `references` of each of the `queries`, of which row r is reference `first + r`, if there is one.
fn some_rows_at_a_time<F: Real, T: Send>(
    queries: ArrayView2<F>,
    references: ArrayView2<F>,
    first: usize,
    wanted: &[usize],
    blocks_at_a_time: usize,
    each: &(impl Fn(usize, &[Neighbour<F>]) -> T + Sync),
) -> Vec<T> {
    let starts = (0..queries.nrows()).step_by(blocks_at_a_time * BLOCK);
    let chunk = |start: usize| {
        let rows = start..queries.nrows().min(start + blocks_at_a_time * BLOCK);
        let wanted = &wanted[rows.clone()];
        let nearest: Vec<_> = blocks(rows.len()).map(|rows| Mutex::new(Nearest::new(&wanted[rows]))).collect();
        for_each_block(queries.slice(s![rows, ..]), references, |block| {
            let queries = first + start + block.queries.start..first + start + block.queries.end;
            lock(&nearest[block.queries.start / BLOCK]).offer_references(&Block { queries, ..block });
        });
        results(nearest, start, each)
    };
    starts.flat_map(chunk).collect()
}

fn results<F: Real, T: Send>(
    nearest: Vec<Mutex<Nearest<F>>>,
    first: usize,
    each: &(impl Fn(usize, &[Neighbour<F>]) -> T + Sync),
) -> Vec<T> {
    let of_block = |(block, nearest): (usize, Mutex<Nearest<F>>)| {
        let Nearest { wanted, candidates, .. } = unlocked(nearest);
        let rows = wanted.into_iter().zip(candidates).enumerate().filter(|(_, (wanted, _))| *wanted > 0);
        let result = |(row, (wanted, mut candidates)): (usize, (usize, Vec<Neighbour<F>>))| {
            candidates.sort_unstable_by(nearer_first);
            candidates.truncate(wanted);
            each(first + block * BLOCK + row, &candidates)
        };
        rows.map(result).collect::<Vec<T>>()
    };
    nearest.into_par_iter().enumerate().flat_map_iter(of_block).collect()
}

/// The nearest rows so far of a block of rows.
struct Nearest<F> {
    wanted: Vec<usize>,
    /// What a similarity must reach to count: that of the last of the wanted ones, once there are so many.
    thresholds: Vec<F>,
    /// The wanted ones among others, at most twice as many.
    candidates: Vec<Vec<Neighbour<F>>>,
}

impl<F: Real> Nearest<F> {
    fn new(wanted: &[usize]) -> Self {
        let threshold = |&wanted: &usize| if wanted == 0 { F::infinity() } else { F::neg_infinity() };
        let thresholds = wanted.iter().map(threshold).collect();
        Self { wanted: wanted.to_vec(), thresholds, candidates: vec![Vec::new(); wanted.len()] }
    }

    /// The references of `block`, to its queries.
    fn offer_references(&mut self, block: &Block<F>) {
        let mut thresholds = vec![F::zero(); block.references.len()];
        for (row, (query, similarities)) in block.rows().enumerate() {
            thresholds.fill(self.thresholds[row]);
            rows::for_each_reaching(similarities, &thresholds, |column| {
                let reference = block.references.start + column;
                if reference != query {
                    self.offer(row, similarities[column], reference);
                }
            });
        }
    }

    /// The queries of `block`, to its references, none of which is a query of it.
    fn offer_queries(&mut self, block: &Block<F>) {
        let mut reaching = Vec::new();
        for (query, similarities) in block.rows() {
            rows::for_each_reaching(similarities, &self.thresholds, |column| reaching.push(column));
            reaching.drain(..).for_each(|column| self.offer(column, similarities[column], query));
        }
    }

    fn offer(&mut self, row: usize, similarity: F, other: usize) {
        let (wanted, candidates) = (self.wanted[row], &mut self.candidates[row]);
        let similarity = on_tie_grid(similarity);
        // The threshold may have risen since the row was compared with it.
        if similarity < self.thresholds[row] || wanted == 0 {
            return;
        }
        if candidates.is_empty() {
            // Growing by doubling would take up to twice as much.
            candidates.reserve_exact((2 * wanted).min(MOST_RESERVED));
        }
        candidates.push((similarity, other as u32));
        if candidates.len() >= 2 * wanted {
            let (_, last, _) = candidates.select_nth_unstable_by(wanted - 1, nearer_first);
            // What is below by less than the grid is wide can be at the same point of it.
            self.thresholds[row] = last.0 - tie();
            candidates.truncate(wanted);
        }
    }
}

fn nearer_first<F: Real>(a: &Neighbour<F>, b: &Neighbour<F>) -> Ordering {
    // Unit rows are finite, and so are their products.
    b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows whose inner products are exact, with many ties.
    fn rows_with_ties(count: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        Array2::from_shape_simple_fn((count, 16), || if rng.random_bool(0.5) { 0.25 } else { -0.25 })
    }

    #[test]
    fn neighbours_are_those_of_a_sorted_row() {
        let unit = rows_with_ties(2 * BLOCK + 77);
        let wanted: Vec<usize> = (0..unit.nrows()).map(|row| [3, 0, 40, 1, 700][row % 5]).collect();
        let expected = |row: usize| {
            let mut all: Vec<Neighbour<f32>> =
                (0..unit.nrows()).map(|other| (unit.row(row).dot(&unit.row(other)), other as u32)).collect();
            all.remove(row);
            all.sort_by(nearer_first);
            all.truncate(wanted[row]);
            all
        };
        let found = map_nearest(unit.view(), &wanted, |row, neighbours| (row, neighbours.to_vec()));
        assert_eq!(found.len(), wanted.iter().filter(|&&wanted| wanted > 0).count());
        for (row, neighbours) in found {
            assert_eq!(neighbours, expected(row), "row {row}");
        }
    }

    #[test]
    fn many_wanted_are_found_a_few_rows_at_a_time() {
        let unit = rows_with_ties(2 * BLOCK + 77);
        let few = vec![5; unit.nrows()];
        // So many that one block of rows at a time is all that the memory allows.
        let mut many = few.clone();
        many[0] = CANDIDATES / (BLOCK * 16);
        let nearest = |wanted: &[usize]| map_nearest(unit.view(), wanted, |row, nearest| (row, nearest[..5].to_vec()));
        assert_eq!(nearest(&few), nearest(&many));
    }
}
