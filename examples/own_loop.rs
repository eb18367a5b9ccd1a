//! A training loop of one's own: AdaCos with its scale carried from step to step, momentum, a schedule.
//!
//! `cargo run --release --example own_loop`

use arcos::heads::AdaCos;
use arcos::metrics::accuracy::predict;
use arcos::optim::{Decay, Schedule, Sgd};
use arcos::{Head, init};
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

fn main() -> arcos::Result<()> {
    let (rows, dimension, classes, batch, epochs) = (600, 32, 10, 50, 8);
    let mut rng = ChaCha8Rng::seed_from_u64(0);

    // Each class is a direction; its features scatter around it.
    let centres: Array2<f32> = init::glorot_normal(classes, dimension, &mut rng);
    let noise: Array2<f32> = init::glorot_normal(rows, dimension, &mut rng);
    let labels = Array1::from_shape_fn(rows, |row| (row % classes) as i64);
    let centre_of_row: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    let features = centres.select(Axis(0), &centre_of_row) + noise * 4.0;

    let head = AdaCos { max_scale: Some(64.0) };
    let mut parameters = head.initial_parameters(init::glorot_normal::<f32>(classes, dimension, &mut rng))?;
    let sgd = Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-4 };
    let schedule = Schedule { warm_up: 1.0, decay: Decay::Cosine };
    let mut velocity = vec![0.0; parameters.weights.len()];

    let steps_per_epoch = rows / batch;
    let mut order: Vec<usize> = (0..rows).collect();
    for epoch in 0..epochs {
        order.shuffle(&mut rng);
        let mut total = 0.0;
        for (step, rows) in order.chunks(batch).enumerate() {
            let (x, y) = (features.select(Axis(0), rows), labels.select(Axis(0), rows));
            let (loss, cache) = head.forward(x.view(), &parameters, y.view())?;
            // The scale of this step is where the next one starts.
            parameters.state = cache.state.clone();
            let d_weights = head.backward(cache).d_weights;
            let learning_rate = 0.2 * schedule.multiplier(epoch * steps_per_epoch + step, steps_per_epoch, epochs)?;
            let weights = parameters.weights.as_slice_mut().expect("row-major, as it was made");
            sgd.update(weights, d_weights.as_slice().expect("row-major"), &mut velocity, learning_rate)?;
            total += loss;
        }
        let scale = parameters.state["scale"];
        println!("epoch {epoch}: loss {:.4}, scale {scale:.3}", total / steps_per_epoch as f32);
    }

    let predictions = predict(head.logits(features.view(), &parameters)?.view());
    let correct = predictions.iter().zip(&centre_of_row).filter(|(predicted, label)| predicted == label).count();
    println!("{correct} of {rows} right");
    Ok(())
}
