//! One head by hand: loss, gradients, a step of gradient descent, inference.
//!
//! `cargo run --release --example one_head`

use arcos::heads::{ArcFace, Scale};
use arcos::{Head, init};
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> arcos::Result<()> {
    let (batch, dimension, classes) = (8, 32, 5);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let features: Array2<f32> = init::glorot_normal(batch, dimension, &mut rng);
    let labels = Array1::from_shape_fn(batch, |row| (row % classes) as i64);

    let head = ArcFace { scale: Scale::Fixed(16.0), margin: 0.3, ..ArcFace::default() };
    let mut parameters = head.initial_parameters(init::glorot_normal(classes, dimension, &mut rng))?;

    for step in 0..5 {
        let (loss, cache) = head.forward(features.view(), &parameters, labels.view())?;
        println!(
            "step {step}: loss {loss:.4}, mean cosine of the label {:.4}",
            cache.statistics.target_cosine.unwrap_or(f64::NAN)
        );
        let gradients = head.backward(cache);
        // gradients.d_features would go on into a network.
        parameters.weights.scaled_add(-0.05, &gradients.d_weights);
    }

    let logits = head.logits(features.view(), &parameters)?;
    println!("predictions {:?} for labels {labels}", arcos::metrics::accuracy::predict(logits.view()));
    Ok(())
}
