//! Labels that were made wrong are found again by models that have not seen them.

use super::birds::run;
use super::training::config;
use arcos::AnyHead;
use arcos::data::Dataset;
use arcos::data::synthetic::SyntheticBirds;
use arcos::metrics::confident_learning::{OutOfSample, suspects};
use arcos::ops::IGNORE_LABEL;
use arcos::train::{TrainConfig, Trainer, out_of_sample};
use ndarray::{Array1, Array2};

/// 600 rows of ten classes, one in `nth` of another label than its own.
fn noisy(nth: usize) -> (Dataset, Vec<usize>) {
    let birds = SyntheticBirds {
        classes: 10,
        train_rows: 600,
        test_rows: 10,
        dimension: 48,
        row_spread: 0.5,
        bad_rows: 0.0,
        ..Default::default()
    };
    let ((features, labels), _): ((Array2<f32>, Array1<i64>), _) = birds.generate().expect("sensible sizes");
    // Classes take turns: steps of a number without common factors with 600 meet all of them.
    let wrong: Vec<usize> = (0..600).filter(|row| row * 7919 % 600 < 600 / nth).collect();
    let mut given = labels.clone();
    wrong.iter().for_each(|&row| given[row] = (labels[row] + 1 + (row / 10 % 9) as i64) % 10);
    (Dataset::new(features.into(), given).expect("well-formed"), wrong)
}

fn head(name: &str) -> TrainConfig {
    let options: &[_] = if AnyHead::takes(name, "scale") { &[("scale", "16")] } else { &[] };
    TrainConfig { epochs: 30, learning_rate: 0.01, ..config(AnyHead::new(name, options).expect("a head")) }
}

#[test]
fn labels_that_were_made_wrong_are_suspect_and_few_others() {
    for name in ["norm-softmax", "softmax", "adacos", "cosface", "sub-center-arcface"] {
        for nth in [5, 10, 20] {
            let (data, wrong) = noisy(nth);
            let found = out_of_sample(&head(name), &data, 5, || ()).expect("five folds");
            assert_eq!(found.len(), 600);
            let suspects = suspects(&found);
            let right = suspects.iter().filter(|suspect| wrong.contains(&suspect.row)).count();
            let (precision, recall) = (right as f64 / suspects.len() as f64, right as f64 / wrong.len() as f64);
            assert!(precision > 0.85 && recall > 0.55, "{name}, one in {nth}: {precision} {recall}");
        }
    }
}

#[test]
fn every_labelled_row_is_asked_of_a_model_that_has_not_seen_it() {
    let (data, _) = noisy(10);
    let labels = Array1::from_shape_fn(600, |row| if row % 7 == 3 { IGNORE_LABEL } else { data.labels[row] });
    let data = Dataset::new(data.features, labels).expect("well-formed");
    let mut epochs = 0;
    let found = out_of_sample(&head("cosface"), &data, 3, || epochs += 1).expect("three folds");
    assert_eq!(epochs, 90);
    let rows: Vec<usize> = found.iter().map(|of_row| of_row.row).collect();
    let labelled: Vec<usize> = (0..600).filter(|row| row % 7 != 3).collect();
    assert_eq!(rows, labelled);
    for &OutOfSample { row, label, of_label, predicted, of_predicted } in &found {
        assert_eq!(label as i64, data.labels[row]);
        assert!((0.0..=1.0).contains(&of_label) && of_label <= of_predicted && of_predicted <= 1.0);
        assert_eq!(label == predicted, of_label == of_predicted);
    }
    // One that has seen them is surer of its labels.
    let mut trainer = Trainer::new(head("cosface"), data.clone(), None).expect("well-formed");
    run(&mut trainer);
    let seen = trainer.model().predictions(&data).expect("finite");
    let right = |predicted: &dyn Fn(usize) -> usize| {
        found.iter().enumerate().filter(|(place, of_row)| predicted(*place) == of_row.label).count()
    };
    assert!(right(&|place| seen[found[place].row]) > right(&|place| found[place].predicted));
    for folds in [0, 1, 601] {
        out_of_sample(&head("cosface"), &data, folds, || ()).expect_err("no such folds");
    }
}
