//! Rows fitted so well that their loss is 1e-30: loss and gradient keep their digits in single precision.

use super::case::head;
use arcos::heads::Gradients;
use arcos::ops::softmax_cross_entropy as cross_entropy;
use arcos::{Head, Parameters};
use ndarray::{Array1, Array2, array};

const EPSILON: f64 = f32::EPSILON as f64;

fn assert_close(context: &str, found: f32, expected: f64, bound: f64) {
    assert!(
        (f64::from(found) - expected).abs() <= bound * expected.abs() && (found != 0.0 || expected == 0.0),
        "{context}: {found:e} in f32, {expected:e} in f64; bound {bound:e} relative"
    );
}

/// The target leads by `lead`; in f32 a plain softmax gives p = 1, loss 0 and gradient 0 from a lead of 17 on.
#[test]
fn cross_entropy_keeps_its_digits_from_one_to_1e_minus_30() {
    for lead in [0.0f32, 1.0, 5.0, 10.0, 17.0, 25.0, 40.0, 60.0, 69.0] {
        let logits = array![[0.25f32, 0.25 + lead, -1.5, 0.0]];
        let labels = array![1];
        let (expected_loss, expected) =
            cross_entropy::forward(logits.mapv(f64::from), labels.view()).expect("finite logits");
        let (loss, found) = cross_entropy::forward(logits, labels.view()).expect("finite logits");
        // The differences of these logits are exact; what is left is exp's and ln's own rounding.
        let bound = 8.0 * EPSILON;
        assert_close(&format!("lead {lead}: loss"), loss, expected_loss, bound);
        let (found, expected) = (cross_entropy::backward(found), cross_entropy::backward(expected));
        for (class, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
            assert_close(&format!("lead {lead}: d_logits of class {class}"), found, expected, bound);
        }
    }
}

#[test]
fn a_target_far_behind_costs_its_distance() {
    for behind in [100.0f32, 1e3, 1e4, 1e30] {
        let logits = array![[behind, 0.0, -behind]];
        let labels = array![1];
        let (loss, cache) = cross_entropy::forward(logits, labels.view()).expect("finite logits");
        assert_eq!(loss, behind);
        assert_eq!(cross_entropy::backward(cache), array![[1.0, -1.0, 0.0]]);
    }
}

/// Features at `angle` from their class vectors, which are at right angles to each other.
fn fitted(angle: f64) -> (Array2<f32>, Array2<f32>, Array1<i64>) {
    let classes = 6;
    let weights = Array2::from_diag(&Array1::linspace(0.5, 2.0, classes));
    let features = Array2::from_shape_fn((classes, classes), |(row, column)| {
        let aside = [0.8, 0.6][(row + column) % 2] * if column == (row + 1) % classes { 1.0 } else { -0.3 };
        if row == column { angle.cos() } else { angle.sin() * aside }
    });
    (features.mapv(|value| value as f32), weights.mapv(|value: f64| value as f32), Array1::from_iter(0..classes as i64))
}

#[test]
fn heads_keep_their_digits_where_rows_are_fitted() {
    let specs = [
        "softmax",
        "l2-softmax:alpha=40",
        "norm-softmax:scale=64",
        "sphereface:scale=64:margin=1.35",
        "cosface:scale=64:margin=0.35",
        "arcface:scale=64:margin=0.5",
        "arcface:scale=128:margin=0.2",
        "combined-margin:scale=64:m1=1:m2=0.3:m3=0.2",
    ];
    for spec in specs {
        for angle in [0.05, 0.2, 0.5, 0.9] {
            let head = head(spec).0;
            let (features, weights, labels) = fitted(angle);
            // Plain softmax has no scale of its own: longer features stand for it.
            let features = if spec == "softmax" { features * 50.0 } else { features };
            let wide = head.initial_parameters(weights.mapv(f64::from)).expect("enough classes");
            let narrow: Parameters<f32> = head.initial_parameters(weights).expect("enough classes");
            let (expected_loss, cache) =
                head.forward(features.mapv(f64::from).view(), &wide, labels.view()).expect("well-formed inputs");
            let expected: Gradients<f64> = head.backward(cache);
            let (loss, cache) = head.forward(features.view(), &narrow, labels.view()).expect("well-formed inputs");
            let scale = cache.statistics.scale;
            let found: Gradients<f32> = head.backward(cache);

            // What is promised ends at 1e-30: f32's normal numbers end at 1e-38, over which factors and sums stray.
            if expected_loss < 1e-30 {
                continue;
            }
            // r = Σ exp(z_j - z_y): its relative error is the absolute error of the logits, a few ε times the largest.
            let largest = if spec == "softmax" { 100.0 } else { 2.0 * scale };
            let bound = 4.0 * EPSILON * largest;
            let context = format!("{spec} at {angle} rad (loss {expected_loss:e})");
            assert_close(&context, loss, expected_loss, bound);
            // Elements cancel against each other by rows; a row's largest element is what keeps its digits.
            for (name, found, expected) in [
                ("d_features", &found.d_features, &expected.d_features),
                ("d_weights", &found.d_weights, &expected.d_weights),
            ] {
                for (row, (found, expected)) in found.rows().into_iter().zip(expected.rows()).enumerate() {
                    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
                    // A row fitted better still than the batch is past what is promised.
                    if largest < 1e-30 {
                        continue;
                    }
                    // At 0.05 rad from its class a feature's part at right angles has lost a factor of 20.
                    let bound = bound + 16.0 * EPSILON / angle;
                    for (&found, &expected) in found.iter().zip(expected) {
                        let difference = (f64::from(found) - expected).abs();
                        assert!(
                            difference <= bound * largest,
                            "{context}: {name}, row {row}: {found:e} in f32, {expected:e} in f64, row's largest {largest:e}"
                        );
                    }
                    assert!(found.iter().any(|&value| value != 0.0), "{context}: {name}, row {row} is zero");
                }
            }
        }
    }
}
