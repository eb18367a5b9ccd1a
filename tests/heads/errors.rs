//! Every mistake that a caller can make is an error that says what is wrong.

use super::case::{head, is_on_sphere, spec, with_centres, with_scale, with_vector};
use arcos::heads::{Loss, Scale};
use arcos::ops::IGNORE_LABEL;
use arcos::streaming::Streaming;
use arcos::{AnyHead, Error, Head, Parameters, Result};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;

fn features() -> Array2<f64> {
    array![[1.0, 2.0, 0.5], [-1.0, 0.5, 2.0]]
}

fn weights() -> Array2<f64> {
    array![[1.0, 0.0, 0.2], [0.3, 1.0, 0.0], [-1.0, 0.5, 0.4], [0.2, -0.3, 1.0]]
}

/// Runs forward, and logits, which must fail alike unless labels are what is wrong.
fn forward(head: &AnyHead, features: &Array2<f64>, weights: &Array2<f64>, labels: &Array1<i64>) -> Result<f64> {
    let enough = Array2::ones((4 * head.centres(), 1));
    let mut parameters = head.initial_parameters(enough)?;
    parameters.weights = with_centres(weights, head.centres());
    parameters
        .vectors
        .values_mut()
        .filter(|vector| vector.len() == 4)
        .for_each(|bias| *bias = Array1::zeros(weights.nrows()));
    head.forward(features.view(), &parameters, labels.view()).map(|(loss, _)| loss)
}

fn for_each_head(check: impl Fn(&AnyHead)) {
    AnyHead::names().for_each(|name| check(&head(name).0));
}

fn for_each_normalised_head(check: impl Fn(&AnyHead)) {
    AnyHead::names().map(|name| head(name).0).filter(is_on_sphere).for_each(|head| check(&head));
}

macro_rules! assert_error {
    ($result:expr, $pattern:pat, $head:expr) => {
        match $result {
            Err($pattern) => {}
            other => panic!("{}: {other:?}", $head.name()),
        }
    };
}

#[test]
fn good_inputs_are_fine() {
    for_each_head(|head| {
        let loss = forward(head, &features(), &weights(), &array![0, 3]);
        assert!(loss.as_ref().is_ok_and(|loss| loss.is_finite() && *loss > 0.0), "{}: {loss:?}", head.name());
    });
}

#[test]
fn shapes_that_do_not_fit() {
    for_each_head(|head| {
        let labels = array![0, 3];
        let narrow = array![[1.0, 2.0], [3.0, 4.0]];
        assert_error!(forward(head, &narrow, &weights(), &labels), Error::Shape { what: "weights", .. }, head);
        assert_error!(forward(head, &features(), &weights(), &array![0]), Error::Shape { what: "labels", .. }, head);
        let empty = Array2::zeros((0, 3));
        assert_error!(forward(head, &empty, &weights(), &array![]), Error::Empty { what: "features", .. }, head);
        let empty = Array2::zeros((2, 0));
        assert_error!(forward(head, &empty, &weights(), &labels), Error::Empty { what: "features", .. }, head);
    });
    let softmax = head("softmax").0;
    let parameters = with_vector(Parameters::from(weights()), "bias", array![0.0]);
    let error = softmax.forward(features().view(), &parameters, array![0, 1].view()).expect_err("a short bias");
    assert_eq!(error.to_string(), "bias has shape [1]; expected (4,), one element for each class");
}

#[test]
fn missing_bias() {
    for name in ["softmax", "l2-softmax"] {
        let parameters = Parameters::from(weights());
        let error = head(name).0.logits(features().view(), &parameters).expect_err("no bias");
        let expected = format!(
            "{name} needs the parameter `bias`, which is missing; expected shape (4,), one element for each class"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn labels_that_name_no_class() {
    for_each_head(|head| {
        for label in [4, -1, i64::MIN, i64::MAX] {
            let result = forward(head, &features(), &weights(), &array![0, label]);
            match result {
                Err(Error::LabelOutOfRange { row: 1, label: found, classes: 4, .. }) => assert_eq!(found, label),
                other => panic!("{}: {other:?}", head.name()),
            }
        }
        let ignored = array![IGNORE_LABEL, IGNORE_LABEL];
        assert_error!(forward(head, &features(), &weights(), &ignored), Error::NothingLabelled { rows: 2, .. }, head);
    });
    let error = forward(&head("arcface").0, &features(), &weights(), &array![0, 4]).expect_err("too large");
    assert_eq!(error.to_string(), "labels[1] is 4; expected 0 to 3 (4 classes) or the ignore value -100");
}

#[test]
fn too_few_classes() {
    let labels = array![0, 0];
    for_each_head(|head| {
        let one = array![[1.0, 0.0, 0.0]];
        assert_error!(forward(head, &features(), &one, &labels), Error::TooFewClasses { found: 1, .. }, head);
    });
    for name in ["adacos", "fixed-adacos"] {
        let head = head(name).0;
        let two = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let error = forward(&head, &features(), &two, &labels).expect_err("two classes");
        let expected =
            format!("{name} got 2 classes; expected at least 3, since the scale √2 ln(C - 1) must be positive");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn values_that_are_no_numbers() {
    for_each_head(|head| {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let (mut bad_features, mut bad_weights) = (features(), weights());
            bad_features[[1, 2]] = value;
            bad_weights[[3, 0]] = value;
            let of_features = forward(head, &bad_features, &weights(), &array![0, 3]);
            assert_error!(of_features, Error::NotFinite { what: "features", row: 1, column: 2, .. }, head);
            let of_weights = forward(head, &features(), &bad_weights, &array![0, 3]);
            match of_weights {
                Err(Error::NotFinite { what: "weights", row, column: 0, .. }) if row == 3 * head.centres() => {}
                other => panic!("{}: {other:?}", head.name()),
            }
        }
    });
    let parameters = with_vector(Parameters::from(weights()), "bias", array![0.0, f64::NAN, 0.0, 0.0]);
    let error = head("softmax").0.logits(features().view(), &parameters).expect_err("NaN in bias");
    assert_eq!(error.to_string(), "bias[0, 1] is NaN; expected a finite number");
}

#[test]
fn rows_without_direction() {
    for_each_normalised_head(|head| {
        let (mut bad_features, mut bad_weights) = (features(), weights());
        bad_features.row_mut(1).fill(0.0);
        bad_weights.row_mut(2).fill(0.0);
        let labels = array![0, 3];
        let of_features = forward(head, &bad_features, &weights(), &labels);
        assert_error!(of_features, Error::ZeroNorm { what: "features", row: 1, .. }, head);
        let of_weights = forward(head, &features(), &bad_weights, &labels);
        match of_weights {
            Err(Error::ZeroNorm { what: "weights", row, .. }) if row == 2 * head.centres() => {}
            other => panic!("{}: {other:?}", head.name()),
        }
    });
}

/// Where norms are not divided by, only a margin needs a direction.
#[test]
fn labelled_rows_without_direction_under_a_margin() {
    let l_softmax = head("l-softmax").0;
    let zero = |mut rows: Array2<f64>, row: usize| {
        rows.row_mut(row).fill(0.0);
        rows
    };
    for (features, weights, expected) in [
        (zero(features(), 1), weights(), Some(("features", 1))),
        (features(), zero(weights(), 3), Some(("weights", 3))),
        (features(), zero(weights(), 2), None),
    ] {
        let parameters = Parameters::from(weights);
        let labels = array![0, 3];
        let explicit = l_softmax.forward(features.view(), &parameters, labels.view()).map(|_| ());
        let streamed = Streaming::default().forward_backward(&l_softmax, features.view(), &parameters, labels.view());
        for result in [explicit, streamed.map(|_| ())] {
            match (result, expected) {
                (Err(Error::ZeroNorm { what, row, .. }), Some(expected)) => assert_eq!((what, row), expected),
                (Ok(()), None) => {}
                (result, expected) => panic!("{result:?}, {expected:?}"),
            }
        }
        assert!(l_softmax.logits(features.view(), &parameters).is_ok());
    }
}

#[test]
fn rows_of_extreme_length_have_a_direction() {
    let features = array![[3e-30f32, 4e-30], [3e30, -4e30]];
    let parameters = Parameters::from(array![[3e-25f32, 4e-25], [-2e36, 1e36]]);
    let (loss, cache) =
        head("norm-softmax").0.forward(features.view(), &parameters, array![0, 1].view()).expect("normal numbers");
    let unit = array![[0.6f64, 0.8], [0.6, -0.8]];
    let parameters = Parameters::from(array![[0.6f64, 0.8], [-2.0, 1.0]]);
    let (expected, _) =
        head("norm-softmax").0.forward(unit.view(), &parameters, array![0, 1].view()).expect("well-formed");
    approx::assert_relative_eq!(f64::from(loss), expected, max_relative = 1e-5);
    assert!(cache.statistics.target_cosine.is_some_and(f64::is_finite));

    let subnormal = array![[1e-42f32, 0.0], [1.0, 1.0]];
    let parameters = Parameters::from(array![[1.0f32, 0.0], [0.0, 1.0]]);
    let result = head("norm-softmax").0.forward(subnormal.view(), &parameters, array![0, 1].view());
    assert!(matches!(result, Err(Error::ZeroNorm { what: "features", row: 0, .. })));
}

#[test]
fn hyper_parameters_out_of_range() {
    let refused = [
        ("norm-softmax", "scale", ["0", "-1", "NaN", "inf"]),
        ("arcface", "scale", ["0", "-1", "NaN", "inf"]),
        ("arcface", "margin", ["-0.1", "3.2", "NaN", "inf"]),
        ("cosface", "margin", ["-0.1", "2.1", "NaN", "inf"]),
        ("sphereface", "margin", ["0.9", "-1", "NaN", "inf"]),
        ("combined-margin", "m1", ["0", "-1", "NaN", "inf"]),
        ("combined-margin", "m2", ["-0.1", "3.2", "NaN", "inf"]),
        ("combined-margin", "m3", ["-0.1", "2.1", "NaN", "inf"]),
        ("l2-softmax", "alpha", ["0", "-1", "NaN", "inf"]),
        ("adacos", "max-scale", ["0", "-1", "NaN", "inf"]),
    ];
    for (name, option, values) in refused {
        for value in values {
            match AnyHead::new(name, &[(option, value)]) {
                Err(Error::HyperParameter { head, name: found, .. }) => assert_eq!((head, found), (name, option)),
                other => panic!("{name}: {option}={value}: {other:?}"),
            }
        }
    }
    // Fields are public: a head made by hand is checked as well.
    let by_hand = arcos::heads::ArcFace { scale: Scale::Fixed(-1.0), ..Default::default() };
    let error = by_hand.forward(features().view(), &Parameters::from(weights()), array![0, 1].view());
    let message = error.expect_err("a negative scale").to_string();
    assert_eq!(message, "arcface: scale is -1; expected a positive number of at most 1e9");
}

#[test]
fn parameters_out_of_range() {
    let adacos = with_scale(Parameters::from(weights()), -2.0);
    let result = head("adacos").0.forward(features().view(), &adacos, array![0, 1].view());
    assert!(matches!(result, Err(Error::HyperParameter { head: "adacos", name: "scale", .. })));
    for alpha in [0.0, -1.0, f64::NAN] {
        let parameters = with_vector(Parameters::from(weights()), "bias", Array1::zeros(4));
        let parameters = with_vector(parameters, "alpha", array![alpha]);
        let result = head("l2-softmax").0.forward(features().view(), &parameters, array![0, 1].view());
        assert!(matches!(result, Err(Error::HyperParameter { head: "l2-softmax", name: "alpha", .. })));
    }
}

#[test]
fn options_of_other_heads_and_unknown_heads() {
    let options = [("margin", "0.5")];
    let error = AnyHead::new("softmax", &options).expect_err("softmax has no margin");
    assert_eq!(error.to_string(), "softmax has no margin; it takes no options");
    let error = AnyHead::new("norm-softmax", &options).expect_err("norm-softmax has no margin");
    assert_eq!(error.to_string(), "norm-softmax has no margin; it takes scale");
    let error = AnyHead::new("arcfase", &[]).expect_err("misspelt").to_string();
    assert!(error.starts_with("no head is called \"arcfase\"; expected one of softmax, l2-softmax,"), "{error}");
}

#[test]
fn logits_that_overflow() {
    let features = array![[1e30f32, 0.0], [0.0, 1e30]];
    let parameters = with_vector(Parameters::from(array![[1e30f32, 0.0], [0.0, 1.0]]), "bias", array![0.0, 0.0]);
    let result = head("softmax").0.forward(features.view(), &parameters, array![0, 1].view());
    assert!(matches!(result, Err(Error::NotFinite { what: "logits", .. })), "{result:?}");
}

/// Any small matrix, with numbers that are none and rows that are zero among them.
fn any_matrix() -> impl Strategy<Value = Array2<f64>> {
    let value = prop_oneof![
        6 => -10.0..10.0f64,
        1 => Just(0.0),
        1 => prop::num::f64::ANY,
    ];
    (0usize..4, 0usize..4).prop_flat_map(move |(rows, columns)| {
        prop::collection::vec(value.clone(), rows * columns).prop_map(move |values| {
            Array2::from_shape_vec((rows, columns), values).expect("as many as rows and columns")
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn nothing_panics_and_what_succeeds_is_finite(
        spec in prop::sample::select(AnyHead::names().collect::<Vec<_>>()).prop_flat_map(spec),
        features in any_matrix(),
        weights in any_matrix(),
        labels in prop::collection::vec(prop_oneof![4 => 0i64..3, 1 => Just(IGNORE_LABEL), 1 => any::<i64>()], 0..4),
        bias in prop::option::of(prop::collection::vec(-2.0..2.0f64, 0..4)),
        number in prop::option::of(prop::num::f64::ANY),
    ) {
        let head = head(&spec).0;
        let bias = bias.map(|bias| ("bias".to_owned(), Array1::from(bias)));
        let of_scale = number.iter().flat_map(|&number| ["alpha", "log_scale", "threshold"].map(|name| (name.to_owned(), array![number])));
        let state = number.map(|number| ("scale".to_owned(), number)).into_iter().collect();
        let parameters = Parameters { weights, vectors: bias.into_iter().chain(of_scale).collect(), state };
        let _ = head.logits(features.view(), &parameters);
        if let Ok((loss, cache)) = head.forward(features.view(), &parameters, Array1::from(labels).view()) {
            prop_assert!(loss.is_finite() && (loss >= 0.0 || head.loss() == Loss::Nca), "loss {}", loss);
            let gradients = head.backward(cache);
            prop_assert!(gradients.d_features.iter().chain(&gradients.d_weights).all(|value| value.is_finite()));
        }
    }
}

#[test]
fn the_largest_numbers_of_single_precision_have_a_direction() {
    let features = array![[3e38f32, -1e38], [2e38, 2e38]];
    let normalized = arcos::ops::l2_normalize::forward("features", features.view()).expect("finite numbers");
    // (3, -1) / √10 and (1, 1) / √2.
    approx::assert_relative_eq!(normalized.unit[[0, 0]], 3.0 / 10f32.sqrt(), max_relative = 1e-6);
    approx::assert_relative_eq!(normalized.unit[[1, 1]], std::f32::consts::FRAC_1_SQRT_2, max_relative = 1e-6);
}

#[test]
fn a_row_of_finite_numbers_without_a_finite_norm_is_said_to_be_that() {
    let features = array![[1.0, 1.0], [f32::MAX, f32::MAX]];
    let error = arcos::ops::l2_normalize::forward("features", features.view()).expect_err("no norm to be had");
    let expected = "features row 1 has a norm above 3.4028235e38; expected one that this precision can hold";
    assert_eq!(error.to_string(), expected);
}

/// Found by fuzzing: α‖w‖ overflows before it is divided by ‖x‖, which is as large.
#[test]
fn a_gradient_that_overflows_on_its_way_is_an_error() {
    let features = array![[-4.2e37f32, 0.0, 1.4e20]];
    let weights = array![[-1.08e8f32, -3.4e37, 1.1], [1.0, 1.0, 1.0], [1.0, 0.0, 1.0]];
    let head = AnyHead::new("l2-softmax", &[]).expect("defaults");
    let parameters = head.initial_parameters(weights).expect("enough classes");
    let labels = array![1];
    let explicit = head.forward(features.view(), &parameters, labels.view()).map(|_| ());
    let streaming =
        Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view()).map(|_| ());
    for result in [explicit, streaming] {
        let message = result.expect_err("no gradient to be had").to_string();
        assert!(message.starts_with("the gradient of features may reach 1.08"), "{message}");
    }
}

#[test]
fn the_primitives_check_shapes_by_themselves() {
    let (features, weights) = (array![[1.0, 2.0]], array![[1.0, 0.0, 0.5], [0.3, 1.0, 0.0]]);
    let shape = |error: Error| assert!(matches!(error, Error::Shape { what: "weights", .. }), "{error:?}");
    let bias = array![0.0, 0.0];
    shape(arcos::ops::linear::forward(features.view(), weights.view(), bias.view()).expect_err("2 and 3 columns"));
}

#[test]
fn a_bound_of_adacos_out_of_range_is_an_error_however_the_head_was_made() {
    let head = arcos::heads::AdaCos { max_scale: Some(2e9) };
    let parameters = with_scale(Parameters::from(array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 8.0);
    let features = array![[1.0, 0.5]];
    let step = head.forward(features.view(), &parameters, array![0].view()).map(|_| ());
    for result in [step, head.logits(features.view(), &parameters).map(|_| ())] {
        assert!(matches!(result, Err(Error::HyperParameter { name: "max-scale", .. })), "{result:?}");
    }
}

#[test]
fn a_missing_bias_is_an_error_of_both_engines() {
    for name in ["softmax", "l2-softmax"] {
        let head = head(name).0;
        let mut parameters = head.initial_parameters(array![[1.0, 0.0], [0.0, 1.0]]).expect("enough classes");
        parameters.vectors.remove("bias");
        let (features, labels) = (array![[1.0, 0.5]], array![0]);
        let explicit = head.forward(features.view(), &parameters, labels.view()).map(|_| ());
        let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view());
        for result in [explicit, streamed.map(|_| ()), head.logits(features.view(), &parameters).map(|_| ())] {
            assert!(matches!(result, Err(Error::MissingParameter { name: "bias", .. })), "{name}: {result:?}");
        }
    }
}

#[test]
fn heads_out_of_range_have_no_initial_parameters() {
    use arcos::heads::{AdaCos, NormSoftmax, Scale};
    let weights = || array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
    let norm_softmax = NormSoftmax { scale: Scale::Fixed(-1.0) }.initial_parameters(weights());
    assert!(matches!(norm_softmax, Err(Error::HyperParameter { name: "scale", .. })), "{norm_softmax:?}");
    let adacos = AdaCos { max_scale: Some(-1.0) }.initial_parameters(weights());
    assert!(matches!(adacos, Err(Error::HyperParameter { name: "max-scale", .. })), "{adacos:?}");
}

#[test]
fn cross_entropy_takes_two_classes() {
    let result = arcos::ops::softmax_cross_entropy::forward(array![[1.0]], array![0].view());
    assert!(matches!(result, Err(Error::TooFewClasses { .. })), "{result:?}");
}

#[test]
fn a_bias_of_another_length_or_not_finite_is_an_error_of_both_engines() {
    for name in ["softmax", "l2-softmax"] {
        let head = head(name).0;
        let mut parameters = head.initial_parameters(array![[1.0, 0.0], [0.0, 1.0]]).expect("enough classes");
        let (features, labels) = (array![[1.0, 0.5]], array![0]);
        for bias in [array![0.0], array![0.0, 0.0, 0.0], array![0.0, f64::NAN]] {
            parameters.vectors.insert("bias".into(), bias);
            let explicit = head.forward(features.view(), &parameters, labels.view()).map(|_| ());
            let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view());
            for result in [explicit, streamed.map(|_| ())] {
                let is_of_bias =
                    matches!(result, Err(Error::Shape { what: "bias", .. } | Error::NotFinite { what: "bias", .. }));
                assert!(is_of_bias, "{name}: {result:?}");
            }
        }
    }
}
