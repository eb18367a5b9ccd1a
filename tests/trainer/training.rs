//! The trainer: what it learns, that it repeats itself bit by bit, and that it goes on where it stopped.

use super::birds::{adacos, birds, run, trainer};
use arcos::data::{Dataset, TransformKind};
use arcos::heads::{AdaCos, ArcFace, L2Softmax};
use arcos::optim::{AdamW, Decay, Optimizer, RmsProp, Schedule, Sgd};
use arcos::train::{
    Checkpoint, EpochRecord, Kernel, Place, RunDirectory, TrainConfig, Trainer, read_history, read_steps,
    read_target_angles,
};
use arcos::{Error, Head, HeadOptions};
use ndarray::array;
use std::fs;
use std::path::Path;

fn config(head: Head) -> TrainConfig {
    TrainConfig { epochs: 4, learning_rate: 3e-3, ..TrainConfig::new(head) }
}

/// All figures but the speed.
fn figures(history: &[EpochRecord]) -> Vec<EpochRecord> {
    history.iter().map(|record| EpochRecord { images_per_second: 0.0, ..record.clone() }).collect()
}

#[test]
fn every_head_learns_with_every_optimizer() {
    let optimizers =
        [Optimizer::Sgd(Sgd::default()), Optimizer::RmsProp(RmsProp::default()), Optimizer::AdamW(AdamW::default())];
    for name in Head::names() {
        for optimizer in optimizers {
            let mut options = HeadOptions::default();
            if Head::options_of(name).expect("listed").contains(&"scale") {
                options.scale = Some(16.0);
            }
            let learning_rate = if matches!(optimizer, Optimizer::Sgd(_)) { 0.1 } else { 3e-3 };
            let head = Head::new(name, &options).expect("a head");
            let mut trainer = trainer(TrainConfig { optimizer, learning_rate, epochs: 20, ..config(head) });
            run(&mut trainer);
            let (first, last) = (&trainer.history()[0], &trainer.history()[19]);
            assert!(last.train_loss < first.train_loss, "{name} with {optimizer:?}: {last:?}");
            assert!(last.test_accuracy > Some(0.7), "{name} with {optimizer:?}: {last:?}");
            assert!(last.test_top5_accuracy >= last.test_accuracy, "{last:?}");
            assert!(last.target_cosine > first.target_cosine, "{name}: {first:?} {last:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let (mut first, mut second) = (trainer(config(adacos())), trainer(config(adacos())));
    run(&mut first);
    run(&mut second);
    assert_eq!(first.model(), second.model());
    assert_eq!(figures(first.history()), figures(second.history()));
    let mut other = trainer(TrainConfig { seed: 1, ..config(adacos()) });
    run(&mut other);
    assert_ne!(first.model().parameters.weights, other.model().parameters.weights);
}

#[test]
fn the_kernel_and_the_explicit_step_train_alike() {
    for name in Head::names() {
        let train = |kernel| {
            let head = Head::new(name, &HeadOptions::default()).expect("a head");
            let mut trainer = trainer(TrainConfig { kernel, ..config(head) });
            run(&mut trainer);
            trainer
        };
        let (streaming, explicit) = (train(Kernel::default()), train(Kernel::Explicit));
        for (found, expected) in streaming.history().iter().zip(explicit.history()) {
            for (found, expected) in [
                (found.train_loss, expected.train_loss),
                (found.gradient_norm, expected.gradient_norm),
                (found.scale, expected.scale),
                (found.test_loss.expect("tested"), expected.test_loss.expect("tested")),
            ] {
                approx::assert_relative_eq!(found, expected, max_relative = 1e-3);
            }
        }
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let heads = [
        adacos(),
        Head::ArcFace(ArcFace { scale: 16.0, ..ArcFace::default() }),
        Head::L2Softmax(L2Softmax { alpha: 8.0, learn_alpha: true }),
    ];
    let optimizers =
        [Optimizer::RmsProp(RmsProp::default()), Optimizer::Sgd(Sgd::default()), Optimizer::AdamW(AdamW::default())];
    for (head, optimizer) in heads.into_iter().zip(optimizers) {
        let schedule = Schedule { warm_up: 1.5, decay: Decay::Cosine };
        let config = TrainConfig { optimizer, schedule, transform: TransformKind::Standardise, ..config(head) };
        let mut whole = trainer(config.clone());
        run(&mut whole);

        let mut interrupted = trainer(config.clone());
        interrupted.run_epoch(|_| ()).expect("training goes on");
        interrupted.run_epoch(|_| ()).expect("training goes on");
        let path = directory.path().join("checkpoint");
        interrupted.checkpoint().save(&path).expect("writable");
        drop(interrupted);

        let (train, test) = birds();
        let checkpoint = Checkpoint::load(&path).expect("just written");
        let mut resumed = Trainer::resume(checkpoint, config, train, Some(test)).expect("the same run");
        assert_eq!(resumed.history().len(), 2);
        run(&mut resumed);
        assert_eq!(resumed.checkpoint().moments, whole.checkpoint().moments);
        assert_eq!(resumed.model(), whole.model());
        assert_eq!(figures(resumed.history()), figures(whole.history()));
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let (train, test) = birds();
    let mut trainer = trainer(config(adacos()));
    trainer.run_epoch(|_| ()).expect("training goes on");
    let resume = |config: TrainConfig, train: &Dataset| {
        Trainer::resume(trainer.checkpoint().clone(), config, train.clone(), Some(test.clone())).map(|_| ())
    };
    assert!(resume(TrainConfig { epochs: 9, ..config(adacos()) }, &train).is_ok(), "more epochs are fine");
    let other = resume(TrainConfig { learning_rate: 1e-4, ..config(adacos()) }, &train);
    assert!(matches!(other, Err(Error::Setting { name: "the configuration", .. })));
    let fewer = Dataset::new(train.features.clone(), train.labels.mapv(|label| label.min(8))).expect("well-formed");
    assert!(matches!(resume(config(adacos()), &fewer), Err(Error::Shape { .. })));
}

#[test]
fn heads_are_stored_by_the_names_they_are_asked_for_by() {
    for name in Head::names() {
        let head = Head::new(name, &HeadOptions::default()).expect("every head has defaults");
        let stored = serde_json::to_value(&head).expect("plain data");
        assert_eq!(stored["name"], name);
        assert_eq!(serde_json::from_value::<Head>(stored).expect("just stored"), head);
    }
}

#[test]
fn learned_alpha_moves_and_fixed_alpha_does_not() {
    for learn_alpha in [false, true] {
        let mut trainer = trainer(config(Head::L2Softmax(L2Softmax { alpha: 8.0, learn_alpha })));
        run(&mut trainer);
        assert_eq!(trainer.model().parameters.alpha != Some(8.0), learn_alpha);
    }
}

#[test]
fn the_scale_of_adacos_is_kept_below_its_bound() {
    let Head::AdaCos(head) = TrainConfig::new(adacos()).head else { unreachable!("it is AdaCos") };
    assert_eq!(head.max_scale, Some(64.0), "a trainer sets a bound");
    let mut trainer = trainer(config(Head::AdaCos(AdaCos { max_scale: Some(2.5) })));
    run(&mut trainer);
    assert_eq!(trainer.model().parameters.scale, Some(2.5));
}

#[test]
fn ignored_rows_take_no_part() {
    let (train, _) = birds();
    let mut labels = train.labels.clone();
    labels.slice_mut(ndarray::s![..100]).fill(-100);
    let kept: Vec<usize> = (100..205).collect();
    let rows = train.features.view().select(ndarray::Axis(0), &kept);
    let with = Dataset::new(train.features.clone(), labels.clone()).expect("well-formed");
    let without = Dataset::new(rows.into(), labels.slice(ndarray::s![100..]).to_owned()).expect("well-formed");
    // The transform is fitted on all rows, labelled or not: leave it out.
    let config = TrainConfig { transform: TransformKind::None, ..config(adacos()) };
    let mut with = Trainer::new(config.clone(), with, None).expect("well-formed");
    let mut without = Trainer::new(config, without, None).expect("well-formed");
    run(&mut with);
    run(&mut without);
    assert_eq!(with.model(), without.model());
}

#[test]
fn a_model_evaluates_raw_features_as_training_did() {
    let mut trainer = trainer(config(adacos()));
    run(&mut trainer);
    let evaluation = trainer.model().evaluate(&birds().1).expect("well-formed");
    let last = trainer.history().last().expect("epochs");
    assert_eq!((Some(evaluation.accuracy), Some(evaluation.loss)), (last.test_accuracy, last.test_loss));
}

#[test]
fn divergence_is_an_error_that_says_when() {
    let config = TrainConfig {
        optimizer: Optimizer::Sgd(Sgd::default()),
        learning_rate: 1e38,
        ..config(Head::new("softmax", &HeadOptions::default()).expect("a head"))
    };
    let mut trainer = trainer(config);
    let error = (0..4).find_map(|_| trainer.run_epoch(|_| ()).err()).expect("it diverges");
    assert!(matches!(error, Error::Training { epoch: 1, .. }), "{error}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let (train, _) = birds();
    let refused = |config: TrainConfig| Trainer::new(config, train.clone(), None).expect_err("refused").to_string();
    let base = || config(adacos());
    assert_eq!(refused(TrainConfig { batch_size: 0, ..base() }), "batch size is 0; expected at least 1");
    assert_eq!(refused(TrainConfig { epochs: 0, ..base() }), "epochs is 0; expected at least 1");
    assert_eq!(
        refused(TrainConfig { learning_rate: -1.0, ..base() }),
        "learning rate is -1; expected a positive finite number"
    );
    let sgd = Optimizer::Sgd(Sgd { momentum: 1.0, ..Sgd::default() });
    assert_eq!(refused(TrainConfig { optimizer: sgd, ..base() }), "momentum is 1; expected a number from 0 to below 1");
    let one_class = Dataset::new(array![[1.0f32, 2.0], [2.0, 1.0]].into(), array![0, 0]).expect("well-formed");
    assert!(matches!(Trainer::new(base(), one_class, None), Err(Error::TooFewClasses { .. })));
    for label in [1_000_000_000_000, i64::MAX] {
        let gap = Dataset::new(array![[1.0f32, 2.0], [2.0, 1.0]].into(), array![0, label]).expect("well-formed");
        let error = Trainer::new(base(), gap, None).expect_err("refused").to_string();
        assert!(error.starts_with(&format!("labels[1] is {label}; expected classes numbered from 0")), "{error}");
    }
}

fn files_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_directory_holds_history_events_and_the_newest_checkpoints() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("run");
    assert_eq!(RunDirectory::newest_checkpoint(&path).expect("nothing yet"), None);
    let mut trainer = trainer(config(adacos()));
    let mut run = RunDirectory::create(&path, 2, trainer.checkpoint()).expect("writable");
    while !trainer.is_done() {
        trainer.run_epoch(|_| ()).expect("training goes on");
        run.save(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
    }
    let kept = ["epoch-0003.json", "epoch-0003.safetensors", "epoch-0004.json", "epoch-0004.safetensors"];
    assert_eq!(files_in(&path.join("checkpoints")), kept);
    assert_eq!(read_history(&path.join("history.csv")).expect("just written"), trainer.history());
    assert_eq!(files_in(&path.join("tensorboard")).len(), 1);

    let steps = read_steps(&path).expect("just written");
    assert_eq!((steps.len(), steps[27].epoch, steps[27].batch), (4 * 7, 4, 7));
    assert_eq!(steps[21..], trainer.epoch_log().steps);
    let angles = read_target_angles(&path).expect("just written");
    assert_eq!(
        angles.iter().map(|(epoch, angles)| (*epoch, angles.total())).collect::<Vec<_>>(),
        [1, 2, 3, 4].map(|epoch| (epoch, 205))
    );
    assert_eq!(angles[3].1, trainer.epoch_log().target_angles);

    // Another run has gone on since: this one would take its checkpoints for its own.
    drop(run);
    let behind = Checkpoint::load(&path.join("checkpoints/epoch-0003")).expect("whole");
    let error = RunDirectory::create(&path, 2, &behind).expect_err("epoch 4 is there").to_string();
    assert!(error.contains("holds a run that has come to epoch 4; expected one at epoch 3"), "{error}");

    // A checkpoint whose JSON is missing was never finished. A run that goes on after epoch 3 drops what is logged of later ones, and a
    // row that was never finished.
    fs::remove_file(path.join("checkpoints/epoch-0004.json")).expect("there");
    let log = path.join("iterations.csv");
    let text = fs::read_to_string(&log).expect("just written");
    fs::write(&log, format!("{text}2,")).expect("writable");
    let mut run = RunDirectory::create(&path, 2, &behind).expect("writable");
    assert_eq!(read_steps(&path).expect("whole rows"), steps[..21]);
    assert_eq!(read_target_angles(&path).expect("whole rows"), angles[..3]);

    // A process that was killed between making a log and writing to it leaves an empty file.
    fs::write(path.join("target_angles.csv"), "").expect("writable");
    run.save(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
    assert_eq!(read_target_angles(&path).expect("with a header"), angles[3..]);
    let newest = RunDirectory::newest_checkpoint(&path).expect("readable").expect("just written");
    assert_eq!(Checkpoint::load(&newest).expect("whole").place(), Place { epochs: 4, batches: 0 });
}

#[test]
fn checkpoints_that_are_damaged_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("checkpoint");
    let mut trainer = trainer(config(adacos()));
    trainer.run_epoch(|_| ()).expect("training goes on");
    let save = || trainer.checkpoint().save(&path).expect("writable");
    let (tensors, json) = (path.with_extension("safetensors"), path.with_extension("json"));

    save();
    let bytes = fs::read(&tensors).expect("written");
    fs::write(&tensors, &bytes[..bytes.len() / 2]).expect("writable");
    assert!(matches!(Checkpoint::load(&path), Err(Error::File { .. })), "half a file");

    save();
    fs::write(&json, "{}").expect("writable");
    assert!(matches!(Checkpoint::load(&path), Err(Error::File { .. })), "no configuration");

    save();
    let text = fs::read_to_string(&json).expect("written").replace("checkpoint 1", "checkpoint 9");
    fs::write(&json, text).expect("writable");
    let error = Checkpoint::load(&path).expect_err("of another version").to_string();
    assert!(error.ends_with("arcos checkpoint 9; expected arcos checkpoint 1"), "{error}");

    fs::remove_file(&json).expect("there");
    assert!(matches!(Checkpoint::load(&path), Err(Error::Io { .. })), "no JSON");
}
