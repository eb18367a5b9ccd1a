//! Measures of embeddings.

use crate::arrays::{self, Number};
use crate::raise;
use arcos::metrics::{
    identification, k_means as clustering, mutual_information, retrieval as of_neighbours, roc as curve, verification,
};
use ndarray::{Ix1, Ix2};
use numpy::{IntoPyArray, PyUntypedArray, ToPyArray};
use pyo3::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

/// How well rows of a class find each other.
#[pyclass(frozen, get_all, module = "arcos.metrics")]
pub struct Retrieval {
    /// Rows that took part as queries.
    queries: usize,
    /// Recall@k by k: the share of queries with a row of their class among the k nearest.
    recall: BTreeMap<usize, f64>,
    /// With R other rows in a query's class: the share of the R nearest that are of it, averaged over queries.
    r_precision: f64,
    /// MAP@R: as R-precision, the order counting, too.
    map_at_r: f64,
}

/// Retrieval among embeddings (N, D) with labels (N,) by cosine similarity, each row a query among all others; Recall@k for each of `ks`.
/// Rows labelled -100 are references that are never right.
#[pyfunction]
#[pyo3(signature = (embeddings, labels, ks = vec![1]))]
pub fn retrieval(embeddings: &Bound<PyAny>, labels: &Bound<PyAny>, ks: Vec<usize>) -> PyResult<Retrieval> {
    fn of<F: Number>(embeddings: &Bound<PyUntypedArray>, labels: &Bound<PyAny>, ks: &[usize]) -> PyResult<Retrieval> {
        let (rows, labels) =
            (arrays::readonly::<F, Ix2>("embeddings", embeddings)?, arrays::integers::<Ix1>("labels", labels)?);
        let (rows, labels) = (rows.as_array(), labels.as_array());
        let found = embeddings.py().detach(|| of_neighbours::retrieval(rows, labels, ks)).map_err(raise)?;
        Ok(Retrieval {
            queries: found.queries,
            recall: found.recall.into_iter().map(|at| (at.k, at.recall)).collect(),
            r_precision: found.r_precision,
            map_at_r: found.map_at_r,
        })
    }
    let embeddings = arrays::array(embeddings)?;
    match arrays::is_double("embeddings", &embeddings)? {
        true => of::<f64>(&embeddings, labels, &ks),
        false => of::<f32>(&embeddings, labels, &ks),
    }
}

/// The receiver operating characteristic: a pair is accepted where its score reaches a threshold.
#[pyclass(frozen, module = "arcos.metrics")]
pub struct Roc {
    roc: curve::Roc,
}

#[pymethods]
impl Roc {
    /// Every distinct score, the highest first, after infinity, which accepts no pair.
    #[getter]
    fn thresholds<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.roc.thresholds.to_pyarray(py).into_any()
    }

    /// Genuine pairs that reach each threshold.
    #[getter]
    fn true_accepts<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.roc.true_accepts.to_pyarray(py).into_any()
    }

    /// Impostors that reach each threshold.
    #[getter]
    fn false_accepts<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.roc.false_accepts.to_pyarray(py).into_any()
    }

    /// The area under the curve; ties count half.
    #[getter]
    fn auc(&self) -> f64 {
        self.roc.auc()
    }

    /// The equal error rate.
    #[getter]
    fn eer(&self) -> f64 {
        self.roc.eer()
    }

    /// The largest true accept rate of a threshold whose false accept rate is at most `far`; None where `far` of the impostors is less than
    /// one pair.
    fn tar_at_far(&self, far: f64) -> Option<f64> {
        self.roc.tar_at_far(far)
    }

    /// (accuracy, threshold): the largest share of pairs that a threshold gets right, and that threshold.
    fn best_accuracy(&self) -> (f64, f64) {
        let best = self.roc.best_accuracy();
        (best.accuracy, best.threshold)
    }
}

/// The ROC of pairs with these scores (N,), of which `same` (N,) says whether both rows are of one class.
#[pyfunction]
pub fn roc(scores: &Bound<PyAny>, same: Vec<bool>) -> PyResult<Roc> {
    let scores = arrays::reals::<f64, Ix1>("scores", scores)?.as_array().to_vec();
    let roc = curve::Roc::new(&scores, &same).map_err(raise)?;
    Ok(Roc { roc })
}

/// The ROC of every pair of two rows of embeddings (N, D) with labels (N,), scored by their cosine. Rows labelled -100 are in no pair.
#[pyfunction]
pub fn all_pairs(embeddings: &Bound<PyAny>, labels: &Bound<PyAny>) -> PyResult<Roc> {
    fn of<F: Number>(embeddings: &Bound<PyUntypedArray>, labels: &Bound<PyAny>) -> PyResult<Roc> {
        let (rows, labels) =
            (arrays::readonly::<F, Ix2>("embeddings", embeddings)?, arrays::integers::<Ix1>("labels", labels)?);
        let (rows, labels) = (rows.as_array(), labels.as_array());
        let pairs = embeddings.py().detach(|| verification::all_pairs(rows, labels)).map_err(raise)?;
        Ok(Roc { roc: pairs.roc })
    }
    let embeddings = arrays::array(embeddings)?;
    match arrays::is_double("embeddings", &embeddings)? {
        true => of::<f64>(&embeddings, labels),
        false => of::<f32>(&embeddings, labels),
    }
}

/// Cosines of pairs of rows of embeddings (N, D): (P,) of `pairs` (P, 2), numbers of rows.
#[pyfunction]
pub fn pair_scores<'py>(embeddings: &Bound<'py, PyAny>, pairs: Vec<(usize, usize)>) -> PyResult<Bound<'py, PyAny>> {
    fn of<'py, F: Number>(
        embeddings: &Bound<'py, PyUntypedArray>,
        pairs: &[verification::Pair],
    ) -> PyResult<Bound<'py, PyAny>> {
        let rows = arrays::readonly::<F, Ix2>("embeddings", embeddings)?;
        let rows = rows.as_array();
        let scores = embeddings.py().detach(|| verification::scores(rows, pairs)).map_err(raise)?;
        Ok(scores.into_pyarray(embeddings.py()).into_any())
    }
    // Scores do not depend on whether both are of one class.
    let pairs: Vec<_> =
        pairs.into_iter().map(|(first, second)| verification::Pair { first, second, same: false }).collect();
    let embeddings = arrays::array(embeddings)?;
    match arrays::is_double("embeddings", &embeddings)? {
        true => of::<f64>(&embeddings, &pairs),
        false => of::<f32>(&embeddings, &pairs),
    }
}

/// The cumulative match characteristic.
#[pyclass(frozen, get_all, module = "arcos.metrics")]
pub struct Cmc {
    /// Searches that were made.
    searches: usize,
    /// (ranks,) the share of searches whose rank is at most 1, 2, ...
    rates: Vec<f64>,
}

impl From<identification::Cmc> for Cmc {
    fn from(cmc: identification::Cmc) -> Self {
        Self { searches: cmc.searches, rates: cmc.rates }
    }
}

/// Identification: searches each of `probes` (P, D) in a `gallery` (G, D) for a row of its label; ties count against a probe. Gallery rows
/// labelled -100 are distractors.
#[pyfunction]
#[pyo3(signature = (probes, probe_labels, gallery, gallery_labels, ranks = 10))]
pub fn cmc(
    probes: &Bound<PyAny>,
    probe_labels: &Bound<PyAny>,
    gallery: &Bound<PyAny>,
    gallery_labels: &Bound<PyAny>,
    ranks: usize,
) -> PyResult<Cmc> {
    fn of<F: Number>(probes: [&Bound<PyUntypedArray>; 2], labels: [&Bound<PyAny>; 2], ranks: usize) -> PyResult<Cmc> {
        let [probes, gallery] =
            [("probes", probes[0]), ("gallery", probes[1])].map(|(what, rows)| arrays::readonly::<F, Ix2>(what, rows));
        let [of_probes, of_gallery] = [("probe_labels", labels[0]), ("gallery_labels", labels[1])]
            .map(|(what, labels)| arrays::integers::<Ix1>(what, labels));
        let (probes, gallery, of_probes, of_gallery) = (probes?, gallery?, of_probes?, of_gallery?);
        let py = probes.py();
        let (probes, gallery, of_probes, of_gallery) =
            (probes.as_array(), gallery.as_array(), of_probes.as_array(), of_gallery.as_array());
        let cmc = py.detach(|| identification::cmc(probes, of_probes, gallery, of_gallery, ranks));
        Ok(cmc.map_err(raise)?.into())
    }
    let (probes, gallery) = (arrays::array(probes)?, arrays::array(gallery)?);
    match arrays::is_double("probes", &probes)? {
        true => of::<f64>([&probes, &gallery], [probe_labels, gallery_labels], ranks),
        false => of::<f32>([&probes, &gallery], [probe_labels, gallery_labels], ranks),
    }
}

/// MegaFace's protocol (arXiv 1512.00596): for every two rows of one class of embeddings (N, D), the one searches for the other among all
/// `distractors` (M, D).
#[pyfunction]
#[pyo3(signature = (embeddings, labels, distractors, ranks = 10))]
pub fn cmc_among_distractors(
    embeddings: &Bound<PyAny>,
    labels: &Bound<PyAny>,
    distractors: &Bound<PyAny>,
    ranks: usize,
) -> PyResult<Cmc> {
    fn of<F: Number>(
        embeddings: &Bound<PyUntypedArray>,
        labels: &Bound<PyAny>,
        distractors: &Bound<PyUntypedArray>,
        ranks: usize,
    ) -> PyResult<Cmc> {
        let (rows, labels) =
            (arrays::readonly::<F, Ix2>("embeddings", embeddings)?, arrays::integers::<Ix1>("labels", labels)?);
        let distractors = arrays::readonly::<F, Ix2>("distractors", distractors)?;
        let (rows, labels, distractors) = (rows.as_array(), labels.as_array(), distractors.as_array());
        let search = || identification::cmc_among_distractors(rows, labels, distractors, ranks);
        Ok(embeddings.py().detach(search).map_err(raise)?.into())
    }
    let (embeddings, distractors) = (arrays::array(embeddings)?, arrays::array(distractors)?);
    match arrays::is_double("embeddings", &embeddings)? {
        true => of::<f64>(&embeddings, labels, &distractors, ranks),
        false => of::<f32>(&embeddings, labels, &distractors, ranks),
    }
}

/// Normalised mutual information, 2 I(a, b) / (H(a) + H(b)), of two partitions (N,) of the same rows: 1 for the same, 0 for independent ones.
#[pyfunction]
pub fn normalized_mutual_information(a: &Bound<PyAny>, b: &Bound<PyAny>) -> PyResult<f64> {
    let [a, b] =
        [arrays::integers::<Ix1>("a", a)?, arrays::integers::<Ix1>("b", b)?].map(|part| part.as_array().to_vec());
    mutual_information::normalized_mutual_information(&a, &b).map_err(raise)
}

/// k-means of the directions of embeddings (N, D), the best of `runs` by inertia: (clusters (N,), centres (k, D), inertia).
#[pyfunction]
#[pyo3(signature = (embeddings, clusters, *, runs = 1, seed = 0))]
pub fn k_means<'py>(
    embeddings: &Bound<'py, PyAny>,
    clusters: usize,
    runs: usize,
    seed: u64,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, f64)> {
    fn of<'py, F: Number>(
        embeddings: &Bound<'py, PyUntypedArray>,
        clusters: usize,
        runs: usize,
        seed: u64,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, f64)> {
        let (py, mut rng) = (embeddings.py(), ChaCha8Rng::seed_from_u64(seed));
        let rows = arrays::readonly::<F, Ix2>("embeddings", embeddings)?;
        let rows = rows.as_array();
        let found = py.detach(|| clustering::k_means(rows, clusters, runs, &mut rng)).map_err(raise)?;
        let clusters: Vec<i64> = found.clusters.into_iter().map(|cluster| cluster as i64).collect();
        Ok((clusters.into_pyarray(py).into_any(), found.centres.into_pyarray(py).into_any(), found.inertia))
    }
    let embeddings = arrays::array(embeddings)?;
    match arrays::is_double("embeddings", &embeddings)? {
        true => of::<f64>(&embeddings, clusters, runs, seed),
        false => of::<f32>(&embeddings, clusters, runs, seed),
    }
}
