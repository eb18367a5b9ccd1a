//! Optimizers refuse what they cannot work with, and leave the values as they were.

use super::case::moments;
use arcos::heads::{Gradients, NormSoftmax, ParametersMut, Softmax};
use arcos::optim::{AdamW, Moments, Optimizer, RmsProp, Sgd, Trained};
use arcos::streaming::{Streaming, Update};
use arcos::{AnyHead, Error, Head, Parameters, Real};
use ndarray::{Array2, ArrayViewMut2, ShapeBuilder, array};

fn all() -> [Optimizer; 3] {
    [Optimizer::Sgd(Sgd::default()), Optimizer::RmsProp(RmsProp::default()), Optimizer::AdamW(AdamW::default())]
}

fn moments_of<F: Real>([first, second]: [usize; 2]) -> Moments<F> {
    Moments { first: vec![F::of(0.5); first], second: vec![F::of(0.5); second] }
}

fn assert_shapes_are_checked<F: Real>(optimizer: Optimizer) {
    let right = optimizer.moments::<F>(3);
    let right = [right.first.len(), right.second.len()];
    for gradient in 0..=4 {
        for lengths in [[0, 0], [3, 0], [0, 3], [3, 3], [2, 2], [2, 0], [0, 2], [3, 2], [2, 3], [4, 4], [4, 0], [0, 4]]
        {
            let (mut values, mut moments) = ([F::one(); 3], moments_of::<F>(lengths));
            let before = moments.clone();
            let gradient = vec![F::one(); gradient];
            let updated = optimizer.update(&mut values, &gradient, moments.view_mut(), 1, 0.1);
            let context = format!("{optimizer:?}, gradient {}, moments {lengths:?}", gradient.len());
            match updated {
                Ok(()) => {
                    assert!(gradient.len() == 3 && lengths == right, "{context}");
                    assert!(values.iter().all(|&value| value < F::one()), "{context}");
                    continue;
                }
                Err(Error::Shape { what: "gradient", found, .. }) => assert_eq!(found, [gradient.len()], "{context}"),
                Err(Error::Shape { what: "moments", found, .. }) => {
                    assert!(gradient.len() == 3 && lengths != right && found == lengths, "{context}");
                }
                Err(error) => panic!("{context}: {error}"),
            }
            assert_eq!((values, moments), ([F::one(); 3], before), "{context}");
        }
    }
}

#[test]
fn gradients_and_moments_have_the_shape_of_the_values() {
    for optimizer in all() {
        assert_shapes_are_checked::<f32>(optimizer);
        assert_shapes_are_checked::<f64>(optimizer);
    }
}

/// Optimizers, steps and rates out of range, with the name of what is.
fn out_of_range() -> Vec<(Optimizer, u64, f64, &'static str)> {
    let (sgd, rmsprop, adamw) = (Sgd::default(), RmsProp::default(), AdamW::default());
    let mut mistakes = Vec::new();
    for optimizer in all() {
        mistakes.push((optimizer, 0, 0.1, "step"));
        for rate in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, -5e-324] {
            mistakes.push((optimizer, 1, rate, "learning rate"));
        }
    }
    for rate in [1.0, 1.5, -0.1, f64::NAN, f64::INFINITY] {
        let of_rate = |optimizer, name| (optimizer, 1, 0.1, name);
        mistakes.extend([
            of_rate(Optimizer::Sgd(Sgd { momentum: rate, ..sgd }), "momentum"),
            of_rate(Optimizer::RmsProp(RmsProp { rho: rate, ..rmsprop }), "rho"),
            of_rate(Optimizer::AdamW(AdamW { beta1: rate, ..adamw }), "beta1"),
            of_rate(Optimizer::AdamW(AdamW { beta2: rate, ..adamw }), "beta2"),
        ]);
    }
    for value in [-3.0, f64::NAN, f64::INFINITY, 1e39] {
        mistakes.extend([
            (Optimizer::Sgd(Sgd { weight_decay: value, ..sgd }), 1, 0.1, "weight decay"),
            (Optimizer::AdamW(AdamW { weight_decay: value, ..adamw }), 1, 0.1, "weight decay"),
        ]);
    }
    for epsilon in [0.0, 1e-39, -1e-8, f64::NAN, f64::INFINITY, 1e39] {
        mistakes.extend([
            (Optimizer::RmsProp(RmsProp { epsilon, ..rmsprop }), 1, 0.1, "epsilon"),
            (Optimizer::AdamW(AdamW { epsilon, ..adamw }), 1, 0.1, "epsilon"),
        ]);
    }
    mistakes
}

fn assert_refused<F: Real>(optimizer: Optimizer, step: u64, rate: f64, expected: &str) {
    let mut moments = optimizer.moments::<F>(2);
    let mut values = [F::one(), F::zero()];
    let gradient = [F::zero(), F::one()];
    let updated = optimizer.update(&mut values, &gradient, moments.view_mut(), step, rate);
    assert_setting(updated, expected, &format!("{optimizer:?}, step {step}, rate {rate}"));
    let trained = Trained { values: &mut values, gradient: (&gradient[..]).into(), decays: true };
    let updated = trained.update(optimizer, moments.view_mut(), step, rate);
    assert_setting(updated, expected, &format!("{optimizer:?}, step {step}, rate {rate}"));
    assert_eq!((values, moments), ([F::one(), F::zero()], optimizer.moments(2)));
}

fn assert_setting<T: std::fmt::Debug>(result: arcos::Result<T>, expected: &str, context: &str) {
    assert!(matches!(&result, Err(Error::Setting { name, .. }) if *name == expected), "{context}: {result:?}");
}

#[test]
fn settings_steps_and_rates_out_of_range_are_errors() {
    for (optimizer, step, rate, expected) in out_of_range() {
        assert_refused::<f32>(optimizer, step, rate, expected);
        assert_refused::<f64>(optimizer, step, rate, expected);
    }
    // What double precision holds and single does not.
    for optimizer in all() {
        assert_refused::<f32>(optimizer, 1, 1e39, "learning rate");
        let largest = f64::from(f32::MAX);
        let updated = optimizer.update(&mut [1.0f32], &[0.0], optimizer.moments(1).view_mut(), 1, largest);
        updated.expect("a rate that single precision just holds");
        let updated = optimizer.update(&mut [1.0f64], &[0.5], optimizer.moments(1).view_mut(), 1, 1e39);
        updated.expect("a rate in range");
    }
    let adamw = AdamW { weight_decay: 1e20, ..AdamW::default() };
    assert_refused::<f32>(Optimizer::AdamW(adamw), 1, 1e20, "learning rate");
}

#[test]
fn the_layout_of_values_and_gradient_does_not_matter() {
    let values = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let d_weights = array![[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]];
    let by_columns = |array: &Array2<f64>| {
        let mut copy = Array2::zeros(array.raw_dim().f());
        copy.assign(array);
        copy
    };
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.0, ..Sgd::default() });
    let expected = &values - &(&d_weights * 0.5);
    for weights in [values.clone(), by_columns(&values)] {
        for d_weights in [d_weights.clone(), by_columns(&d_weights)] {
            let mut parameters = Parameters::from(weights.clone());
            let gradients = Gradients { d_weights, ..Gradients::default() };
            for tensor in parameters.trained_mut(&NormSoftmax::default(), &gradients) {
                let norm = tensor.update(sgd, sgd.moments(6).view_mut(), 1, 0.5).expect("moments of this optimizer");
                approx::assert_relative_eq!(norm, 0.91f64.sqrt(), max_relative = 1e-12);
            }
            assert_eq!(parameters.weights, expected);
        }
    }
}

#[test]
fn optimizers_by_themselves_check_as_any_of_them_does() {
    let (mut value, mut one, mut two) = ([1.0f32], [0.0f32], [0.0f32; 2]);
    let (sgd, rmsprop, adamw) = (Sgd::default(), RmsProp::default(), AdamW::default());
    let shape = |result: arcos::Result<()>, expected| {
        assert!(matches!(&result, Err(Error::Shape { what, .. }) if *what == expected), "{result:?}");
    };
    shape(sgd.update(&mut value, &[1.0], &mut two, 0.1), "moments");
    shape(sgd.update(&mut value, &[1.0, 2.0], &mut one, 0.1), "gradient");
    shape(rmsprop.update(&mut value, &[], &mut one, 0.1), "gradient");
    shape(rmsprop.update(&mut value, &[1.0], &mut [], 0.1), "moments");
    shape(adamw.update(&mut value, &[1.0], &mut one, &mut two, 1, 0.1), "moments");
    shape(adamw.update(&mut value, &[1.0], &mut two, &mut one, 1, 0.1), "moments");
    assert_setting(adamw.update(&mut value, &[1.0], &mut one, &mut [0.0], 0, 0.1), "step", "adamw");
    assert_setting(sgd.update(&mut value, &[1.0], &mut one, f64::NAN), "learning rate", "sgd");
    assert_setting(rmsprop.update(&mut value, &[1.0], &mut one, f64::NAN), "learning rate", "rmsprop");
    assert_eq!(value, [1.0]);
}

#[test]
fn a_rate_of_zero_and_an_element_without_gradient_leave_finite_values() {
    for optimizer in all() {
        for (gradient, rate) in [([0.0f32, 1.0], 0.0), ([0.0, 0.0], 0.1)] {
            let mut values = [1.0f32, 2.0];
            let mut moments = optimizer.without_weight_decay().moments(2);
            let updated = optimizer.without_weight_decay().update(&mut values, &gradient, moments.view_mut(), 1, rate);
            updated.expect("settings in range");
            assert_eq!(values, [1.0, 2.0], "{optimizer:?}");
        }
    }
}

#[test]
fn the_streaming_step_with_its_update_refuses_the_same() {
    for (optimizer, step, learning_rate, expected) in out_of_range() {
        for (name, options) in [("l2-softmax", &[("learn-alpha", "true")][..]), ("arcface", &[])] {
            let head = AnyHead::new(name, options).expect("defaults are in range");
            let mut parameters: Parameters<f32> =
                head.initial_parameters(array![[1.0, 0.0], [0.0, 1.0]]).expect("enough classes");
            let before = parameters.clone();
            let mut moments = moments(&optimizer, &head, &parameters);
            let update = Update { optimizer: &optimizer, moments: &mut moments, step, learning_rate, d_features: None };
            let (features, labels) = (array![[1.0, 1.0]], array![0]);
            let step = Streaming::default().train_step(&head, features.view(), &mut parameters, labels.view(), update);
            assert_setting(step, expected, &format!("{name}, {optimizer:?}"));
            assert_eq!(parameters, before);
        }
    }
}

#[test]
fn class_vectors_in_any_memory_are_stepped_where_they_are() -> arcos::Result<()> {
    let (features, labels) = (array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.2]], array![2, 0]);
    let head = Softmax {};
    let weights = Array2::from_shape_fn((4, 3), |(class, column)| (class * 3 + column) as f64 / 7.0 - 0.8);
    for optimizer in all() {
        let mut owned = head.initial_parameters(weights.clone())?;
        let (mut vectors, mut state) = (owned.vectors.clone(), owned.state.clone());
        let mut memory = [9.0; 14];
        memory[1..13].copy_from_slice(weights.as_slice().expect("in standard layout"));
        let (mut of_owned, mut of_memory) = (moments(&optimizer, &head, &owned), moments(&optimizer, &head, &owned));
        let mut kernel = Streaming::default();
        for step in 1..=3 {
            let update =
                |moments| Update { optimizer: &optimizer, moments, step, learning_rate: 0.1, d_features: None };
            kernel.train_step(&head, features.view(), &mut owned, labels.view(), update(&mut of_owned))?;
            let weights = ArrayViewMut2::from_shape((4, 3), &mut memory[1..13]).expect("twelve elements");
            let parameters = ParametersMut { weights, vectors: &mut vectors, state: &mut state };
            kernel.train_step_in_place(&head, features.view(), parameters, labels.view(), update(&mut of_memory))?;
        }
        assert_eq!(memory[1..13], owned.weights.into_raw_vec_and_offset().0, "{optimizer:?}");
        assert_eq!((memory[0], memory[13], vectors, state), (9.0, 9.0, owned.vectors, owned.state), "{optimizer:?}");

        let (mut vectors, mut state) = (head.initial_parameters(weights.clone())?.vectors, Default::default());
        let mut columns = Array2::from_elem((4, 3).f(), 0.5);
        let parameters = ParametersMut { weights: columns.view_mut(), vectors: &mut vectors, state: &mut state };
        let update =
            Update { optimizer: &optimizer, moments: &mut of_memory, step: 4, learning_rate: 0.1, d_features: None };
        let refused = kernel.train_step_in_place(&head, features.view(), parameters, labels.view(), update);
        assert!(matches!(refused, Err(Error::Shape { what: "weights", .. })), "{refused:?}");
        assert_eq!(columns, Array2::from_elem((4, 3), 0.5));
    }
    Ok(())
}
