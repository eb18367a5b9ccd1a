//! The gradient filter: what it leaves out, and no more than it says.

use super::case::with_vector;
use super::objective_case::{Owned, Settings, settings};
use super::streaming::{kernel, pool, setting};
use arcos::heads::{ArcFace, Gradients, Loss, NormSoftmax, Scale, Softmax};
use arcos::optim::{Optimizer, Sgd};
use arcos::streaming::{GradientFilter, Step, Update};
use arcos::{Head, Parameters};
use ndarray::{Array1, Array2, Axis, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A batch late in training: features near the vectors of their classes, and a scale that leaves other classes little.
pub fn concentrated(
    batch: usize,
    dimension: usize,
    classes: usize,
    seed: u64,
) -> (Array2<f64>, Array2<f64>, Array1<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let weights = Array2::from_shape_simple_fn((classes, dimension), || rng.random_range(-1.0..1.0));
    let labels = Array1::from_shape_simple_fn(batch, || rng.random_range(0..classes) as i64);
    let noise = Array2::from_shape_simple_fn((batch, dimension), || rng.random_range(-0.5..0.5));
    let features = noise + weights.select(Axis(0), &labels.mapv(|label| label as usize).to_vec());
    (features, weights, labels)
}

/// As [`concentrated`], and each row's class with two others like it, far from it and each other.
fn late(batch: usize, dimension: usize, classes: usize, seed: u64) -> (Array2<f64>, Array2<f64>, Array1<i64>) {
    let (mut features, mut weights, labels) = concentrated(batch, dimension, classes, seed);
    for (mut x, &label) in features.rows_mut().into_iter().zip(&labels) {
        let own = weights.row(label as usize).to_owned();
        x.zip_mut_with(&own, |x, &own| *x = 0.5 * (*x + own));
        for third in 1..=2 {
            let other = (label as usize + third * classes / 3) % classes;
            weights.row_mut(other).zip_mut_with(&own, |other, &own| *other = 0.4 * *other + own);
        }
    }
    (features, weights, labels)
}

proptest! {
    #[test]
    fn the_filter_changes_gradients_by_no_more_than_its_bound(
        head in prop::sample::select(vec!["softmax", "l-softmax", "l2-softmax:alpha=8", "norm-softmax:scale=24", "arcface:margin=0.3:scale=32", "proxy-nca:scale=24", "soft-triple:centres=1:scale=24", "proxy-anchor:scale=24", "uniface:scale=32", "sphereface2:scale=32"]),
        (batch, classes, seed) in (1usize..=12, 200usize..=2000, 0..10_000u64),
        exponent in -8.0..-0.5f64,
        is_late: bool,
        setting in setting(),
        settings in settings(),
    ) {
        let (head, _) = super::case::head(head);
        let (features, weights, labels) =
            if is_late { late(batch, 24, classes, seed) } else { concentrated(batch, 24, classes, seed) };
        let parameters = head.initial_parameters(weights.clone()).expect("enough classes");
        let mass = 10f64.powf(exponent);
        let settings = match head.loss() {
            Loss::Softmax | Loss::Nca => settings,
            Loss::EachClass(_) => settings.weights_alone(),
            Loss::Anchors => Settings::default(),
        };
        let owned = Owned::new(settings, labels.clone(), classes, seed);
        let run = |filter| {
            let mut kernel = kernel::<f64>(setting.workspace, filter);
            kernel.forward_backward(&head, features.view(), &parameters, owned.view()).expect("a good batch")
        };
        let ((exact, expected), (step, found)) =
            pool(setting.threads).install(|| (run(GradientFilter::Off), run(GradientFilter::Mass(mass))));
        prop_assert_eq!(step.loss, exact.loss);
        prop_assert_eq!(exact.filtered, 0.0);

        let norm = |row: ndarray::ArrayView1<f64>| row.dot(&row).sqrt();
        let longest = |x: &Array2<f64>| x.rows().into_iter().map(norm).fold(0.0, f64::max);
        let geometry = head.geometry();
        let (unit_features, unit_weights) = (geometry.normalizes_features(), geometry.normalizes_weights());
        let (_, cache) = head.forward(features.view(), &parameters, owned.view()).expect("a good batch");
        let of_objective = cache.cross_entropy;
        let (scale, rounding) = (exact.statistics.scale, 1e-12 * (1.0 + of_objective.residual.mapv(f64::abs).sum()));
        let operand_length = |unit: bool, x: &Array2<f64>| if unit { 1.0 } else { longest(x) };
        for (row, x) in features.rows().into_iter().enumerate() {
            let change = norm((&found.d_features.row(row) - &expected.d_features.row(row)).view());
            let divisor = if unit_features { norm(x) } else { 1.0 };
            let bound = scale * mass * operand_length(unit_weights, &weights) / (of_objective.divisor * divisor);
            prop_assert!(change <= bound + rounding, "d_features {row} changes by {change:e}, more than {bound:e}");
        }
        for (class, w) in weights.rows().into_iter().enumerate() {
            let change = norm((&found.d_weights.row(class) - &expected.d_weights.row(class)).view());
            let divisor = if unit_weights { norm(w) } else { 1.0 };
            // At least as many blocks as there are threads with 48 classes each.
            let blocks = setting.threads.min(classes / 48) as f64;
            let rows = batch as f64 / of_objective.divisor;
            let bound = rows * scale * mass * operand_length(unit_features, &features) / (blocks * divisor);
            prop_assert!(change <= bound + rounding, "d_weights {class} changes by {change:e}, more than {bound:e}");
        }
        for (class, (found, expected)) in found.d_vectors.get("bias").into_iter().flatten().zip(expected.d_vectors.get("bias").into_iter().flatten()).enumerate() {
            let bound = batch as f64 / of_objective.divisor * mass / setting.threads.min(classes / 48) as f64;
            let change = (found - expected).abs();
            prop_assert!(change <= bound + rounding, "d_bias {class} changes by {change:e}, more than {bound:e}");
        }
        if let Some(expected) = expected.d_vectors.get("threshold") {
            let bound = batch as f64 / of_objective.divisor * mass;
            let change = (found.d_vectors["threshold"][0] - expected[0]).abs();
            prop_assert!(change <= bound + rounding, "d_threshold changes by {change:e}, more than {bound:e}");
        }
    }
}

#[test]
fn the_filter_leaves_out_blocks_of_a_fitted_batch_and_none_of_a_random_one() {
    let (features, weights, labels) = concentrated(16, 64, 1500, 0);
    let head = NormSoftmax { scale: Scale::Fixed(64.0) };
    let parameters = Parameters::from(weights);
    let run = |features: &Array2<f64>| {
        let mut kernel = kernel(0, GradientFilter::ROUNDING);
        kernel.forward_backward(&head, features.view(), &parameters, labels.view()).expect("a good batch").0
    };
    assert_eq!(run(&features).filtered, 1.0);
    assert_eq!(run(&features.slice(ndarray::s![..;-1, ..;-1]).to_owned()).filtered, 0.0);
}

#[test]
fn of_a_late_batch_the_filter_leaves_the_visible_classes() {
    let (features, weights, labels) = late(16, 64, 1500, 0);
    let head = NormSoftmax { scale: Scale::Learned { start: 64.0, max: 100.0 } };
    let parameters = head.initial_parameters(weights).expect("enough classes");
    for threads in [1, 3] {
        let run = |filter| {
            let mut kernel = kernel::<f64>(1 << 30, filter);
            let run = || kernel.forward_backward(&head, features.view(), &parameters, labels.view());
            pool(threads).install(run).expect("a good batch")
        };
        let ((_, expected), (step, found)) = (run(GradientFilter::Off), run(GradientFilter::ROUNDING));
        assert_eq!(step.filtered, 0.0, "each block has a visible class");
        let is_zero = |row: ndarray::ArrayView1<f64>| row.iter().all(|&value| value == 0.0);
        let zeros =
            |gradients: &Gradients<f64>| gradients.d_weights.rows().into_iter().filter(|row| is_zero(*row)).count();
        let (left_out, of_exact) = (zeros(&found), zeros(&expected));
        assert!(
            (1400..1480).contains(&left_out) && of_exact == 0,
            "{left_out} and {of_exact} of 1500 have no gradient"
        );
        let flat = |x: &Array2<f64>| x.iter().copied().collect::<Vec<_>>();
        approx::assert_abs_diff_eq!(flat(&found.d_features)[..], flat(&expected.d_features)[..], epsilon = 1e-6);
        approx::assert_abs_diff_eq!(flat(&found.d_weights)[..], flat(&expected.d_weights)[..], epsilon = 1e-6);
        let [found, expected] = [&found, &expected].map(|gradients| gradients.d_vectors["log_scale"][0]);
        approx::assert_abs_diff_eq!(found, expected, epsilon = 1e-5);
    }
}

#[test]
fn training_with_the_filter_ends_where_training_without_it_ends() {
    let (features, weights, labels) = concentrated(64, 32, 1200, 1);
    let head = ArcFace { scale: Scale::Fixed(64.0), margin: 0.3, ..ArcFace::default() };
    let optimizer = Optimizer::Sgd(Sgd::default());
    let train = |filter| {
        let mut parameters = Parameters::from(weights.mapv(|value| -0.1 * value + 0.05));
        let mut moments = [optimizer.moments(weights.len())];
        let mut kernel = kernel(0, filter);
        let mut filtered = 0.0;
        let mut steps = (1..=400).map(|step| {
            let moments = &mut moments;
            let update = Update { optimizer: &optimizer, moments, step, learning_rate: 0.05, d_features: None };
            let step = kernel
                .train_step(&head, features.view(), &mut parameters, labels.view(), update)
                .expect("training does not diverge");
            filtered += step.filtered;
            step
        });
        let (first, last) = (steps.next().expect("400 steps"), steps.last().expect("400 steps"));
        (first.loss, last.loss, last.statistics.correct, filtered)
    };
    let (first, exact_loss, exact_correct, _) = train(GradientFilter::Off);
    let (_, loss, correct, filtered) = train(GradientFilter::ROUNDING);
    assert!(first > 20.0 && exact_loss < 0.01 && exact_correct == 64, "{first} {exact_loss} {exact_correct}");
    assert!(filtered > 50.0, "the filter has hardly been at work: {filtered}");
    assert_eq!(correct, exact_correct);
    approx::assert_relative_eq!(loss, exact_loss, max_relative = 1e-4);
}

/// Three blocks of 512 classes.
const THREE_BLOCKS: usize = 1536;

/// A row of a softmax whose probabilities are the bias's doing: `own` for its class, the first, and for the other classes of each block
/// what `others` says.
fn divided(own: f64, others: [f64; 3], threads: usize, filter: GradientFilter) -> (Step<f64>, Gradients<f64>) {
    let probability = |class: usize| match class {
        0 => own,
        _ => others[class / 512] / if class < 512 { 511.0 } else { 512.0 },
    };
    let bias = Array1::from_shape_fn(THREE_BLOCKS, |class| f64::ln(probability(class)));
    let weights = Array2::from_shape_fn((THREE_BLOCKS, 2), |(class, _)| if class == 0 { -1.0 } else { 1.0 });
    let parameters = with_vector(Parameters::from(weights), "bias", bias);
    let (features, labels) = (array![[1.0, -1.0]], array![0]);
    let run = || kernel(0, filter).forward_backward(&Softmax {}, features.view(), &parameters, labels.view());
    pool(threads).install(run).expect("a good batch")
}

#[test]
fn each_block_may_lose_its_share_of_the_mass_alone() {
    for threads in [1, 3] {
        // Each block is below the mass, and all of them together are not: none may be left out.
        let others = [0.26; 3];
        let (step, found) = divided(0.22, others, threads, GradientFilter::Mass(0.3));
        let (_, expected) = divided(0.22, others, threads, GradientFilter::Off);
        assert_eq!((step.filtered, &found), (0.0, &expected));

        // Each is below its third, and all of them together are below the whole.
        let others = [0.099; 3];
        let (step, found) = divided(0.703, others, threads, GradientFilter::Mass(0.3));
        let (_, expected) = divided(0.703, others, threads, GradientFilter::Off);
        assert_eq!(step.filtered, 1.0);
        for (found, expected) in found.d_features.iter().zip(&expected.d_features) {
            assert!((found - expected).abs() <= 0.3 && (found - expected).abs() > 0.29, "{found} {expected}");
        }

        // One is just above its third.
        let (step, _) = divided(0.7, [0.101, 0.0995, 0.0995], threads, GradientFilter::Mass(0.3));
        assert_eq!(step.filtered, 2.0 / 3.0);
    }
}

#[test]
fn the_labelled_class_of_a_block_left_out_keeps_its_gradients() {
    // Most of the probability is with another block than that of the labelled class.
    let others = [1e-6, 0.7, 1e-6];
    for threads in [1, 3] {
        let (step, found) = divided(0.3 - 2e-6, others, threads, GradientFilter::Mass(0.01));
        let (_, expected) = divided(0.3 - 2e-6, others, threads, GradientFilter::Off);
        assert_eq!(step.filtered, 2.0 / 3.0);
        let bias = |gradients: &Gradients<f64>| gradients.d_vectors["bias"][0];
        approx::assert_relative_eq!(bias(&expected), -0.700002, max_relative = 1e-9);
        approx::assert_relative_eq!(bias(&found), bias(&expected), max_relative = 1e-12);
        let (found, expected) = (found.d_weights.row(0).to_owned(), expected.d_weights.row(0).to_owned());
        approx::assert_relative_eq!(found[0], expected[0], max_relative = 1e-12);
        approx::assert_relative_eq!(found[1], expected[1], max_relative = 1e-12);
    }
}

#[test]
fn nothing_of_a_step_before_is_left_in_blocks_left_out() {
    let (features, weights, labels) = concentrated(6, 24, 1500, 4);
    let head = NormSoftmax { scale: Scale::Fixed(64.0) };
    let parameters = Parameters::from(weights);
    let mut gradients = Gradients::default();
    let mut filtering = kernel(0, GradientFilter::ROUNDING);
    let (_, expected) =
        filtering.forward_backward(&head, features.view(), &parameters, labels.view()).expect("a good batch");
    // Another batch, from which every class has a gradient.
    let others = features.slice(ndarray::s![..;-1, ..;-1]);
    filtering.forward_backward_into(&head, others, &parameters, labels.view(), &mut gradients).expect("a good batch");
    assert!(gradients.d_weights.rows().into_iter().all(|row| row.iter().any(|&value| value != 0.0)));
    let step = filtering.forward_backward_into(&head, features.view(), &parameters, labels.view(), &mut gradients);
    assert!(step.expect("a good batch").filtered > 0.0);
    assert_eq!(gradients, expected);
}
