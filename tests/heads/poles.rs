//! Features aligned with their class vector, opposite to it, and within rounding of both: what `ops::angle` promises.

use super::case::head;
use arcos::heads::{NormSoftmax, Scale};
use arcos::ops::angle::sin_floor;
use arcos::ops::{Angle, l2_normalize};
use arcos::{AnyHead, Head, Parameters, Real, init};
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const MARGIN_HEADS: [&str; 8] = [
    "arcface:scale=64:margin=0.5",
    "arcface:scale=64:margin=0.5:past-pi=continuous",
    "arcface:scale=64:margin=0.5:past-pi=easy",
    "arcface:scale=64:margin=0.5:past-pi=plain",
    "arcface:scale=64:margin=3.1",
    "combined-margin:scale=64:m1=0.9:m2=0.4:m3=0.15",
    "sphereface:scale=64:margin=4",
    "cosface:scale=64:margin=0.35",
];

/// Features that are their class vectors, times `sign`, with the last bit of each element moved by `ulps`.
fn features_at_poles<F: Real>(weights: &Array2<F>, sign: f64, ulps: f64) -> Array2<F> {
    let unit = l2_normalize::forward("weights", weights.view()).expect("rows are not zero").unit;
    let mut element = 0;
    unit.mapv(|value| {
        element += 1;
        let direction = if element % 2 == 0 { 1.0 } else { -1.0 };
        F::of(sign) * value * (F::one() + F::of(direction * ulps) * F::epsilon())
    })
}

/// The bound that the module promises: |d_x̂| ≤ s (1 + |slope| sinθ) (p_others ≤ 1), and |slope| sinθ ≤ 1 for cones; the
/// rounding of x̂ and ŵ, some √D ε, is multiplied by at most 1/floor.
fn gradient_bound<F: Real>(scale: f64, steepest: f64, dimension: usize) -> f64 {
    let rounding = (dimension as f64).sqrt() * F::epsilon().to_double() / sin_floor::<F>().to_double();
    scale * (2.0 + steepest + rounding)
}

fn gradients_are_finite_and_bounded<F: Real>() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for dimension in [2, 128, 512, 1280] {
        for draw in 0..20 {
            let weights: Array2<F> = init::glorot_normal(8, dimension, &mut rng);
            let labels = Array1::from_iter(0..8);
            for (sign, ulps) in [(1.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (1.0, 40.0), (-1.0, 40.0)] {
                let features = features_at_poles(&weights, sign, ulps);
                for spec in MARGIN_HEADS {
                    let head = head(spec).0;
                    let parameters = head.initial_parameters(weights.clone()).expect("enough classes");
                    let context = format!("{spec}, dimension {dimension}, draw {draw}, sign {sign}, {ulps} ulps");
                    let (loss, cache) =
                        head.forward(features.view(), &parameters, labels.view()).expect("well-formed inputs");
                    assert!(loss.is_finite(), "{context}: loss {loss}");
                    let gradients = head.backward(cache);
                    // m = 4 for SphereFace; the cones have slope 1 in θ.
                    let bound = gradient_bound::<F>(64.0, 4.0, dimension);
                    for row in gradients.d_features.rows() {
                        let norm = row.dot(&row).sqrt().to_double();
                        assert!(norm <= bound, "{context}: a row of d_features has norm {norm}, above {bound}");
                    }
                    // Each class has one row of the batch of 8 on it: the same bound, with the class vector's length.
                    for (row, weight) in gradients.d_weights.rows().into_iter().zip(weights.rows()) {
                        let norm = (row.dot(&row) * weight.dot(&weight)).sqrt().to_double();
                        assert!(norm <= bound, "{context}: a row of d_weights has norm {norm}, above {bound}");
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_finite_and_bounded_in_single_precision() {
    gradients_are_finite_and_bounded::<f32>();
}

#[test]
fn gradients_are_finite_and_bounded_in_double_precision() {
    gradients_are_finite_and_bounded::<f64>();
}

#[test]
fn cosines_of_a_vector_with_itself_never_exceed_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for dimension in [128, 512, 1280] {
        let weights: Array2<f32> = init::glorot_normal(100, dimension, &mut rng);
        let head = NormSoftmax { scale: Scale::Fixed(1.0) };
        let cosine = head.logits(weights.view(), &weights.clone().into()).expect("not zero");
        assert!(cosine.iter().all(|&cosine| (-1.0..=1.0).contains(&cosine)));
        let unit = l2_normalize::forward("weights", weights.view()).expect("not zero").unit;
        for row in unit.axis_iter(Axis(0)) {
            let angle = Angle::between(row, row);
            assert!(angle.cos <= 1.0 && angle.sin == 0.0, "{angle:?}");
        }
    }
}

/// Down to the floor, ArcFace's gradient is that of the formula: of size s sin(θ+m), though `dψ/dcosθ` is 1/θ.
#[test]
fn arcface_keeps_its_gradient_down_to_the_floor() {
    let head = head("arcface:scale=1:margin=0.5").0;
    for exponent in 1..=13 {
        let theta = 10f64.powi(-exponent);
        let features = ndarray::array![[theta.cos(), theta.sin(), 0.0]];
        let weights = ndarray::array![[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        let parameters = head.initial_parameters(weights).expect("two classes");
        let (loss, cache) = head.forward(features.view(), &parameters, ndarray::array![0].view()).expect("well-formed");
        let gradients = head.backward(cache);
        // The other class is at right angles to both, so only the target moves the gradient in the plane of θ.
        let expected = (1.0 - (-loss).exp()) * (theta + 0.5).sin();
        let found = -gradients.d_features[[0, 0]] * theta.sin() + gradients.d_features[[0, 1]] * theta.cos();
        approx::assert_relative_eq!(found, expected, max_relative = 4.0 * f64::EPSILON / theta + 1e-12);
    }
}

/// A neutral margin is none all the way to the poles, where cosines of different angles are equal.
#[test]
fn neutral_margins_are_none_within_rounding_of_a_pole() {
    let specs = [
        "arcface:scale=1:margin=0",
        "arcface:scale=1:margin=0:past-pi=continuous",
        "arcface:scale=1:margin=0:past-pi=plain",
        "sphereface:scale=1:margin=1",
        "combined-margin:scale=1:m1=1:m2=0:m3=0",
    ];
    for spec in specs {
        for exponent in 1..=13 {
            for pole in [1.0, -1.0] {
                let theta = 10f64.powi(-exponent);
                let features = ndarray::array![[pole * theta.cos(), theta.sin()]];
                // The other class at the opposite pole: nothing but the small angle makes a gradient.
                let parameters = Parameters::from(ndarray::array![[1.0, 0.0], [-1.0, 0.0]]);
                let labels = ndarray::array![0];
                let gradient = |head: AnyHead| {
                    let (_, cache) = head.forward(features.view(), &parameters, labels.view()).expect("well-formed");
                    head.backward(cache).d_features[[0, 1]]
                };
                let (found, expected) = (gradient(head(spec).0), gradient(head("norm-softmax:scale=1").0));
                approx::assert_relative_eq!(found, expected, max_relative = 64.0 * f64::EPSILON / theta + 1e-12);
            }
        }
    }
}
