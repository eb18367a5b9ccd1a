//! Values of pytorch-metric-learning and scikit-learn, and of plain loops over the definitions of protocols that neither has, reproduced:
//! `tests/reference/make_measures.py` made them.

use super::archive::Archive;
use arcos::metrics::folds::fold_accuracy;
use arcos::metrics::identification::{Cmc, cmc, cmc_among_distractors};
use arcos::metrics::k_means::k_means;
use arcos::metrics::mutual_information::normalized_mutual_information;
use arcos::metrics::retrieval::retrieval;
use arcos::metrics::roc::Roc;
use arcos::metrics::verification::all_pairs;
use ndarray::{Array0, Array1, Array2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

impl Archive {
    fn number(&mut self, case: &str, name: &str) -> f64 {
        let value: Array0<f64> = self.read(case, name);
        value.into_scalar()
    }

    fn labels(&mut self, case: &str, name: &str) -> Array1<i64> {
        self.read(case, name)
    }

    fn matrix(&mut self, case: &str, name: &str) -> Array2<f64> {
        self.read(case, name)
    }

    fn scores(&mut self, case: &str) -> (Vec<f64>, Vec<bool>) {
        let (scores, same): (Array1<f64>, Array1<u8>) = (self.read(case, "scores"), self.read(case, "same"));
        (scores.to_vec(), same.iter().map(|&same| same == 1).collect())
    }
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12, "{what}: {found}, not {expected}");
}

#[test]
fn retrieval_is_that_of_pytorch_metric_learning() {
    let mut archive = Archive::open("measures.npz");
    for case in ["random", "ties", "lone"] {
        let (embeddings, labels) = (archive.matrix(case, "embeddings"), archive.labels(case, "labels"));
        let found = retrieval(embeddings.view(), labels.view(), &[1, 2, 4, 8]).expect("classes of several rows");
        let recall: Array1<f64> = archive.read(case, "recall_at");
        for (found, &expected) in found.recall.iter().zip(&recall) {
            assert_close(&format!("{case}: recall@{}", found.k), found.recall, expected);
        }
        assert_close(case, found.recall[0].recall, archive.number(case, "precision_at_1"));
        assert_close(case, found.r_precision, archive.number(case, "r_precision"));
        assert_close(case, found.map_at_r, archive.number(case, "map_at_r"));
    }
}

#[test]
fn mutual_information_is_that_of_scikit_learn() {
    let mut archive = Archive::open("measures.npz");
    for number in 0..6 {
        let case = format!("nmi/{number}");
        let (a, b) = (archive.labels(&case, "labels_a").to_vec(), archive.labels(&case, "labels_b").to_vec());
        let found = normalized_mutual_information(&a, &b).expect("of the same rows");
        assert_close(&case, found, archive.number(&case, "value"));
    }
}

#[test]
fn clusters_are_as_tight_as_those_of_scikit_learn() {
    let mut archive = Archive::open("measures.npz");
    let points = archive.matrix("kmeans", "points");
    let expected = archive.number("kmeans", "inertia");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let found = k_means(points.view(), 10, 20, &mut rng).expect("enough points");
    assert!(found.inertia <= expected * 1.005, "{} to {expected}", found.inertia);
    let distance = |(row, &cluster): (usize, &usize)| {
        (&points.row(row) - &found.centres.row(cluster)).mapv(|difference| difference * difference).sum()
    };
    let inertia: f64 = found.clusters.iter().enumerate().map(distance).sum();
    assert!((inertia - found.inertia).abs() <= 1e-9 * inertia, "{inertia} and {}", found.inertia);
}

/// TAR at each FAR; NaN stands for too few impostors.
fn check_roc(archive: &mut Archive, case: &str, roc: &Roc, rates: &[f64], tolerance: f64) {
    let mut check = |name: &str, found: f64| {
        let expected = archive.number(case, name);
        assert!((found - expected).abs() <= tolerance, "{case}: {name} is {found}, not {expected}");
    };
    check("auc", roc.auc());
    check("eer", roc.eer());
    check("best_accuracy", roc.best_accuracy().accuracy);
    let expected: Array1<f64> = archive.read(case, "tar_at_far");
    for (&far, &expected) in rates.iter().zip(&expected) {
        let found = roc.tar_at_far(far).unwrap_or(f64::NAN);
        assert!(found == expected || (found.is_nan() && expected.is_nan()), "{case}: {found} at {far}, not {expected}");
    }
}

#[test]
fn verification_is_that_of_scikit_learn() {
    let mut archive = Archive::open("measures.npz");
    for case in ["scores_random", "scores_ties", "scores_few"] {
        let (scores, same) = archive.scores(case);
        let roc = Roc::new(&scores, &same).expect("both kinds of pairs");
        check_roc(&mut archive, case, &roc, &[1e-1, 1e-2, 1e-3], 1e-12);
    }
}

#[test]
fn all_pairs_are_those_of_scikit_learn() {
    let mut archive = Archive::open("measures.npz");
    let (embeddings, labels) = (archive.matrix("pairs_all", "embeddings"), archive.labels("pairs_all", "labels"));
    let found = all_pairs(embeddings.view(), labels.view()).expect("both kinds of pairs");
    assert_eq!(found.genuine.total() + found.impostors.total(), 80 * 79 / 2);
    check_roc(&mut archive, "pairs_all", &found.roc, &[1e-1, 1e-2], 1e-12);
}

#[test]
fn folds_are_those_of_the_protocol() {
    let mut archive = Archive::open("measures.npz");
    for case in ["folds_random", "folds_ties", "folds_uneven"] {
        let (scores, same) = archive.scores(case);
        let found = fold_accuracy(&scores, &same, 10).expect("enough pairs");
        let accuracies: Array1<f64> = archive.read(case, "fold_accuracies");
        let thresholds: Array1<f64> = archive.read(case, "thresholds");
        assert_eq!((&found.accuracies, &found.thresholds), (&accuracies.to_vec(), &thresholds.to_vec()), "{case}");
        assert_close(case, found.mean, archive.number(case, "mean"));
        assert_close(case, found.std, archive.number(case, "std"));
    }
}

fn check_cmc(archive: &mut Archive, case: &str, found: &Cmc) {
    let expected: Array1<f64> = archive.read(case, "cmc");
    for (rank, (&found, &expected)) in found.rates.iter().zip(&expected).enumerate() {
        assert_close(&format!("{case}: rank {}", rank + 1), found, expected);
    }
    assert_eq!(found.rates.len(), expected.len());
    assert_eq!(found.rate_at(1), expected[0]);
}

#[test]
fn identification_is_that_of_the_definition() {
    let mut archive = Archive::open("measures.npz");
    for case in ["closed", "distractors"] {
        let (probes, gallery) = (archive.matrix(case, "probes"), archive.matrix(case, "gallery"));
        let labels = [archive.labels(case, "probe_labels"), archive.labels(case, "gallery_labels")];
        let found = cmc(probes.view(), labels[0].view(), gallery.view(), labels[1].view(), 20).expect("mates");
        check_cmc(&mut archive, case, &found);
    }
    for case in ["megaface", "megaface_ties"] {
        let (embeddings, labels) = (archive.matrix(case, "embeddings"), archive.labels(case, "labels"));
        let distractors = archive.matrix(case, "distractors");
        let found = cmc_among_distractors(embeddings.view(), labels.view(), distractors.view(), 20).expect("mates");
        check_cmc(&mut archive, case, &found);
    }
}
