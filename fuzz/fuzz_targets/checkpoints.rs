//! Checkpoints in one input: a byte that tells sixteenths of the description's length, the description, the tensors. What loads must evaluate and go
//! on, or say why not.
#![no_main]

use arcos::AnyHead;
use arcos::data::Dataset;
use arcos::train::{Checkpoint, Trainer};
use libfuzzer_sys::fuzz_target;
use ndarray::Array2;

fuzz_target!(|bytes: &[u8]| {
    let Some((&sixteenths, rest)) = bytes.split_first() else { return };
    let (description, tensors) = rest.split_at(rest.len().min(16 * usize::from(sixteenths)));
    let path = arcos_fuzz::file("checkpoint.json", description);
    arcos_fuzz::file("checkpoint.safetensors", tensors);
    let Ok(checkpoint) = Checkpoint::<AnyHead>::load(&path) else { return };
    let dimension = checkpoint.model.transform.input_dimension().unwrap_or(4).min(64);
    let features = Array2::from_shape_fn((20, dimension), |(row, column)| ((7 * row + 5 * column) % 13) as f32 - 6.0);
    let data = Dataset::new(features.into(), (0..20).map(|row| row % 5).collect()).expect("well-formed");
    let _ = checkpoint.model.evaluate(&data);
    let _ = checkpoint.model.embeddings(&data.features);
    let config = checkpoint.config.clone();
    if config.batch_size <= 64 && let Ok(mut trainer) = Trainer::resume(checkpoint, config, data, None) {
        let _ = trainer.run_epoch(|_| ());
    }
});
