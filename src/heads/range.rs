//! Ranges of hyper-parameters.

use crate::{Error, Result};

/// The largest scale, α or factor of an angle: far past all use, and small enough that gradients in single precision stay finite even at the
/// poles.
pub(super) const LARGEST_FACTOR: f64 = 1e9;

/// An [`Error::HyperParameter`] unless `value` is above 0 and at most [`LARGEST_FACTOR`].
pub(super) fn check_factor(head: &'static str, name: &'static str, value: f64) -> Result<()> {
    let in_range = value > 0.0 && value <= LARGEST_FACTOR;
    check_hyper_parameter(head, name, value, in_range, "a positive number of at most 1e9")
}

/// An [`Error::HyperParameter`] unless `in_range`.
pub(super) fn check_hyper_parameter(
    head: &'static str,
    name: &'static str,
    value: f64,
    in_range: bool,
    expected: &'static str,
) -> Result<()> {
    if in_range { Ok(()) } else { Err(Error::HyperParameter { head, name, value, expected }) }
}
