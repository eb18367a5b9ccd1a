//! RMSprop (Tieleman & Hinton 2012), as Keras has it without momentum:
//!
//! `v ← ρ v + (1-ρ) g²`, `value ← value - η g / (√v + ε)`.

use super::{MomentsMut, Optimizer};
use crate::{Real, Result};

/// RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RmsProp {
    /// Decay ρ of the mean square, in [0, 1).
    pub rho: f64,
    /// ε, positive, which keeps the step finite where the gradient has been zero.
    pub epsilon: f64,
}

impl Default for RmsProp {
    /// ρ = 0.9, ε = 1e-7, those of Keras.
    fn default() -> Self {
        Self { rho: 0.9, epsilon: 1e-7 }
    }
}

impl RmsProp {
    pub(super) fn check(&self) -> Result<()> {
        super::check_decay_rate("rho", self.rho)?;
        super::check_epsilon(self.epsilon)
    }

    /// One step on `values`; `mean_square` is v, of the same length, zero before the first step.
    ///
    /// # Errors
    /// Those of [`Optimizer::update`].
    pub fn update<F: Real>(
        &self,
        values: &mut [F],
        gradient: &[F],
        mean_square: &mut [F],
        learning_rate: f64,
    ) -> Result<()> {
        let moments = MomentsMut { first: &mut [], second: mean_square };
        Optimizer::RmsProp(*self).update(values, gradient, moments, 1, learning_rate)
    }

    #[inline(always)] // into the code of several instruction sets
    pub(super) fn apply<F: Real>(&self, values: &mut [F], gradient: &[F], mean_square: &mut [F], learning_rate: f64) {
        let (rho, epsilon, rate) = (F::of(self.rho), F::of(self.epsilon), F::of(learning_rate));
        let fresh = F::of(1.0 - self.rho);
        for ((value, &gradient), mean_square) in values.iter_mut().zip(gradient).zip(mean_square) {
            *mean_square = rho * *mean_square + fresh * gradient * gradient;
            *value -= rate * gradient / (mean_square.sqrt() + epsilon);
        }
    }
}
