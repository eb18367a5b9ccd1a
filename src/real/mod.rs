//! The element types: `f32` and `f64` behind one trait.

pub(crate) mod bf16;
mod blas_threads;
mod exp;
pub(crate) mod int8;
mod product;

pub use blas_threads::SingleThreaded;

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};
use num_traits::FromPrimitive;
use std::iter::Sum;

/// An element type of features, weights and gradients: [`f32`] or [`f64`].
///
/// Hyper-parameters are `f64` and are rounded to the element type where they are used.
pub trait Real: NdFloat + FromPrimitive + Default + Sum + Primitives {
    /// `value`, rounded to this type.
    fn of(value: f64) -> Self;

    /// This value in double precision.
    fn to_double(self) -> f64;
}

/// What has to be written for each type: the streaming kernel's exponential and its matrix product.
pub trait Primitives: Sized {
    /// `exp(self)` for `self ≤ 0`, to 2 units in the last place, in a form that compilers vectorise; 0 where the result would not
    /// be a normal number. `FUSED`: the processor multiplies and adds in one instruction.
    fn exp_of_nonpositive<const FUSED: bool>(self) -> Self;

    /// `c ← alpha a b`, or `c ← c + alpha a b` if `accumulate`, on the calling thread. The operands are contiguous, or transposes
    /// of what is.
    fn product(alpha: Self, a: ArrayView2<Self>, b: ArrayView2<Self>, accumulate: bool, c: ArrayViewMut2<Self>);

    /// These numbers if they are of single precision, which products of mixed precision take.
    fn singles(numbers: &[Self]) -> Option<&[f32]>;

    /// As [`singles`](Self::singles).
    fn singles_mut(numbers: &mut [Self]) -> Option<&mut [f32]>;
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

impl Primitives for f32 {
    #[inline(always)]
    fn exp_of_nonpositive<const FUSED: bool>(self) -> Self {
        exp::f32_exp::<FUSED>(self)
    }

    fn product(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, accumulate: bool, c: ArrayViewMut2<f32>) {
        product::product(alpha, a, b, accumulate, c);
    }

    fn singles(numbers: &[Self]) -> Option<&[f32]> {
        Some(numbers)
    }

    fn singles_mut(numbers: &mut [Self]) -> Option<&mut [f32]> {
        Some(numbers)
    }
}

impl Primitives for f64 {
    #[inline(always)]
    fn exp_of_nonpositive<const FUSED: bool>(self) -> Self {
        exp::f64_exp::<FUSED>(self)
    }

    fn product(alpha: f64, a: ArrayView2<f64>, b: ArrayView2<f64>, accumulate: bool, c: ArrayViewMut2<f64>) {
        product::product(alpha, a, b, accumulate, c);
    }

    fn singles(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn singles_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}
