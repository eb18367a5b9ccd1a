//! Trained models as ONNX files: what tract makes of them is what the model says, under every head.

use super::data_file;
use arcos::data::{Dataset, Features, TransformKind};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::extract::{Network, NetworkOptions};
use arcos::train::{Model, TrainConfig, Trainer};
use arcos::{AnyHead, Error, export};
use ndarray::{Array1, Array2, Array4};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::Path;

/// Images at a time, and images in all.
const BATCH: usize = 4;

/// A network from images (N, 3, 8, 8) to five features.
fn network() -> Network {
    Network::load(&data_file("networks/noted_shapes.onnx"), &NetworkOptions::new(BATCH)).expect("a network")
}

fn images() -> Array4<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array4::from_shape_simple_fn((BATCH, 3, 8, 8), || rng.random_range(-1.0..1.0))
}

fn trained(config: TrainConfig, dimension: usize) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let features: Array2<f32> = Array2::from_shape_simple_fn((60, dimension), || rng.random_range(-1.0..1.0));
    let labels = Array1::from_shape_fn(60, |row| (row % 6) as i64);
    let data = Dataset::new(Features::from(features), labels).expect("labelled rows");
    let mut trainer = Trainer::new(config, data, None).expect("a good configuration");
    trainer.run_epoch(|_| {}).expect("an epoch");
    trainer.model().clone()
}

/// Features that a network in a file gives to images.
fn run(directory: &Path, file: &[u8], output: &str) -> Array2<f32> {
    let path = directory.join("joined.onnx");
    fs::write(&path, file).expect("writable");
    let options = NetworkOptions { output: Some(output.into()), ..NetworkOptions::new(BATCH) };
    Network::load(&path, &options).expect(output).features(images().view()).expect(output)
}

fn assert_agrees(model: &Model, directory: &Path, case: &str) {
    let features = network().features(images().view()).expect("features");
    let head = export::onnx(model, Some(2)).expect(case);
    let file = export::onnx_with_network(&data_file("networks/noted_shapes.onnx"), None, &head).expect(case);
    let close = |found: &Array2<f32>, expected: &Array2<f32>, what: &str| {
        let largest = expected.iter().fold(1f32, |largest, value| largest.max(value.abs()));
        let difference = (found - expected).iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(difference < 1e-5 * largest, "{case}: {what} are off by {difference:e} of {largest}");
    };
    close(&run(directory, &file, "logits"), &model.logits(features.view()).expect(case), "logits");
    let mut expected = Array2::zeros((BATCH, 2));
    let likeliest = model.for_likeliest(&Features::from(features), 2, |_, likeliest| {
        expected = likeliest.probabilities.mapv(|probability| probability as f32);
        Ok(())
    });
    likeliest.expect(case);
    close(&run(directory, &file, "top_probabilities"), &expected, "probabilities");
}

#[test]
fn every_head_says_the_same_in_another_program() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in AnyHead::names() {
        let config = TrainConfig::new(AnyHead::new(name, &[]).expect(name));
        assert_agrees(&trained(config, 5), directory.path(), name);
    }
}

#[test]
fn transforms_embedders_and_temperatures_are_in_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = || TrainConfig::new(AnyHead::new("cosface", &[]).expect("a head"));
    let kinds = [TransformKind::None, TransformKind::Standardise];
    #[cfg(feature = "blas")]
    let kinds = kinds.into_iter().chain([TransformKind::Whiten { dimensions: Some(3), ridge: 0.1 }]);
    for transform in kinds {
        assert_agrees(&trained(TrainConfig { transform, ..config() }, 5), directory.path(), &format!("{transform:?}"));
    }
    for block in [EmbedBlock::Linear, EmbedBlock::E] {
        let embedder = Some(Embedder { dimension: 7, block });
        assert_agrees(&trained(TrainConfig { embedder, ..config() }, 5), directory.path(), &format!("{block:?}"));
    }
    let model = Model { temperature: Some(2.5), ..trained(config(), 5) };
    assert_agrees(&model, directory.path(), "a temperature");
}

/// Of features in half and in double precision, too.
#[test]
fn networks_of_every_precision_are_joined() {
    let directory = tempfile::tempdir().expect("a directory");
    let model = trained(TrainConfig::new(AnyHead::new("arcface", &[]).expect("a head")), 3);
    let head = export::onnx(&model, None).expect("a file");
    for (name, tolerance) in [("doubles", 1e-5), ("halves", 3e-3)] {
        let path = data_file(&format!("networks/{name}.onnx"));
        let network = Network::load(&path, &NetworkOptions::new(BATCH)).expect(name);
        let expected = model.logits(network.features(images().view()).expect(name).view()).expect(name);
        let found = run(directory.path(), &export::onnx_with_network(&path, None, &head).expect(name), "logits");
        let difference = (found - &expected).iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(difference < tolerance * largest, "{name}: {difference} of {largest}");
    }
    let mixing = export::onnx_with_network(&data_file("networks/mean_of_batch.onnx"), None, &head);
    assert!(mixing.expect_err("it mixes").to_string().contains("beside other images"));
}

#[test]
fn what_cannot_be_exported_or_joined_is_said() {
    let model = trained(TrainConfig::new(AnyHead::new("arcface", &[]).expect("a head")), 5);
    for top in [0, 7] {
        let message = export::onnx(&model, Some(top)).expect_err("six classes").to_string();
        assert!(message.contains(&format!("top is {top}; expected 1 to 6")), "{message}");
    }
    let head = export::onnx(&model, None).expect("a file");
    let other = export::onnx_with_network(&data_file("networks/batch_of_two.onnx"), None, &head);
    assert!(matches!(&other, Err(Error::Shape { found, .. }) if found == &[3]), "{other:?}");
    let apart = export::onnx_with_network(&data_file("networks/weights_apart.onnx"), None, &head);
    assert!(matches!(&apart, Err(Error::File { found, .. }) if found.contains("weights_apart.bin")), "{apart:?}");
}
