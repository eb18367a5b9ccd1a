//! k-means: Lloyd's algorithm from centres that k-means++ has drawn (Arthur & Vassilvitskii 2007).

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
    let unit = unit("embeddings", embeddings)?;
    if clusters == 0 || clusters > unit.nrows() {
        let expected = format!("1 to {}, the number of rows", unit.nrows());
        return Err(Error::Setting { name: "the number of clusters", value: clusters.to_string(), expected });
    }
    let mut run = || lloyd(unit.view(), first_centres(unit.view(), clusters, rng));
    let first = run();
    let better = |best: Clustering<F>, other: Clustering<F>| if other.inertia < best.inertia { other } else { best };
    Ok((1..runs).map(|_| run()).fold(first, better))
}

/// k-means++: each centre is a row, drawn with a probability that grows with its squared distance to the centres before.
fn first_centres<F: Real>(unit: ArrayView2<F>, clusters: usize, rng: &mut impl Rng) -> Array2<F> {
    let mut centres = Array2::zeros((clusters, unit.ncols()));
    let mut distances = vec![f64::INFINITY; unit.nrows()];
    let mut chosen = rng.random_range(0..unit.nrows());
    for centre in 0..clusters {
        if centre > 0 {
            let sum: f64 = distances.iter().sum();
            let mut left = rng.random::<f64>() * sum;
            let reached = |distance: &f64| {
                left -= distance;
                left < 0.0
            };
            // Rounding, or rows that are all at a centre already, can leave none: then any row will do.
            chosen = distances.iter().position(reached).unwrap_or_else(|| rng.random_range(0..unit.nrows()));
        }
        centres.row_mut(centre).assign(&unit.row(chosen));
        let point = row(unit, chosen);
        distances.par_iter_mut().with_min_len(256).enumerate().for_each(|(other, distance)| {
            *distance = distance.min(rows::squared_distance(point, row(unit, other)).to_double());
        });
    }
    centres
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
    let _single_threaded = SingleThreaded::new();
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
