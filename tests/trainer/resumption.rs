//! Going on with a run: to the same bits, with the same data, and from no damaged checkpoint.

use super::birds::{adacos, birds, run, trainer};
use super::training::{config, figures};
use arcos::data::{Dataset, TransformKind};
use arcos::heads::{AdaCos, ArcFace, L2Softmax, Scale};
use arcos::optim::{AdamW, Decay, Optimizer, RmsProp, Schedule, Sgd};
use arcos::train::{Checkpoint, Kernel, TrainConfig, Trainer, WeightInit};
use arcos::{AnyHead, Error, SingleThreaded};
use std::fs;
use std::path::Path;

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let heads = [
        adacos(),
        AnyHead::ArcFace(ArcFace { scale: Scale::Fixed(16.0), ..ArcFace::default() }),
        AnyHead::L2Softmax(L2Softmax { alpha: 8.0, learn_alpha: true }),
    ];
    let optimizers =
        [Optimizer::RmsProp(RmsProp::default()), Optimizer::Sgd(Sgd::default()), Optimizer::AdamW(AdamW::default())];
    for (head, optimizer) in heads.into_iter().zip(optimizers) {
        let schedule = Schedule { warm_up: 1.5, decay: Decay::Cosine };
        ends_with_the_same_bits(TrainConfig { optimizer, schedule, ..config(head) }, directory.path());
    }
}

/// Trains in one go, and with two epochs done saved, loaded and gone on from.
pub fn ends_with_the_same_bits(config: TrainConfig, directory: &Path) {
    // Other tests in this process change OpenBLAS's number of threads meanwhile, and with it how it rounds.
    let _single_threaded = SingleThreaded::begin();
    let mut whole = trainer(config.clone());
    run(&mut whole);

    let mut interrupted = trainer(config.clone());
    interrupted.run_epoch(|_| ()).expect("training goes on");
    interrupted.run_epoch(|_| ()).expect("training goes on");
    let path = directory.join("checkpoint");
    interrupted.checkpoint().save(&path).expect("writable");
    drop(interrupted);

    let (train, test) = birds();
    let checkpoint = Checkpoint::<AnyHead>::load(&path).expect("just written");
    let mut resumed = Trainer::resume(checkpoint, config.clone(), train, Some(test)).expect("the same run");
    assert_eq!(resumed.history().len(), 2);
    run(&mut resumed);
    assert_eq!(resumed.checkpoint().moments, whole.checkpoint().moments, "{config:?}");
    assert_eq!(resumed.checkpoint().centres, whole.checkpoint().centres, "{config:?}");
    assert_eq!(resumed.model(), whole.model(), "{config:?}");
    assert_eq!(figures(resumed.history()), figures(whole.history()), "{config:?}");
}

#[test]
fn a_run_resumes_to_the_same_bits_under_every_transform_and_kernel() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut transforms = vec![TransformKind::None, TransformKind::Centre, TransformKind::Standardise];
    if cfg!(feature = "blas") {
        transforms.push(TransformKind::Whiten { dimensions: Some(20), ridge: 0.0 });
        transforms.push(TransformKind::Whiten { dimensions: None, ridge: 0.5 });
    }
    for kernel in [Kernel::default(), Kernel::Explicit] {
        for &transform in &transforms {
            for init in [WeightInit::GlorotNormal, WeightInit::Orthonormal] {
                if init == WeightInit::GlorotNormal || cfg!(feature = "blas") {
                    let config = TrainConfig { transform, kernel, init, ..config(adacos()) };
                    ends_with_the_same_bits(config, directory.path());
                }
            }
        }
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
    let schedule = Schedule { warm_up: 1.0, decay: Decay::Cosine };
    let optimizer = Optimizer::Sgd(Sgd::default());
    let other = TrainConfig { learning_rate: 1e-4, kernel: Kernel::Explicit, schedule, optimizer, ..config(adacos()) };
    let Err(Error::OtherSettings { differences }) = resume(other, &train) else { panic!("it is another run") };
    let kernel =
        r#"kernel is explicit, the run has {"streaming":{"filter":"off","precision":"full","workspace":268435456}}"#;
    let expected = [
        kernel,
        "learning rate is 0.0001, the run has 0.003",
        "optimizer is sgd, the run has rmsprop",
        "schedule decay is cosine, the run has constant",
        "schedule warm up is 1.0, the run has 0.0",
    ];
    assert_eq!(differences, expected);

    for head in [AnyHead::ArcFace(ArcFace::default()), AnyHead::AdaCos(AdaCos { max_scale: Some(9.0) })] {
        let Err(Error::OtherSettings { differences }) = resume(config(head.clone()), &train) else {
            panic!("{head:?}")
        };
        assert!(differences.len() == 1 && differences[0].starts_with("head "), "{differences:?}");
    }
    let fewer = Dataset::new(train.features.clone(), train.labels.mapv(|label| label.min(8))).expect("well-formed");
    assert!(matches!(resume(config(adacos()), &fewer), Err(Error::Shape { .. })));
    trainer.run_epoch(|_| ()).expect("training goes on");
    let fewer =
        Trainer::resume(trainer.checkpoint().clone(), TrainConfig { epochs: 1, ..config(adacos()) }, train, Some(test));
    assert!(matches!(fewer, Err(Error::Setting { name: "epochs", .. })));
}

#[test]
fn other_data_are_told_from_those_of_the_run() {
    let (train, test) = birds();
    let mut trainer = trainer(config(adacos()));
    trainer.run_epoch(|_| ()).expect("training goes on");
    let resume = |train: &Dataset, test: Option<&Dataset>| {
        Trainer::resume(trainer.checkpoint().clone(), config(adacos()), train.clone(), test.cloned()).map(|_| ())
    };
    resume(&train, Some(&test)).expect("the same data");
    let differences = |train: &Dataset, test: Option<&Dataset>| match resume(train, test) {
        Err(error @ Error::OtherData { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let dataset = |features: ndarray::ArrayView2<f32>, labels: ndarray::ArrayView1<i64>| {
        Dataset::new(features.to_owned().into(), labels.to_owned()).expect("well-formed")
    };
    let of = |data: &Dataset| (data.features.rows().all().expect("readable").into_owned(), data.labels.clone());
    let (features, labels) = of(&train);
    let end = "; expected the data that the run to resume was trained on";

    let mut bit = features.clone();
    bit[[204, 47]] = bit[[204, 47]].next_up();
    assert_eq!(
        differences(&dataset(bit.view(), labels.view()), Some(&test)),
        format!("the training features are others{end}")
    );
    let mut swapped = labels.clone();
    let other = labels.iter().position(|label| *label != labels[0]).expect("several classes");
    swapped.swap(0, other);
    assert_eq!(
        differences(&dataset(features.view(), swapped.view()), Some(&test)),
        format!("the training labels are others{end}")
    );
    let reversed = dataset(features.slice(ndarray::s![..;-1, ..]), labels.slice(ndarray::s![..;-1]));
    let both = format!("the training features are others; the training labels are others{end}");
    assert_eq!(differences(&reversed, Some(&test)), both);

    // The same numbers in another order of memory are the same data.
    let columns = features.t().as_standard_layout().into_owned().reversed_axes();
    let columns = Dataset::new(columns.into(), labels.clone()).expect("well-formed");
    resume(&columns, Some(&test)).expect("the same data");

    let (test_features, test_labels) = of(&test);
    let (half, half_labels) = (test_features.slice(ndarray::s![..50, ..]), test_labels.slice(ndarray::s![..50]));
    let half = differences(&train, Some(&dataset(half, half_labels)));
    assert_eq!(half, format!("the test set has 50 rows of 48 dimensions, the run's 100 rows of 48 dimensions{end}"));
    assert_eq!(differences(&train, None), format!("there is no test set, the run has one{end}"));
    let doubled = dataset((&test_features * 2.0).view(), test_labels.view());
    assert_eq!(differences(&train, Some(&doubled)), format!("the test features are others{end}"));
}

#[test]
fn a_longer_cosine_goes_on_at_the_rate_that_is_said() {
    let schedule = Schedule { warm_up: 0.0, decay: Decay::Cosine };
    let config = TrainConfig { schedule, ..config(adacos()) };
    let mut trainer = trainer(config.clone());
    run(&mut trainer);
    let last = trainer.history()[3].learning_rate;
    let longer = TrainConfig { epochs: 8, ..config };
    let (train, test) = birds();
    let mut trainer = Trainer::resume(trainer.checkpoint().clone(), longer, train, Some(test)).expect("the same run");
    // Half of the cosine is done.
    let said = trainer.next_learning_rate().expect("well-formed");
    approx::assert_relative_eq!(said, 0.5 * 3e-3, max_relative = 1e-12);
    assert!(said > 100.0 * last, "{said} after {last}");
    run(&mut trainer);
    let steps = 4 * 7 + 6;
    approx::assert_relative_eq!(
        trainer.history()[4].learning_rate,
        3e-3 * schedule.multiplier(steps, 7, 8).expect("well-formed"),
        max_relative = 1e-12
    );
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
    assert!(matches!(Checkpoint::<AnyHead>::load(&path), Err(Error::File { .. })), "half a file");

    save();
    fs::write(&json, "{}").expect("writable");
    assert!(matches!(Checkpoint::<AnyHead>::load(&path), Err(Error::File { .. })), "no configuration");

    save();
    let text = fs::read_to_string(&json).expect("written").replace("checkpoint 3", "checkpoint 9");
    fs::write(&json, text).expect("writable");
    let error = Checkpoint::<AnyHead>::load(&path).expect_err("of another version").to_string();
    assert!(error.ends_with("arcos checkpoint 9; expected arcos checkpoint 3"), "{error}");

    fs::remove_file(&json).expect("there");
    assert!(matches!(Checkpoint::<AnyHead>::load(&path), Err(Error::Io { .. })), "no JSON");
}
