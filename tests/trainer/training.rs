//! The trainer: what it learns, and that it repeats itself bit by bit.

use super::birds::{adacos, birds, run, trainer};
use arcos::data::{Dataset, TransformKind};
use arcos::heads::{AdaCos, L2Softmax};
use arcos::optim::{AdamW, Decay, Optimizer, RmsProp, Schedule, Sgd};
use arcos::train::{
    Checkpoint, ClassWeightRule, ClassWeights, EpochRecord, Kernel, RunDirectory, RunPosition, TrainConfig,
    TrainObjective, Trainer, read_history, read_steps, read_target_angles,
};
use arcos::{AnyHead, Error};
use ndarray::array;
use std::fs;
use std::path::Path;

pub fn config(head: AnyHead) -> TrainConfig {
    TrainConfig { epochs: 4, learning_rate: 3e-3, ..TrainConfig::new(head) }
}

/// All figures but the speed.
pub fn figures(history: &[EpochRecord]) -> Vec<EpochRecord> {
    history.iter().map(|record| EpochRecord { rows_per_second: 0.0, ..record.clone() }).collect()
}

#[test]
fn every_head_learns_with_every_optimizer() {
    let optimizers =
        [Optimizer::Sgd(Sgd::default()), Optimizer::RmsProp(RmsProp::default()), Optimizer::AdamW(AdamW::default())];
    for name in AnyHead::names() {
        for optimizer in optimizers {
            let takes_scale = AnyHead::takes(name, "scale");
            let options: &[_] = if takes_scale { &[("scale", "16")] } else { &[] };
            let learning_rate = if matches!(optimizer, Optimizer::Sgd(_)) { 0.1 } else { 3e-3 };
            let head = AnyHead::new(name, options).expect("a head");
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
    for name in AnyHead::names() {
        let train = |kernel| {
            let head = AnyHead::new(name, &[]).expect("a head");
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
fn each_step_has_the_rate_of_the_schedule() {
    // 205 rows are seven batches of 32: the rate of an epoch's last step is that of steps 6, 13, 20 and 27, counted from 0.
    let rates = |schedule| {
        let mut trainer = trainer(TrainConfig { schedule, learning_rate: 0.5, ..config(adacos()) });
        run(&mut trainer);
        trainer.history().iter().map(|record| record.learning_rate).collect::<Vec<_>>()
    };
    assert_eq!(rates(Schedule { warm_up: 4.0, decay: Decay::Constant }), [0.125, 0.25, 0.375, 0.5]);
    let drops = Decay::Step { every: 2, factor: 0.5 };
    assert_eq!(rates(Schedule { warm_up: 0.0, decay: drops }), [0.5, 0.5, 0.25, 0.25]);
}

#[test]
fn moments_that_are_not_finite_stop_training() {
    // The squares of gradients of 1e20 are past single precision; the steps themselves, over the roots of these, are 0.
    let (train, _) = birds();
    let huge = train.features.rows().all().expect("readable").mapv(|value| 1e20 * value);
    let train = Dataset::new(huge.into(), train.labels).expect("finite");
    let softmax = AnyHead::new("softmax", &[]).expect("a head");
    for kernel in [Kernel::default(), Kernel::Explicit] {
        let config = TrainConfig { transform: TransformKind::None, kernel, ..config(softmax.clone()) };
        let mut trainer = Trainer::new(config, train.clone(), None).expect("well-formed");
        let weights = trainer.model().parameters.weights.clone();
        let error = trainer.run_epoch(|_| ()).expect_err("the moments are infinite");
        let Error::Training { epoch: 1, batch: Some(7), cause } = &error else { panic!("{error}") };
        assert!(matches!(**cause, Error::NotFinite { what: "the optimizer's moments", .. }), "{error}");
        assert!(trainer.model().parameters.weights.iter().all(|weight| weight.is_finite()));
        assert_ne!(weights, trainer.model().parameters.weights);
    }
}

#[test]
fn heads_are_stored_by_the_names_they_are_asked_for_by() {
    for name in AnyHead::names() {
        let head = AnyHead::new(name, &[]).expect("every head has defaults");
        let stored = serde_json::to_value(&head).expect("plain data");
        assert_eq!(stored["name"], name);
        assert_eq!(serde_json::from_value::<AnyHead>(stored).expect("just stored"), head);
    }
}

#[test]
fn learned_alpha_moves_and_fixed_alpha_does_not() {
    for learn_alpha in [false, true] {
        let mut trainer = trainer(config(AnyHead::L2Softmax(L2Softmax { alpha: 8.0, learn_alpha })));
        run(&mut trainer);
        assert_eq!(trainer.model().parameters.vectors["alpha"][0] != 8.0, learn_alpha);
    }
}

#[test]
fn the_scale_of_adacos_is_kept_below_its_bound() {
    let AnyHead::AdaCos(head) = TrainConfig::new(adacos()).head else { unreachable!("it is AdaCos") };
    assert_eq!(head.max_scale, Some(64.0), "a trainer sets a bound");
    let mut trainer = trainer(config(AnyHead::AdaCos(AdaCos { max_scale: Some(2.5) })));
    run(&mut trainer);
    assert_eq!(trainer.model().parameters.state["scale"], 2.5);
}

/// LDAM's margin is CosFace's where all classes are of one size, and less for large classes where they are not.
#[test]
fn margins_follow_the_sizes_of_classes() -> arcos::Result<()> {
    let train = |name, keep: &dyn Fn(usize, i64) -> bool, pause: bool| {
        let (train, _) = birds();
        let mut labels = train.labels.clone();
        labels.iter_mut().enumerate().filter(|(row, label)| !keep(*row, **label)).for_each(|(_, label)| *label = -100);
        let train = Dataset::new(train.features.clone(), labels).expect("well-formed");
        let options = [("scale", "16"), if name == "ldam" { ("largest-margin", "0.4") } else { ("margin", "0.4") }];
        let config = TrainConfig { epochs: 2, ..config(AnyHead::new(name, &options)?) };
        let mut trainer = Trainer::new(config.clone(), train.clone(), None)?;
        trainer.run_epoch(|_| ())?;
        if pause {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("checkpoint");
            trainer.checkpoint().save(&path)?;
            trainer = Trainer::resume(Checkpoint::load(&path)?, config, train, None)?;
        }
        trainer.run_epoch(|_| ())?;
        Ok::<_, Error>(trainer.model().parameters.weights.clone())
    };
    let (train_set, _) = birds();
    let classes = train_set.classes() as i64;
    let sizes: Vec<_> =
        (0..classes).map(|class| train_set.labels.iter().filter(|&&label| label == class).count()).collect();
    let smallest = *sizes.iter().min().expect("classes");
    // As many rows of each class as the smallest has.
    let place = |row: usize, label: i64| train_set.labels.iter().take(row).filter(|&&other| other == label).count();
    let balanced = |row, label| place(row, label) < smallest;
    let unbalanced = |row, label| place(row, label) < if label < 2 { 1 } else { smallest };
    assert_eq!(train("ldam", &balanced, false)?, train("cosface", &balanced, false)?);
    assert_ne!(train("ldam", &unbalanced, false)?, train("cosface", &unbalanced, false)?);
    assert_eq!(train("ldam", &unbalanced, false)?, train("ldam", &unbalanced, true)?);
    Ok(())
}

#[test]
fn ignored_rows_take_no_part() {
    let (train, _) = birds();
    let mut labels = train.labels.clone();
    labels.slice_mut(ndarray::s![..100]).fill(-100);
    let kept: Vec<usize> = (100..205).collect();
    let rows = train.features.rows().all().expect("readable").select(ndarray::Axis(0), &kept);
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
        ..config(AnyHead::new("softmax", &[]).expect("a head"))
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
    let objective = TrainObjective { label_smoothing: 0.1, ..TrainObjective::default() };
    let uniface = AnyHead::new("uniface", &[]).expect("a head");
    assert_eq!(
        refused(TrainConfig { objective, ..config(uniface) }),
        "uniface has label smoothing; expected none: its loss is of each class by itself, without a softmax"
    );
    let anchors = || config(AnyHead::new("proxy-anchor", &[]).expect("a head"));
    let class_weights = Some(ClassWeights::Rule(ClassWeightRule::InverseFrequency));
    let objective = TrainObjective { class_weights, ..TrainObjective::default() };
    let of_batch = "expected none: its loss is of classes over the rows of a batch";
    assert_eq!(refused(TrainConfig { objective, ..anchors() }), format!("proxy-anchor has class weights; {of_batch}"));
    let weighted = train.clone().with_sample_weights(ndarray::Array1::ones(205));
    let error = Trainer::new(anchors(), weighted.expect("as many as rows"), None).expect_err("weights of rows");
    assert_eq!(error.to_string(), format!("proxy-anchor has sample weights; {of_batch}"));
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
        run.log_epoch(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
        run.save(trainer.checkpoint()).expect("writable");
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
    let behind = Checkpoint::<AnyHead>::load(&path.join("checkpoints/epoch-0003")).expect("whole");
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
    assert_eq!(read_history(&path.join("history.csv")).expect("whole rows"), trainer.history()[..3]);
    assert_eq!(read_target_angles(&path).expect("whole rows"), angles[..3]);

    // A process that was killed between making a log and writing to it leaves an empty file.
    fs::write(path.join("target_angles.csv"), "").expect("writable");
    run.log_epoch(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
    run.save(trainer.checkpoint()).expect("writable");
    assert_eq!(read_target_angles(&path).expect("with a header"), angles[3..]);
    let newest = RunDirectory::newest_checkpoint(&path).expect("readable").expect("just written");
    assert_eq!(Checkpoint::<AnyHead>::load(&newest).expect("whole").position(), RunPosition { epochs: 4, batches: 0 });
}

#[test]
fn a_run_does_not_begin_over_files_that_are_no_logs() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let trainer = trainer(config(adacos()));
    let others = "epoch,accuracy,loss\n0,0.5,1\n";
    for name in ["history.csv", "iterations.csv", "target_angles.csv"] {
        let path = directory.path().join(name);
        fs::write(&path, others).expect("writable");
        let error = RunDirectory::create(directory.path(), 1, trainer.checkpoint()).expect_err("it is another's");
        assert!(error.to_string().contains("is not a log of a run"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("there"), others);
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 1, "nothing else has come to be");
        // What a power cut leaves is no reason to stay away.
        for left in ["", "epo", "\0\0\0\0"] {
            fs::write(&path, left).expect("writable");
            RunDirectory::create(directory.path(), 1, trainer.checkpoint()).expect("it may begin again").discard();
        }
        fs::remove_file(&path).expect("there");
    }
}
