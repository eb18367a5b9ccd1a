//! Objectives on logits, against their formulas; and what is wrong with one.

use super::objective_case::{EVERYTHING, Owned, Settings, settings};
use arcos::ops::{IGNORE_LABEL, Objective, Reduction, SoftTargets, softmax_cross_entropy};
use arcos::{Error, Result};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn logits(rows: usize, classes: usize, seed: u64) -> (Array2<f64>, Array1<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let logits = Array2::from_shape_simple_fn((rows, classes), || rng.random_range(-6.0..6.0));
    let mut labels = Array1::from_shape_simple_fn(rows, || rng.random_range(0..classes) as i64);
    if rows > 1 {
        labels[0] = IGNORE_LABEL;
    }
    (logits, labels)
}

proptest! {
    #[test]
    fn losses_and_gradients_are_those_of_the_formula(
        settings in settings(),
        (rows, classes, seed) in (1usize..=6, 2usize..=7, 0..10_000u64),
    ) {
        let (logits, labels) = logits(rows, classes, seed);
        let objective = Owned::new(settings, labels.clone(), classes, seed);
        let (loss, cache) = softmax_cross_entropy::forward(logits.clone(), objective.view()).expect("good logits");
        let labelled: Vec<_> = (0..rows).filter(|&row| labels[row] != IGNORE_LABEL).collect();
        let weights: f64 = labelled.iter().map(|&row| objective.weight(row)).sum();
        let divisor = if settings.is_sum { 1.0 } else { weights };
        let expected = |logits: &Array2<f64>| {
            let of_row = |&row: &usize| objective.weight(row) * objective.row_loss(row, logits.row(row));
            labelled.iter().map(of_row).sum::<f64>() / divisor
        };
        approx::assert_relative_eq!(loss, expected(&logits), max_relative = 1e-10);
        approx::assert_relative_eq!(cache.row_losses.sum() / cache.divisor, loss, max_relative = 1e-12);
        let gradient = softmax_cross_entropy::backward(cache);
        for (place, &found) in gradient.indexed_iter() {
            let at = |offset: f64| {
                let mut moved = logits.clone();
                moved[place] += offset;
                expected(&moved)
            };
            let step = 1e-3;
            let quotient = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
            let largest = gradient.row(place.0).fold(0.0, |largest: f64, value| largest.max(value.abs()));
            prop_assert!((found - quotient).abs() <= 1e-7 * largest + 1e-10, "{place:?}: {found} and {quotient}");
        }
    }
}

#[test]
fn what_changes_nothing_changes_no_bit() -> Result<()> {
    let (logits, labels) = logits(5, 6, 1);
    let run = |objective: Objective<f64>| softmax_cross_entropy::forward(logits.clone(), objective);
    let plain = run(labels.view().into())?;
    let (ones, rows) = (Array1::ones(6), Array1::from_elem(5, 1.0));
    let weighted =
        Objective { class_weights: Some(ones.view()), sample_weights: Some(rows.view()), ..labels.view().into() };
    assert_eq!(run(weighted)?, plain);
    let (classes, certain) = (labels.mapv(|label| label.max(0)).insert_axis(ndarray::Axis(1)), Array2::ones((5, 1)));
    let soft_targets = Some(SoftTargets { classes: classes.view(), probabilities: certain.view() });
    assert_eq!(run(Objective { soft_targets, ..labels.view().into() })?, plain);
    Ok(())
}

/// ln(1 + e⁻¹ + e⁻²) = 0.4076059644443803 for logits 2, 1, 0 with label 0.
#[test]
fn three_logits_by_hand() -> Result<()> {
    let (logits, labels) = (array![[2.0, 1.0, 0.0]], array![0]);
    let cross_entropy: f64 = 0.4076059644443803;
    let loss =
        |objective: Objective<f64>| softmax_cross_entropy::forward(logits.clone(), objective).map(|(loss, _)| loss);
    let plain = Objective::from(labels.view());
    approx::assert_relative_eq!(loss(plain)?, cross_entropy, max_relative = 1e-14);
    // 0.9 CE + 0.1 (CE + mean of 0, 1, 2)
    let smoothed = loss(Objective { label_smoothing: 0.1, ..plain })?;
    approx::assert_relative_eq!(smoothed, cross_entropy + 0.1, max_relative = 1e-14);
    let focal = loss(Objective { focal: 2.0, ..plain })?;
    let missing = 1.0 - (-cross_entropy).exp();
    approx::assert_relative_eq!(focal, missing * missing * cross_entropy, max_relative = 1e-13);
    let with_z = loss(Objective { z_loss: 0.5, ..plain })?;
    approx::assert_relative_eq!(with_z, cross_entropy + 0.5 * (2.0 + cross_entropy).powi(2), max_relative = 1e-14);
    Ok(())
}

#[test]
fn weights_make_a_weighted_mean_or_sum() -> Result<()> {
    let (logits, labels) = logits(4, 3, 2);
    let weights = array![9.0, 1.0, 2.0, 5.0];
    let plain = Objective::from(labels.view());
    let (_, rows) = softmax_cross_entropy::forward(logits.clone(), plain)?;
    let sum = (&rows.row_losses * &weights).sum();
    let weighted = Objective { sample_weights: Some(weights.view()), ..plain };
    let (mean, _) = softmax_cross_entropy::forward(logits.clone(), weighted)?;
    // The first row has no label.
    approx::assert_relative_eq!(mean, sum / 8.0, max_relative = 1e-14);
    let (total, cache) = softmax_cross_entropy::forward(logits, Objective { reduction: Reduction::Sum, ..weighted })?;
    approx::assert_relative_eq!(total, sum, max_relative = 1e-14);
    assert_eq!(cache.row_losses[0], 0.0);
    Ok(())
}

/// Past the digits of `1 - p`: a row whose loss is 1e-13 still has its gradient under focal modulation.
#[test]
fn focal_modulation_keeps_the_digits_of_well_fitted_rows() -> Result<()> {
    let (logits, labels) = (array![[30.0, 0.0]], array![0]);
    let objective = Objective { focal: 1.0, ..labels.view().into() };
    let (loss, cache) = softmax_cross_entropy::forward(logits, objective)?;
    let r = (-30.0f64).exp();
    approx::assert_relative_eq!(loss, r * r, max_relative = 1e-12);
    let gradient = softmax_cross_entropy::backward(cache);
    approx::assert_relative_eq!(gradient[[0, 0]], -2.0 * r * r, max_relative = 1e-12);
    approx::assert_relative_eq!(gradient[[0, 1]], 2.0 * r * r, max_relative = 1e-12);
    Ok(())
}

#[test]
fn mistakes_name_the_array_the_place_and_the_value() {
    let (logits, labels) = logits(3, 4, 3);
    let plain = || Objective::from(labels.view());
    let error = |objective: Objective<f64>| {
        softmax_cross_entropy::forward(logits.clone(), objective).expect_err("refused").to_string()
    };
    let (short, zero) = (array![1.0, 1.0], Array1::zeros(3));
    let (negative, not_a_number) = (array![1.0, 1.0, -1.0, 1.0], array![1.0, f64::NAN, 1.0]);
    for (objective, expected) in [
        (Objective { label_smoothing: 1.0, ..plain() }, "label smoothing is 1; expected a number from 0 to below 1"),
        (Objective { focal: -1.0, ..plain() }, "focal is -1; expected a number from 0 to 100"),
        (Objective { z_loss: f64::NAN, ..plain() }, "z-loss is NaN; expected a number from 0 to 1e6"),
        (
            Objective { sample_weights: Some(short.view()), ..plain() },
            "sample_weights has shape [2]; expected (3,), one for each row of features",
        ),
        (
            Objective { class_weights: Some(negative.view()), ..plain() },
            "class_weights[2] is -1; expected a number from 0 to 1e15",
        ),
        (
            Objective { sample_weights: Some(not_a_number.view()), ..plain() },
            "sample_weights[1] is NaN; expected a number from 0 to 1e15",
        ),
        (
            Objective { sample_weights: Some(zero.view()), ..plain() },
            "the largest weight of a labelled row is 0; expected above 0",
        ),
    ] {
        assert_eq!(error(objective), expected);
    }
    let with = |classes: &Array2<i64>, probabilities: &Array2<f64>| {
        let soft_targets = Some(SoftTargets { classes: classes.view(), probabilities: probabilities.view() });
        error(Objective { soft_targets, ..plain() })
    };
    let (classes, half) = (array![[0, 1], [1, 2], [2, 3]], Array2::from_elem((3, 2), 0.5));
    assert_eq!(
        with(&array![[0, 1]], &half),
        "soft targets' classes has shape [1, 2]; expected (3, k), some classes for each row of features"
    );
    assert_eq!(
        with(&classes, &array![[1.0], [1.0], [1.0]]),
        "soft targets' probabilities has shape [3, 1]; expected (3, 2), one for each of their classes"
    );
    assert_eq!(
        with(&classes, &(&half * 0.5)),
        "soft targets' probability is 0.5; expected 1, the sum of the probabilities of row 1"
    );
    assert_eq!(
        with(&classes, &array![[0.5, 0.5], [0.5, 0.5], [1.5, -0.5]]),
        "soft targets' probabilities[2] is -0.5; expected a number from 0 to 1e15"
    );
    assert_eq!(with(&(&classes + 1), &half), "a class of soft targets is 4; expected 0 to 3, a class");
    let labels_out = array![0, 1, 4];
    let result = softmax_cross_entropy::forward(logits.clone(), labels_out.view());
    assert!(matches!(result, Err(Error::LabelOutOfRange { row: 2, label: 4, .. })), "{result:?}");
    assert_ne!(EVERYTHING, Settings::default());
}
