//! Training that begins with a model: of a run before, of another head, or from elsewhere.

use super::birds::{birds, run, trainer};
use super::training::{config, figures};
use arcos::data::{Dataset, TransformKind};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::optim::{Optimizer, Sgd};
use arcos::train::{Checkpoint, Model, RunDirectory, TrainConfig, Trainer};
use arcos::{AnyHead, Error};

const LINEAR: Embedder = Embedder { dimension: 16, block: EmbedBlock::Linear };

fn head(name: &str) -> AnyHead {
    AnyHead::new(name, &[]).expect("a head")
}

fn trained(config: TrainConfig) -> Model {
    let mut trainer = trainer(config);
    run(&mut trainer);
    trainer.model().clone()
}

fn from_model(config: TrainConfig, model: Model) -> arcos::Result<Trainer> {
    let (train, test) = birds();
    Trainer::from_model(config, model, train, Some(test))
}

#[test]
fn training_begins_where_the_model_is() {
    for name in AnyHead::names() {
        let model = trained(config(head(name)));
        let further = from_model(config(head(name)), model.clone()).expect(name);
        assert_eq!(further.model(), &model, "{name}");
        let mut further = further;
        run(&mut further);
        let mut fresh = trainer(config(head(name)));
        run(&mut fresh);
        let first_losses = [&further, &fresh].map(|trainer| trainer.history()[0].train_loss);
        assert!(first_losses[0] < first_losses[1], "{name}: {first_losses:?}");
    }
}

#[test]
fn another_head_takes_over_class_vectors_transform_and_embedder() {
    let embedder = Some(LINEAR);
    let of_model = TrainConfig { transform: TransformKind::Standardise, embedder, ..config(head("norm-softmax")) };
    let model = trained(of_model);
    let mut further = from_model(config(head("arcface")), model.clone()).expect("one class vector a class");
    assert_eq!(further.model().parameters.weights, model.parameters.weights);
    assert_eq!((&further.model().transform, &further.model().embedder), (&model.transform, &model.embedder));
    assert_eq!((further.config().transform, further.config().embedder), (TransformKind::Standardise, embedder));
    run(&mut further);
    assert!(further.history()[3].test_accuracy > Some(0.7), "{:?}", further.history()[3]);

    let error = from_model(config(head("sub-center-arcface")), model.clone()).expect_err("three vectors a class");
    let expected = "the class vectors of the model has shape [10, 16]; expected (30, D), 3 for each of 10 classes as sub-center-arcface has them";
    assert_eq!(error.to_string(), expected);
    let without_ten = model.without_classes(&[arcos::data::Label::Number(9)]).expect("there");
    let error = from_model(config(head("arcface")), without_ten).expect_err("label 9 is no class");
    assert!(matches!(&error, Error::Label { label, .. } if label == "9"), "{error}");
}

#[test]
fn a_run_that_began_with_a_model_of_more_classes_resumes_to_the_same_bits() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("checkpoint");
    let model = trained(config(head("adacos")));
    let (train, _) = birds();
    // Its own table knows of the classes that have rows alone.
    let rows = train.select(|class| class != 4).expect("rows");
    let labels = arcos::data::Labels::Integers(rows.labels.clone());
    let table = arcos::data::ClassTable::of(&[&labels]).expect("numbers");
    let nine = || Dataset::encoded(rows.features.clone(), &labels, table.clone()).expect("well-formed");
    let mut whole = Trainer::from_model(config(head("adacos")), model.clone(), nine(), None).expect("nine of ten");
    run(&mut whole);
    let mut interrupted = Trainer::from_model(config(head("adacos")), model, nine(), None).expect("nine of ten");
    interrupted.run_epoch(|_| ()).expect("training goes on");
    interrupted.checkpoint().save(&path).expect("writable");
    let load = || Checkpoint::<AnyHead>::load(&path).expect("just written");
    let mut resumed = Trainer::resume(load(), config(head("adacos")), nine(), None).expect("the same run");
    run(&mut resumed);
    assert_eq!(resumed.model(), whole.model());
    assert_eq!(figures(resumed.history()), figures(whole.history()));

    let eight = train.select(|class| class != 4 && class != 5).expect("rows");
    let error = Trainer::resume(load(), config(head("adacos")), eight, None).expect_err("other rows");
    assert!(matches!(error, Error::Shape { .. } | Error::OtherData { .. }), "{error}");
}

#[test]
fn a_model_alone_is_a_run_directory_that_can_be_trained_from() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let run = directory.path().join("of/a/model");
    for (name, embedder) in [("adacos", None), ("softmax", None), ("arcface", Some(LINEAR))] {
        let model = trained(TrainConfig { embedder, ..config(head(name)) });
        RunDirectory::write_model(&run, model.clone()).expect("nothing is there");
        let found: Checkpoint = RunDirectory::load_newest(&run).expect("whole").expect("there");
        assert_eq!(found, Checkpoint::of_model(model.clone()));
        assert_eq!(found.model, model);
        assert_eq!(found.config.optimizer, Optimizer::Sgd(Sgd { momentum: 0.0, ..Sgd::default() }));
        assert_eq!((found.train_rows, found.data, found.history.len()), (0, None, 0));
        assert!(found.moments.iter().all(|moments| moments.first.iter().all(|&first| first == 0.0)));
        let error = RunDirectory::write_model(&run, model.clone()).expect_err("it is taken").to_string();
        assert!(error.ends_with("of/a/model: holds a run already; expected another directory"), "{error}");
        from_model(config(head(name)), found.model).expect("its own head");
        std::fs::remove_dir_all(directory.path().join("of")).expect("there");
    }
}
