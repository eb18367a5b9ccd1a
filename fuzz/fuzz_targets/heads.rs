//! Heads on any numbers: finite loss and gradients, or an error; the same kind of error from both engines.
#![no_main]

use arcos::heads::Gradients;
use arcos::streaming::Streaming;
use arcos::{AnyHead, Head};
use libfuzzer_sys::fuzz_target;
use ndarray::{Array1, Array2};

const DIMENSION: usize = 3;
const CLASSES: usize = 4;

/// Scales after the default, which comes first and is none of these.
const RULES: [&str; 4] = ["default", "fixed-adacos", "adacos", "learned"];

fuzz_target!(|bytes: &[u8]| {
    let [head, rows, rest @ ..] = bytes else { return };
    let mut numbers = rest.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let mut matrix = |rows: usize| Array2::from_shape_simple_fn((rows, DIMENSION), || numbers.next().unwrap_or(1.0));
    let rows = 1 + usize::from(rows % 4);
    let features = matrix(rows);
    let labels = Array1::from_shape_fn(rows, |row| ((row + usize::from(*head)) % CLASSES) as i64);
    let (rule, place) = (usize::from(*head) / AnyHead::LIST.len(), usize::from(*head) % AnyHead::LIST.len());
    let name = AnyHead::names().nth(place).expect("in range");
    // Heads without a scale of their own have their defaults.
    let rule = RULES.get(rule).and_then(|rule| AnyHead::new(name, &[("scale", rule)]).ok());
    let head = rule.unwrap_or_else(|| AnyHead::new(name, &[]).expect("defaults"));
    let Ok(parameters) = head.initial_parameters(matrix(CLASSES * head.centres())) else { return };
    if let Ok(logits) = head.logits(features.view(), &parameters) {
        assert!(logits.iter().all(|logit| logit.is_finite()), "{name}: {logits}");
    }
    let explicit = head.forward(features.view(), &parameters, labels.view());
    let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view());
    match (explicit, streamed) {
        (Ok((loss, cache)), Ok((step, gradients))) => {
            check(name, loss, &head.backward(cache));
            check(name, step.loss, &gradients);
        }
        (Err(explicit), Err(streamed)) => {
            assert_eq!(
                std::mem::discriminant(&explicit),
                std::mem::discriminant(&streamed),
                "{name}: {explicit}, {streamed}"
            );
        }
        (explicit, streamed) => {
            panic!(
                "{name}: explicit {:?}, streaming {:?}",
                explicit.map(|(loss, _)| loss),
                streamed.map(|(step, _)| step)
            )
        }
    }
});

fn check(name: &str, loss: f32, gradients: &Gradients<f32>) {
    assert!(loss.is_finite() && loss >= 0.0, "{name}: {loss}");
    let Gradients { d_features, d_weights, d_vectors } = gradients;
    let mut all = d_features.iter().chain(d_weights).chain(d_vectors.values().flatten());
    assert!(all.all(|gradient| gradient.is_finite()), "{name}: {gradients:?}");
}
