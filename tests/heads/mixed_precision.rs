//! The streaming kernel in mixed precision: within what its documentation says of the explicit step, and of full precision where inputs are exact in bf16.

use super::case::{Arrays, Case, LastRow, converted, moments};
use super::gradient_filter::concentrated;
use super::objective_case::Settings;
use super::streaming::{assert_statistics, large_case, pool, setting};
use arcos::heads::{CosFace, Geometry, Softmax, SubCenterArcFace};
use arcos::ops::{Objective, l2_normalize};
use arcos::optim::{AdamW, Optimizer, Sgd};
use arcos::streaming::{GradientFilter, PartialFc, Precision, SampledClasses, Streaming, StreamingOptions, Update};
use arcos::{AnyHead, Error, Head, Parameters};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `None` where the processor has not what mixed precision takes.
fn kernel(workspace: usize, filter: GradientFilter) -> Option<Streaming<f32>> {
    let kernel = Streaming::new(StreamingOptions { workspace, filter, precision: Precision::Mixed });
    kernel.inspect_err(|error| eprintln!("nothing was tested: {error}")).ok()
}

fn in_full_precision(workspace: usize) -> Streaming<f32> {
    Streaming::new(StreamingOptions { workspace, ..StreamingOptions::default() }).expect("options in range")
}

fn norms(rows: &Array2<f32>) -> Vec<f64> {
    rows.rows().into_iter().map(|row| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()).collect()
}

/// No row of `found` is further from that of `expected` than its bound.
fn assert_rows_within(
    name: &str,
    found: &Array2<f32>,
    expected: &Array2<f64>,
    bound: impl Fn(usize) -> f64,
) -> Result<(), TestCaseError> {
    for (row, (found, expected)) in found.rows().into_iter().zip(expected.rows()).enumerate() {
        let squares = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).powi(2));
        let (difference, bound) = (squares.sum::<f64>().sqrt(), bound(row));
        prop_assert!(difference <= bound, "row {row} of {name} is off by {difference:e}, more than {bound:e}");
    }
    Ok(())
}

/// Rows with four elements of the same size, a power of two: as unit vectors they are exact in bf16, and their cosines multiples of 1/4.
fn exact_rows(rows: usize, dimension: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let mut matrix = Array2::zeros((rows, dimension));
    for mut row in matrix.rows_mut() {
        let size = 2f32.powi(rng.random_range(-2..=2));
        let mut left = 4;
        while left > 0 {
            let column = rng.random_range(0..dimension);
            if row[column] == 0.0 {
                row[column] = if rng.random() { size } else { -size };
                left -= 1;
            }
        }
    }
    matrix
}

/// How fast another class's logit may change with its cosine, over all rows; at least 1.
fn steepest_other(arrays: &Arrays) -> f64 {
    let Arrays { head, parameters, .. } = arrays;
    let mut rows: Vec<_> = arrays.rules().rows().copied().collect();
    let mut state: Vec<_> = head.state().iter().map(|value| parameters.state[value.name]).collect();
    head.observe(&mut rows, &mut state);
    let rules = rows.iter().filter_map(|row| head.others(row, &state));
    rules.map(|rule| rule.slope.iter().map(|slope: &f64| slope.abs()).sum()).fold(1.0, f64::max)
}

proptest! {
    /// Every head and objective: cosines are the same bits in either precision, so that all is but for the rounding of residuals.
    #[test]
    fn equals_full_precision_where_inputs_are_exact(case in large_case(), setting in setting()) {
        let Some(mut mixed) = kernel(setting.workspace, GradientFilter::Off) else { return Ok(()) };
        let case = Case { dimension: 12 + case.dimension, ..case };
        let mut arrays = case.build();
        let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
        let features = exact_rows(case.batch, case.dimension, &mut rng);
        arrays.parameters.weights = exact_rows(arrays.parameters.weights.nrows(), case.dimension, &mut rng).mapv(f64::from);
        arrays.features = features.mapv(f64::from);
        prop_assume!(arrays.pole_factor() < 10.0);
        let Arrays { head, parameters, labels, .. } = &arrays;
        let parameters: Parameters<f32> = converted(parameters);
        let owned = case.owned_objective(labels).converted::<f32>();
        let objective = owned.view();
        let (full, found) = pool(setting.threads).install(|| {
            let full = in_full_precision(setting.workspace).forward_backward(head, features.view(), &parameters, objective);
            (full, mixed.forward_backward(head, features.view(), &parameters, objective))
        });
        let (expected, of_expected) = match full {
            Ok(full) => full,
            Err(error) => {
                let found = found.expect_err("full precision has failed");
                prop_assert_eq!(found.to_string(), error.to_string());
                return Ok(());
            }
        };
        let (step, of_step) = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let scale = expected.statistics.scale;
        let (of_x, of_w) = (norms(&features), norms(&parameters.weights));
        let longest = |lengths: &[f64], normalised: bool| if normalised { 1.0 } else { lengths.iter().copied().fold(0.0, f64::max) };
        let geometry = head.geometry();
        let longest_x = longest(&of_x, geometry.normalizes_features());
        let longest_w = longest(&of_w, geometry.normalizes_weights());
        // Products are rounded by a 32767th of the largest, but for cosines that are multiples of 1/4.
        let largest_bias = parameters.vectors.get("bias").into_iter().flatten().fold(0.0, |largest, bias| f64::from(bias.abs()).max(largest));
        let eta = if geometry == Geometry::Sphere { 0.0 } else { (scale * longest_x * longest_w + largest_bias) / 32767.0 };
        assert_statistics(&step.statistics, &expected.statistics, 1e-6)?;
        let (_, cache) = head.forward(features.view(), &parameters, objective).expect("full precision has not failed");
        let divisor = f64::from(cache.cross_entropy.divisor);
        let residual = cache.cross_entropy.residual.mapv(|residual| f64::from(residual.abs()));
        // Residuals are what a logit changes the loss by, more than one a row under a z-loss. They grow with the logits' rounding.
        let of_rounding = eta * eta.exp() * (1.0 + residual.sum() / divisor);
        let difference = f64::from((step.loss - expected.loss).abs());
        prop_assert!(difference <= of_rounding + 1e-5 * (1.0 + scale + f64::from(expected.loss.abs())), "loss is off by {difference}, {of_rounding} of it rounding");
        // One factor is rounded, by 1/257 at most. All else is rounding in single precision, of slopes up to 10 at labels.
        let (part, rest) = ((1.01 / 257.0 + (2.0 * eta).exp_m1() * 1.01) * steepest_other(&arrays), 1e-4);
        let d_features = of_expected.d_features.mapv(f64::from);
        assert_rows_within("d_features", &of_step.d_features, &d_features, |row| {
            let length = if geometry.normalizes_features() { of_x[row] } else { 1.0 };
            scale * longest_w / (divisor * length) * (part * residual.row(row).sum() + rest)
        })?;
        let d_weights = of_expected.d_weights.mapv(f64::from);
        assert_rows_within("d_weights", &of_step.d_weights, &d_weights, |row| {
            let length = if geometry.normalizes_weights() { of_w[row] } else { 1.0 };
            let of_class = residual.column(row / head.centres()).sum();
            scale * longest_x / (divisor * length) * (part * of_class + rest * (1.0 + of_class))
        })?;
        for (name, expected) in &of_expected.d_vectors {
            let residuals = residual.sum() / divisor;
            let difference = (&of_step.d_vectors[name] - expected).mapv(|value| f64::from(value.abs()));
            let largest = expected.fold(0.0, |largest, value| f64::from(value.abs()).max(largest));
            prop_assert!(difference.iter().all(|&difference| difference <= part * (largest + scale * longest_w * residuals) + rest), "{name}");
        }
    }

    /// What the documentation of [`Precision::Mixed`] says, of heads whose logits of other classes are cosines times a scale.
    #[test]
    fn is_within_its_bounds_of_the_explicit_step_in_double_precision(
        (head, log_scale) in (prop::sample::select(vec!["norm-softmax", "cosface", "arcface"]), -2.0f64..6.0),
        (batch, dimension, classes, seed) in (1usize..=40, 2usize..=70, prop_oneof![3usize..=60, 500usize..=1100], 0..10_000u64),
        setting in setting(),
    ) {
        let Some(mut kernel) = kernel(setting.workspace, GradientFilter::Off) else { return Ok(()) };
        let scale = log_scale.exp2();
        let spec = format!("{head}:scale={scale}");
        let case = Case { spec, batch, dimension, classes, ignored: 0, last_row: LastRow::Anywhere, objective: Settings::default(), seed };
        let arrays = case.build();
        let (features, parameters) = (arrays.features.mapv(|value| value as f32), converted::<f32>(&arrays.parameters));
        let (of_x, of_w) = (norms(&features), norms(&parameters.weights));
        let step = pool(setting.threads).install(|| {
            kernel.forward_backward(&arrays.head, features.view(), &parameters, arrays.labels.view())
        });
        let (step, gradients) = step.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let as_given = Parameters { weights: parameters.weights.mapv(f64::from), ..arrays.parameters.clone() };
        let (loss, cache) = arrays.head.forward(features.mapv(f64::from).view(), &as_given, arrays.labels.view()).expect("a good batch");
        let residual = cache.cross_entropy.residual.mapv(f64::abs);
        let expected = arrays.head.backward(cache);

        let u = 1.0 / 257.0;
        let of_product = 2.0 * u + u * u + dimension as f64 * 2f64.powi(-23);
        let epsilon = of_product + (1.0 + of_product) / 32767.0;
        let eta = scale * epsilon;
        let kappa = (2.0 * eta).exp() * (1.0 + epsilon) - 1.0;
        let slope = if head == "arcface" { arrays.pole_factor() } else { 1.0 };
        let (rows, single) = (batch as f64, 1e-5 * slope * (1.0 + scale));
        prop_assert!((f64::from(step.loss) - loss).abs() <= eta + single, "{} is not {loss}", step.loss);
        assert_rows_within("d_features", &gradients.d_features, &expected.d_features, |row| {
            scale / (rows * of_x[row]) * (kappa * slope * residual.row(row).sum() + single)
        })?;
        assert_rows_within("d_weights", &gradients.d_weights, &expected.d_weights, |row| {
            scale / (rows * of_w[row]) * (kappa * slope * residual.column(row).sum() + single * (1.0 + residual.column(row).sum()))
        })?;
    }

    #[test]
    fn the_filter_changes_no_more_than_it_says(mass in 1e-6f64..0.9, setting in setting(), seed in 0..1000u64) {
        let Some(mut exact) = kernel(setting.workspace, GradientFilter::Off) else { return Ok(()) };
        let mut filtering = kernel(setting.workspace, GradientFilter::Mass(mass)).expect("as the one before");
        let (scale, batch, classes) = (48.0, 9usize, 2000);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |rows| Array2::from_shape_simple_fn((rows, 24), || rng.random_range(-1.0f32..1.0));
        let (mut features, weights) = (uniform(batch), uniform(classes));
        let labels = Array1::from_shape_fn(batch, |row| (row * 211) as i64);
        for (mut row, &label) in features.rows_mut().into_iter().zip(&labels) {
            row *= 0.4;
            row += &weights.row(label as usize);
        }
        let parameters = Parameters::from(weights);
        let head = CosFace { scale: arcos::heads::Scale::Fixed(scale), ..CosFace::default() };
        let ((expected, of_expected), (found, of_found)) = pool(setting.threads).install(|| {
            let run = |kernel: &mut Streaming<f32>| {
                kernel.forward_backward(&head, features.view(), &parameters, labels.view()).expect("a good batch")
            };
            (run(&mut exact), run(&mut filtering))
        });
        // Blocks that products in 8 bits leave out are not in the sum of a row either.
        for (found, expected) in found.row_losses.iter().zip(&expected.row_losses) {
            let change = f64::from(expected - found);
            prop_assert!(change >= -1e-6 && change <= mass + 1e-6, "a loss of {expected} changes by {change:e}");
        }
        prop_assert_eq!(found.statistics.correct, expected.statistics.correct);
        let lengths = norms(&features);
        assert_rows_within("d_features", &of_found.d_features, &of_expected.d_features.mapv(f64::from), |row| {
            scale / (batch as f64 * lengths[row]) * (2.0 * mass + 1e-6)
        })?;
        let lengths = norms(&parameters.weights);
        assert_rows_within("d_weights", &of_found.d_weights, &of_expected.d_weights.mapv(f64::from), |row| {
            scale / lengths[row] * (2.0 * mass + 1e-6)
        })?;
    }
}

#[test]
fn a_fitted_batch_needs_no_products_but_those_in_8_bits() {
    let (features, weights, labels) = concentrated(33, 256, 5000, 0);
    let (features, weights) = (features.mapv(|value| value as f32), weights.mapv(|value| value as f32));
    let parameters = Parameters::from(weights);
    for centres in [1, 2] {
        let head = SubCenterArcFace { centres, margin: 0.1, ..SubCenterArcFace::default() };
        let labels = labels.mapv(|label| label / centres as i64);
        let run = |filter| {
            let step = kernel(0, filter)?.forward_backward(&head, features.view(), &parameters, labels.view());
            Some(step.expect("a good batch"))
        };
        let Some((exact, expected)) = run(GradientFilter::Off) else { return };
        let (step, found) = run(GradientFilter::ROUNDING).expect("as the one before");
        assert_eq!(step.filtered, 1.0);
        // What is not in the sum is all that there was.
        assert!(exact.loss > 0.0 && exact.loss < 1e-7 && step.loss == 0.0, "{} {}", exact.loss, step.loss);
        assert_eq!(step.statistics, exact.statistics);
        for (found, expected) in found.d_features.iter().zip(&expected.d_features) {
            assert!((found - expected).abs() <= 64.0 * 2e-7 / 33.0, "{found} is not {expected}");
        }
    }
}

fn case(spec: &str, seed: u64) -> (Arrays, Array2<f32>, Parameters<f32>) {
    let (objective, last_row) = (Settings::default(), LastRow::Anywhere);
    let case =
        Case { spec: spec.into(), batch: 33, dimension: 21, classes: 2005, ignored: 2, last_row, objective, seed };
    let arrays = case.build();
    let (features, parameters) = (arrays.features.mapv(|value| value as f32), converted(&arrays.parameters));
    (arrays, features, parameters)
}

#[test]
fn the_same_bits_whatever_is_kept_and_again() {
    for (name, threads) in AnyHead::names().zip([1, 2, 3].into_iter().cycle()) {
        let (arrays, features, parameters) = case(name, 5);
        let run = |workspace| {
            let mut kernel = kernel(workspace, GradientFilter::Off)?;
            let step = || kernel.forward_backward(&arrays.head, features.view(), &parameters, arrays.labels.view());
            Some(pool(threads).install(step).expect("a good batch"))
        };
        let Some(first) = run(0) else { return };
        for workspace in [0, 90_000, 1 << 30] {
            assert!(run(workspace).as_ref() == Some(&first), "{name}, {workspace} bytes, {threads} threads");
        }
        let full =
            in_full_precision(0).forward_backward(&arrays.head, features.view(), &parameters, arrays.labels.view());
        assert!(full.expect("a good batch").1.d_weights != first.1.d_weights, "{name} is not in mixed precision");
    }
}

#[test]
fn a_training_step_is_the_gradients_and_then_the_update() {
    for optimizer in [Optimizer::Sgd(Sgd::default()), Optimizer::AdamW(AdamW::default())] {
        for name in AnyHead::names() {
            let (arrays, features, parameters) = case(name, 6);
            let Some(mut kernel) = kernel(0, GradientFilter::Mass(1e-4)) else { return };
            let (mut fused, mut separate) = (parameters.clone(), parameters);
            let mut of_fused = moments(&optimizer, &arrays.head, &fused);
            let mut of_separate = of_fused.clone();
            for step in 1..=2 {
                let labels = arrays.labels.view();
                let (moments, d_features) = (&mut of_fused[..], None);
                let update = Update { optimizer: &optimizer, moments, step, learning_rate: 0.1, d_features };
                kernel.train_step(&arrays.head, features.view(), &mut fused, labels, update).expect("a good batch");
                let (expected, gradients) =
                    kernel.forward_backward(&arrays.head, features.view(), &separate, labels).expect("a good batch");
                separate.state = expected.state;
                for (tensor, moments) in
                    separate.trained_mut(&arrays.head, &gradients).into_iter().zip(&mut of_separate)
                {
                    let optimizer = if tensor.decays { optimizer } else { optimizer.without_weight_decay() };
                    let updated = optimizer.update(tensor.values, &tensor.gradient, moments.view_mut(), step, 0.1);
                    updated.expect("moments of this optimizer");
                }
                assert!(fused == separate && of_fused == of_separate, "{name} {optimizer:?}");
            }
        }
    }
}

#[test]
fn sampled_classes_are_a_step_on_them() {
    let (arrays, features, parameters) = case("arcface", 7);
    let options = StreamingOptions { precision: Precision::Mixed, ..StreamingOptions::default() };
    let Ok(mut partial_fc) = PartialFc::new(options) else { return };
    let optimizer = Optimizer::Sgd(Sgd::default());
    let run = |mut parameters: Parameters<f32>, kernel: &mut dyn FnMut(&mut Parameters<f32>, Update<f32>) -> f32| {
        let mut moments = moments(&optimizer, &arrays.head, &parameters);
        let update =
            Update { optimizer: &optimizer, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
        (kernel(&mut parameters, update), parameters)
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let all = SampledClasses::draw(&Objective::<f32>::from(arrays.labels.view()), 2005, 1.0, &mut rng)
        .expect("a rate in range");
    let sampled = run(parameters.clone(), &mut |parameters, update| {
        let step = partial_fc.train_step(&arrays.head, features.view(), parameters, arrays.labels.view(), &all, update);
        step.expect("a good batch").loss
    });
    let mut whole = Streaming::new(options).expect("as the one before");
    let whole = run(parameters, &mut |parameters, update| {
        let step = whole.train_step(&arrays.head, features.view(), parameters, arrays.labels.view(), update);
        step.expect("a good batch").loss
    });
    assert!(sampled == whole);
}

#[test]
fn evaluation_is_in_full_precision() {
    let (arrays, features, parameters) = case("arcface", 8);
    let Some(mut mixed) = kernel(0, GradientFilter::Off) else { return };
    let evaluate = |kernel: &mut Streaming<f32>| {
        kernel.evaluate(&arrays.head, features.view(), &parameters, arrays.labels.view()).expect("a good batch")
    };
    let expected = evaluate(&mut in_full_precision(0));
    assert_eq!(evaluate(&mut mixed), expected);
}

#[test]
fn what_bf16_does_not_hold_is_an_error() {
    let options = StreamingOptions { precision: Precision::Mixed, ..StreamingOptions::default() };
    assert!(matches!(Streaming::<f64>::new(options), Err(Error::Setting { name: "precision", .. })));
    let Some(mut kernel) = kernel(0, GradientFilter::Off) else {
        assert!(matches!(options.check(), Err(Error::Setting { name: "precision", .. })));
        return;
    };
    // Above the largest bf16 number, 3.3895e38, and finite in single precision.
    let (head, long) = (Softmax::default(), 3.4e38f32);
    let mut step = |features: Array2<f32>, weights: Array2<f32>| {
        let parameters = head.initial_parameters(weights).expect("enough classes");
        kernel.forward_backward(&head, features.view(), &parameters, array![0, 1].view()).map(|(step, _)| step.loss)
    };
    let small = array![[1e-30f32, 0.0], [0.0, 1e-30]];
    let in_second_row = array![[1.0, 0.0], [0.0, long]];
    for (what, result) in
        [("features", step(in_second_row.clone(), small.clone())), ("weights", step(small, in_second_row))]
    {
        let is_said = matches!(result, Err(Error::NormOverflow { what: found, row: 1, .. }) if found == what);
        assert!(is_said, "{what}: {result:?}");
    }
    // Where they are normalised, their length is no matter.
    let parameters = Parameters::from(array![[long, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    let features = array![[long, 1.0], [0.0, 1e-30]];
    assert!(l2_normalize::forward("features", features.view()).is_ok());
    let loss = kernel.forward_backward(&CosFace::default(), features.view(), &parameters, array![0, 1].view());
    assert!(loss.is_ok_and(|(step, _)| step.loss.is_finite()));
}
