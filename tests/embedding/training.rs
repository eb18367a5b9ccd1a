//! The trainer with an embedder: that it learns, repeats itself bit by bit, and goes on where it stopped.

use super::birds::{adacos, birds, run, trainer};
use arcos::AnyHead;
use arcos::data::{Transform, TransformKind};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::ArcFace;
use arcos::train::{Checkpoint, Kernel, Model, TrainConfig, Trainer};
use ndarray::Array2;
use std::fs;

const BLOCKS: [EmbedBlock; 2] = [EmbedBlock::Linear, EmbedBlock::E];

fn config(head: AnyHead, block: EmbedBlock) -> TrainConfig {
    let embedder = Some(Embedder { dimension: 16, block });
    // The fifth batch would be of one row, with which there is no batch normalisation.
    TrainConfig { epochs: 4, learning_rate: 3e-3, batch_size: 51, embedder, ..TrainConfig::new(head) }
}

#[test]
fn every_head_learns_with_every_block() {
    for name in AnyHead::names() {
        for block in BLOCKS {
            let takes_scale = AnyHead::takes(name, "scale");
            let options: &[_] = if takes_scale { &[("scale", "16")] } else { &[] };
            let head = AnyHead::new(name, options).expect("a head");
            let mut trainer = trainer(TrainConfig { epochs: 20, ..config(head, block) });
            let before = trainer.model().embedder.clone();
            run(&mut trainer);
            let last = &trainer.history()[19];
            assert!(last.test_accuracy > Some(0.7), "{name} with {block:?}: {last:?}");
            assert_ne!(trainer.model().embedder, before);
        }
    }
}

#[test]
fn a_last_batch_of_one_row_joins_the_one_before() {
    for (block, expected) in [(EmbedBlock::Linear, 5), (EmbedBlock::E, 4)] {
        let mut trainer = trainer(config(adacos(), block));
        let mut batches = Vec::new();
        trainer.run_epoch(|progress| batches.push((progress.batch, progress.batches))).expect("an epoch");
        assert_eq!(batches, (1..=expected).map(|batch| (batch, expected)).collect::<Vec<_>>());
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    for block in BLOCKS {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("checkpoint");
        let mut whole = trainer(config(adacos(), block));
        run(&mut whole);

        let mut first = trainer(TrainConfig { epochs: 2, ..config(adacos(), block) });
        run(&mut first);
        first.checkpoint().save(&path).expect("saved");
        let checkpoint = Checkpoint::<AnyHead>::load(&path).expect("loaded");
        assert_eq!(&checkpoint, first.checkpoint());
        let (train, test) = birds();
        let mut second = Trainer::resume(checkpoint, config(adacos(), block), train, Some(test)).expect("the same run");
        run(&mut second);
        assert_eq!(whole.model(), second.model());
        assert_eq!(whole.checkpoint().moments, second.checkpoint().moments);
    }
}

#[test]
fn both_kernels_train_alike() {
    for block in BLOCKS {
        let kernels = [Kernel::default(), Kernel::Explicit];
        let [streaming, explicit] = kernels.map(|kernel| {
            let mut trainer = trainer(TrainConfig { kernel, ..config(AnyHead::ArcFace(ArcFace::default()), block) });
            trainer.run_epoch(|_| ()).expect("an epoch");
            trainer
        });
        let (found, expected) = (&streaming.history()[0], &explicit.history()[0]);
        assert!((found.train_loss - expected.train_loss).abs() < 1e-3 * expected.train_loss, "{found:?} {expected:?}");
        let norms = [found, expected].map(|record| record.gradient_norm);
        assert!((norms[0] - norms[1]).abs() < 1e-2 * norms[1], "{norms:?}");
    }
}

#[test]
fn embeddings_are_what_the_head_sees() {
    let mut trainer = trainer(config(adacos(), EmbedBlock::E));
    run(&mut trainer);
    let (_, test) = birds();
    let model = trainer.model();
    let embeddings = model.embeddings(&test.features).expect("embeddings");
    assert_eq!(embeddings.dim(), (100, 16));
    use arcos::Head;
    let logits = model.head.logits(embeddings.view(), &model.parameters).expect("logits");
    assert_eq!(logits, model.logits(test.features.rows().all().expect("readable").view()).expect("logits"));
    for embedder in [model.embedder.clone(), None] {
        // Without an embedder and a transform, nothing else would know the dimension.
        let transform = Transform::fit(TransformKind::None, &test.features).expect("nothing to fit");
        let model = Model { transform, embedder, ..model.clone() };
        for dimension in [1, 17] {
            let error =
                model.embeddings(Array2::ones((3, dimension)).view()).expect_err("another dimension").to_string();
            assert!(error.starts_with(&format!("features has shape [3, {dimension}]; expected (rows, ")), "{error}");
        }
    }
    let accuracy = model.evaluate(&test).expect("an evaluation").accuracy;
    assert_eq!(Some(accuracy), trainer.history()[3].test_accuracy);
}

#[test]
fn batches_of_one_and_incomplete_checkpoints_are_refused() {
    let (train, test) = birds();
    let one = TrainConfig { batch_size: 1, ..config(adacos(), EmbedBlock::E) };
    let error = Trainer::new(one, train, Some(test)).expect_err("no batch statistics").to_string();
    assert!(error.starts_with("batch size is 1; expected at least 2"), "{error}");

    let directory = tempfile::tempdir().expect("temporary directory");
    let [with, without] = ["with", "without"].map(|name| directory.path().join(name));
    trainer(config(adacos(), EmbedBlock::E)).checkpoint().save(&with).expect("saved");
    trainer(TrainConfig { embedder: None, ..config(adacos(), EmbedBlock::E) })
        .checkpoint()
        .save(&without)
        .expect("saved");
    let copy = || fs::copy(without.with_extension("safetensors"), with.with_extension("safetensors")).expect("copied");
    copy();
    let error = Checkpoint::<AnyHead>::load(&with).expect_err("another run's tensors").to_string();
    assert!(error.contains("not the tensors of this checkpoint"), "{error}");
    // The former format has no check sums: what the tensors are is looked at, too.
    let json = fs::read_to_string(with.with_extension("json")).expect("saved");
    let former = json.replace("arcos checkpoint 3", "arcos checkpoint 1");
    assert_ne!(former, json);
    fs::write(with.with_extension("json"), former).expect("writable");
    let error = Checkpoint::<AnyHead>::load(&with).expect_err("another run's tensors").to_string();
    assert!(error.contains("tensor \"embedder.weights\" is missing"), "{error}");
    let wider = Some(Embedder { dimension: 20, block: EmbedBlock::E });
    trainer(TrainConfig { embedder: wider, ..config(adacos(), EmbedBlock::E) })
        .checkpoint()
        .save(&without)
        .expect("saved");
    copy();
    let error = Checkpoint::<AnyHead>::load(&with).expect_err("of another dimension").to_string();
    assert!(
        error.contains("the embedder is one to 20 dimensions before class vectors of 20; expected 16 of both"),
        "{error}"
    );
}
