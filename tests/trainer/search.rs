//! The search among configurations: what it tries, where it stops, what it counts.

use super::birds::birds;
use arcos::AnyHead;
use arcos::heads::{NormSoftmax, Scale};
use arcos::optim::{Optimizer, Sgd};
use arcos::train::{Search, TrainConfig, Trial};
use std::sync::atomic::{AtomicBool, Ordering};

fn candidates(scales: &[f64]) -> Vec<TrainConfig> {
    let head = |&scale| AnyHead::from(NormSoftmax { scale: Scale::Fixed(scale) });
    scales.iter().map(|scale| TrainConfig { epochs: 2, ..TrainConfig::new(head(scale)) }).collect()
}

const SEARCH: Search = Search { folds: 3, repeats: 1, halving: 2, seed: 0 };

#[test]
fn what_is_known_is_not_tried_again_and_what_is_stopped_can_go_on() {
    let (train, _) = birds();
    let candidates = candidates(&[1.0, 2.0, 4.0, 8.0]);
    let mut all: Vec<Trial> = Vec::new();
    let whole = SEARCH.run(&candidates, &train, &[], |trial, _| all.push(trial), || false).expect("a search");
    assert_eq!(all.len(), SEARCH.trainings(4));
    assert!(!whole.is_stopped);

    let mut first: Vec<Trial> = Vec::new();
    let is_over = AtomicBool::new(false);
    let on_trial = |trial, _: Option<&_>| {
        first.push(trial);
        is_over.store(true, Ordering::Relaxed);
    };
    let part = SEARCH.run(&candidates, &train, &[], on_trial, || is_over.load(Ordering::Relaxed)).expect("a trial");
    assert!(part.is_stopped && first.len() < all.len(), "{first:?}");
    let mut rest = first.clone();
    let again = SEARCH.run(&candidates, &train, &first, |trial, _| rest.push(trial), || false).expect("a search");
    assert_eq!(again, whole);
    let sorted = |mut trials: Vec<Trial>| {
        trials.sort_by_key(|trial| (trial.split, trial.candidate));
        trials
    };
    assert_eq!(sorted(rest), sorted(all));
    assert!(SEARCH.run(&candidates, &train, &[], |_, _| {}, || true).is_err(), "there is nothing to choose from");
}

#[test]
fn a_training_that_fails_has_nothing_right_and_is_no_result() {
    let (train, _) = birds();
    let diverging = TrainConfig {
        learning_rate: 1e30,
        optimizer: Optimizer::Sgd(Sgd { weight_decay: 1e10, ..Sgd::default() }),
        ..TrainConfig::new(AnyHead::new("softmax", &[]).expect("a head"))
    };
    let both = [diverging.clone(), candidates(&[8.0]).remove(0)];
    let mut failures = Vec::new();
    let on_trial = |trial: Trial, failure: Option<&arcos::Error>| {
        assert_eq!(trial.right.is_none(), failure.is_some());
        failures.extend(failure.map(|failure| (trial.candidate, failure.to_string())));
    };
    let found = SEARCH.run(&both, &train, &[], on_trial, || false).expect("the other is fine");
    assert_eq!((found.chosen, found.scores[1].failed, found.scores[1].accuracy), (1, 1, 0.0));
    assert!(failures.len() == 1 && failures[0].0 == 0, "{failures:?}");
    let error = SEARCH.run(&[diverging], &train, &[], |_, _| {}, || false).expect_err("all fail");
    let first = &failures[0].1;
    let expected = format!(
        "the best candidate of 3 trainings that failed ({first}) is not defined; expected one that comes to its end"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn settings_out_of_range_are_errors() {
    for (search, expected) in [
        (Search { folds: 1, ..SEARCH }, "folds is 1; expected at least 2"),
        (Search { repeats: 0, ..SEARCH }, "repeats is 0; expected at least 1"),
        (Search { repeats: 1001, ..SEARCH }, "repeats is 1001; expected at most 1000"),
        (Search { halving: 1, ..SEARCH }, "halving is 1; expected at least 2"),
    ] {
        assert_eq!(search.check(1).expect_err("out of range").to_string(), expected);
    }
    assert!(SEARCH.check(0).is_err());
    // However many, they are counted without overflow.
    assert_eq!(Search { folds: usize::MAX, repeats: 2, ..SEARCH }.trainings(2), usize::MAX);
}
