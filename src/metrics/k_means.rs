//! k-means: Lloyd's algorithm from centres that greedy k-means++ has drawn (Arthur & Vassilvitskii 2007; greedy in the first's thesis).

use super::similarity::{blocks, row, unit};
use crate::ops::rows;
use crate::real::SingleThreaded;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2, s};
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Rounds of Lloyd's algorithm, at most.
const ROUNDS: usize = 100;

/// A clustering.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering<F> {
    /// (k, D) the mean of each cluster.
    pub centres: Array2<F>,
    /// (N,) the cluster of each row.
    pub clusters: Vec<usize>,
    /// The sum over rows of the squared distance to their centre.
    pub inertia: f64,
}

/// Clusters the directions of embeddings (N, D): their unit rows, by Euclidean distance. The best of `runs`, by inertia.
///
/// # Errors
/// [`Error::Empty`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Setting`] unless there are 1 to N clusters.
pub fn k_means<F: Real>(
    embeddings: ArrayView2<F>,
    clusters: usize,
    runs: usize,
    rng: &mut impl Rng,
) -> Result<Clustering<F>> {
    k_means_of_unit(unit("embeddings", embeddings)?.view(), clusters, runs, rng)
}

/// [`k_means`] of unit rows.
pub(super) fn k_means_of_unit<F: Real>(
    unit: ArrayView2<F>,
    clusters: usize,
    runs: usize,
    rng: &mut impl Rng,
) -> Result<Clustering<F>> {
    if clusters == 0 || clusters > unit.nrows() {
        let expected = format!("1 to {}, the number of rows", unit.nrows());
        return Err(Error::Setting { name: "the number of clusters", value: clusters.to_string(), expected });
    }
    let mut run = || lloyd(unit, first_centres(unit, clusters, trials(clusters), rng));
    let first = run();
    let better = |best: Clustering<F>, other: Clustering<F>| if other.inertia < best.inertia { other } else { best };
    Ok((1..runs).map(|_| run()).fold(first, better))
}

/// Rows drawn for each centre: `2 + ⌊ln k⌋`, as many as scikit-learn draws.
fn trials(clusters: usize) -> usize {
    2 + (clusters as f64).ln() as usize
}

/// Greedy k-means++: for each centre after the first so many rows are drawn, each with a probability that grows with its squared distance to the
/// centres before; the one that leaves the smallest sum of squared distances becomes the centre.
fn first_centres<F: Real>(unit: ArrayView2<F>, clusters: usize, trials: usize, rng: &mut impl Rng) -> Array2<F> {
    let mut centres = Array2::zeros((clusters, unit.ncols()));
    let first = rng.random_range(0..unit.nrows());
    centres.row_mut(0).assign(&unit.row(first));
    let mut distances = distances_with(unit, &vec![f64::INFINITY; unit.nrows()], first);
    for mut centre in centres.rows_mut().into_iter().skip(1) {
        let mut best = (f64::INFINITY, 0, Vec::new());
        for _ in 0..trials {
            let drawn = draw(&distances, rng);
            let closer = distances_with(unit, &distances, drawn);
            let sum = closer.iter().sum();
            if sum < best.0 {
                best = (sum, drawn, closer);
            }
        }
        centre.assign(&unit.row(best.1));
        distances = best.2;
    }
    centres
}

/// A row, with a probability that grows with its squared distance.
fn draw(distances: &[f64], rng: &mut impl Rng) -> usize {
    let sum: f64 = distances.iter().sum();
    let mut left = rng.random::<f64>() * sum;
    let reached = |distance: &f64| {
        left -= distance;
        left < 0.0
    };
    // Rounding, or rows that are all at a centre already, can leave none: then any row will do.
    distances.iter().position(reached).unwrap_or_else(|| rng.random_range(0..distances.len()))
}

/// The squared distance of each row to its nearest centre, once the row `centre` is one, too.
fn distances_with<F: Real>(unit: ArrayView2<F>, distances: &[f64], centre: usize) -> Vec<f64> {
    let point = row(unit, centre);
    let nearer =
        |(other, &distance): (usize, &f64)| distance.min(rows::squared_distance(point, row(unit, other)).to_double());
    distances.par_iter().with_min_len(256).enumerate().map(nearer).collect()
}

fn lloyd<F: Real>(unit: ArrayView2<F>, mut centres: Array2<F>) -> Clustering<F> {
    let (mut clusters, mut distances) = nearest(unit, centres.view());
    for _ in 0..ROUNDS {
        centres = means(unit, &clusters, &distances, centres.nrows());
        let (next, next_distances) = nearest(unit, centres.view());
        let settled = next == clusters;
        (clusters, distances) = (next, next_distances);
        if settled {
            break;
        }
    }
    Clustering { centres, clusters, inertia: distances.iter().sum() }
}

/// The nearest centre of each row, and the squared distance to it.
fn nearest<F: Real>(unit: ArrayView2<F>, centres: ArrayView2<F>) -> (Vec<usize>, Vec<f64>) {
    let _single_threaded = SingleThreaded::begin();
    let squared_norms: Vec<F> =
        (0..centres.nrows()).map(|centre| rows::dot(row(centres, centre), row(centres, centre))).collect();
    let squared_norms = &squared_norms;
    let blocks: Vec<_> = blocks(unit.nrows()).collect();
    let of_block = |range: std::ops::Range<usize>| {
        let block = unit.slice(s![range.clone(), ..]);
        let mut products = Array2::zeros((range.len(), centres.nrows()));
        F::product(F::one(), block, centres.t(), false, products.view_mut());
        let nearest = move |(number, products): (usize, ndarray::ArrayView1<F>)| {
            // ‖x - c‖² = ‖x‖² + ‖c‖² - 2 x·c, of which ‖x‖ is the same for all centres.
            let distance = |centre: usize| squared_norms[centre] - F::of(2.0) * products[centre];
            let closer = |best: usize, centre: usize| if distance(centre) < distance(best) { centre } else { best };
            let best = (0..products.len()).fold(0, closer);
            let point = row(unit, range.start + number);
            (best, rows::squared_distance(point, row(centres, best)).to_double())
        };
        products.rows().into_iter().enumerate().map(nearest).collect::<Vec<_>>()
    };
    blocks.into_par_iter().map(of_block).flatten_iter().unzip()
}

/// The mean of each cluster. An empty one gets the row that is farthest from its centre, each its own.
fn means<F: Real>(unit: ArrayView2<F>, clusters: &[usize], distances: &[f64], count: usize) -> Array2<F> {
    let mut means = Array2::zeros((count, unit.ncols()));
    let mut sizes = vec![0usize; count];
    for (number, &cluster) in clusters.iter().enumerate() {
        sizes[cluster] += 1;
        let mut mean = means.row_mut(cluster);
        rows::add(mean.as_slice_mut().expect("in row-major order"), row(unit, number));
    }
    let mut taken = vec![false; clusters.len()];
    for (cluster, &size) in sizes.iter().enumerate() {
        if size > 0 {
            means.row_mut(cluster).mapv_inplace(|sum| sum / F::of(size as f64));
            continue;
        }
        let left = (0..clusters.len()).filter(|&number| !taken[number]);
        let number = left.max_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap_or(0);
        taken[number] = true;
        means.row_mut(cluster).assign(&unit.row(number));
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    /// The share of single runs that find the blobs that rows are drawn from: 10 rows in each of so many, 64 dimensions, noise of 0.3 of the length of a centre.
    fn share_of_optima(blobs: usize, trials: usize, cases: u64) -> f64 {
        let optimal = |seed: &u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(*seed);
            let mut draw =
                |rows| Array2::from_shape_simple_fn((rows, 64), || -> f64 { StandardNormal.sample(&mut rng) });
            let (centres, noise) = (draw(blobs), draw(10 * blobs));
            let blob = |row: usize| row % blobs;
            let rows = Array2::from_shape_fn((10 * blobs, 64), |(row, column)| {
                centres[[blob(row), column]] + 0.3 * noise[[row, column]]
            });
            let unit = unit("embeddings", rows.view()).expect("finite");
            let first = first_centres(unit.view(), blobs, trials, &mut rng);
            let found = lloyd(unit.view(), first).clusters;
            let whole = (0..found.len()).all(|row| found[row] == found[blob(row)]);
            let mut distinct = found[..blobs].to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            whole && distinct.len() == blobs
        };
        (0..cases).filter(optimal).count() as f64 / cases as f64
    }

    #[test]
    fn greedy_drawing_finds_well_separated_clusters_that_plain_drawing_does_not() {
        for (blobs, of_greedy, of_plain) in [(10, 0.85, 0.6), (20, 0.6, 0.3), (50, 0.25, 0.05)] {
            let shares = [trials(blobs), 1].map(|trials| share_of_optima(blobs, trials, 50));
            assert!(shares[0] >= of_greedy && shares[1] <= of_plain, "{blobs} blobs: {shares:?}");
        }
    }
}
