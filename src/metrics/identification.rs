//! Identification: whose row is it? Probes are looked up in a gallery.

use super::similarity::{BLOCK, blocks, check_dimensions, for_each_block, unit, unit_rows};
use crate::ops::{IGNORE_LABEL, rows};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The cumulative match characteristic.
#[derive(Clone, Debug, PartialEq)]
pub struct Cmc {
    /// Searches that were made: those with something to find.
    pub searches: usize,
    /// The share of searches whose rank is at most 1, 2, ...
    pub rates: Vec<f64>,
}

impl Cmc {
    /// The share of searches that find the right row among the first `rank`, counted from 1; past the ranks asked for, that of
    /// the last.
    pub fn rate_at(&self, rank: usize) -> f64 {
        self.rates.get(rank.saturating_sub(1)).or(self.rates.last()).copied().unwrap_or(0.0)
    }

    fn new(ranks_found: impl Iterator<Item = usize>, ranks: usize) -> Result<Self> {
        let mut found_at = vec![0usize; ranks];
        let mut searches = 0;
        for rank in ranks_found {
            searches += 1;
            if let Some(count) = found_at.get_mut(rank - 1) {
                *count += 1;
            }
        }
        if searches == 0 {
            return Err(Error::Unmeasurable {
                what: "identification",
                found: "probes without a row of their class to find".into(),
                expected: "at least one that has one",
            });
        }
        let cumulative = found_at.iter().scan(0, |sum, &count| {
            *sum += count;
            Some(*sum as f64 / searches as f64)
        });
        Ok(Self { searches, rates: cumulative.collect() })
    }
}

/// Searches each of `probes` (P, D) in a `gallery` (G, D) for a row of its label. A probe's rank is 1 and the rows of other labels
/// that are at least as similar to it as the most similar one of its own: ties count against it. Gallery rows labelled
/// [`IGNORE_LABEL`] are distractors; probes so labelled, or without a row in the gallery, take no part.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Unmeasurable`] where no probe has a row to find.
pub fn cmc<F: Real>(
    probes: ArrayView2<F>,
    probe_labels: ArrayView1<i64>,
    gallery: ArrayView2<F>,
    gallery_labels: ArrayView1<i64>,
    ranks: usize,
) -> Result<Cmc> {
    check_dimensions("gallery", gallery, probes.ncols())?;
    let unit_probes = unit_rows("probes", probes, probe_labels)?;
    let unit_gallery = unit_rows("gallery", gallery, gallery_labels)?;
    let rows_of_label = rows_of_labels(gallery_labels);
    let mates: Vec<&[usize]> = probe_labels.iter().map(|label| rows_of(&rows_of_label, *label)).collect();
    let best = |(probe, mates): (usize, &&[usize])| {
        let similarities = mates.iter().map(|&mate| similarity(&unit_probes, probe, &unit_gallery, mate));
        similarities.fold(F::neg_infinity(), F::max)
    };
    let best: Vec<F> = mates.iter().enumerate().map(best).collect();
    let nearer: Vec<AtomicUsize> = best.iter().map(|_| AtomicUsize::new(0)).collect();
    for_each_block(unit_probes.view(), unit_gallery.view(), |block| {
        for (probe, similarities) in block.rows() {
            let own = mates[probe].iter().filter(|mate| block.references.contains(mate));
            let own = own.filter(|&mate| similarities[mate - block.references.start] >= best[probe]).count();
            let count = rows::count_above(similarities, best[probe], true) - own;
            nearer[probe].fetch_add(count, Ordering::Relaxed);
        }
    });
    let searched = nearer.into_iter().zip(&mates).filter(|(_, mates)| !mates.is_empty());
    Cmc::new(searched.map(|(nearer, _)| nearer.into_inner() + 1), ranks)
}

/// The protocol of MegaFace (Kemelmacher-Shlizerman et al. 2016, arXiv 1512.00596): for every two rows of one class, the one searches for
/// the other among all `distractors` (M, D). A search's rank is 1 and the distractors that are at least as similar.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::Unmeasurable`] where no class has two rows.
pub fn cmc_among_distractors<F: Real>(
    embeddings: ArrayView2<F>,
    labels: ArrayView1<i64>,
    distractors: ArrayView2<F>,
    ranks: usize,
) -> Result<Cmc> {
    check_dimensions("distractors", distractors, embeddings.ncols())?;
    let unit_rows = unit_rows("embeddings", embeddings, labels)?;
    let unit_distractors = unit("distractors", distractors)?;
    let rows_of_label = rows_of_labels(labels);
    let searches = |probe: usize| {
        let mates = rows_of(&rows_of_label, labels[probe]).iter().filter(|&&mate| mate != probe);
        let mut similarities: Vec<F> = mates.map(|&mate| similarity(&unit_rows, probe, &unit_rows, mate)).collect();
        similarities.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        Searches { nearest: vec![0; similarities.len()], similarities }
    };
    let searches: Vec<Mutex<Vec<Searches<F>>>> =
        blocks(labels.len()).map(|rows| Mutex::new(rows.map(searches).collect())).collect();
    for_each_block(unit_rows.view(), unit_distractors.view(), |block| {
        let mut searches = searches[block.queries.start / BLOCK].lock().unwrap_or_else(PoisonError::into_inner);
        for (searches, (_, similarities)) in searches.iter_mut().zip(block.rows()) {
            searches.meet(similarities);
        }
    });
    let searches = searches.into_iter().flat_map(|block| block.into_inner().unwrap_or_else(PoisonError::into_inner));
    Cmc::new(searches.flat_map(Searches::ranks), ranks)
}

/// The searches of one probe.
struct Searches<F> {
    /// Of the probe to its mates, ascending.
    similarities: Vec<F>,
    /// Distractors that are at least as similar as this mate, and less so than the next.
    nearest: Vec<usize>,
}

impl<F: Real> Searches<F> {
    fn meet(&mut self, distractors: &[F]) {
        let Some(&farthest) = self.similarities.first() else { return };
        for &distractor in distractors.iter().filter(|&&distractor| distractor >= farthest) {
            self.nearest[self.similarities.partition_point(|&mate| mate <= distractor) - 1] += 1;
        }
    }

    fn ranks(self) -> impl Iterator<Item = usize> {
        self.nearest.into_iter().rev().scan(1, |rank, nearest| {
            *rank += nearest;
            Some(*rank)
        })
    }
}

/// The rows of each label; none without one.
fn rows_of_labels(labels: ArrayView1<i64>) -> HashMap<i64, Vec<usize>> {
    let mut rows: HashMap<i64, Vec<usize>> = HashMap::new();
    for (row, &label) in labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_LABEL) {
        rows.entry(label).or_default().push(row);
    }
    rows
}

fn rows_of(rows: &HashMap<i64, Vec<usize>>, label: i64) -> &[usize] {
    rows.get(&label).map_or(&[], Vec::as_slice)
}

fn similarity<F: Real>(a: &Array2<F>, row: usize, b: &Array2<F>, other: usize) -> F {
    let (a, b) = (a.row(row), b.row(other));
    rows::dot(a.to_slice().expect("in row-major order"), b.to_slice().expect("in row-major order"))
}
