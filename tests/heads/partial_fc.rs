//! Partial FC: a step on sampled classes is the step of a head that has no others.

use super::case::{Arrays, Case, LastRow, moments};
use super::objective_case::{EVERYTHING, Settings};
use super::streaming::kernel;
use arcos::heads::{AdaCos, FixedAdaCos};
use arcos::ops::{IGNORE_LABEL, Objective};
use arcos::optim::{AdamW, Optimizer, RmsProp, Sgd};
use arcos::streaming::{GradientFilter, PartialFc, SampledClasses, StreamingOptions, Update};
use arcos::{AnyHead, Error, Head, Parameters};
use ndarray::{Array1, Array2, Axis, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPTIMIZERS: [fn() -> Optimizer; 3] = [
    || Optimizer::Sgd(Sgd { weight_decay: 0.01, ..Sgd::default() }),
    || Optimizer::RmsProp(RmsProp::default()),
    || Optimizer::AdamW(AdamW::default()),
];

fn specs() -> impl Iterator<Item = &'static str> {
    AnyHead::names().chain(["l2-softmax:learn-alpha=true", "arcface:scale=learned", "cosface:scale=adacos"])
}

fn case(spec: &str, objective: Settings) -> Case {
    Case {
        spec: spec.into(),
        batch: 7,
        dimension: 9,
        classes: 300,
        ignored: 1,
        last_row: LastRow::Anywhere,
        objective,
        seed: 3,
    }
}

#[test]
fn all_classes_make_the_whole_step() {
    for spec in specs() {
        for (optimizer, objective) in
            OPTIMIZERS.into_iter().flat_map(|optimizer| [(optimizer(), Settings::default()), (optimizer(), EVERYTHING)])
        {
            let case = case(spec, objective);
            let Arrays { head, features, parameters, labels } = case.build();
            let owned = case.owned_objective(&labels);
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let classes = SampledClasses::draw(&owned.view(), 300, 1.0, &mut rng).expect("a good rate");
            let (mut whole, mut partial) = (parameters.clone(), parameters);
            let (mut of_whole, mut of_partial) =
                (moments(&optimizer, &head, &whole), moments(&optimizer, &head, &whole));
            let (mut kernel, mut partial_fc) = (kernel::<f64>(0, GradientFilter::Off), PartialFc::default());
            for step in 1..=3 {
                let update =
                    |moments| Update { optimizer: &optimizer, moments, step, learning_rate: 0.1, d_features: None };
                let rows = features.view();
                let expected = kernel.train_step(&head, rows, &mut whole, owned.view(), update(&mut of_whole));
                let update = update(&mut of_partial);
                let found = partial_fc.train_step(&head, rows, &mut partial, owned.view(), &classes, update);
                assert_eq!(found.expect("a good batch"), expected.expect("a good batch"), "{spec} {optimizer:?}");
                assert_eq!((&partial, &of_partial), (&whole, &of_whole), "{spec} {optimizer:?}");
            }
        }
    }
}

/// The rows of `classes` of a matrix with `centres` rows a class.
fn rows_of(classes: &[usize], centres: usize) -> Vec<usize> {
    classes.iter().flat_map(|class| class * centres..(class + 1) * centres).collect()
}

#[test]
fn a_sample_makes_the_explicit_step_of_its_classes_and_leaves_the_others() {
    for spec in specs() {
        for optimizer in OPTIMIZERS.map(|optimizer| optimizer()) {
            let case = case(spec, Settings::default());
            let Arrays { head, features, parameters, labels } = case.build();
            let objective = Objective::<f64>::from(labels.view());
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let classes = SampledClasses::draw(&objective, 300, 0.1, &mut rng).expect("a good rate");
            let rows = rows_of(classes.classes(), head.centres());

            let mut expected = Parameters { weights: parameters.weights.select(Axis(0), &rows), ..parameters.clone() };
            if let Some(bias) = expected.vectors.get_mut("bias") {
                *bias = bias.select(Axis(0), classes.classes());
            }
            let place = |&label: &i64| match classes.classes().binary_search(&(label as usize)) {
                Ok(place) => place as i64,
                Err(_) => IGNORE_LABEL,
            };
            let placed = labels.map(place);
            let of_sample = Objective { sampled_from: Some(300), ..placed.view().into() };
            // The same classes with the sizes that they have, those of the sample first.
            let left_out = (0..300).filter(|class| !classes.classes().contains(class));
            let order = classes.classes().iter().copied().chain(left_out);
            let sizes = case.class_sizes();
            let mut head_of_sample = head.clone();
            head_of_sample.count_classes(&order.map(|class| sizes[class]).collect::<Vec<_>>());
            let (loss, cache) = head_of_sample.forward(features.view(), &expected, of_sample).expect("a good batch");
            let state = cache.state.clone();
            let gradients = head.backward(cache);
            let of_expected = moments(&optimizer, &head, &expected);
            for (tensor, mut moments) in expected.trained_mut(&head, &gradients).into_iter().zip(of_expected) {
                tensor.update(optimizer, moments.view_mut(), 1, 0.1).expect("settings in range");
            }

            let mut found = parameters.clone();
            let mut of_found = moments(&optimizer, &head, &found);
            let mut d_features = Array2::default((0, 0));
            let update = Update {
                optimizer: &optimizer,
                moments: &mut of_found,
                step: 1,
                learning_rate: 0.1,
                d_features: Some(&mut d_features),
            };
            let step = PartialFc::default()
                .train_step(&head, features.view(), &mut found, objective, &classes, update)
                .expect("a good batch");
            let close = |found: &Array2<f64>, expected: &Array2<f64>| {
                let largest = expected.iter().fold(0.0, |largest: f64, value| value.abs().max(largest));
                let differs = (found - expected).iter().any(|difference| difference.abs() > 1e-9 * largest);
                assert!(!differs, "{spec} {optimizer:?}");
            };
            approx::assert_relative_eq!(step.loss, loss, max_relative = 1e-12);
            assert!(step.state.keys().eq(state.keys()));
            close(&d_features, &gradients.d_features);
            close(&found.weights.select(Axis(0), &rows), &expected.weights);
            for (name, vector) in &found.vectors {
                let vector = if name == "bias" { vector.select(Axis(0), classes.classes()) } else { vector.clone() };
                close(&vector.insert_axis(Axis(0)), &expected.vectors[name].clone().insert_axis(Axis(0)));
            }
            for row in (0..found.weights.nrows()).filter(|row| !rows.contains(row)) {
                assert_eq!(found.weights.row(row), parameters.weights.row(row), "{spec} {row}");
                let dimension = found.weights.ncols();
                for moments in
                    [&of_found[0].first, &of_found[0].second].into_iter().filter(|moments| !moments.is_empty())
                {
                    assert!(moments[row * dimension..][..dimension].iter().all(|&moment| moment == 0.0));
                }
            }
        }
    }
}

#[test]
fn samples_have_the_labels_and_others_drawn_alike() {
    let labels = array![5, 5, 3, IGNORE_LABEL];
    let objective = Objective::<f32>::from(labels.view());
    let draw = |rate, seed| SampledClasses::draw(&objective, 100, rate, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut times = Array1::<f64>::zeros(100);
    for seed in 0..2000 {
        let sample = draw(0.2, seed).expect("a good rate");
        assert_eq!(sample, draw(0.2, seed).expect("a good rate"));
        assert_eq!(sample.classes().len(), 20);
        assert!(sample.classes().is_sorted());
        sample.classes().iter().for_each(|&class| times[class] += 1.0);
    }
    // 18 of 98, each about 367 times, with a standard deviation of 17.
    for (class, &times) in times.iter().enumerate() {
        let expected = if class == 3 || class == 5 { 2000.0 } else { 2000.0 * 18.0 / 98.0 };
        assert!((times - expected).abs() < 90.0, "{class}: {times} times");
    }
    // At least one other class; at most all.
    assert_eq!(draw(1e-9, 0).expect("a good rate").classes().len(), 3);
    assert_eq!(draw(1.0, 0).expect("a good rate").classes(), (0..100).collect::<Vec<_>>());
    assert_eq!(draw(0.9, 0).expect("a good rate").classes().len(), 90);
}

/// Without the correction the scale would be short by ln 5 of some 9.
#[test]
fn scales_that_follow_from_the_classes_follow_from_all_of_them() {
    let (classes, dimension) = (4000, 32);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let weights = Array2::from_shape_simple_fn((classes, dimension), || rng.random_range(-1.0..1.0));
    let features = Array2::from_shape_simple_fn((64, dimension), || rng.random_range(-1.0..1.0));
    let labels = Array1::from_shape_simple_fn(64, || rng.random_range(0..classes as i64));
    let objective = Objective::from(labels.view());
    let sample = SampledClasses::draw(&objective, classes, 0.2, &mut rng).expect("a good rate");
    let optimizer = Optimizer::Sgd(Sgd::default());
    let scale = |head: &AnyHead| {
        let parameters = head.initial_parameters(weights.clone()).expect("enough classes");
        let all = head.forward(features.view(), &parameters, objective).expect("a good batch").1.scale;
        let mut of_sample = parameters.clone();
        let mut moments = moments(&optimizer, head, &parameters);
        let update =
            Update { optimizer: &optimizer, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
        let step = PartialFc::default().train_step(head, features.view(), &mut of_sample, objective, &sample, update);
        (step.expect("a good batch").statistics.scale, all)
    };
    let (found, expected) = scale(&FixedAdaCos {}.into());
    assert_eq!(found, expected);
    let (found, expected): (f64, f64) = scale(&AdaCos::default().into());
    approx::assert_relative_eq!(found, expected, max_relative = 0.01);
    assert_ne!(found, expected);
}

#[test]
fn mistakes_are_errors_in_terms_of_all_classes() {
    let case = case("cosface", Settings::default());
    let Arrays { head, features, mut parameters, labels } = case.build();
    let optimizer = Optimizer::Sgd(Sgd::default());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let step = |parameters: &mut Parameters<f64>, labels: &Array1<i64>, classes: &SampledClasses| {
        let mut moments = moments(&optimizer, &head, parameters);
        let update =
            Update { optimizer: &optimizer, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
        let before = parameters.clone();
        let mut kernel = PartialFc::new(StreamingOptions::default()).expect("default options");
        let error = kernel.train_step(&head, features.view(), parameters, labels.view(), classes, update);
        assert_eq!(*parameters, before);
        error.expect_err("refused")
    };
    let objective = Objective::<f64>::from(labels.view());
    let classes = SampledClasses::draw(&objective, 300, 0.1, &mut rng).expect("a good rate");
    let outside = (0..300).find(|class| !classes.classes().contains(class)).expect("nine of ten");
    let mut other_labels = labels.clone();
    other_labels[3] = outside as i64;
    let error = step(&mut parameters, &other_labels, &classes);
    assert!(matches!(error, Error::Label { row: 3, .. }), "{error}");
    let fewer =
        SampledClasses::draw(&Objective::<f64>::from(array![0].view()), 299, 0.1, &mut rng).expect("a good rate");
    assert!(matches!(step(&mut parameters, &labels, &fewer), Error::Shape { what: "weights", .. }));
    let sampled = classes.classes()[7];
    parameters.weights.row_mut(sampled).fill(0.0);
    let error = step(&mut parameters, &labels, &classes);
    assert!(matches!(error, Error::ZeroNorm { what: "weights", row, .. } if row == sampled), "{error}");

    for rate in [0.0, -0.1, 1.1, f64::NAN] {
        let error = SampledClasses::draw(&objective, 300, rate, &mut rng).expect_err("refused").to_string();
        assert!(
            error.starts_with("sample rate is ") && error.ends_with("; expected a number above 0 and at most 1"),
            "{error}"
        );
    }
    let error = SampledClasses::draw(&objective, 2, 0.5, &mut rng).expect_err("refused");
    assert!(matches!(error, Error::LabelOutOfRange { classes: 2, .. }), "{error}");
    let of_fewer = Objective { sampled_from: Some(7), ..labels.view().into() };
    let error = head.forward(features.view(), &parameters, of_fewer).expect_err("refused").to_string();
    assert_eq!(error, "sampled_from is 7; expected at least 300, the classes at hand");
}
