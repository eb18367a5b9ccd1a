//! Training steps at many classes: the streaming kernel updates class vectors block by block, and neither logits nor `d_weights` are
//! ever in memory as a whole.
//!
//! `cargo run --release --example many_classes`

use arcos::heads::ArcFace;
use arcos::optim::{Optimizer, Sgd};
use arcos::streaming::{GradientFilter, Streaming, StreamingOptions, Update};
use arcos::{Head, init};
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> arcos::Result<()> {
    let (batch, dimension, classes, steps) = (256, 128, 100_000, 20);
    let mut rng = ChaCha8Rng::seed_from_u64(0);

    // Features near a direction of their class's own; every step sees the same classes, so that the loss has somewhere to go.
    let centres: Array2<f32> = init::glorot_normal(batch, dimension, &mut rng);
    let labels = Array1::from_shape_fn(batch, |row| (row * 7919 % classes) as i64);

    let head = ArcFace::default();
    let mut parameters = head.initial_parameters(init::glorot_normal::<f32>(classes, dimension, &mut rng))?;
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
    let lengths = parameters.trained(&head).into_iter().map(|(_, length)| length);
    let mut moments: Vec<_> = lengths.into_iter().map(|length| optimizer.moments(length)).collect();

    // No inner product is kept, and classes without a visible share in the softmax are left out of the gradients.
    let mut kernel =
        Streaming::new(StreamingOptions { workspace: 0, filter: GradientFilter::ROUNDING, ..Default::default() })?;
    for step in 1..=steps {
        let noise: Array2<f32> = init::glorot_normal(batch, dimension, &mut rng);
        let features = &centres + noise * 0.1;
        let update = Update {
            optimizer: &optimizer,
            moments: &mut moments,
            step,
            learning_rate: 5e-4,
            d_features: None, // an array for it, where what gives the features is trained, too
        };
        let result = kernel.train_step(&head, features.view(), &mut parameters, labels.view(), update)?;
        println!(
            "step {step}: loss {:.4}, gradient norm {:.4}, {:.0} % of blocks left out",
            result.loss,
            result.gradient_norm,
            100.0 * result.filtered
        );
    }

    let found = kernel.evaluate(&head, centres.view(), &parameters, labels.view())?;
    println!("{} of {} right among {classes} classes", found.correct, found.labelled);
    Ok(())
}
