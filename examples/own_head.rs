//! A head of one's own, with state, in forty lines: ArcFace's margin, which grows as the embedding does better. It trains through the
//! same trainer as the heads of the crate, by the same kernel, and goes on from its checkpoints.
//!
//! `ψ(θ) = cos(θ + m t)`, with t a running mean of the cosine to the labelled class, which is a constant to the gradient.
//!
//! `cargo run --release --example own_head`

use arcos::data::synthetic::SyntheticBirds;
use arcos::data::{Dataset, Features};
use arcos::heads::{Logit, Row, Scale, StateValue};
use arcos::train::{TrainConfig, Trainer};
use arcos::{Error, Head, Real, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GrowingMargin {
    scale: Scale,
    /// The angle m that is added at t = 1, in radians.
    margin: f64,
}

impl Head for GrowingMargin {
    fn name(&self) -> &'static str {
        "growing-margin"
    }

    fn check(&self, _classes: usize) -> Result<()> {
        let (head, name, value) = (self.name(), "margin", self.margin);
        let in_range = (0.0..=1.5).contains(&value);
        if in_range {
            Ok(())
        } else {
            Err(Error::HyperParameter { head, name, value, expected: "an angle in [0, 1.5]" })
        }
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn state(&self) -> &'static [StateValue] {
        const { &[StateValue::new("t", 0.0)] }
    }

    fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
        let mean = rows.iter().map(|row| row.angle.cos.to_double()).sum::<f64>() / rows.len() as f64;
        state[0] = 0.9 * state[0] + 0.1 * mean.max(0.0);
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let (sin, cos) = (self.margin * state[0]).sin_cos();
        let (sin, cos) = (F::of(sin), F::of(cos));
        Logit {
            value: row.angle.cos * cos - row.angle.sin * sin,
            // dψ/dcosθ = sin(θ + m t) / sinθ.
            slope: cos + row.angle.cos * sin / row.angle.sin_at_least_floor(),
            ..Logit::default()
        }
    }
}

fn main() -> Result<()> {
    let sizes =
        SyntheticBirds { classes: 20, train_rows: 600, test_rows: 300, dimension: 64, ..SyntheticBirds::default() };
    let birds = SyntheticBirds { row_spread: 0.6, ..sizes };
    let (train, test) = birds.generate()?;
    let dataset = |(features, labels)| Dataset::new(Features::from(features), labels);

    let head = GrowingMargin { scale: Scale::Fixed(16.0), margin: 0.4 };
    let config = TrainConfig { epochs: 8, learning_rate: 0.01, ..TrainConfig::new(head) };
    let mut trainer = Trainer::new(config, dataset(train)?, Some(dataset(test)?))?;
    while !trainer.is_done() {
        let epoch = trainer.run_epoch(|_| ())?;
        let (number, loss, accuracy) = (epoch.epoch, epoch.train_loss, epoch.test_accuracy.unwrap_or_default());
        let t = trainer.model().parameters.state["t"];
        println!("epoch {number}: loss {loss:.4}, test accuracy {accuracy:.3}, margin {:.3} rad", 0.4 * t);
    }
    assert!(trainer.history().last().and_then(|epoch| epoch.test_accuracy).is_some_and(|accuracy| accuracy > 0.9));
    Ok(())
}
