//! Rows of none of a model's classes: scores are those of all logits.

use super::birds::{adacos, birds, run};
use arcos::data::Dataset;
use arcos::heads::{Softmax, SphereFace2};
use arcos::metrics::unknown_rows::unknown_rows;
use arcos::ops::IGNORE_LABEL;
use arcos::train::{Model, TrainConfig, Trainer};
use arcos::{AnyHead, Error};

#[test]
fn scores_are_those_of_all_logits() {
    let (train, test) = birds();
    // Classes 7 to 9 are not trained on.
    let known = train.select(|label| label < 7).expect("most rows");
    let labels = test.labels.mapv(|label| if label < 7 { label } else { IGNORE_LABEL });
    let rows = |is_known: bool| {
        let rows = 0..test.rows();
        rows.filter(|&row| (test.labels[row] < 7) == is_known).collect::<Vec<_>>()
    };
    let unknown = test.select(|label| label >= 7).expect("the others").features;
    let tested = Dataset::new(test.features.clone(), labels.clone()).expect("well-formed");
    for head in [adacos(), AnyHead::Softmax(Softmax::default()), AnyHead::SphereFace2(SphereFace2::default())] {
        let config = TrainConfig { epochs: 10, ..TrainConfig::new(head) };
        let mut trainer = Trainer::new(config, known.clone(), None).expect("well-formed");
        run(&mut trainer);
        for temperature in [None, Some(3.0)] {
            let model = Model { temperature, ..trainer.model().clone() };
            let temperature = temperature.unwrap_or(1.0);
            let logits = model.logits(test.features.rows().all().expect("in memory").view()).expect("well-formed");
            let scores = model.acceptance_scores(&test.features).expect("well-formed");
            for (row, logits) in logits.rows().into_iter().enumerate() {
                let logits = logits.mapv(f64::from);
                let largest = logits.fold(f64::NEG_INFINITY, |largest, &logit| largest.max(logit));
                let sum = logits.mapv(|logit| ((logit - largest) / temperature).exp()).sum();
                let expected = [largest, 1.0 / sum, largest + temperature * sum.ln()];
                let found = [scores.logits[row], scores.probabilities[row], scores.energies[row]];
                for (found, expected) in found.into_iter().zip(expected) {
                    approx::assert_relative_eq!(found, expected, max_relative = 1e-4, epsilon = 1e-4);
                }
                assert_eq!(logits[scores.classes[row]], largest);
            }
            // Rows without a label are neither.
            let found = model.recognition(&tested, &model.acceptance_scores(&unknown).expect("well-formed"));
            let found = found.expect("known and unknown rows");
            for (scores, found) in [
                (&scores.logits, found.logit),
                (&scores.probabilities, found.probability),
                (&scores.energies, found.energy),
            ] {
                let predictions = model.predictions(&tested).expect("well-formed");
                let right: Vec<bool> =
                    rows(true).into_iter().map(|row| predictions[row] as i64 == labels[row]).collect();
                let [known, unknown] =
                    [true, false].map(|is_known| rows(is_known).into_iter().map(|row| scores[row]).collect::<Vec<_>>());
                assert_eq!(found, unknown_rows(&known, &right, &unknown).expect("both kinds"));
                let accuracy = right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
                assert!(found.oscr > 0.0 && found.oscr <= found.auroc.min(accuracy), "{found:?}");
            }
        }
    }
}

#[test]
fn unknown_rows_that_no_model_takes_are_refused() {
    let (train, test) = birds();
    let mut trainer =
        Trainer::new(TrainConfig { epochs: 1, ..TrainConfig::new(adacos()) }, train, None).expect("well-formed");
    run(&mut trainer);
    let features = test.features.rows().all().expect("in memory");
    let narrow = features.slice(ndarray::s![.., ..7]).to_owned();
    assert!(matches!(trainer.model().acceptance_scores(narrow.view()), Err(Error::Shape { .. })));
}
