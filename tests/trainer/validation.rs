//! Validation rows: they say which epoch is best and when to stop, whatever test rows say, and a resumed run knows what they said.

use super::birds::{adacos, birds, run};
use super::hostile::{self, trained};
use arcos::data::{Dataset, TransformKind, ValidationSplit, validation_split};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::ArcFace;
use arcos::train::{
    Checkpoint, EpochRecord, HeldOut, Model, RunDirectory, TrainConfig, Trainer, best_epoch, read_history,
};
use arcos::{AnyHead, Error};
use ndarray_npy::write_npy;
use std::fs;
use std::ops::ControlFlow;

/// A rate at which accuracy goes up and down.
fn config(head: AnyHead) -> TrainConfig {
    TrainConfig { epochs: 12, learning_rate: 0.1, batch_size: 16, ..TrainConfig::new(head) }
}

fn data() -> (Dataset, HeldOut) {
    let (train, test) = birds();
    let ValidationSplit { train, validation } = validation_split(&train, 0.3, 0).expect("20 rows of each class");
    (train, HeldOut { validation: Some(validation), test: Some(test) })
}

fn trainer(config: TrainConfig) -> Trainer {
    let (train, held_out) = data();
    Trainer::new(config, train, held_out).expect("well-formed")
}

/// All figures but the speed.
fn figures(history: &[EpochRecord]) -> Vec<EpochRecord> {
    history.iter().map(|record| EpochRecord { rows_per_second: 0.0, ..record.clone() }).collect()
}

/// The model after each epoch.
fn models(config: TrainConfig) -> (Trainer, Vec<Model>) {
    let mut trainer = trainer(config);
    let mut models = Vec::new();
    while !trainer.is_done() {
        trainer.run_epoch(|_| ()).expect("training goes on");
        models.push(trainer.model().clone());
    }
    (trainer, models)
}

#[test]
fn the_best_epoch_on_validation_rows_is_the_result() {
    let (trainer, models) = models(config(adacos()));
    let (_, held_out) = data();
    let validation = held_out.validation.expect("a part");
    let evaluations: Vec<_> = models.iter().map(|model| model.evaluate(&validation).expect("well-formed")).collect();
    for (record, evaluation) in trainer.history().iter().zip(&evaluations) {
        let expected = (Some(evaluation.accuracy), Some(evaluation.loss));
        assert_eq!((record.validation_accuracy, record.validation_loss), expected);
    }
    let better = |a: &usize, b: &usize| {
        let (a, b) = (&evaluations[*a], &evaluations[*b]);
        a.accuracy.total_cmp(&b.accuracy).then(b.loss.total_cmp(&a.loss))
    };
    let best = (0..models.len()).rev().max_by(better).expect("epochs");
    assert!(best + 1 < models.len(), "the last epoch is the best: nothing is tested here");
    assert_eq!(best_epoch(trainer.history()), Some(best + 1));
    assert!(trainer.best_model() == &models[best] && trainer.model() != &models[best]);
}

#[test]
fn test_rows_have_no_say() {
    let (with, models) = models(config(adacos()));
    let (train, held_out) = data();
    let others = held_out.test.clone().map(|test| Dataset::new(test.features, test.labels.mapv(|label| 9 - label)));
    for test in [None, others.transpose().expect("well-formed")] {
        let mut without =
            Trainer::new(config(adacos()), train.clone(), HeldOut { test, ..held_out.clone() }).expect("well-formed");
        run(&mut without);
        assert_eq!(best_epoch(without.history()), best_epoch(with.history()));
        assert!(without.best_model() == with.best_model() && without.model() == models.last().expect("epochs"));
    }
}

#[test]
fn training_stops_when_patience_is_at_its_end() {
    let (whole, models) = models(TrainConfig { epochs: 30, ..config(adacos()) });
    let stopped = |patience| {
        let mut trainer = trainer(TrainConfig { epochs: 30, patience: Some(patience), ..config(adacos()) });
        run(&mut trainer);
        trainer
    };
    let one = stopped(1);
    let epochs = one.history().len();
    let best = best_epoch(one.history()).expect("validated");
    assert_eq!(epochs, best + 1);
    assert!(epochs < 30, "it never got worse: nothing is tested here");
    assert_eq!(figures(one.history()), figures(&whole.history()[..epochs]));
    assert_eq!(one.best_model(), &models[best - 1]);

    // With more patience it goes on, to the bits of a run that had it from the beginning.
    let patient = stopped(4);
    assert!(patient.history().len() > epochs);
    let (train, held_out) = data();
    let config = TrainConfig { patience: Some(4), ..one.config().clone() };
    let mut resumed = Trainer::resume(one.checkpoint().clone(), config, train, held_out).expect("the same run");
    run(&mut resumed);
    assert_eq!(figures(resumed.history()), figures(patient.history()));
    assert!(resumed.model() == patient.model() && resumed.best_model() == patient.best_model());
}

#[test]
fn a_run_that_is_paused_anywhere_knows_its_best_epoch() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("checkpoint");
    let embedder = Some(Embedder { dimension: 6, block: EmbedBlock::E });
    let arcface = AnyHead::ArcFace(ArcFace::default());
    let transform = TransformKind::Standardise;
    for config in [config(adacos()), TrainConfig { embedder, transform, epochs: 6, ..config(arcface) }] {
        let mut whole = trainer(config.clone());
        run(&mut whole);
        let mut parts = trainer(config.clone());
        while !parts.is_done() {
            // After the first batch, then at the end of the epoch.
            parts.run_epoch_or_pause(|_| ControlFlow::Break(())).expect("training goes on");
            for _ in 0..2 {
                parts.checkpoint().save(&path).expect("writable");
                let loaded = Checkpoint::<AnyHead>::load(&path).expect("just written");
                assert_eq!(&loaded, parts.checkpoint());
                let done = loaded.history.len();
                let has_gone_on =
                    best_epoch(&loaded.history).is_some_and(|best| best < done || loaded.paused.is_some());
                assert_eq!(loaded.best.is_some(), has_gone_on, "what is the model itself is not kept twice");
                let (train, held_out) = data();
                parts = Trainer::resume(loaded, config.clone(), train, held_out).expect("the same run");
                if parts.checkpoint().paused.is_some() {
                    parts.run_epoch(|_| ()).expect("training goes on");
                }
            }
        }
        assert_eq!(figures(parts.history()), figures(whole.history()));
        assert!(parts.best_model() == whole.best_model() && parts.model() == whole.model());
        assert_eq!(parts.checkpoint().moments, whole.checkpoint().moments);
    }
}

#[test]
fn a_best_epoch_that_is_not_all_there_is_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut trainer = trainer(config(adacos()));
    run(&mut trainer);
    let mut checkpoint = trainer.checkpoint().clone();
    let path = directory.path().join("checkpoint");
    let refused = |checkpoint: &Checkpoint| {
        checkpoint.save(&path).expect("writable");
        Checkpoint::<AnyHead>::load(&path).expect_err("refused").to_string()
    };
    let best = checkpoint.best.take().expect("the last epoch is not the best");
    let message = refused(&checkpoint);
    assert!(message.contains("tensor \"weights\" of the best epoch is missing"), "{message}");
    checkpoint.best = Some(best);
    checkpoint.history.iter_mut().for_each(|record| record.validation_accuracy = None);
    let message = refused(&checkpoint);
    assert!(message.contains("tensor \"best.weights\" is there; expected none of that name"), "{message}");
}

#[test]
fn what_cannot_be_validated_is_refused() {
    let (train, held_out) = data();
    let refused = |config: TrainConfig, held_out: HeldOut| {
        Trainer::new(config, train.clone(), held_out).expect_err("refused").to_string()
    };
    let patient = |patience| TrainConfig { patience: Some(patience), ..config(adacos()) };
    let message = refused(patient(3), HeldOut { validation: None, ..held_out.clone() });
    assert_eq!(
        message,
        "patience is 3; expected none without validation rows, by which an epoch is better than another"
    );
    assert_eq!(refused(patient(0), held_out.clone()), "patience is 0; expected at least 1");
    let narrow = held_out.validation.as_ref().map(|data| {
        let features = data.features.rows().all().expect("in memory");
        let features = features.slice(ndarray::s![.., ..7]).to_owned();
        Dataset::new(features.into(), data.labels.clone()).expect("well-formed")
    });
    let message = refused(config(adacos()), HeldOut { validation: narrow, ..held_out.clone() });
    assert!(message.contains("expected (rows, 48), the dimension of the training rows"), "{message}");
}

#[test]
fn other_validation_rows_are_told_from_those_of_the_run() {
    let (train, held_out) = data();
    let mut trainer = trainer(config(adacos()));
    trainer.run_epoch(|_| ()).expect("training goes on");
    let differences = |validation: Option<Dataset>| {
        let held_out = HeldOut { validation, ..held_out.clone() };
        match Trainer::resume(trainer.checkpoint().clone(), config(adacos()), train.clone(), held_out) {
            Err(Error::OtherData { differences }) => differences,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(differences(None), ["there is no validation set, the run has one"]);
    let (whole, test) = birds();
    let message = format!(
        "the validation set has {} rows of 48 dimensions, the run's {} rows of 48 dimensions",
        test.rows(),
        whole.rows() - train.rows()
    );
    assert_eq!(differences(Some(test)), [message]);
    let without = trained(TrainConfig::new(adacos()));
    let held_out = HeldOut { validation: Some(hostile::data()), test: None };
    let resumed = Trainer::resume(without.checkpoint().clone(), without.config().clone(), hostile::data(), held_out);
    let Err(Error::OtherData { differences }) = resumed else { panic!("the run has no validation rows") };
    assert_eq!(differences, ["there is a validation set, the run has none"]);
}

#[test]
fn logs_have_columns_of_validation_where_there_is_any() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (name, validates) in [("with", true), ("without", false)] {
        let (train, held_out) = data();
        let held_out = if validates { held_out } else { HeldOut { validation: None, ..held_out } };
        let mut trainer = Trainer::new(config(adacos()), train, held_out).expect("well-formed");
        let path = directory.path().join(name);
        let mut run = RunDirectory::create(&path, 1, trainer.checkpoint()).expect("writable");
        for _ in 0..2 {
            trainer.run_epoch(|_| ()).expect("training goes on");
            run.log_epoch(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
        }
        let text = fs::read_to_string(path.join("history.csv")).expect("written");
        let columns = ",train_accuracy,validation_loss,validation_accuracy,test_loss,";
        assert_eq!(text.contains(columns), validates, "{text}");
        assert_eq!(text.contains(",train_accuracy,test_loss,"), !validates, "{text}");
        assert_eq!(read_history(&path.join("history.csv")).expect("just written"), trainer.history());
    }
}

#[test]
fn rows_of_a_file_are_held_out_in_it() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let [features, labels] = ["features.npy", "labels.npy"].map(|name| directory.path().join(name));
    let (train, _) = birds();
    write_npy(&features, &train.features.rows().all().expect("in memory").to_owned()).expect("writable");
    write_npy(&labels, &train.labels).expect("writable");
    let in_file = Dataset::read(&features, &labels, None).expect("just written");
    let trained = |data: &Dataset, transform| {
        let ValidationSplit { train, validation } = validation_split(data, 0.25, 7).expect("20 rows of each class");
        assert_eq!([&train, &validation].map(|part| part.features.is_in_file()), [data.features.is_in_file(); 2]);
        let config = TrainConfig { epochs: 2, transform, ..config(adacos()) };
        let mut trainer =
            Trainer::new(config, train, HeldOut { validation: Some(validation), test: None }).expect("well-formed");
        run(&mut trainer);
        (trainer.model().clone(), figures(trainer.history()), trainer.checkpoint().data)
    };
    assert!(in_file.features.is_in_file());
    for transform in [TransformKind::None, TransformKind::Standardise] {
        assert!(trained(&in_file, transform) == trained(&train, transform), "{transform:?}");
    }
    // An error about a row of a part has its number in the file.
    let ValidationSplit { validation, .. } = validation_split(&in_file, 0.25, 7).expect("20 rows of each class");
    let all = train.features.rows().all().expect("in memory");
    let held_out = validation.features.rows().all().expect("readable");
    let error = Error::ZeroNorm { what: "features", row: 3, norm: 0.0, minimum: 0.0 };
    let message = validation.located(error, "features", |row| row).to_string();
    let row = all.rows().into_iter().position(|row| row == held_out.row(3)).expect("one of them");
    assert!(
        message.contains("features.npy: features row ") && message.contains(&format!("row {row} has")),
        "{message}"
    );
}
