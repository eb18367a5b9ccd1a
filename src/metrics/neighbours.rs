//! The rows most similar to each row.

use super::screening::{Coded, Screened, screen};
use super::similarity::{
    BLOCK, Block, all_blocks, blocks, for_each_block, for_each_pair_of_blocks, lock, on_tie_grid, pairs_of_blocks, tie,
    unlocked,
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

/// Where more than one in so many rows is wanted, too many need an inner product of their own before it is known what counts: at 16,384 rows of which 31 are wanted screening
/// brings nothing, at 49,152 of which 47 are it takes 0.6 of the time.
const RARE: usize = 1024;

/// One pair in so many that needs an inner product of its own makes the product of all as fast.
const DENSE: usize = 4;

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
        let of_block = |block: &Block<F>| {
            let (query, reference) = (block.queries.start / BLOCK, block.references.start / BLOCK);
            (&nearest[query], (query != reference).then(|| &nearest[reference]))
        };
        match coded(unit, wanted, unit.nrows()) {
            Some(unit) => screen(&unit, &unit, pairs_of_blocks(wanted.len()), |screened| {
                let (queries, references) = of_block(&screened.block);
                offer_screened(screened, (&unit, &unit), 0, queries, references)
            }),
            None => for_each_pair_of_blocks(unit, |block| {
                let (queries, references) = of_block(&block);
                lock(queries).offer_references(&block);
                references.into_iter().for_each(|references| lock(references).offer_queries(&block));
            }),
        }
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
    let coded_references = coded(references, wanted, references.nrows());
    let chunk = |start: usize| {
        let rows = start..queries.nrows().min(start + blocks_at_a_time * BLOCK);
        let wanted = &wanted[rows.clone()];
        let nearest: Vec<_> = blocks(rows.len()).map(|rows| Mutex::new(Nearest::new(&wanted[rows]))).collect();
        let queries = queries.slice(s![rows, ..]);
        let first = first + start;
        match coded_references.as_ref().zip(Coded::new(queries)) {
            Some((references, queries)) => {
                let pairs = all_blocks(wanted.len(), references.rows());
                screen(&queries, references, pairs, |screened| {
                    let of_queries = &nearest[screened.block.queries.start / BLOCK];
                    offer_screened(screened, (&queries, references), first, of_queries, None)
                });
            }
            None => for_each_block(queries, references, |block| {
                let queries = first + block.queries.start..first + block.queries.end;
                lock(&nearest[block.queries.start / BLOCK]).offer_references(&Block { queries, ..block });
            }),
        }
        results(nearest, start, each)
    };
    starts.flat_map(chunk).collect()
}

/// Rows in 8 bits if few of so many references are wanted of each.
fn coded<'a, F: Real>(unit: ArrayView2<'a, F>, wanted: &[usize], references: usize) -> Option<Coded<'a, F>> {
    let most = wanted.iter().copied().max().unwrap_or(0);
    if most.saturating_mul(RARE) <= references { Coded::new(unit) } else { None }
}

/// Offers what of a block may count, by inner products of their own: to `of_queries`, and to `of_references` if these look for neighbours, too. `first` is what the first of the
/// queries is called. `false`, with nothing done, if that takes longer than the similarities of all in full precision.
fn offer_screened<F: Real>(
    screened: Screened<F>,
    (queries, references): (&Coded<F>, &Coded<F>),
    first: usize,
    of_queries: &Mutex<Nearest<F>>,
    of_references: Option<&Mutex<Nearest<F>>>,
) -> bool {
    let Screened { block, off_by, in_bytes } = screened;
    let to_queries = lock(of_queries).reaching_references(&block, off_by);
    let to_references = of_references.map(|of| (of, lock(of).reaching_queries(&block, off_by)));
    let pairs = to_queries.decided + to_references.as_ref().map_or(0, |(_, reaching)| reaching.decided);
    if in_bytes && pairs > block.similarities.len() / DENSE {
        return false;
    }
    let width = block.references.len();
    let offer = |nearest: &mut Nearest<F>, place: usize, is_to_query: bool| {
        let (query, reference) = (block.queries.start + place / width, block.references.start + place % width);
        let (row, other) = if is_to_query { (place / width, reference) } else { (place % width, first + query) };
        // The threshold may have risen since.
        if first + query != reference && block.similarities[place] + off_by >= nearest.thresholds[row] {
            nearest.offer(row, rows::dot(queries.row(query), references.row(reference)), other);
        }
    };
    let nearest = &mut *lock(of_queries);
    to_queries.places.into_iter().for_each(|place| offer(nearest, place as usize, true));
    if let Some((of_references, to_references)) = to_references {
        let nearest = &mut *lock(of_references);
        to_references.places.into_iter().for_each(|place| offer(nearest, place as usize, false));
    }
    true
}

/// Which similarities of a block reach the thresholds.
#[derive(Default)]
struct Reaching {
    places: Vec<u32>,
    /// How many of them there are in rows that have a threshold.
    decided: usize,
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

    /// The similarities of `block`, off by `off_by` at most, with which references may count to its queries.
    fn reaching_references(&self, block: &Block<F>, off_by: F) -> Reaching {
        let (mut reaching, mut thresholds) = (Reaching::default(), vec![F::zero(); block.references.len()]);
        for (row, (_, similarities)) in block.rows().enumerate() {
            let before = reaching.places.len();
            thresholds.fill(self.thresholds[row] - off_by);
            let start = row * similarities.len();
            let places = &mut reaching.places;
            rows::for_each_reaching(similarities, &thresholds, |column| places.push((start + column) as u32));
            if self.thresholds[row] > F::neg_infinity() {
                reaching.decided += reaching.places.len() - before;
            }
        }
        reaching
    }

    /// The same for its queries to its references.
    fn reaching_queries(&self, block: &Block<F>, off_by: F) -> Reaching {
        let mut reaching = Reaching::default();
        let thresholds: Vec<_> = self.thresholds.iter().map(|&threshold| threshold - off_by).collect();
        for (row, (_, similarities)) in block.rows().enumerate() {
            let start = row * similarities.len();
            rows::for_each_reaching(similarities, &thresholds, |column| {
                reaching.places.push((start + column) as u32);
                reaching.decided += usize::from(self.thresholds[column] > F::neg_infinity());
            });
        }
        reaching
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

    /// Rows whose inner products are exact in any order, some equal and many nearly so; none longer than 1.
    fn rows_of_multiples(count: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Array2::from_shape_simple_fn((count, 48), || rng.random_range(-8..=8) as f32 / 64.0);
        // The rest of the rows are like the first ones.
        for row in count / 4..count {
            let mut like = rows.row(row % 50).to_owned();
            like[row % 48] -= 1.0 / 64.0;
            rows.row_mut(row).assign(&like);
        }
        rows
    }

    fn sorted(
        query: ndarray::ArrayView1<f32>,
        references: &Array2<f32>,
        without: Option<usize>,
        wanted: usize,
    ) -> Vec<Neighbour<f32>> {
        let others = (0..references.nrows()).filter(|&other| Some(other) != without);
        let mut all: Vec<_> = others.map(|other| (query.dot(&references.row(other)), other as u32)).collect();
        all.sort_by(nearer_first);
        all.truncate(wanted);
        all
    }

    #[test]
    fn few_neighbours_of_many_are_the_same_whether_screened_or_not() {
        let (unit, queries) = (rows_of_multiples(5 * BLOCK + 77, 0), rows_of_multiples(BLOCK + 5, 1));
        let wanted: Vec<usize> = (0..unit.nrows()).map(|row| [2, 0, 1][row % 3]).collect();
        assert!(2 * RARE <= unit.nrows());
        let found = map_nearest(unit.view(), &wanted, |row, neighbours| (row, neighbours.to_vec()));
        for (row, neighbours) in found {
            assert_eq!(neighbours, sorted(unit.row(row), &unit, Some(row), wanted[row]), "row {row}");
        }
        let found = map_nearest_among(queries.view(), unit.view(), 2, |row, neighbours| (row, neighbours.to_vec()));
        assert_eq!(found.len(), queries.nrows());
        for (row, neighbours) in found {
            assert_eq!(neighbours, sorted(queries.row(row), &unit, None, 2), "query {row}");
        }
    }

    #[test]
    fn rows_of_one_direction_find_each_other_by_number() {
        // Nothing can be told from products in 8 bits.
        let unit = Array2::from_elem((2 * BLOCK + 3, 16), 0.25f32);
        let found = map_nearest(unit.view(), &vec![1; unit.nrows()], |row, nearest| (row, nearest.to_vec()));
        for (row, nearest) in found {
            let others = (0..unit.nrows() as u32).filter(|&other| other != row as u32);
            assert_eq!(nearest, others.map(|other| (1.0, other)).take(1).collect::<Vec<_>>(), "row {row}");
        }
    }
}
