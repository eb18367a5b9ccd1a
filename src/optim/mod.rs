//! Optimizers and learning-rate schedules.
//!
//! An optimizer is a plain struct of hyper-parameters; what it remembers between steps are slices that the caller
//! owns, so a tensor can be updated whole or block by block.

pub mod adamw;
pub mod rmsprop;
pub mod schedule;
pub mod sgd;

mod optimizer;

pub use adamw::AdamW;
pub use optimizer::{Moments, MomentsMut, Optimizer, Trained};
pub use rmsprop::RmsProp;
pub use schedule::{Decay, Schedule};
pub use sgd::Sgd;

use crate::{Error, Result};

/// An [`Error::Setting`] unless `in_range`.
pub(crate) fn check_setting(name: &'static str, value: f64, in_range: bool, expected: &str) -> Result<()> {
    if in_range { Ok(()) } else { Err(Error::Setting { name, value: value.to_string(), expected: expected.into() }) }
}

/// Checks a factor of a moving average: at least 0 and below 1.
pub(crate) fn check_decay_rate(name: &'static str, value: f64) -> Result<()> {
    check_setting(name, value, (0.0..1.0).contains(&value), "a number from 0 to below 1")
}

/// Checks a weight decay or an epsilon: not negative, finite.
pub(crate) fn check_not_negative(name: &'static str, value: f64) -> Result<()> {
    check_setting(name, value, value >= 0.0 && value.is_finite(), "a finite number, not negative")
}
