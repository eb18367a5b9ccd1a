//! What heads are compared with: classifiers of the same features that have nothing to be tuned.

use super::tell;
use arcos::baselines::logistic_regression::{self, LogisticRegression, STRENGTHS, best_strength};
use arcos::baselines::{class_means, nearest_rows::NearestRows};
use arcos::data::{Dataset, Transform, TransformKind, stratified_folds};
use arcos::ops::IGNORE_LABEL;
use arcos::optim::Lbfgs;
use arcos::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

/// Numbers that the features of all rows may be, to be in memory.
const MOST_NUMBERS: usize = 1 << 29;

/// Products past which one baseline would take minutes: of each pair of rows, or of a pass of logistic regression.
const MOST_PRODUCTS: usize = 1 << 40;
const MOST_PRODUCTS_A_PASS: usize = 1 << 33;

/// Counts of nearest rows that are tried on the training rows.
const COUNTS: [usize; 6] = [1, 3, 5, 10, 20, 50];

/// Folds of training rows that the strength of logistic regression is chosen on.
const FOLDS: usize = 5;

/// A classifier with its settings chosen on the training rows.
pub(super) struct Baseline {
    pub name: String,
    /// Which labelled test rows it has right.
    pub right: Vec<bool>,
}

/// The baselines on transformed features, and the names of those that cannot be, with the reason.
#[derive(Default)]
pub(super) struct Baselines {
    pub done: Vec<Baseline>,
    pub left_out: Vec<(&'static str, String)>,
}

/// Features as heads see them, with labels.
struct Rows {
    features: Array2<f32>,
    labels: Array1<i64>,
}

impl Baselines {
    /// Fits every baseline to `train` and tries it on `test`.
    ///
    /// # Errors
    /// Those of reading the rows, and of the transform.
    pub fn fit(train: &Dataset, test: &Dataset, transform: TransformKind) -> Result<Self> {
        const NAMES: [&str; 3] = ["class means", "nearest rows", "logistic regression"];
        let (rows, dimension, classes) = (train.rows(), train.dimension(), train.classes());
        if (rows + test.rows()).saturating_mul(dimension) > MOST_NUMBERS {
            let reason = "left out: all rows would have to be in memory".to_owned();
            return Ok(Self { done: Vec::new(), left_out: NAMES.map(|name| (name, reason.clone())).to_vec() });
        }
        let train = &*train.rows_that_count()?;
        let transform = Transform::fit(transform, &train.features)?;
        let transformed = |data: &Dataset, labels| {
            let features = transform.apply_to_all(&data.features);
            let features = features.map_err(|error| data.located(error, "features", |row| row))?;
            Ok::<_, Error>(Rows { features, labels })
        };
        let test = transformed(test, test.labels_as(train.class_table())?)?;
        let train = transformed(train, train.labels.clone())?;

        let mut baselines = Self { done: Vec::new(), left_out: Vec::new() };
        let [means, nearest, logistic] = NAMES;
        baselines.add(means, &test, || {
            let of_classes = class_means::class_means(train.features.view(), train.labels.view(), classes)?;
            Ok((means.into(), class_means::predict(test.features.view(), of_classes.view())?))
        });
        let pairs = rows.saturating_mul(rows + test.labels.len()).saturating_mul(dimension);
        baselines.add_unless(pairs > MOST_PRODUCTS, nearest, &test, || {
            let kept = NearestRows::new(train.features.view(), train.labels.view(), classes)?;
            let count = kept.best_count(&COUNTS)?;
            Ok((format!("{nearest}, k = {count}"), kept.predict(test.features.view(), count)?))
        });
        let a_pass = rows.saturating_mul(dimension).saturating_mul(classes);
        baselines.add_unless(a_pass > MOST_PRODUCTS_A_PASS, logistic, &test, || {
            let (strength, predicted) = regress(&train, &test, classes)?;
            Ok((format!("{logistic}, C = {strength}"), predicted))
        });
        Ok(baselines)
    }

    fn add_unless(
        &mut self,
        takes_long: bool,
        name: &'static str,
        test: &Rows,
        fit: impl FnOnce() -> Result<(String, Vec<usize>)>,
    ) {
        match takes_long {
            true => self.left_out.push((name, "left out: with so many rows or classes it takes minutes".into())),
            false => self.add(name, test, fit),
        }
    }

    fn add(&mut self, name: &'static str, test: &Rows, fit: impl FnOnce() -> Result<(String, Vec<usize>)>) {
        let begin = Instant::now();
        match fit() {
            Ok((name, predicted)) => {
                let right = right(test.labels.view(), &predicted);
                let accuracy = right.iter().filter(|&&right| right).count() as f64 / right.len() as f64;
                tell(format_args!(
                    "{:>15}  {name}: test {accuracy:.4} ({:.1} s)",
                    "baseline",
                    begin.elapsed().as_secs_f64()
                ));
                self.done.push(Baseline { name, right });
            }
            Err(error) => self.left_out.push((name, format!("left out: {error}"))),
        }
    }
}

/// Which labelled rows are predicted right.
pub(super) fn right(labels: ArrayView1<i64>, predicted: &[usize]) -> Vec<bool> {
    let labelled = labels.iter().zip(predicted).filter(|&(&label, _)| label != IGNORE_LABEL);
    labelled.map(|(&label, &class)| label == class as i64).collect()
}

/// Logistic regression of the strength that is best on folds of the training rows.
fn regress(train: &Rows, test: &Rows, classes: usize) -> Result<(f64, Vec<usize>)> {
    let (features, labels) = (train.features.view(), train.labels.view());
    let folds = stratified_folds(labels, FOLDS, &mut ChaCha8Rng::seed_from_u64(0))?;
    // Which rows are right is settled long before the last digits of the loss are.
    let roughly = Lbfgs { gradient_tolerance: 1e-4, iterations: 100, ..Lbfgs::default() };
    let strength = best_strength(features, labels, classes, &folds, &STRENGTHS, roughly)?;
    let mut parameters = logistic_regression::zeros(classes, features.ncols())?;
    LogisticRegression { strength, minimiser: Lbfgs::default() }.fit(features, labels, &mut parameters)?;
    Ok((strength, logistic_regression::predict(test.features.view(), &parameters)?))
}
