//! Classifiers that heads are compared with, against scikit-learn: `tests/reference/make_baselines.py` made the values.

#[path = "../common/archive.rs"]
mod archive;

use archive::Archive;
use arcos::Error;
use arcos::baselines::logistic_regression::{self, LogisticRegression, best_strength};
use arcos::baselines::{class_means, nearest_rows::NearestRows};
use arcos::optim::Lbfgs;
use ndarray::{Array1, Array2, array};

const CLASSES: usize = 6;

struct Data {
    archive: Archive,
    features: Array2<f64>,
    labels: Array1<i64>,
    queries: Array2<f64>,
}

impl Data {
    fn read() -> Self {
        let mut archive = Archive::open("baselines.npz");
        let (features, labels) = (archive.read("data", "features"), archive.read("data", "labels"));
        let queries = archive.read("data", "queries");
        Self { archive, features, labels, queries }
    }

    fn predicted(&mut self, case: &str) -> Vec<usize> {
        let predicted: Array1<i64> = self.archive.read(case, "predicted");
        predicted.iter().map(|&class| class as usize).collect()
    }
}

#[track_caller]
fn assert_near(found: &Array2<f64>, expected: &Array2<f64>, most: f64) {
    let difference = (found - expected).iter().fold(0.0, |most: f64, difference| most.max(difference.abs()));
    assert!(difference <= most, "{difference}");
}

#[test]
fn logistic_regression_comes_to_the_optimum_of_scikit_learn() {
    let mut data = Data::read();
    let mut parameters = logistic_regression::zeros(CLASSES, data.features.ncols()).expect("two classes or more");
    let minimiser = Lbfgs { gradient_tolerance: 1e-9, ..Lbfgs::default() };
    // From zeros, and then each from the optimum of the one before.
    for strength in ["0.01", "1", "100"] {
        let case = format!("logistic/{strength}");
        let model = LogisticRegression { strength: strength.parse().expect("a number"), minimiser };
        let found = model.fit(data.features.view(), data.labels.view(), &mut parameters).expect("finite rows");
        let expected: ndarray::Array0<f64> = data.archive.read(&case, "value");
        assert!(found.converged, "{case}: {found:?}");
        assert!((found.value - expected.into_scalar()).abs() < 1e-9, "{case}: {found:?}");
        let weights: Array2<f64> = data.archive.read(&case, "weights");
        assert_near(&parameters.weights, &weights, 1e-4);
        let predicted = logistic_regression::predict(data.queries.view(), &parameters).expect("finite rows");
        assert_eq!(predicted, data.predicted(&case), "{case}");
    }
}

#[test]
fn single_precision_comes_as_near_as_it_can() {
    let mut data = Data::read();
    let (features, labels) = (data.features.mapv(|value| value as f32), data.labels.view());
    let mut parameters = logistic_regression::zeros(CLASSES, features.ncols()).expect("two classes or more");
    let model = LogisticRegression { strength: 1.0, minimiser: Lbfgs::default() };
    let found = model.fit(features.view(), labels, &mut parameters).expect("finite rows");
    let expected: ndarray::Array0<f64> = data.archive.read("logistic/1", "value");
    assert!(found.converged && (f64::from(found.value) - expected.into_scalar()).abs() < 1e-6, "{found:?}");
}

#[test]
fn nearest_rows_vote_as_those_of_scikit_learn() {
    let mut data = Data::read();
    let kept = NearestRows::new(data.features.view(), data.labels.view(), CLASSES).expect("finite rows");
    for count in [1, 15] {
        let case = format!("nearest/{count}");
        let tied: Array1<u8> = data.archive.read(&case, "tied");
        let found = kept.predict(data.queries.view(), count).expect("finite rows");
        let rows = found.iter().zip(data.predicted(&case)).zip(&tied).filter(|&(_, &tied)| tied == 0);
        let rows: Vec<_> = rows.map(|((&found, expected), _)| (found, expected)).collect();
        assert!(rows.len() > 150, "{case}: {} rows", rows.len());
        assert!(rows.iter().all(|&(found, expected)| found == expected), "{case}: {rows:?}");
    }
}

#[test]
fn the_nearest_of_classes_with_as_many_votes_wins_and_counts_are_chosen_without_the_row_itself() {
    let features = array![[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [1.0, 1.0]];
    let labels = array![0, 0, 1, 1, arcos::ops::IGNORE_LABEL];
    let kept = NearestRows::new(features.view(), labels.view(), 2).expect("finite rows");
    assert_eq!(kept.predict(array![[1.0, 0.9], [0.9, 1.0]].view(), 4).expect("finite rows"), [0, 1]);
    // Of three others two are of the other class.
    assert_eq!(kept.best_count(&[3, 1]).expect("counts"), 1);
    assert!(matches!(kept.best_count(&[]), Err(Error::Setting { name: "nearest rows", .. })));
    assert!(matches!(kept.predict(features.view(), 0), Err(Error::Setting { name: "nearest rows", .. })));
    assert!(matches!(kept.predict(array![[1.0]].view(), 1), Err(Error::Shape { what: "features", .. })));
}

#[test]
fn class_means_are_those_of_unit_rows() {
    let mut data = Data::read();
    let means = class_means::class_means(data.features.view(), data.labels.view(), CLASSES).expect("finite rows");
    assert_near(&means, &data.archive.read("means", "vectors"), 1e-12);
    let predicted = class_means::predict(data.queries.view(), means.view()).expect("finite rows");
    assert_eq!(predicted, data.predicted("means"));
    let none = class_means::class_means(data.features.view(), data.labels.view(), CLASSES + 1).expect("finite rows");
    assert!(none.row(CLASSES).iter().all(|&element| element == 0.0));
}

#[test]
fn the_strength_is_that_which_is_right_on_other_folds() {
    let data = Data::read();
    let folds: Vec<usize> = (0..data.labels.len()).map(|row| row % 5).collect();
    let strengths = [1e-6, 0.1, 1e6];
    let rows_right = |strength: f64| {
        let mut right = 0;
        for fold in 0..5 {
            let rows = |inside: bool| -> Vec<usize> {
                (0..folds.len()).filter(|&row| (folds[row] == fold) == inside).collect()
            };
            let part = |rows: &[usize]| {
                (data.features.select(ndarray::Axis(0), rows), data.labels.select(ndarray::Axis(0), rows))
            };
            let ((held_out, held_out_labels), (features, labels)) = (part(&rows(true)), part(&rows(false)));
            let mut parameters = logistic_regression::zeros(CLASSES, features.ncols()).expect("classes");
            let model = LogisticRegression { strength, minimiser: Lbfgs::default() };
            model.fit(features.view(), labels.view(), &mut parameters).expect("finite rows");
            let predicted = logistic_regression::predict(held_out.view(), &parameters).expect("finite rows");
            right += predicted.iter().zip(&held_out_labels).filter(|&(&class, &label)| class as i64 == label).count();
        }
        right
    };
    let right = strengths.map(rows_right);
    assert!(right[1] > right[0] && right[1] > right[2], "{right:?}");
    let (features, labels) = (data.features.view(), data.labels.view());
    let best = best_strength(features, labels, CLASSES, &folds, &strengths, Lbfgs::default()).expect("finite rows");
    assert_eq!(best, 0.1);
    let none = best_strength(features, labels, CLASSES, &folds, &[], Lbfgs::default());
    assert!(matches!(none, Err(Error::Setting { .. })));
    for strength in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut parameters = logistic_regression::zeros(CLASSES, features.ncols()).expect("classes");
        let model = LogisticRegression { strength, minimiser: Lbfgs::default() };
        assert!(model.fit(features, labels, &mut parameters).is_err(), "{strength}");
    }
}
