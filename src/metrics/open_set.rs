//! All measures of embeddings of classes that training need not have seen.

use super::folds::{FoldAccuracy, fold_accuracy};
use super::identification::{Cmc, cmc, cmc_among_distractors};
use super::k_means::k_means;
use super::mutual_information::normalized_mutual_information;
use super::retrieval::{Retrieval, retrieval};
use super::roc::{BestAccuracy, Roc};
use super::similarity::check_dimensions;
use super::verification::{AllPairs, Pair, all_pairs, scores};
use crate::ops::IGNORE_LABEL;
use crate::{Real, Result};
use ndarray::{Array1, ArrayView1, ArrayView2, Axis, concatenate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// What is to be measured besides retrieval and verification of all pairs.
#[derive(Clone, Debug)]
pub struct OpenSetOptions<'a, F> {
    /// Recall@k for each of these.
    pub ks: Vec<usize>,
    /// Whether to cluster, for NMI: with many classes it takes longer than all the rest.
    pub clusters: bool,
    /// Seed of the first centres.
    pub seed: u64,
    /// Pairs for verification besides all pairs, in the order of their folds.
    pub pairs: Option<&'a [Pair]>,
    /// (M, D) rows of nobody, to be told apart from.
    pub distractors: Option<ArrayView2<'a, F>>,
}

impl<F> Default for OpenSetOptions<'_, F> {
    /// Recall at 1, 2, 4, 8, 16 and 32; clusters; all pairs; no distractors.
    fn default() -> Self {
        Self { ks: vec![1, 2, 4, 8, 16, 32], clusters: true, seed: 0, pairs: None, distractors: None }
    }
}

/// The false accept rates at which verification is reported.
pub const FALSE_ACCEPT_RATES: [f64; 6] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// Ranks that the cumulative match characteristic goes to, in a gallery that has so many rows.
pub const RANKS: usize = 50;

/// Folds of pairs.
const FOLDS: usize = 10;

/// Everything measured.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSet {
    /// Labelled rows.
    pub rows: usize,
    /// Their classes.
    pub classes: usize,
    /// Each row among all others.
    pub retrieval: Retrieval,
    /// NMI of labels and as many clusters of k-means as there are classes, the best of three.
    pub nmi: Option<f64>,
    /// All pairs of rows.
    pub all_pairs: AllPairs,
    /// The pairs given, if they were.
    pub given_pairs: Option<(Roc, FoldAccuracy)>,
    /// The first row of each class is enrolled in a gallery, the others are looked up in it; distractors are in it, too.
    pub enrolled: Cmc,
    /// Each row of a class looks for each other among the distractors.
    pub among_distractors: Option<Cmc>,
}

/// The figures of a [`Roc`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Verification {
    /// Pairs of one class.
    pub genuine: u64,
    /// Pairs of two.
    pub impostors: u64,
    /// Area under the curve.
    pub auc: f64,
    /// Equal error rate.
    pub eer: f64,
    /// At each of [`FALSE_ACCEPT_RATES`]: the rate, and the true accept rate if there are enough impostors.
    pub tar_at_far: Vec<(f64, Option<f64>)>,
    /// At the best threshold.
    pub best: BestAccuracy,
}

impl From<&Roc> for Verification {
    fn from(roc: &Roc) -> Self {
        Self {
            genuine: roc.genuine(),
            impostors: roc.impostors(),
            auc: roc.auc(),
            eer: roc.eer(),
            tar_at_far: FALSE_ACCEPT_RATES.into_iter().map(|far| (far, roc.tar_at_far(far))).collect(),
            best: roc.best_accuracy(),
        }
    }
}

/// Measures embeddings (N, D) with labels (N,); rows labelled [`IGNORE_LABEL`] take no part but in retrieval, as references.
///
/// # Errors
/// [`Error::Empty`](crate::Error::Empty), [`Error::Shape`](crate::Error::Shape), [`Error::NotFinite`](crate::Error::NotFinite),
/// [`Error::ZeroNorm`](crate::Error::ZeroNorm); [`Error::Unmeasurable`](crate::Error::Unmeasurable) unless two rows are of one class and
/// two are not.
pub fn measure<F: Real>(
    embeddings: ArrayView2<F>,
    labels: ArrayView1<i64>,
    options: &OpenSetOptions<F>,
) -> Result<OpenSet> {
    // What can be wrong at once comes first: the rest may take minutes.
    if let Some(distractors) = options.distractors {
        check_dimensions("distractors", distractors, embeddings.ncols())?;
    }
    let given_pairs = options.pairs.map(|pairs| {
        let scores = scores(embeddings, pairs)?;
        let same: Vec<bool> = pairs.iter().map(|pair| pair.same).collect();
        Ok((Roc::new(&scores, &same)?, fold_accuracy(&scores, &same, FOLDS)?))
    });
    let given_pairs = given_pairs.transpose()?;
    let retrieval = retrieval(embeddings, labels, &options.ks)?;
    let all_pairs = all_pairs(embeddings, labels)?;
    let labelled: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] != IGNORE_LABEL).collect();
    let classes: HashSet<i64> = labelled.iter().map(|&row| labels[row]).collect();
    let nmi = options.clusters.then(|| {
        let (embeddings, labels) = (embeddings.select(Axis(0), &labelled), labels.select(Axis(0), &labelled));
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let clustering = k_means(embeddings.view(), classes.len(), 3, &mut rng)?;
        normalized_mutual_information(&labels.to_vec(), &clustering.clusters)
    });
    let among_distractors = options
        .distractors
        .map(|distractors| cmc_among_distractors(embeddings, labels, distractors, RANKS.min(distractors.nrows() + 1)));
    Ok(OpenSet {
        rows: labelled.len(),
        classes: classes.len(),
        retrieval,
        nmi: nmi.transpose()?,
        all_pairs,
        given_pairs,
        enrolled: enrolled(embeddings, labels, &labelled, options.distractors)?,
        among_distractors: among_distractors.transpose()?,
    })
}

fn enrolled<F: Real>(
    embeddings: ArrayView2<F>,
    labels: ArrayView1<i64>,
    labelled: &[usize],
    distractors: Option<ArrayView2<F>>,
) -> Result<Cmc> {
    let mut known = HashSet::new();
    let (first, others): (Vec<usize>, Vec<usize>) = labelled.iter().partition(|&&row| known.insert(labels[row]));
    let rows = |rows: &[usize]| (embeddings.select(Axis(0), rows), labels.select(Axis(0), rows));
    let ((mut gallery, mut gallery_labels), (probes, probe_labels)) = (rows(&first), rows(&others));
    if let Some(distractors) = distractors {
        gallery = concatenate![Axis(0), gallery, distractors];
        gallery_labels = concatenate![Axis(0), gallery_labels, Array1::from_elem(distractors.nrows(), IGNORE_LABEL)];
    }
    cmc(probes.view(), probe_labels.view(), gallery.view(), gallery_labels.view(), RANKS.min(gallery.nrows()))
}
