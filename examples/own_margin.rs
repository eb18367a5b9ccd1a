//! A margin of one's own: a head is a scale and `ψ(θ)` with its derivative with respect to `cosθ`.
//!
//! The margin here is linear in the angle, `ψ(θ) = 1 - 2 (θ + m) / π`. A finite difference checks its gradient.
//!
//! `cargo run --release --example own_margin`

use arcos::heads::{CosineHead, Margin};
use arcos::ops::Angle;
use arcos::{ClassificationHead, Real, Result, init};
use ndarray::{Array2, array};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;

struct LinearAngle {
    scale: f64,
    margin: f64,
}

impl CosineHead for LinearAngle {
    fn scale(&self, _classes: usize) -> Result<f64> {
        Ok(self.scale)
    }

    fn check_margin(&self) -> Result<()> {
        Ok(())
    }

    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        let slope_of_theta = F::of(-2.0 / PI);
        Margin {
            value: F::one() + slope_of_theta * (angle.theta() + F::of(self.margin)),
            // dθ/dcosθ = -1 / sinθ.
            slope: -slope_of_theta / angle.sin_at_least_floor(),
        }
    }
}

fn main() -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let features: Array2<f64> = init::glorot_normal(4, 6, &mut rng);
    let labels = array![0, 2, 1, 2];
    let head = LinearAngle { scale: 16.0, margin: 0.2 };
    let mut parameters = head.initial_parameters(init::glorot_normal(3, 6, &mut rng))?;

    let (loss, cache) = head.forward(features.view(), &parameters, labels.view())?;
    let gradients = head.backward(cache);

    let (element, step) = ([2, 3], 1e-6);
    let mut loss_at = |offset: f64| {
        parameters.weights[element] += offset;
        let loss = head.forward(features.view(), &parameters, labels.view()).map(|(loss, _)| loss);
        parameters.weights[element] -= offset;
        loss
    };
    let difference = (loss_at(step)? - loss_at(-step)?) / (2.0 * step);
    println!("loss {loss:.6}");
    println!("d_weights{element:?}: analytic {:.9}, finite difference {difference:.9}", gradients.d_weights[element]);
    assert!((gradients.d_weights[element] - difference).abs() < 1e-6);
    Ok(())
}
