//! AdaCos's scale, step by step.

use super::case::with_scale;
use arcos::heads::AdaCos;
use arcos::ops::IGNORE_LABEL;
use arcos::streaming::Streaming;
use arcos::{AnyHead, Error, Head, Parameters};
use ndarray::{Array1, Array2, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HALF_ROOT_3: f64 = 0.866_025_403_784_438_6;
const HALF_ROOT_2: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// Four class vectors: along x, y, -x, -y.
fn cross() -> Array2<f64> {
    array![[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, -1.0]]
}

fn with_previous<F>(parameters: Parameters<F>, previous: Option<f64>) -> Parameters<F> {
    previous.into_iter().fold(parameters, with_scale)
}

fn initial_scale(head: AdaCos, classes: usize) -> f64 {
    head.initial_parameters(Array2::<f64>::ones((classes, 1))).expect("C > 2").state["scale"]
}

/// The scale of a training step that starts from `previous`.
fn next_scale(head: AdaCos, features: &Array2<f64>, labels: &Array1<i64>, previous: Option<f64>) -> f64 {
    let parameters = with_previous(Parameters::from(cross()), previous);
    let (_, cache) = head.forward(features.view(), &parameters, labels.view()).expect("a usable scale");
    cache.scale
}

fn assert_scale(found: f64, expected: f64) {
    approx::assert_relative_eq!(found, expected, max_relative = 1e-13);
}

#[test]
fn the_first_step_starts_from_root_2_ln_c_minus_1() {
    approx::assert_relative_eq!(initial_scale(AdaCos::default(), 4), 1.553672398424, epsilon = 1e-11);
    approx::assert_relative_eq!(initial_scale(AdaCos::default(), 200), 7.4859, epsilon = 5e-5);
    let (features, labels) = (array![[1.0, 0.0]], array![0]);
    let initial = Some(initial_scale(AdaCos::default(), 4));
    assert_eq!(
        next_scale(AdaCos::default(), &features, &labels, None),
        next_scale(AdaCos::default(), &features, &labels, initial)
    );
}

/// Three rows, all of class 0, at 0°, 30° and 60° from +x. Cosines to (+x, +y, -x, -y):
///
/// 0°: (1, 0, -1, 0), 30°: (√3/2, 1/2, -√3/2, -1/2), 60°: (1/2, √3/2, -1/2, -√3/2).
#[test]
fn an_odd_batch_takes_the_middle_angle() {
    let features = array![[2.0, 0.0], [HALF_ROOT_3, 0.5], [0.5, HALF_ROOT_3]];
    let labels = array![0, 0, 0];
    let (s, h) = (2.0f64, HALF_ROOT_3);
    // Sums over the three other classes.
    let row_0 = 1.0 + (-s).exp() + 1.0;
    let row_30 = (0.5 * s).exp() + (-h * s).exp() + (-0.5 * s).exp();
    let row_60 = (h * s).exp() + (-0.5 * s).exp() + (-h * s).exp();
    let b_avg = (row_0 + row_30 + row_60) / 3.0;
    // The middle angle is 30°, below 45°.
    assert_scale(next_scale(AdaCos::default(), &features, &labels, Some(s)), b_avg.ln() / HALF_ROOT_3);
}

/// The rows at 0° and 60°: the median is the midpoint of the angles, 30°, not of the cosines, which is 41.4°.
#[test]
fn an_even_batch_takes_the_midpoint_of_the_two_middle_angles() {
    let features = array![[0.5, HALF_ROOT_3], [2.0, 0.0]];
    let (s, h) = (2.0f64, HALF_ROOT_3);
    let row_0 = 1.0 + (-s).exp() + 1.0;
    let row_60 = (h * s).exp() + (-0.5 * s).exp() + (-h * s).exp();
    let expected = ((row_0 + row_60) / 2.0).ln() / HALF_ROOT_3;
    assert_scale(next_scale(AdaCos::default(), &features, &array![0, 0], Some(s)), expected);
}

#[test]
fn beyond_45_degrees_the_median_is_taken_as_45() {
    let (s, h) = (2.0f64, HALF_ROOT_3);
    let row_60 = (h * s).exp() + (-0.5 * s).exp() + (-h * s).exp();
    let found = next_scale(AdaCos::default(), &array![[0.5, HALF_ROOT_3]], &array![0], Some(s));
    assert_scale(found, row_60.ln() / HALF_ROOT_2);
}

#[test]
fn each_step_starts_from_the_scale_of_the_one_before() {
    let head = AdaCos::default();
    let mut parameters = head.initial_parameters(cross()).expect("four classes");
    let steps = [
        (array![[0.5, HALF_ROOT_3]], array![0]),
        (array![[2.0, 0.0], [HALF_ROOT_3, 0.5]], array![0, 0]),
        (array![[0.0, 1.0], [1.0, 1.0], [0.5, HALF_ROOT_3]], array![1, 0, 1]),
    ];
    for (features, labels) in steps {
        let by_hand = next_scale(head, &features, &labels, Some(parameters.state["scale"]));
        let (_, cache) = head.forward(features.view(), &parameters, labels.view()).expect("a usable scale");
        assert_eq!(cache.scale, by_hand);
        assert_ne!(cache.scale, parameters.state["scale"], "the scale moves");
        parameters.state = cache.state.clone();
    }
    let before = parameters.clone();
    let logits = head.logits(array![[1.0, 0.0]].view(), &parameters).expect("well-formed inputs");
    assert_eq!(parameters, before);
    approx::assert_relative_eq!(logits[[0, 0]], parameters.state["scale"], max_relative = 1e-15);
}

/// `exp(s' cosθ)` overflows f32 at s' cosθ = 88.7. With one other class at cosine c and the rest at -c or below,
/// `ln B_avg = c s'` to all digits at such scales.
#[test]
fn large_scales_do_not_overflow_single_precision() {
    for previous in [200.0f32, 1000.0] {
        let features = array![[0.6f32, 0.8], [0.8, 0.6]];
        let parameters = with_scale(Parameters::from(cross().mapv(|value| value as f32)), previous.into());
        let (loss, cache) =
            AdaCos::default().forward(features.view(), &parameters, array![1, 0].view()).expect("a usable scale");
        // Both rows: the other positive cosine is 0.6, the labelled one 0.8 (36.9° < 45°).
        approx::assert_relative_eq!(cache.scale, 0.6 * previous / 0.8, max_relative = 1e-6);
        assert!(loss.is_finite());
    }
}

#[test]
fn the_largest_scale_binds() {
    let (features, labels) = (array![[0.6, 0.8]], array![1]);
    let free = next_scale(AdaCos::default(), &features, &labels, Some(100.0));
    assert!(free > 70.0);
    assert_eq!(next_scale(AdaCos { max_scale: Some(30.0) }, &features, &labels, Some(100.0)), 30.0);
    assert_eq!(initial_scale(AdaCos { max_scale: Some(1.0) }, 200), 1.0);
}

#[test]
fn ignored_rows_do_not_count() {
    let head = AdaCos::default();
    let features = array![[0.5, HALF_ROOT_3], [-1.0, 0.3], [2.0, 0.0]];
    let found = next_scale(head, &features, &array![0, IGNORE_LABEL, 0], Some(2.0));
    assert_scale(found, next_scale(head, &array![[0.5, HALF_ROOT_3], [2.0, 0.0]], &array![0, 0], Some(2.0)));
}

/// Class vectors that all have the same cosine c with each other, so that a feature on its class has cosine c with all others.
fn equal_cosines(classes: usize, c: f64) -> Array2<f64> {
    let shared = c.sqrt();
    let own = (1.0 - c).sqrt();
    Array2::from_shape_fn((classes, classes + 1), |(row, column)| {
        if column == classes {
            shared
        } else if row == column {
            own
        } else {
            0.0
        }
    })
}

/// The recursion `s ← (ln(C-1) + c s) / κ`: κ = 1 here, since features are on their classes.
#[test]
fn it_settles_at_its_fixed_point_where_there_is_one() {
    let (classes, c) = (50, 0.6);
    let weights = equal_cosines(classes, c);
    let labels = Array1::from_iter(0..classes as i64);
    let mut parameters = AdaCos::default().initial_parameters(weights.clone()).expect("enough classes");
    for _ in 0..100 {
        let (_, cache) = AdaCos::default().forward(weights.view(), &parameters, labels.view()).expect("usable");
        parameters.state = cache.state.clone();
    }
    let fixed_point = 49f64.ln() / (1.0 - c);
    approx::assert_relative_eq!(parameters.state["scale"], fixed_point, max_relative = 1e-12);
}

/// With features more than 45° from their class and others' cosines above cos 45° there is no fixed point.
#[test]
fn it_diverges_where_other_cosines_stay_high_unless_bounded() {
    let classes = 50;
    let weights = equal_cosines(classes, 0.9);
    let labels = Array1::from_iter(0..classes as i64);
    // Half way between what all classes share and the class after: the own class is no nearer than the rest.
    let shared = Array2::from_shape_fn((classes, classes + 1), |(_, column)| if column == classes { 1.0 } else { 0.0 });
    let features = shared - 0.7 * Array2::<f64>::eye(classes + 1).slice_move(ndarray::s![..classes, ..]);
    let run = |head: AdaCos| {
        let mut parameters = head.initial_parameters(weights.clone()).expect("enough classes");
        for _ in 0..60 {
            let (loss, cache) = head.forward(features.view(), &parameters, labels.view()).expect("usable");
            assert!(loss.is_finite());
            parameters.state = cache.state.clone();
        }
        parameters.state["scale"]
    };
    assert!(run(AdaCos::default()) > 100.0 * initial_scale(AdaCos::default(), classes));
    assert_eq!(run(AdaCos { max_scale: Some(64.0) }), 64.0);
}

#[test]
fn a_scale_that_cannot_be_used_is_an_error() {
    // Every other class is opposite: ln B_avg = ln 2 - s' < 0.
    let weights = array![[1.0], [-1.0], [-2.0]];
    let parameters = with_scale(Parameters::from(weights), 5.0);
    let error = AdaCos::default().forward(array![[1.0]].view(), &parameters, array![0].view()).expect_err("no scale");
    match error {
        Error::AdaCosScale { value, previous, ln_b_avg, .. } => {
            assert_eq!(previous, 5.0);
            approx::assert_relative_eq!(ln_b_avg, 2f64.ln() - 5.0, max_relative = 1e-12);
            assert!(value < 0.0);
        }
        other => panic!("{other}"),
    }
}

/// `B_avg` is of cosines: a head that changes those of other classes has the scale that it would have without.
#[test]
fn changed_cosines_do_not_reach_the_scale() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut uniform = |shape| Array2::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0));
    let (features, weights): (Array2<f64>, Array2<f64>) = (uniform((9, 6)), uniform((700, 6)));
    let labels = Array1::from_shape_fn(9, |row| (row * 71) as i64);
    let scale_of = |name: &str| {
        let head = AnyHead::new(name, &[("scale", "adacos")]).expect("a margin takes any scale");
        let parameters = head.initial_parameters(weights.clone()).expect("enough classes");
        let (_, cache) = head.forward(features.view(), &parameters, labels.view()).expect("a good batch");
        let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view());
        let of_kernel = streamed.expect("a good batch").0.statistics.scale;
        approx::assert_relative_eq!(of_kernel, cache.scale, max_relative = 1e-12);
        (cache.scale, cache.slopes_of_others.is_some())
    };
    let (expected, _) = scale_of("arcface");
    for name in ["curricularface", "mv-softmax"] {
        assert_eq!(scale_of(name), (expected, true), "{name}");
    }
}
