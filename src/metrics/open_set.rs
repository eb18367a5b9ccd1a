//! All measures of embeddings of classes that training need not have seen.

use super::folds::{FoldAccuracy, fold_accuracy};
use super::identification::{Cmc, cmc_of_unit, cmc_of_unit_among_distractors};
use super::k_means::k_means_of_unit;
use super::mutual_information::normalized_mutual_information;
use super::retrieval::{Retrieval, retrieval_of_unit};
use super::roc::{BestAccuracy, Roc};
use super::similarity::{check_dimensions, unit, unit_rows};
use super::verification::{AllPairs, Pair, all_pairs_of_unit, scores_of_unit};
use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Real, Result};
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

/// Why a measure is not defined on these rows, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undefined(pub String);

/// A measure, if it is defined.
pub type Measured<T> = std::result::Result<T, Undefined>;

/// Everything measured.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSet {
    /// Labelled rows.
    pub rows: usize,
    /// Their classes.
    pub classes: usize,
    /// Each row among all others.
    pub retrieval: Measured<Retrieval>,
    /// NMI of labels and as many clusters of k-means as there are classes, the best of three; `None` where it was not asked for.
    pub nmi: Option<Measured<f64>>,
    /// All pairs of rows.
    pub all_pairs: Measured<AllPairs>,
    /// The pairs given, if they were: all of them, and by folds.
    pub given_pairs: Option<(Measured<Roc>, Measured<FoldAccuracy>)>,
    /// The first row of each class is enrolled in a gallery, the others are looked up in it; distractors are in it, too.
    pub enrolled: Measured<Cmc>,
    /// Each row of a class looks for each other among the distractors.
    pub among_distractors: Option<Measured<Cmc>>,
}

impl OpenSet {
    /// The measures that are not defined, by their names in this struct, with the reasons.
    pub fn undefined(&self) -> Vec<(&'static str, &Undefined)> {
        let Self { retrieval, nmi, all_pairs, given_pairs, enrolled, among_distractors, .. } = self;
        let given_pairs = given_pairs.as_ref();
        [
            ("retrieval", retrieval.as_ref().err()),
            ("nmi", nmi.as_ref().and_then(|nmi| nmi.as_ref().err())),
            ("all_pairs", all_pairs.as_ref().err()),
            ("given_pairs", given_pairs.and_then(|(roc, _)| roc.as_ref().err())),
            ("folds", given_pairs.and_then(|(_, folds)| folds.as_ref().err())),
            ("enrolled", enrolled.as_ref().err()),
            ("among_distractors", among_distractors.as_ref().and_then(|cmc| cmc.as_ref().err())),
        ]
        .into_iter()
        .filter_map(|(name, undefined)| Some((name, undefined?)))
        .collect()
    }

    fn is_any_defined(&self) -> bool {
        let Self { retrieval, all_pairs, given_pairs, enrolled, among_distractors, .. } = self;
        let of_given_pairs = given_pairs.as_ref().is_some_and(|(roc, folds)| roc.is_ok() || folds.is_ok());
        let of_distractors = among_distractors.as_ref().is_some_and(|cmc| cmc.is_ok());
        retrieval.is_ok() || all_pairs.is_ok() || of_given_pairs || enrolled.is_ok() || of_distractors
    }
}

/// Sets measures that are not defined on these rows apart from mistakes.
fn measured<T>(outcome: Result<T>) -> Result<Measured<T>> {
    match outcome {
        Ok(measure) => Ok(Ok(measure)),
        Err(error @ Error::NotDefined { .. }) => Ok(Err(Undefined(error.to_string()))),
        Err(error) => Err(error),
    }
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

/// Measures embeddings (N, D) with labels (N,); rows labelled [`IGNORE_LABEL`] take no part but in retrieval, as references, and in pairs
/// that are given.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`]; [`Error::NotDefined`] where no measure is defined.
pub fn measure<F: Real>(
    embeddings: ArrayView2<F>,
    labels: ArrayView1<i64>,
    options: &OpenSetOptions<F>,
) -> Result<OpenSet> {
    // What can be wrong comes first: the rest may take minutes.
    let unit_distractors = options.distractors.map(|distractors| {
        check_dimensions("distractors", distractors, embeddings.ncols())?;
        unit("distractors", distractors)
    });
    let unit_distractors = unit_distractors.transpose()?;
    let distractors = unit_distractors.as_ref().map(|distractors| distractors.view());
    let unit = unit_rows("embeddings", embeddings, labels)?;
    let unit = unit.view();
    let given_pairs = options.pairs.map(|pairs| {
        let scores = scores_of_unit(unit, pairs)?;
        let same: Vec<bool> = pairs.iter().map(|pair| pair.same).collect();
        Ok::<_, Error>((measured(Roc::new(&scores, &same))?, measured(fold_accuracy(&scores, &same, FOLDS))?))
    });
    let given_pairs = given_pairs.transpose()?;
    let labelled: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] != IGNORE_LABEL).collect();
    let classes: HashSet<i64> = labelled.iter().map(|&row| labels[row]).collect();
    let nmi = || {
        if classes.len() < 2 {
            let (what, expected) = ("NMI of clusters and classes", "at least two classes");
            return Err(Error::NotDefined { what, found: counted(classes.len(), "class"), expected });
        }
        let (unit, labels) = (unit.select(Axis(0), &labelled), labels.select(Axis(0), &labelled));
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let clustering = k_means_of_unit(unit.view(), classes.len(), 3, &mut rng)?;
        normalized_mutual_information(&labels.to_vec(), &clustering.clusters)
    };
    let among = |distractors: ArrayView2<F>| {
        cmc_of_unit_among_distractors(unit, labels, distractors, RANKS.min(distractors.nrows() + 1))
    };
    let measures = OpenSet {
        rows: labelled.len(),
        classes: classes.len(),
        retrieval: measured(retrieval_of_unit(unit, labels, &options.ks))?,
        nmi: options.clusters.then(|| measured(nmi())).transpose()?,
        all_pairs: measured(all_pairs_of_unit(unit, labels))?,
        given_pairs,
        enrolled: measured(enrolled(unit, labels, &labelled, distractors))?,
        among_distractors: distractors.map(|distractors| measured(among(distractors))).transpose()?,
    };
    if measures.is_any_defined() {
        return Ok(measures);
    }
    let (what, expected) = ("any measure", "two rows of one class, or pairs of both kinds");
    let rows = format!("{} of {}", counted(labelled.len(), "labelled row"), counted(classes.len(), "class"));
    let found = match options.pairs {
        None => rows,
        Some(pairs) => {
            let genuine = pairs.iter().filter(|pair| pair.same).count();
            let [genuine, impostors] = [(genuine, "genuine pair"), (pairs.len() - genuine, "impostor")]
                .map(|(number, noun)| counted(number, noun));
            let rows = if classes.is_empty() { String::new() } else { format!("{rows}, ") };
            format!("{rows}{genuine} and {impostors}")
        }
    };
    Err(Error::NotDefined { what, found, expected })
}

fn enrolled<F: Real>(
    unit: ArrayView2<F>,
    labels: ArrayView1<i64>,
    labelled: &[usize],
    distractors: Option<ArrayView2<F>>,
) -> Result<Cmc> {
    let mut known = HashSet::new();
    let (first, others): (Vec<usize>, Vec<usize>) = labelled.iter().partition(|&&row| known.insert(labels[row]));
    if others.is_empty() {
        let (what, found) = ("identification", counted(labelled.len(), "labelled row"));
        return Err(Error::NotDefined { what, found, expected: "a class with at least two" });
    }
    let rows = |rows: &[usize]| (unit.select(Axis(0), rows), labels.select(Axis(0), rows));
    let ((mut gallery, mut gallery_labels), (probes, probe_labels)) = (rows(&first), rows(&others));
    if let Some(distractors) = distractors {
        gallery = concatenate![Axis(0), gallery, distractors];
        gallery_labels = concatenate![Axis(0), gallery_labels, Array1::from_elem(distractors.nrows(), IGNORE_LABEL)];
    }
    cmc_of_unit(probes.view(), probe_labels.view(), gallery.view(), gallery_labels.view(), RANKS.min(gallery.nrows()))
}
