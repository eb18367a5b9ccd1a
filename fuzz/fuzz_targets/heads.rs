//! Heads on any numbers: finite loss and gradients, or an error.
#![no_main]

use arcos::{ClassificationHead, Head, HeadOptions};
use libfuzzer_sys::fuzz_target;
use ndarray::{Array1, Array2};

const DIMENSION: usize = 3;
const CLASSES: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let [head, rows, rest @ ..] = bytes else { return };
    let mut numbers = rest.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let mut matrix = |rows: usize| Array2::from_shape_simple_fn((rows, DIMENSION), || numbers.next().unwrap_or(1.0));
    let rows = 1 + usize::from(rows % 4);
    let (features, weights) = (matrix(rows), matrix(CLASSES));
    let labels = Array1::from_shape_fn(rows, |row| ((row + usize::from(*head)) % CLASSES) as i64);
    let name = Head::names().nth(usize::from(*head) % Head::LIST.len()).expect("in range");
    let head = Head::new(name, &HeadOptions::default()).expect("defaults");
    let Ok(parameters) = head.initial_parameters(weights) else { return };
    if let Ok(logits) = head.logits(features.view(), &parameters) {
        assert!(logits.iter().all(|logit| logit.is_finite()), "{name}: {logits}");
    }
    let Ok((loss, cache)) = head.forward(features.view(), &parameters, labels.view()) else { return };
    assert!(loss.is_finite() && loss >= 0.0, "{name}: {loss}");
    let gradients = head.backward(cache);
    let finite = gradients.d_features.iter().chain(&gradients.d_weights).all(|gradient| gradient.is_finite());
    assert!(finite, "{name}: {gradients:?}");
});
