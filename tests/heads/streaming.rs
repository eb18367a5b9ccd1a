//! The streaming kernel against the explicit forward and backward.

use super::case::{Arrays, Case, LastRow, choice_factor, is_on_sphere, loss_size, rows_by_name, spec, with_centres};
use super::objective_case::{EVERYTHING, Settings, settings};
use arcos::heads::{BatchStatistics, Geometry, Gradients, Loss};
use arcos::metrics::accuracy::top_k_correct;
use arcos::ops::{IGNORE_LABEL, Targets, softmax_cross_entropy};
use arcos::streaming::{GradientFilter, Streaming, StreamingOptions};
use arcos::{AnyHead, Error, Head, Parameters, Real};
use ndarray::{Array1, Array2, ArrayView1, ShapeBuilder, array};
use proptest::prelude::*;

/// How the kernel is run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub workspace: usize,
    pub threads: usize,
}

/// Any head, on sizes that divide nothing: up to five blocks, each thread with its own.
pub fn large_case() -> impl Strategy<Value = Case> {
    let names: Vec<_> = AnyHead::names().collect();
    let sizes = (1usize..=40, 1usize..=33, prop_oneof![3usize..=60, 90usize..=300, 500usize..=2100], 0usize..=3);
    (prop::sample::select(names).prop_flat_map(spec), sizes, settings(), 0..10_000u64).prop_map(
        |(spec, (batch, dimension, classes, ignored), objective, seed)| {
            let ignored = ignored.min(batch - 1);
            Case { spec, batch, dimension, classes, ignored, last_row: LastRow::Anywhere, objective, seed }
        },
    )
}

pub fn setting() -> impl Strategy<Value = Setting> {
    // Nothing is kept, some of it, everything.
    let workspace = prop_oneof![Just(0), 1usize..400_000, Just(1 << 30)];
    (workspace, 1usize..=3).prop_map(|(workspace, threads)| Setting { workspace, threads })
}

pub fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

pub fn kernel<F: Real>(workspace: usize, filter: GradientFilter) -> Streaming<F> {
    Streaming::new(StreamingOptions { workspace, filter, ..StreamingOptions::default() }).expect("options in range")
}

/// The arrays of a case in another precision.
fn converted<F: Real>(arrays: &Arrays) -> (Array2<F>, Parameters<F>) {
    (arrays.features.mapv(F::of), super::case::converted(&arrays.parameters))
}

fn largest<F: Real>(values: &Array2<F>) -> f64 {
    values.fold(0.0, |largest, value| value.abs().to_double().max(largest))
}

/// The length of the longest row.
fn longest<F: Real>(rows: &Array2<F>) -> f64 {
    rows.rows().into_iter().map(|row| row.dot(&row).to_double()).fold(0.0, f64::max).sqrt()
}

/// How long a row of `d_features` can be, up to the residual, before the normalisation takes away what is along the feature: `s‖w̃‖ / (n‖x‖)`.
/// In few dimensions that can be nearly all of it. 0 where nothing is taken away.
fn before_normalisation(arrays: &Arrays, scale: f64) -> f64 {
    let Arrays { head, features, parameters, labels } = arrays;
    let class_vector = match head.geometry() {
        Geometry::Plain => return 0.0,
        Geometry::UnitFeatures => longest(&parameters.weights),
        Geometry::Sphere => 1.0,
        // What a margin adds along the feature may cancel what it adds along the class vector, with lengths of features before both.
        Geometry::Linear => {
            let labelled = labels.iter().filter(|&&label| label != IGNORE_LABEL).count();
            return arrays.rules().steepest() * longest(&parameters.weights) / labelled as f64;
        }
    };
    let labelled = labels.iter().filter(|&&label| label != IGNORE_LABEL).count();
    let shortest = features.rows().into_iter().map(|x| x.dot(&x)).fold(f64::INFINITY, f64::min).sqrt();
    scale * class_vector / (labelled as f64 * shortest)
}

/// Each tensor's largest difference is at most `tolerance` times its largest element. Two may have cancelled to anything: `d_alpha`, one
/// number, is a sum of products of `weights` with unit vectors, and is held to the length of those; that of a threshold, a sum of residuals, to
/// the sum of their sizes; `d_features` is held to `before_normalisation`.
fn assert_close<F: Real>(
    found: &Gradients<F>,
    expected: &Gradients<F>,
    weights: &Array2<F>,
    before_normalisation: f64,
    residuals: f64,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    let rows = found.d_features.nrows() as f64;
    let (of_found, of_expected) = (rows_by_name(found), rows_by_name(expected));
    prop_assert_eq!(of_found.len(), of_expected.len());
    let of_vectors = of_found.iter().zip(&of_expected).map(|((name, found), (_, expected))| {
        let cancels = match *name {
            "alpha" => longest(weights),
            // The scale is at most 100 here, and a margin's value at most 2π.
            "log_scale" => 100.0,
            // Of as many numbers as rows, each of the size of the result.
            "threshold" => residuals * rows,
            _ => 0.0,
        };
        (*name, found, expected, cancels)
    });
    let of_matrices = [
        ("d_features", &found.d_features, &expected.d_features, before_normalisation),
        ("d_weights", &found.d_weights, &expected.d_weights, 0.0),
    ];
    for (name, found, expected, cancels) in of_matrices.into_iter().chain(of_vectors) {
        let difference = largest(&(found - expected));
        let bound = tolerance * largest(expected).max(cancels) + 1e-30;
        prop_assert!(difference <= bound, "{name} differs by {difference:e}, more than {bound:e}");
    }
    Ok(())
}

pub fn assert_statistics(
    found: &BatchStatistics,
    expected: &BatchStatistics,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!((found.labelled, found.correct), (expected.labelled, expected.correct));
    for (found, expected) in [
        (Some(found.scale), Some(expected.scale)),
        (found.target_cosine, expected.target_cosine),
        (found.target_angle, expected.target_angle),
        (found.median_target_angle, expected.median_target_angle),
    ] {
        prop_assert_eq!(found.is_some(), expected.is_some());
        let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default());
        prop_assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} is not {expected}");
    }
    Ok(())
}

/// The kernel's step agrees with the explicit one up to `tolerance` of the scale of the logits and the case.
fn assert_equals_explicit<F: Real>(
    case: &Case,
    setting: Setting,
    tolerance: impl Fn(f64, &Arrays) -> f64,
) -> Result<(), TestCaseError> {
    let arrays = case.build();
    let (features, parameters) = converted::<F>(&arrays);
    let (head, owned) = (&arrays.head, case.owned_objective(&arrays.labels).converted::<F>());
    let objective = owned.view();
    let streamed = pool(setting.threads).install(|| {
        kernel::<F>(setting.workspace, GradientFilter::Off).forward_backward(
            head,
            features.view(),
            &parameters,
            objective,
        )
    });
    let (loss, cache) = match head.forward(features.view(), &parameters, objective) {
        Ok(explicit) => explicit,
        Err(explicit) => {
            let streamed = streamed.expect_err("the explicit step has failed");
            prop_assert_eq!(std::mem::discriminant(&streamed), std::mem::discriminant(&explicit));
            return Ok(());
        }
    };
    let (step, gradients) = streamed.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let statistics = cache.statistics;
    let tolerance = tolerance(statistics.scale, &arrays);
    let difference = (step.loss - loss).abs().to_double();
    prop_assert!(difference <= tolerance * loss_size(head, loss.to_double()), "loss {} is not {loss}", step.loss);
    prop_assert!(
        (step.row_losses.sum() / cache.cross_entropy.divisor - step.loss).abs().to_double()
            <= difference.max(tolerance * loss_size(head, loss.to_double()))
    );
    assert_statistics(&step.statistics, &statistics, tolerance)?;
    // A row's residuals have no larger sum than 2 unless each class has a loss of its own.
    let of_row = |row: ArrayView1<F>| row.iter().map(|residual| residual.abs().to_double()).sum::<f64>() / 2.0;
    let largest_row = cache.cross_entropy.residual.rows().into_iter().map(of_row).fold(1.0, f64::max);
    let before_normalisation = largest_row * before_normalisation(&arrays, statistics.scale);
    let residuals = cache.cross_entropy.residual.iter().map(|residual| residual.abs().to_double()).sum::<f64>();
    let residuals = residuals / cache.cross_entropy.divisor.to_double();
    let expected = head.backward(cache);
    assert_close(&gradients, &expected, &parameters.weights, before_normalisation, residuals, tolerance)
}

proptest! {
    #[test]
    fn equals_the_explicit_step_in_double_precision(case in large_case(), setting in setting()) {
        assert_equals_explicit::<f64>(&case, setting, |_, _| 1e-12)?;
    }

    #[test]
    fn equals_the_explicit_step_in_single_precision(case in large_case(), setting in setting()) {
        // Logits of this size are rounded to this much, and the gradient near a pole, a small difference of unit vectors, to that much:
        // two lengths, two divisions and a sum make up to four roundings of a cosine in either engine.
        assert_equals_explicit::<f32>(&case, setting, |scale, arrays| {
            let pole = if is_on_sphere(&arrays.head) { arrays.pole_factor() } else { 1.0 };
            f64::from(f32::EPSILON) * (64.0 * (1.0 + scale) * choice_factor(&arrays.head)).max(8.0 * pole)
        })?;
    }
}

/// Labelled rows in which another class's logit is that of the label but for rounding.
fn rows_with_ties(logits: &Array2<f64>, labels: &Array1<i64>) -> usize {
    let has_tie = |(row, &label): (ArrayView1<f64>, &i64)| {
        label != IGNORE_LABEL && {
            let target = row[label as usize];
            row.iter().filter(|&&logit| (logit - target).abs() <= 1e-12 * (1.0 + target.abs())).count() > 1
        }
    };
    logits.rows().into_iter().zip(labels).filter(|&(row, label)| has_tie((row, label))).count()
}

proptest! {
    #[test]
    fn evaluation_is_that_of_all_logits(case in large_case(), setting in setting()) {
        let Arrays { head, features, parameters, labels } = case.build();
        let found = pool(setting.threads).install(|| {
            kernel::<f64>(setting.workspace, GradientFilter::Off).evaluate(&head, features.view(), &parameters, labels.view())
        });
        let found = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let logits = head.logits(features.view(), &parameters).expect("a good batch");
        let targets = Targets::new(labels.view(), case.batch, case.classes).expect("good labels");
        // A weighed mean of cosines is rounded as it is summed: of classes that are equally near either may come first.
        let undecided = if head.centre_temperature().is_some() { rows_with_ties(&logits, &labels) } else { 0 };
        for (found, k) in [(found.correct, 1), (found.correct_top5, 5)] {
            prop_assert!(found.abs_diff(top_k_correct(logits.view(), &targets, k)) <= undecided, "{found} of the first {k}");
        }
        prop_assert_eq!(found.labelled, targets.labelled());
        if head.loss() == Loss::Softmax {
            let (loss, _) = softmax_cross_entropy::forward(logits, labels.view()).expect("a good batch");
            prop_assert!((found.loss - loss).abs() <= 1e-12 * loss, "{} is not {loss}", found.loss);
        }
    }
}

#[test]
fn of_equal_logits_the_class_with_the_lower_index_comes_first() {
    let head = AnyHead::new("softmax", &[]).expect("softmax has no options");
    let parameters = head.initial_parameters(Array2::<f64>::zeros((1500, 4))).expect("enough classes");
    for (label, correct, correct_top5) in [(0, 1, 1), (1, 0, 1), (4, 0, 1), (5, 0, 0), (1499, 0, 0)] {
        let found = kernel(0, GradientFilter::Off).evaluate(
            &head,
            Array2::ones((1, 4)).view(),
            &parameters,
            array![label].view(),
        );
        let found = found.expect("a good batch");
        assert_eq!((found.correct, found.correct_top5), (correct, correct_top5), "class {label}");
    }
}

#[test]
fn results_are_the_same_bits_for_the_same_number_of_threads() {
    let case = Case {
        spec: "adacos".into(),
        batch: 33,
        dimension: 21,
        classes: 2005,
        ignored: 2,
        last_row: LastRow::Anywhere,
        objective: Settings::default(),
        seed: 5,
    };
    let arrays = case.build();
    let (features, parameters) = converted::<f32>(&arrays);
    for threads in 1..=3 {
        let pool = pool(threads);
        let mut kernel = kernel(0, GradientFilter::Off);
        let mut run = || {
            pool.install(|| kernel.forward_backward(&arrays.head, features.view(), &parameters, arrays.labels.view()))
                .expect("a good batch")
        };
        let first = run();
        assert!((0..20).all(|_| run() == first), "{threads} threads");
    }
}

#[test]
fn a_kernel_serves_batches_of_all_sizes_heads_and_layouts_in_turn() {
    let mut kernel = kernel::<f64>(100_000, GradientFilter::Off);
    let mut gradients = Gradients::default();
    for (number, name) in AnyHead::names().chain(AnyHead::names()).enumerate() {
        let case = Case {
            spec: name.into(),
            batch: 3 + 11 * (number % 3),
            dimension: 17 - number % 5,
            classes: [5, 700, 96, 1300][number % 4],
            ignored: number % 2,
            last_row: LastRow::Anywhere,
            objective: if number % 2 == 0 { Settings::default() } else { EVERYTHING },
            seed: number as u64,
        };
        let Arrays { head, features, mut parameters, labels } = case.build();
        let by_columns = |array: &Array2<f64>| {
            let mut copy = Array2::zeros(array.raw_dim().f());
            copy.assign(array);
            copy
        };
        let owned = case.owned_objective(&labels);
        let (loss, cache) = head.forward(features.view(), &parameters, owned.view()).expect("a good batch");
        let expected = head.backward(cache);
        parameters.weights = by_columns(&parameters.weights);
        let features = by_columns(&features);
        let step = kernel
            .forward_backward_into(&head, features.view(), &parameters, owned.view(), &mut gradients)
            .expect("a good batch");
        approx::assert_relative_eq!(step.loss, loss, max_relative = 1e-12);
        assert_close(&gradients, &expected, &parameters.weights, 0.0, 0.0, 1e-12).expect("as the explicit step");
    }
}

#[test]
fn mistakes_are_the_errors_of_the_explicit_step() {
    let features = array![[1.0, 2.0, 0.5], [-1.0, 0.5, 2.0]];
    let weights = array![[1.0, 0.0, 0.2], [0.3, 1.0, 0.0], [-1.0, 0.5, 0.4], [0.2, -0.3, 1.0]];
    let with = |x: &Array2<f64>, row: usize, value: f64| {
        let mut x = x.clone();
        x.row_mut(row).fill(value);
        x
    };
    let good = array![0, 3];
    let batches = [
        (array![[1.0, 2.0]], weights.clone(), array![0]),
        (features.clone(), weights.clone(), array![0]),
        (Array2::zeros((0, 3)), weights.clone(), array![]),
        (features.clone(), weights.clone(), array![0, 4]),
        (features.clone(), weights.clone(), array![0, -1]),
        (features.clone(), weights.clone(), array![IGNORE_LABEL, IGNORE_LABEL]),
        (with(&features, 1, f64::NAN), weights.clone(), good.clone()),
        (with(&features, 0, 0.0), weights.clone(), good.clone()),
        (with(&features, 0, 1e300), with(&weights, 2, 1e300), good.clone()),
        (features.clone(), with(&weights, 2, f64::INFINITY), good.clone()),
        (features.clone(), with(&weights, 3, 0.0), good.clone()),
        (features.clone(), weights.slice(ndarray::s![..1, ..]).to_owned(), array![0, 0]),
    ];
    for name in AnyHead::names() {
        let (head, _) = super::case::head(name);
        for (features, weights, labels) in &batches {
            let enough = Array2::ones((4 * head.centres(), 1));
            let mut parameters = head.initial_parameters(enough).expect("enough classes");
            parameters
                .vectors
                .values_mut()
                .filter(|vector| vector.len() == 4)
                .for_each(|bias| *bias = Array1::zeros(weights.nrows()));
            parameters.weights = with_centres(weights, head.centres());
            let explicit = head.forward(features.view(), &parameters, labels.view()).map(|_| ());
            let streamed = kernel(0, GradientFilter::Off)
                .forward_backward(&head, features.view(), &parameters, labels.view())
                .map(|_| ());
            let text = |result: Result<(), Error>| result.map_err(|error| error.to_string());
            assert_eq!(text(streamed), text(explicit), "{name}");
        }
    }
}

#[test]
fn adacos_sums_again_in_blocks_that_were_not_kept() {
    let case = Case {
        spec: "adacos:previous=20".into(),
        batch: 5,
        dimension: 4,
        classes: 1500,
        ignored: 1,
        last_row: LastRow::Near(0.01),
        objective: Settings::default(),
        seed: 8,
    };
    let Arrays { head, features, parameters, labels } = case.build();
    let (loss, cache) = head.forward(features.view(), &parameters, labels.view()).expect("a good batch");
    let expected = head.backward(cache);
    let mut kernel = kernel::<f64>(0, GradientFilter::Off);
    let run = || kernel.forward_backward(&head, features.view(), &parameters, labels.view());
    let (step, found) = pool(1).install(run).expect("a good batch");
    approx::assert_relative_eq!(step.loss, loss, max_relative = 1e-12);
    assert_close(&found, &expected, &parameters.weights, 0.0, 0.0, 1e-10).expect("as the explicit step");
}

#[test]
fn an_evaluation_leaves_nothing_for_the_next() {
    let case = Case {
        spec: "softmax".into(),
        batch: 90,
        dimension: 4,
        classes: 100,
        ignored: 0,
        last_row: LastRow::Anywhere,
        objective: Settings::default(),
        seed: 9,
    };
    let Arrays { head, features, parameters, labels } = case.build();
    let mut kernel = kernel::<f64>(0, GradientFilter::Off);
    let mut run = || {
        let evaluate = || kernel.evaluate(&head, features.view(), &parameters, labels.view());
        pool(2).install(evaluate).expect("a good batch")
    };
    let first = run();
    assert!(first.correct_top5 > 0);
    assert_eq!((run(), run()), (first, first));
}
