//! Optimizers and learning-rate schedules.
//!
//! An optimizer is a plain struct of hyper-parameters; what it remembers between steps are slices that the caller
//! owns, so a tensor can be updated whole or block by block.

pub mod adamw;
pub mod lbfgs;
pub mod rmsprop;
pub mod schedule;
pub mod sgd;

mod optimizer;

pub use adamw::AdamW;
pub use lbfgs::Lbfgs;
pub use optimizer::{Moments, MomentsMut, Optimizer, Trained};
pub use rmsprop::RmsProp;
pub use schedule::{Decay, Schedule};
pub use sgd::Sgd;

use crate::wording::number;
use crate::{Error, Result};

/// An [`Error::Setting`] unless `in_range`.
pub(crate) fn check_setting(name: &'static str, value: f64, in_range: bool, expected: &str) -> Result<()> {
    if in_range { Ok(()) } else { Err(Error::Setting { name, value: number(value), expected: expected.into() }) }
}

/// Checks a factor of a moving average: at least 0 and below 1.
pub(crate) fn check_decay_rate(name: &'static str, value: f64) -> Result<()> {
    check_setting(name, value, (0.0..1.0).contains(&value), "a number from 0 to below 1")
}

/// Checks a weight decay: not negative, and finite in single precision too.
fn check_weight_decay(value: f64) -> Result<()> {
    let in_range = (0.0..=f64::from(f32::MAX)).contains(&value);
    check_setting("weight decay", value, in_range, "a number from 0 to 3.4e38")
}

/// Checks what is added to the divisor of a step. It must not vanish in either precision: an element that never had a gradient is divided by
/// nothing else.
fn check_epsilon(value: f64) -> Result<()> {
    let in_range = (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&value);
    check_setting("epsilon", value, in_range, "a number from 1.2e-38 to 3.4e38")
}
