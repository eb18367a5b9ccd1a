//! The element types: `f32` and `f64` behind one trait.

use ndarray::NdFloat;
use num_traits::FromPrimitive;
use std::iter::Sum;

/// An element type of features, weights and gradients: [`f32`] or [`f64`].
///
/// Hyper-parameters are `f64` and are rounded to the element type where they are used.
pub trait Real: NdFloat + FromPrimitive + Default + Sum {
    /// `value`, rounded to this type.
    fn of(value: f64) -> Self;

    /// This value in double precision.
    fn to_double(self) -> f64;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn to_double(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn to_double(self) -> f64 {
        self
    }
}
