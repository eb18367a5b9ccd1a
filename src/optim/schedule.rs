//! Learning rates over the course of training.

use super::check_setting;
use crate::Result;
use std::f64::consts::PI;

/// How the learning rate changes: up during the warm-up, then as [`Decay`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Schedule {
    /// Epochs over which the rate rises from near 0 to the full one, in equal steps.
    pub warm_up: f64,
    /// What follows.
    pub decay: Decay,
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Decay {
    /// Not at all.
    #[default]
    Constant,
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// Epochs between two drops.
        every: usize,
        /// What each drop multiplies the rate by.
        factor: f64,
    },
    /// Half a cosine, from the full rate after the warm-up to 0 at the end.
    Cosine,
}

impl Schedule {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting).
    pub fn check(&self) -> Result<()> {
        let warm_up = self.warm_up;
        check_setting("warm-up", warm_up, warm_up >= 0.0 && warm_up.is_finite(), "a number of epochs, not negative")?;
        if let Decay::Step { every, factor } = self.decay {
            check_setting("step every", every as f64, every > 0, "at least one epoch")?;
            check_setting("step factor", factor, factor > 0.0 && factor <= 1.0, "a number above 0, at most 1")?;
        }
        Ok(())
    }

    /// What the full learning rate is multiplied by in step `step` (counted from 0), with `steps_per_epoch` steps in each of `epochs`
    /// epochs; in [0, 1].
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a setting out of range, or no steps in an epoch.
    pub fn multiplier(&self, step: usize, steps_per_epoch: usize, epochs: usize) -> Result<f64> {
        self.check()?;
        check_setting("steps per epoch", steps_per_epoch as f64, steps_per_epoch > 0, "at least one")?;
        let warm_up_steps = self.warm_up * steps_per_epoch as f64;
        let step = step as f64;
        if step < warm_up_steps {
            return Ok(((step + 1.0) / warm_up_steps).min(1.0));
        }
        Ok(match self.decay {
            Decay::Constant => 1.0,
            Decay::Step { every, factor } => factor.powf((step / (every as f64 * steps_per_epoch as f64)).floor()),
            Decay::Cosine => {
                let left = epochs as f64 * steps_per_epoch as f64 - warm_up_steps;
                let progress = ((step - warm_up_steps) / left.max(1.0)).min(1.0);
                0.5 * (1.0 + (PI * progress).cos())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn multiplier(schedule: Schedule, step: usize, steps_per_epoch: usize, epochs: usize) -> f64 {
        schedule.multiplier(step, steps_per_epoch, epochs).expect("settings in range")
    }

    #[test]
    fn warm_up_rises_in_equal_steps_to_the_full_rate() {
        let schedule = Schedule { warm_up: 2.0, decay: Decay::Constant };
        let multipliers: Vec<_> = (0..6).map(|step| multiplier(schedule, step, 2, 3)).collect();
        assert_eq!(multipliers, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn step_drops_after_whole_epochs() {
        let schedule = Schedule { warm_up: 0.0, decay: Decay::Step { every: 2, factor: 0.1 } };
        let multipliers: Vec<_> = (0..5).map(|epoch| multiplier(schedule, epoch * 10 + 9, 10, 5)).collect();
        for (multiplier, expected) in multipliers.into_iter().zip([1.0, 1.0, 0.1, 0.1, 0.01]) {
            approx::assert_relative_eq!(multiplier, expected, max_relative = 1e-12);
        }
    }

    #[test]
    fn what_follows_begins_with_the_first_step_after_the_warm_up() {
        let schedule = Schedule { warm_up: 1.0, decay: Decay::Step { every: 1, factor: 0.1 } };
        let multipliers: Vec<_> = [8, 9, 10, 11].map(|step| multiplier(schedule, step, 10, 3)).into();
        assert_eq!(multipliers, [0.9, 1.0, 0.1, 0.1]);
    }

    #[test]
    fn cosine_falls_from_one_to_zero() {
        let schedule = Schedule { warm_up: 1.0, decay: Decay::Cosine };
        assert_eq!(multiplier(schedule, 10, 10, 5), 1.0);
        approx::assert_relative_eq!(multiplier(schedule, 30, 10, 5), 0.5, max_relative = 1e-12);
        assert!(multiplier(schedule, 49, 10, 5) < 0.01);
    }

    #[test]
    fn settings_out_of_range_are_errors_and_no_factors() {
        let constant = Schedule::default();
        let step = |every, factor| Schedule { decay: Decay::Step { every, factor }, ..constant };
        for (schedule, steps_per_epoch, expected) in [
            (step(0, 0.1), 10, "step every"),
            (step(1, 0.0), 10, "step factor"),
            (step(1, 1.5), 10, "step factor"),
            (step(1, f64::NAN), 10, "step factor"),
            (Schedule { warm_up: -1.0, ..constant }, 10, "warm-up"),
            (Schedule { warm_up: f64::NAN, ..constant }, 10, "warm-up"),
            (Schedule { warm_up: f64::INFINITY, ..constant }, 10, "warm-up"),
            (step(1, 0.1), 0, "steps per epoch"),
        ] {
            for result in [schedule.multiplier(0, steps_per_epoch, 5), schedule.multiplier(100, steps_per_epoch, 5)] {
                assert!(
                    matches!(result, Err(Error::Setting { name, .. }) if name == expected),
                    "{schedule:?}: {result:?}"
                );
            }
        }
        assert_eq!(multiplier(step(1, 1.0), 99, 10, 5), 1.0);
    }
}
