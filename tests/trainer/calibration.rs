//! Temperatures: fitted on validation rows for the model of the best epoch, kept with it, and with no other.

use super::birds::{adacos, birds, run};
use arcos::data::{Dataset, TransformKind, ValidationSplit, validation_split};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::{ArcFace, Softmax, SphereFace2};
use arcos::metrics::calibration::Calibration;
use arcos::metrics::temperature::{LikelihoodSlope, fit_temperature};
use arcos::ops::{IGNORE_LABEL, Targets};
use arcos::train::{Checkpoint, HeldOut, Model, TrainConfig, Trainer, best_epoch};
use arcos::{AnyHead, Error};
use ndarray::Array2;
use std::fs;
use std::ops::ControlFlow;

/// A rate at which accuracy goes up and down.
fn config(head: AnyHead) -> TrainConfig {
    TrainConfig { epochs: 12, learning_rate: 0.1, batch_size: 16, ..TrainConfig::new(head) }
}

fn data() -> (Dataset, Dataset) {
    let ValidationSplit { train, validation } = validation_split(&birds().0, 0.3, 0).expect("20 rows of each class");
    let mut labels = validation.labels.clone();
    labels[3] = IGNORE_LABEL;
    (train, Dataset::new(validation.features, labels).expect("well-formed"))
}

fn begun(config: TrainConfig) -> Trainer {
    let (train, validation) = data();
    Trainer::new(config, train, HeldOut { validation: Some(validation), test: None }).expect("well-formed")
}

fn resumed(checkpoint: Checkpoint, epochs: usize) -> Trainer {
    let (train, validation) = data();
    let config = TrainConfig { epochs, ..checkpoint.config.clone() };
    Trainer::resume(checkpoint, config, train, HeldOut { validation: Some(validation), test: None })
        .expect("the same run")
}

/// All logits of some rows in double precision.
fn logits(model: &Model, data: &Dataset) -> (Array2<f64>, Targets) {
    let features = data.features.rows().all().expect("in memory");
    let logits = model.logits(features.view()).expect("well-formed").mapv(f64::from);
    let targets = Targets::new(data.labels.view(), logits.nrows(), logits.ncols()).expect("labels in range");
    (logits, targets)
}

/// The temperature of a model by all logits at once.
fn explicit(model: &Model, data: &Dataset) -> f64 {
    let (logits, targets) = logits(model, data);
    let fitted = fit_temperature(|beta| {
        let mut slope = LikelihoodSlope::default();
        slope.add(logits.view(), &targets, beta);
        Ok(slope)
    });
    fitted.expect("right and wrong rows")
}

#[test]
fn the_best_model_gets_the_temperature_of_the_validation_rows() {
    let (_, validation) = data();
    let embedder = Some(Embedder { dimension: 6, block: EmbedBlock::E });
    let arcface = || AnyHead::ArcFace(ArcFace::default());
    let transformed = |transform, embedder| TrainConfig { transform, embedder, ..config(arcface()) };
    for config in [
        config(adacos()),
        config(AnyHead::Softmax(Softmax::default())),
        config(AnyHead::SphereFace2(SphereFace2::default())),
        transformed(TransformKind::None, None),
        transformed(TransformKind::Standardise, embedder),
    ] {
        let name = config.head.clone();
        let mut trainer = begun(config);
        run(&mut trainer);
        assert_eq!(trainer.best_model().temperature, None, "nobody has asked for one");
        let temperature = trainer.fit_temperature().expect("right and wrong rows").expect("validation rows");
        let best = trainer.best_model();
        assert_eq!(best.temperature, Some(temperature));
        approx::assert_relative_eq!(temperature, explicit(best, &validation), max_relative = 1e-4);
        approx::assert_relative_eq!(temperature, best.fit_temperature(&validation).expect("fits"), max_relative = 1e-5);
        assert!(
            best_epoch(trainer.history()) == Some(trainer.history().len()) || trainer.model().temperature.is_none()
        );
        // And what is measured at it is what all logits say.
        let (logits, targets) = logits(best, &validation);
        for temperature in [1.0, temperature] {
            let found = best.calibration(&validation, temperature).expect("well-formed");
            let mut expected = Calibration::default();
            expected.add(logits.view(), &targets, temperature);
            assert_eq!(found.rows(), validation.rows() - 1, "one has no label");
            for (found, expected) in
                [(found.nll(), expected.nll()), (found.brier(), expected.brier()), (found.ece(), expected.ece())]
            {
                approx::assert_relative_eq!(found, expected, max_relative = 1e-4);
            }
        }
        let nll = |temperature| best.calibration(&validation, temperature).expect("well-formed").nll();
        assert!(nll(temperature) < nll(1.0), "{name:?}: {temperature}");
    }
}

#[test]
fn probabilities_are_those_at_the_temperature_and_the_classes_stay() {
    let (_, validation) = data();
    let mut trainer = begun(config(adacos()));
    run(&mut trainer);
    trainer.fit_temperature().expect("right and wrong rows");
    let model = trainer.best_model();
    let likeliest = |model: &Model| {
        let mut all = Vec::new();
        let found = model.for_likeliest(&validation.features, 3, |_, likeliest| {
            all.push(likeliest);
            Ok(())
        });
        found.expect("well-formed");
        all.remove(0)
    };
    let (found, plain) = (likeliest(model), likeliest(&Model { temperature: None, ..model.clone() }));
    assert!(found.classes == plain.classes && found.logits == plain.logits);
    let (logits, _) = logits(model, &validation);
    for (found, temperature) in [(found, model.temperature.expect("fitted")), (plain, 1.0)] {
        for (row, logits) in logits.rows().into_iter().enumerate() {
            let exponentials = logits.mapv(|logit| (logit / temperature).exp());
            for (&class, &probability) in found.classes.row(row).iter().zip(found.probabilities.row(row)) {
                let expected = exponentials[class] / exponentials.sum();
                approx::assert_relative_eq!(probability, expected, max_relative = 1e-4);
            }
        }
    }
}

#[test]
fn a_temperature_goes_with_the_model_that_it_is_of() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("checkpoint");
    let mut trainer = begun(TrainConfig { epochs: 2, ..config(adacos()) });
    run(&mut trainer);
    for epochs in 3..10 {
        let fitted = trainer.fit_temperature().expect("right and wrong rows");
        let of_before = trainer.best_model().clone();
        trainer.checkpoint().save(&path).expect("writable");
        let loaded = Checkpoint::<AnyHead>::load(&path).expect("just written");
        assert!(&loaded == trainer.checkpoint() && loaded.best_model().temperature == fitted && fitted.is_some());
        trainer = resumed(loaded, epochs);
        // Inside the next epoch the best model is what it was, and the one that is trained is another.
        trainer.run_epoch_or_pause(|_| ControlFlow::Break(())).expect("training goes on");
        assert!(trainer.best_model() == &of_before && trainer.model().temperature.is_none());
        trainer.run_epoch(|_| ()).expect("training goes on");
        trainer.checkpoint().save(&path).expect("writable");
        let loaded = Checkpoint::<AnyHead>::load(&path).expect("just written");
        assert_eq!(&loaded, trainer.checkpoint());
        let is_new = best_epoch(trainer.history()) == Some(epochs);
        assert_eq!(loaded.best_model().temperature, fitted.filter(|_| !is_new));
    }
    // The same as that of a run of as many epochs at once.
    let mut whole = begun(TrainConfig { epochs: 9, ..config(adacos()) });
    run(&mut whole);
    assert_eq!(whole.fit_temperature().expect("fits"), trainer.fit_temperature().expect("fits"));
    assert_eq!(whole.checkpoint().best_model(), trainer.checkpoint().best_model());
}

#[test]
fn checkpoints_hold_it_under_their_check_sum_and_do_without() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("checkpoint");
    let mut trainer = begun(config(adacos()));
    run(&mut trainer);
    let text = |trainer: &Trainer| {
        trainer.checkpoint().save(&path).expect("writable");
        fs::read_to_string(path.with_extension("json")).expect("written")
    };
    assert!(!text(&trainer).contains("temperature"), "what has none is as it always was");
    let temperature = trainer.fit_temperature().expect("right and wrong rows").expect("validation rows");
    let with = text(&trainer);
    assert!(with.contains(&format!("\"temperature\": {temperature}")), "{with}");
    fs::write(path.with_extension("json"), with.replace(&format!("{temperature}"), "1.5")).expect("writable");
    let message = Checkpoint::<AnyHead>::load(&path).expect_err("changed by hand").to_string();
    assert!(message.contains("damaged or changed by hand"), "{message}");
    for impossible in [0.0, -2.0, 1e40] {
        let mut checkpoint = trainer.checkpoint().clone();
        checkpoint.best.as_mut().expect("the last epoch is not the best").temperature = Some(impossible);
        checkpoint.save(&path).expect("writable");
        let message = Checkpoint::<AnyHead>::load(&path).expect_err("none").to_string();
        assert!(message.contains("checkpoint.json: temperature is ") && message.contains("1e-30"), "{message}");
    }
}

#[test]
fn where_there_is_no_temperature_an_error_says_so_and_there_is_none() {
    let (train, validation) = data();
    let mut without =
        Trainer::new(TrainConfig { epochs: 1, ..config(adacos()) }, train.clone(), None).expect("well-formed");
    run(&mut without);
    assert_eq!(without.fit_temperature().expect("nothing to do"), None);
    // The rows alone that are right.
    let model = without.model().clone();
    let predictions = model.predictions(&validation).expect("well-formed");
    let mut right = validation.clone();
    let labels = right.labels.iter_mut().zip(&predictions);
    labels.filter(|(label, predicted)| **label != **predicted as i64).for_each(|(label, _)| *label = IGNORE_LABEL);
    let message = model.fit_temperature(&right).expect_err("no wrong row").to_string();
    assert!(message.contains("all of them predicted right, is not defined"), "{message}");
    let held_out = HeldOut { validation: Some(right), test: None };
    let mut trainer =
        Trainer::new(TrainConfig { epochs: 1, ..config(adacos()) }, train, held_out).expect("well-formed");
    run(&mut trainer);
    assert!(matches!(trainer.fit_temperature(), Err(Error::NotDefined { .. })));
    assert_eq!(trainer.best_model().temperature, None);

    let mut ignored = validation.clone();
    ignored.labels.fill(IGNORE_LABEL);
    let refused = (model.calibration(&ignored, 1.0).map(drop), model.fit_temperature(&ignored).map(drop));
    assert!(matches!(refused, (Err(Error::NothingLabelled { .. }), Err(Error::NothingLabelled { .. }))), "{refused:?}");
    assert!(matches!(model.calibration(&validation, 0.0), Err(Error::Setting { name: "temperature", .. })));
    let mut strange = validation.clone();
    strange.labels[5] = 40;
    assert!(model.calibration(&strange, 1.0).is_err() && model.fit_temperature(&strange).is_err());
}
