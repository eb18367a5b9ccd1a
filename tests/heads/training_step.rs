//! The kernel's training step, which updates class vectors as soon as their gradient is known.

use super::case::{Arrays, Case, LastRow, moments};
use super::objective_case::{EVERYTHING, Settings};
use super::streaming::kernel;
use arcos::heads::NormSoftmax;
use arcos::optim::{AdamW, Optimizer, RmsProp, Sgd};
use arcos::streaming::{GradientFilter, Step, Streaming, StreamingOptions, Update};
use arcos::{AnyHead, Error, Parameters};
use ndarray::{Array2, ShapeBuilder, array};

#[test]
fn a_training_step_is_the_gradients_and_then_the_update() {
    let rules = ["arcface:scale=learned", "cosface:scale=adacos"];
    for name in AnyHead::names().chain(rules) {
        for optimizer in [
            Optimizer::Sgd(Sgd { weight_decay: 0.01, ..Sgd::default() }),
            Optimizer::RmsProp(RmsProp::default()),
            Optimizer::AdamW(AdamW::default()),
        ] {
            let (off, mass) = (GradientFilter::Off, GradientFilter::Mass(0.2));
            let (plain, smoothed) = (Settings::default(), Settings { soft_targets: 0, ..EVERYTHING });
            for (filter, objective) in [(off, plain), (mass, plain), (off, EVERYTHING), (mass, smoothed)] {
                let spec = if name == "l2-softmax" { "l2-softmax:learn-alpha=true" } else { name };
                let case = Case {
                    spec: spec.into(),
                    batch: 7,
                    dimension: 9,
                    classes: 1100,
                    ignored: 1,
                    last_row: LastRow::Anywhere,
                    objective,
                    seed: 3,
                };
                let Arrays { head, features, parameters, labels } = case.build();
                let (mut fused, mut separate) = (parameters.clone(), parameters);
                let moments = || moments(&optimizer, &head, &fused);
                let (mut of_fused, mut of_separate) = (moments(), moments());
                let mut kernel = kernel::<f64>(0, filter);
                let owned = case.owned_objective(&labels);
                for step in 1..=3 {
                    let (rows, objective) = (features.view(), owned.view());
                    let mut d_features = (step == 2).then(|| Array2::default((0, 0)));
                    let update = Update {
                        optimizer: &optimizer,
                        moments: &mut of_fused,
                        step,
                        learning_rate: 0.1,
                        d_features: d_features.as_mut(),
                    };
                    let found = kernel.train_step(&head, rows, &mut fused, objective, update).expect("a good batch");

                    let (expected, gradients) =
                        kernel.forward_backward(&head, rows, &separate, objective).expect("a good batch");
                    assert!(d_features.is_none_or(|d_features| d_features == gradients.d_features), "{name}");
                    separate.state = expected.state.clone();
                    let mut squared_norm = 0.0;
                    for (tensor, moments) in separate.trained_mut(&head, &gradients).into_iter().zip(&mut of_separate) {
                        let optimizer = if tensor.decays { optimizer } else { optimizer.without_weight_decay() };
                        let updated = optimizer.update(tensor.values, &tensor.gradient, moments.view_mut(), step, 0.1);
                        updated.expect("moments of this optimizer");
                        squared_norm += tensor.gradient.iter().map(|gradient| gradient * gradient).sum::<f64>();
                    }
                    assert_eq!(fused, separate, "{name} {optimizer:?} {filter:?}");
                    assert_eq!(of_fused, of_separate);
                    approx::assert_relative_eq!(found.gradient_norm, squared_norm.sqrt(), max_relative = 1e-12);
                    assert_eq!(Step { gradient_norm: 0.0, ..found }, Step { gradient_norm: 0.0, ..expected });
                }
            }
        }
    }
}

#[test]
fn options_and_moments_out_of_range() {
    for mass in [0.0, 1.0, -1.0, f64::NAN] {
        let options = StreamingOptions { filter: GradientFilter::Mass(mass), ..StreamingOptions::default() };
        assert!(matches!(Streaming::<f32>::new(options), Err(Error::Setting { name: "filter", .. })), "{mass}");
    }
    let head = NormSoftmax::default();
    let mut parameters = Parameters::from(array![[1.0, 0.0], [0.0, 1.0]]);
    let optimizer = Optimizer::AdamW(AdamW::default());
    for moments in [vec![], vec![optimizer.moments(3)], vec![Optimizer::Sgd(Sgd::default()).moments(4)]] {
        let mut moments = moments;
        let update =
            Update { optimizer: &optimizer, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
        let result = Streaming::default().train_step(
            &head,
            array![[1.0, 1.0]].view(),
            &mut parameters,
            array![0].view(),
            update,
        );
        assert!(matches!(result, Err(Error::Shape { what: "moments", .. })), "{result:?}");
    }
}

#[test]
fn a_training_step_takes_class_vectors_in_any_layout_and_of_the_features_length() {
    let head = NormSoftmax::default();
    let features = array![[1.0, 0.5]];
    let sgd = Optimizer::Sgd(Sgd::default());
    let step = |weights: Array2<f64>| {
        let (mut parameters, mut moments) = (Parameters::from(weights), [sgd.moments(6)]);
        let update = Update { optimizer: &sgd, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
        let step =
            Streaming::default().train_step(&head, features.view(), &mut parameters, array![0].view(), update)?;
        Ok::<_, Error>((step, parameters.weights))
    };
    let weights = array![[1.0, 0.2], [0.3, 1.0], [-0.5, 0.4]];
    let mut by_columns = Array2::zeros((3, 2).f());
    by_columns.assign(&weights);
    let (expected, found) = (step(weights).expect("a good batch"), step(by_columns).expect("a good batch"));
    assert_eq!(found, expected);
    let result = step(array![[1.0, 0.2, 0.1], [0.3, 1.0, 0.2]]);
    assert!(matches!(result, Err(Error::Shape { what: "weights", .. })), "{result:?}");
}
