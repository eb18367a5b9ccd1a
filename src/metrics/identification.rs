//! Identification: whose row is it? Probes are looked up in a gallery.

use super::similarity::{
    BLOCK, as_similar_as, blocks, check_dimensions, for_each_block, lock, row, unit as unit_of, unit_rows, unlocked,
};
use crate::ops::{IGNORE_LABEL, rows};
use crate::{Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2, s};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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
        let rate = |index: usize| self.rates.get(index).or(self.rates.last()).copied();
        rank.checked_sub(1).and_then(rate).unwrap_or(0.0)
    }

    fn new(ranks_found: impl IntoIterator<Item = usize>, ranks: usize) -> Result<Self> {
        let mut counts = RankCounts::new(ranks);
        counts.add(ranks_found);
        counts.cmc()
    }
}

/// Searches by their rank.
struct RankCounts {
    searches: usize,
    found_at: Vec<usize>,
}

impl RankCounts {
    fn new(ranks: usize) -> Self {
        Self { searches: 0, found_at: vec![0; ranks] }
    }

    fn add(&mut self, ranks: impl IntoIterator<Item = usize>) {
        for rank in ranks {
            self.searches += 1;
            if let Some(count) = self.found_at.get_mut(rank - 1) {
                *count += 1;
            }
        }
    }

    fn cmc(self) -> Result<Cmc> {
        let Self { searches, found_at } = self;
        if searches == 0 {
            return Err(Error::NotDefined {
                what: "identification",
                found: "probes without a row of their class to find".into(),
                expected: "at least one that has one",
            });
        }
        let cumulative = found_at.into_iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum as f64 / searches as f64)
        });
        Ok(Cmc { searches, rates: cumulative.collect() })
    }
}

/// Searches each of `probes` (P, D) in a `gallery` (G, D) for a row of its label. A probe's rank is 1 and the rows of other labels
/// that are at least as similar to it as the most similar one of its own: ties, up to rounding, count against it. Gallery rows labelled
/// [`IGNORE_LABEL`] are distractors; probes so labelled, or without a row in the gallery, take no part.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::NotDefined`] where no probe has a row to find.
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
    cmc_of_unit(unit_probes.view(), probe_labels, unit_gallery.view(), gallery_labels, ranks)
}

/// [`cmc`] of unit rows.
pub(super) fn cmc_of_unit<F: Real>(
    probes: ArrayView2<F>,
    probe_labels: ArrayView1<i64>,
    gallery: ArrayView2<F>,
    gallery_labels: ArrayView1<i64>,
    ranks: usize,
) -> Result<Cmc> {
    let rows_of_label = rows_of_labels(gallery_labels);
    let mates: Vec<&[usize]> = probe_labels.iter().map(|label| rows_of(&rows_of_label, *label)).collect();
    let best = |(probe, mates): (usize, &&[usize])| {
        let similarities = mates.iter().map(|&mate| similarity(probes, probe, gallery, mate));
        as_similar_as(similarities.fold(F::neg_infinity(), F::max))
    };
    let best: Vec<F> = mates.iter().enumerate().map(best).collect();
    let nearer: Vec<AtomicUsize> = best.iter().map(|_| AtomicUsize::new(0)).collect();
    for_each_block(probes, gallery, |block| {
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
/// the other among all `distractors` (M, D). A search's rank is 1 and the distractors that are at least as similar, up to rounding.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::NotDefined`] where no class has two rows.
pub fn cmc_among_distractors<F: Real>(
    embeddings: ArrayView2<F>,
    labels: ArrayView1<i64>,
    distractors: ArrayView2<F>,
    ranks: usize,
) -> Result<Cmc> {
    check_dimensions("distractors", distractors, embeddings.ncols())?;
    let unit = unit_rows("embeddings", embeddings, labels)?;
    cmc_of_unit_among_distractors(unit.view(), labels, unit_of("distractors", distractors)?.view(), ranks)
}

/// [`cmc_among_distractors`] of unit rows.
pub(super) fn cmc_of_unit_among_distractors<F: Real>(
    unit: ArrayView2<F>,
    labels: ArrayView1<i64>,
    distractors: ArrayView2<F>,
    ranks: usize,
) -> Result<Cmc> {
    let rows_of_label = rows_of_labels(labels);
    let mates =
        |probe: usize| rows_of(&rows_of_label, labels[probe]).iter().copied().filter(move |&mate| mate != probe);
    let of_probe = |probe: usize| {
        let similarities = mates(probe).map(|mate| as_similar_as(similarity(unit, probe, unit, mate)));
        Searches::new(similarities.collect())
    };
    let mut counts = RankCounts::new(ranks);
    for probes in chunks(labels.len(), |probe| rows_of(&rows_of_label, labels[probe]).len()) {
        let of_block = |rows: Range<usize>| Mutex::new(rows.map(|row| of_probe(probes.start + row)).collect());
        let searches: Vec<Mutex<Vec<Searches<F>>>> =
            blocks(probes.len()).collect::<Vec<_>>().into_par_iter().map(of_block).collect();
        for_each_block(unit.slice(s![probes.clone(), ..]), distractors, |block| {
            let mut searches = lock(&searches[block.queries.start / BLOCK]);
            for (searches, (_, similarities)) in searches.iter_mut().zip(block.rows()) {
                searches.meet(similarities);
            }
        });
        counts.add(searches.into_iter().flat_map(unlocked).flat_map(Searches::ranks));
    }
    counts.cmc()
}

/// `0..probes` in parts of whole blocks: one, or as many as have no more than [`MOST_SEARCHES`].
fn chunks(probes: usize, searches: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut in_chunk = 0;
    for block in blocks(probes) {
        let in_block: usize = block.clone().map(&searches).sum();
        match chunks.last_mut() {
            Some(chunk) if in_chunk + in_block <= MOST_SEARCHES => chunk.end = block.end,
            _ => {
                in_chunk = 0;
                chunks.push(block);
            }
        }
        in_chunk += in_block;
    }
    chunks
}

/// Searches that are in memory at a time, if those of one block of probes are not more.
const MOST_SEARCHES: usize = 1 << 25;

/// The searches of one probe.
struct Searches<F> {
    /// What a distractor must reach to be as similar as each mate, ascending.
    mates: Vec<F>,
    /// Distractors that reach this mate and not the next.
    reached: Vec<u32>,
}

impl<F: Real> Searches<F> {
    fn new(mut mates: Vec<F>) -> Self {
        mates.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        Self { reached: vec![0; mates.len()], mates }
    }

    fn meet(&mut self, distractors: &[F]) {
        let Some(&farthest) = self.mates.first() else { return };
        for &distractor in distractors.iter().filter(|&&distractor| distractor >= farthest) {
            self.reached[self.mates.partition_point(|&mate| mate <= distractor) - 1] += 1;
        }
    }

    fn ranks(self) -> impl Iterator<Item = usize> {
        self.reached.into_iter().rev().scan(1, |rank, reached| {
            *rank += reached as usize;
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

fn similarity<F: Real>(a: ArrayView2<F>, number: usize, b: ArrayView2<F>, other: usize) -> F {
    rows::dot(row(a, number), row(b, other))
}
