//! Stochastic gradient descent with momentum.
//!
//! With `g = gradient + λ value` (λ the weight decay) and momentum μ:
//!
//! `v ← μ v + g`, `value ← value - η v`; with Nesterov momentum `value ← value - η (g + μ v)`
//!
//! (Sutskever et al. 2013, with the learning rate η outside v, as PyTorch has it).

use super::{MomentsMut, Optimizer};
use crate::{Real, Result};

/// Stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sgd {
    /// Momentum μ, in [0, 1).
    pub momentum: f64,
    /// Whether the step looks ahead along the momentum.
    pub nesterov: bool,
    /// Weight decay λ, added to the gradient.
    pub weight_decay: f64,
}

impl Default for Sgd {
    /// μ = 0.9 without Nesterov, λ = 0.
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: false, weight_decay: 0.0 }
    }
}

impl Sgd {
    pub(super) fn check(&self) -> Result<()> {
        super::check_decay_rate("momentum", self.momentum)?;
        super::check_weight_decay(self.weight_decay)
    }

    /// One step on `values`; `velocity` is v, of the same length, zero before the first step.
    ///
    /// # Errors
    /// Those of [`Optimizer::update`].
    pub fn update<F: Real>(
        &self,
        values: &mut [F],
        gradient: &[F],
        velocity: &mut [F],
        learning_rate: f64,
    ) -> Result<()> {
        let moments = MomentsMut { first: velocity, second: &mut [] };
        Optimizer::Sgd(*self).update(values, gradient, moments, 1, learning_rate)
    }

    #[inline(always)] // into the code of several instruction sets
    pub(super) fn apply<F: Real>(&self, values: &mut [F], gradient: &[F], velocity: &mut [F], learning_rate: f64) {
        let (momentum, decay, rate) = (F::of(self.momentum), F::of(self.weight_decay), F::of(learning_rate));
        for ((value, &gradient), velocity) in values.iter_mut().zip(gradient).zip(velocity) {
            let gradient = gradient + decay * *value;
            *velocity = momentum * *velocity + gradient;
            let step = if self.nesterov { gradient + momentum * *velocity } else { *velocity };
            *value -= rate * step;
        }
    }
}
