//! The classes of the largest logits: those of all logits sorted, with the same bits for any number of threads, screened or not.

use super::case::{choice_factor, converted};
use super::streaming::{large_case, pool};
use arcos::heads::{ArcFace, NormSoftmax, Scale, Softmax, SphereFace2, SubCenterArcFace};
use arcos::streaming::{Likeliest, Streaming};
use arcos::{Error, Head, Parameters, Real};
use ndarray::{Array2, ArrayView1, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn likeliest<F: Real>(
    head: &impl Head,
    features: &Array2<F>,
    parameters: &Parameters<F>,
    (count, temperature): (usize, f64),
    threads: usize,
) -> Likeliest<F> {
    let found = || Streaming::default().likeliest(head, features.view(), parameters, count, temperature);
    pool(threads).install(found).expect("a good case")
}

fn log_sum_exp(logits: ArrayView1<f64>) -> f64 {
    let largest = logits.fold(f64::NEG_INFINITY, |largest, &logit| largest.max(logit));
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln()
}

/// Holds what was found against all logits in double precision, which may differ by `tolerance` in either, and their softmax at a temperature. A threshold can round two
/// logits to one, whose order is then that of before.
fn assert_largest<F: Real>(
    found: &Likeliest<F>,
    logits: &Array2<f64>,
    tolerance: f64,
    temperature: f64,
    has_threshold: bool,
) -> Result<(), TestCaseError> {
    for (row, logits) in logits.rows().into_iter().enumerate() {
        let (classes, values) = (found.classes.row(row), found.logits.row(row).mapv(|value| value.to_double()));
        for (&class, &value) in classes.iter().zip(&values) {
            prop_assert!((value - logits[class]).abs() <= tolerance, "row {row}: {value} is not {}", logits[class]);
        }
        for rank in 1..values.len() {
            let in_order = values[rank] < values[rank - 1]
                || (values[rank] == values[rank - 1] && (has_threshold || classes[rank] > classes[rank - 1]));
            prop_assert!(in_order, "row {row}: {values} of {classes}");
        }
        let listed = |class| classes.iter().any(|&other| other == class);
        let last = values[values.len() - 1];
        for (class, &logit) in logits.iter().enumerate().filter(|&(class, _)| !listed(class)) {
            prop_assert!(logit <= last + 2.0 * tolerance, "row {row}: class {class} with {logit} is not listed");
        }
        let expected = log_sum_exp((&logits / temperature).view());
        for (&value, &probability) in values.iter().zip(found.probabilities.row(row)) {
            prop_assert!((0.0..=1.0).contains(&probability), "row {row}: {probability}");
            let log_sum = value / temperature - probability.ln();
            let is_invisible = probability < 1e-300 && value / temperature - expected < -690.0;
            let off_by = (log_sum - expected).abs();
            prop_assert!(
                is_invisible || off_by <= tolerance / temperature + 2e-7,
                "row {row}: {log_sum} is not {expected}"
            );
        }
    }
    Ok(())
}

proptest! {
    /// Every head, every geometry, any number of centres, in both precisions.
    #[test]
    fn equals_all_logits_sorted(
        case in large_case(), count in 1usize..=9, threads in 1usize..=3, temperature in prop_oneof![Just(1.0), 0.2..6.0],
    ) {
        let arrays = case.build();
        let count = count.min(case.classes);
        let logits = arrays.head.logits(arrays.features.view(), &arrays.parameters).expect("a good case");
        let has_threshold = arrays.parameters.vectors.contains_key("threshold");
        let size = 1.0 + logits.fold(0.0, |largest: f64, logit| largest.max(logit.abs()));
        let units = (64.0 + case.dimension as f64) * size * choice_factor(&arrays.head);
        let found = likeliest(&arrays.head, &arrays.features, &arrays.parameters, (count, temperature), threads);
        assert_largest(&found, &logits, units * f64::EPSILON, temperature, has_threshold)?;
        let (features, parameters) = (arrays.features.mapv(f32::of), converted::<f32>(&arrays.parameters));
        let exact = arrays.head.logits(features.mapv(f64::from).view(), &converted::<f64>(&Parameters {
            weights: parameters.weights.mapv(f64::from),
            vectors: parameters.vectors.iter().map(|(name, vector)| (name.clone(), vector.mapv(f64::from))).collect(),
            state: parameters.state.clone(),
        })).expect("a good case");
        // As much again as the longest rows have to do with it: inner products may cancel.
        let lengths = |rows: &Array2<f64>| rows.rows().into_iter().map(|row| row.dot(&row).sqrt()).fold(1.0, f64::max);
        let longest = lengths(&arrays.features) * lengths(&arrays.parameters.weights);
        let found = likeliest(&arrays.head, &features, &parameters, (count, temperature), threads);
        assert_largest(&found, &exact, units * longest * f64::from(f32::EPSILON), temperature, has_threshold)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Screened at a scale of 64, in full precision at one of 8: all but the scale are the same bits, whatever the threads.
    #[test]
    fn screening_changes_no_bit_of_what_is_listed(
        (centres, dimension, count, threads, kind, seed) in
            (1usize..=3, prop_oneof![2usize..=9, 30usize..=70], 1usize..=9, 1usize..=3, 0..5u8, any::<u64>()),
    ) {
        let (features, weights) = screened_case(12_000, 16, centres, dimension, kind, seed);
        let of_scale = |scale: f64, threads| {
            let head = SubCenterArcFace { scale: Scale::Fixed(scale), centres, ..SubCenterArcFace::default() };
            let parameters = head.initial_parameters(weights.clone()).expect("a good case");
            likeliest(&head, &features, &parameters, (count, 1.0), threads)
        };
        let (screened, full) = (of_scale(64.0, threads), of_scale(8.0, 1));
        prop_assert_eq!(&screened.classes, &full.classes);
        prop_assert_eq!(&screened.logits, &(full.logits * 8.0));
        let head = NormSoftmax { scale: Scale::Fixed(64.0) };
        if centres == 1 {
            let parameters = head.initial_parameters(weights.mapv(f64::from)).expect("a good case");
            let logits = head.logits(features.mapv(f64::from).view(), &parameters).expect("a good case");
            assert_largest(&screened, &logits, 64.0 * 16.0 * f64::from(f32::EPSILON), 1.0, false)?;
        }
    }
}

/// Features and class vectors, most rows near one of them: at random, with rows twice, with rows that differ in the last digits alone, very long and short ones, or few large elements.
fn screened_case(
    classes: usize,
    rows: usize,
    centres: usize,
    dimension: usize,
    kind: u8,
    seed: u64,
) -> (Array2<f32>, Array2<f32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights =
        Array2::from_shape_simple_fn((classes * centres, dimension), || -> f32 { StandardNormal.sample(&mut rng) });
    if kind == 1 || kind == 2 {
        for row in 0..classes * centres / 2 {
            let from = weights.row(row - row % 8).to_owned();
            weights.row_mut(row).assign(&from);
            if kind == 2 {
                weights.row_mut(row).mapv_inplace(|value| value * (1.0 + rng.random_range(-3e-7..3e-7)));
            }
        }
    }
    if kind == 4 {
        weights.mapv_inplace(|value| value.powi(9));
    }
    let mut features = Array2::zeros((rows, dimension));
    for (number, mut feature) in features.rows_mut().into_iter().enumerate() {
        let own = weights.row(rng.random_range(0..classes * centres));
        let noise = if number % 4 == 3 { 10.0 } else { 0.3 };
        let length = own.dot(&own).sqrt() / (dimension as f32).sqrt();
        feature.zip_mut_with(&own, |value, &own| {
            let gaussian: f32 = StandardNormal.sample(&mut rng);
            *value = own + noise * length * gaussian;
        });
    }
    if kind == 3 {
        for rows in [&mut weights, &mut features] {
            rows.rows_mut().into_iter().for_each(|mut row| row *= 10f32.powi(rng.random_range(-25..25)));
        }
    }
    (features, weights)
}

#[test]
fn equal_class_vectors_are_listed_by_their_index() {
    let weights = Array2::from_shape_fn((9000, 8), |(_, column)| 1.0 + column as f32);
    for scale in [64.0, 8.0] {
        let head = ArcFace { scale: Scale::Fixed(scale), ..ArcFace::default() };
        let parameters = head.initial_parameters(weights.clone()).expect("a good case");
        let features = Array2::from_shape_fn((3, 8), |(row, column)| (1 + row * column) as f32);
        for threads in [1, 3] {
            let found = likeliest(&head, &features, &parameters, (4, 1.0), threads);
            assert!(found.classes.rows().into_iter().all(|row| row == array![0, 1, 2, 3]), "{:?}", found.classes);
            assert!(found.probabilities.iter().all(|probability| (probability * 9000.0 - 1.0).abs() < 1e-4));
        }
    }
}

/// Class vectors so near each other that at a high temperature most have a visible probability, and at a low one few.
#[test]
fn screening_leaves_out_only_what_is_invisible_at_the_temperature() {
    let (features, weights) = screened_case(12_000, 24, 1, 24, 0, 1);
    let wide = weights.mapv(f64::from);
    let found_at = |scale: f64, temperature| {
        let head = NormSoftmax { scale: Scale::Fixed(scale) };
        let parameters = head.initial_parameters(weights.clone()).expect("a good case");
        let found = likeliest(&head, &features, &parameters, (3, temperature), 2);
        let parameters = head.initial_parameters(wide.clone()).expect("a good case");
        let logits = head.logits(features.mapv(f64::from).view(), &parameters).expect("a good case");
        assert_largest(&found, &logits, scale * 16.0 * f64::from(f32::EPSILON), temperature, false).expect("the same");
        found
    };
    // ln(10⁷ C) is 25.5: what decides is T times that beside the scale.
    for (scale, temperature) in [(400.0, 5.0), (150.0, 5.0), (64.0, 5.0), (64.0, 0.3), (8.0, 0.3), (30.0, 1.0)] {
        let (found, plain) = (found_at(scale, temperature), found_at(scale, 1.0));
        assert!(found.classes == plain.classes && found.logits == plain.logits, "s = {scale}, T = {temperature}");
        let surer = |(p, q): (&f64, &f64)| if temperature > 1.0 { p <= q } else { p >= q };
        assert!(found.probabilities.column(0).iter().zip(plain.probabilities.column(0)).all(surer));
    }
}

#[test]
fn a_threshold_takes_no_probability_past_1() {
    // Rounding of z - t in single precision is far above that of a probability near 1.
    let head = SphereFace2::default();
    let weights = Array2::from_shape_fn(
        (40, 8),
        |(class, column)| if class % 8 == column { 1.0f32 } else { 0.1 * class as f32 / 40.0 },
    );
    let mut parameters = head.initial_parameters(weights.clone()).expect("a good case");
    for threshold in [0.0, 16.777, 1234.5678, 3e7] {
        parameters.vectors.insert("threshold".into(), array![threshold]);
        let found = likeliest(&head, &weights, &parameters, (3, 1.0), 1);
        assert!(found.probabilities.iter().all(|probability| (0.0..=1.0).contains(probability)));
        let without = head
            .initial_parameters(weights.clone())
            .map(|parameters| Parameters { vectors: [("threshold".into(), array![0.0])].into(), ..parameters });
        let without = likeliest(&head, &weights, &without.expect("a good case"), (3, 1.0), 1);
        assert_eq!(found.probabilities, without.probabilities, "t = {threshold}");
    }
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let (features, weights) = screened_case(9000, 4, 1, 16, 0, 0);
    let head = ArcFace::default();
    let find = |features: &Array2<f32>, weights: &Array2<f32>, count| {
        let parameters = head.initial_parameters(weights.clone()).expect("a good shape");
        Streaming::default().likeliest(&head, features.view(), &parameters, count, 1.0).map(|_| ())
    };
    assert!(find(&features, &weights, 9000).is_ok());
    for count in [0, 9001] {
        let message = find(&features, &weights, count).expect_err("no such number of classes").to_string();
        assert!(message.contains(&format!("is {count}; expected 1 to 9000, the classes")), "{message}");
    }
    for value in [f32::NAN, f32::INFINITY] {
        let (mut bad_features, mut bad_weights) = (features.clone(), weights.clone());
        (bad_features[[3, 5]], bad_weights[[4321, 7]]) = (value, value);
        let refused = find(&bad_features, &weights, 2);
        assert!(matches!(refused, Err(Error::NotFinite { what: "features", row: 3, column: 5, .. })), "{refused:?}");
        let refused = find(&features, &bad_weights, 2);
        assert!(matches!(refused, Err(Error::NotFinite { what: "weights", row: 4321, column: 7, .. })), "{refused:?}");
    }
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e31] {
        let parameters = head.initial_parameters(weights.clone()).expect("a good shape");
        let refused = Streaming::default().likeliest(&head, features.view(), &parameters, 2, temperature);
        assert!(matches!(refused, Err(Error::Setting { name: "temperature", .. })), "{temperature}: {refused:?}");
    }
    let mut without_direction = features.clone();
    without_direction.row_mut(2).fill(0.0);
    let refused = find(&without_direction, &weights, 2);
    assert!(matches!(refused, Err(Error::ZeroNorm { what: "features", row: 2, .. })), "{refused:?}");
    // Where rows are not normalised, inner products may be too large.
    let head = Softmax::default();
    let parameters = head.initial_parameters(array![[1.0f32, 1e20], [0.0, 1e20], [0.0, 1.0]]).expect("a good shape");
    let features = array![[1.0f32, 0.0], [1.0, 1e20]];
    let refused = Streaming::default().likeliest(&head, features.view(), &parameters, 1, 1.0).map(|_| ());
    assert!(matches!(refused, Err(Error::NotFinite { what: "logits", row: 1, column: 0, .. })), "{refused:?}");
}
