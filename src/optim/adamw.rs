//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2):
//!
//! `m ← β1 m + (1-β1) g`, `v ← β2 v + (1-β2) g²`, `m̂ = m / (1-β1^t)`, `v̂ = v / (1-β2^t)`,
//!
//! `value ← value - η (m̂ / (√v̂ + ε) + λ value)`.

use super::{MomentsMut, Optimizer};
use crate::{Real, Result};

/// Adam with decoupled weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdamW {
    /// Decay β1 of the mean gradient, in [0, 1).
    pub beta1: f64,
    /// Decay β2 of the mean square, in [0, 1).
    pub beta2: f64,
    /// ε, positive, which keeps the step finite where the gradient has been zero.
    pub epsilon: f64,
    /// Weight decay λ, apart from the gradient.
    pub weight_decay: f64,
}

impl Default for AdamW {
    /// β = (0.9, 0.999), ε = 1e-8, λ = 0.01.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl AdamW {
    pub(super) fn check(&self) -> Result<()> {
        super::check_decay_rate("beta1", self.beta1)?;
        super::check_decay_rate("beta2", self.beta2)?;
        super::check_epsilon(self.epsilon)?;
        super::check_weight_decay(self.weight_decay)
    }

    /// Step number `step` (counted from 1) on `values`; `mean` and `mean_square` are m and v, of the same length, zero
    /// before the first step.
    ///
    /// # Errors
    /// Those of [`Optimizer::update`].
    pub fn update<F: Real>(
        &self,
        values: &mut [F],
        gradient: &[F],
        mean: &mut [F],
        mean_square: &mut [F],
        step: u64,
        learning_rate: f64,
    ) -> Result<()> {
        let moments = MomentsMut { first: mean, second: mean_square };
        Optimizer::AdamW(*self).update(values, gradient, moments, step, learning_rate)
    }

    #[inline(always)] // into the code of several instruction sets
    pub(super) fn apply<F: Real>(
        &self,
        values: &mut [F],
        gradient: &[F],
        MomentsMut { first: mean, second: mean_square }: MomentsMut<F>,
        step: u64,
        learning_rate: f64,
    ) {
        let (beta1, beta2, epsilon) = (F::of(self.beta1), F::of(self.beta2), F::of(self.epsilon));
        let (fresh1, fresh2) = (F::of(1.0 - self.beta1), F::of(1.0 - self.beta2));
        let correction1 = F::of(1.0 - self.beta1.powf(step as f64));
        let correction2 = F::of((1.0 - self.beta2.powf(step as f64)).sqrt());
        let (rate, decay) = (F::of(learning_rate), F::of(learning_rate * self.weight_decay));
        let moments = mean.iter_mut().zip(mean_square);
        for ((value, &gradient), (mean, mean_square)) in values.iter_mut().zip(gradient).zip(moments) {
            *mean = beta1 * *mean + fresh1 * gradient;
            *mean_square = beta2 * *mean_square + fresh2 * gradient * gradient;
            let step = (*mean / correction1) / (mean_square.sqrt() / correction2 + epsilon);
            *value -= rate * step + decay * *value;
        }
    }
}
