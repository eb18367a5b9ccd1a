//! The figures of a batch.

use arcos::heads::{BatchStatistics, NormSoftmax, Scale, Softmax};
use arcos::metrics::angles::AngleHistogram;
use arcos::ops::IGNORE_LABEL;
use arcos::streaming::Streaming;
use arcos::{Head, Parameters};
use ndarray::{Array2, array};
use std::f64::consts::{FRAC_PI_2, PI};

fn statistics(head: &impl Head, features: &Array2<f64>, labels: &[i64], weights: &Array2<f64>) -> BatchStatistics {
    let parameters: Parameters<f64> = head.initial_parameters(weights.clone()).expect("enough classes");
    let labels = ndarray::ArrayView1::from(labels);
    let (step, _) =
        Streaming::default().forward_backward(head, features.view(), &parameters, labels).expect("a good batch");
    step.statistics
}

#[test]
fn means_are_over_labelled_rows() {
    let weights = array![[1.0, 0.0], [0.0, 2.0], [0.0, -1.0]];
    let features = array![[3.0, 0.0], [5.0, 5.0], [-2.0, 0.0], [0.0, 4.0]];
    // Angles 0, π and π/2; the second row takes no part.
    let labels = [0, IGNORE_LABEL, 0, 0];
    let found = statistics(&NormSoftmax { scale: Scale::Fixed(3.0) }, &features, &labels, &weights);
    let (_, cache) = NormSoftmax { scale: Scale::Fixed(3.0) }
        .forward(features.view(), &Parameters::from(weights), ndarray::ArrayView1::from(&labels))
        .expect("a good batch");
    assert_eq!(found, cache.statistics);
    assert_eq!((found.labelled, found.correct, found.scale), (3, 1, 3.0));
    approx::assert_abs_diff_eq!(found.target_cosine.expect("rows have directions"), 0.0, epsilon = 1e-12);
    approx::assert_relative_eq!(found.target_angle.expect("rows have directions"), FRAC_PI_2, max_relative = 1e-12);
    approx::assert_relative_eq!(
        found.median_target_angle.expect("rows have directions"),
        FRAC_PI_2,
        max_relative = 1e-12
    );
    let mut angles = AngleHistogram::default();
    [0.0, PI, FRAC_PI_2].into_iter().for_each(|theta| angles.add(theta));
    assert_eq!(found.target_angles, angles);

    let one = statistics(
        &NormSoftmax { scale: Scale::Fixed(3.0) },
        &features,
        &[IGNORE_LABEL, IGNORE_LABEL, 0, IGNORE_LABEL],
        &array![[1.0, 0.0], [0.0, 1.0]],
    );
    approx::assert_relative_eq!(one.target_cosine.expect("a direction"), -1.0, max_relative = 1e-12);
    approx::assert_relative_eq!(one.target_angle.expect("a direction"), PI, max_relative = 1e-12);
}

#[test]
fn a_labelled_row_without_direction_leaves_no_mean_angle() {
    let (features, weights) = (array![[0.0, 0.0], [1.0, 0.0]], array![[1.0, 0.0], [0.0, 1.0]]);
    let found = statistics(&Softmax {}, &features, &[0, 0], &weights);
    assert_eq!((found.target_cosine, found.target_angle, found.median_target_angle), (None, None, None));
    assert_eq!((found.labelled, found.target_angles.total()), (2, 1));
    let found = statistics(&Softmax {}, &features, &[IGNORE_LABEL, 0], &weights);
    assert_eq!((found.target_cosine, found.target_angle), (Some(1.0), Some(0.0)));
}
