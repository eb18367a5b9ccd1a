//! Arithmetic on contiguous rows: plain loops, compiled for several instruction sets and chosen at run time.

use crate::Real;
use pulp::{Arch, Simd, WithSimd};

/// Independent partial results of a reduction: the order of additions is the same on every processor.
const LANES: usize = 32;

/// `Σ a_k b_k`
pub(crate) fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    Arch::new().dispatch(
        #[inline(always)]
        || reduce(a, b, |sum: F, a: F, b: F| sum + a * b),
    )
}

/// `Σ (a_k - b_k)²`
pub(crate) fn squared_distance<F: Real>(a: &[F], b: &[F]) -> F {
    Arch::new().dispatch(
        #[inline(always)]
        || reduce(a, b, |sum: F, a: F, b: F| sum + (a - b) * (a - b)),
    )
}

/// `Σ (a_k + b_k)²`
pub(crate) fn squared_sum<F: Real>(a: &[F], b: &[F]) -> F {
    Arch::new().dispatch(
        #[inline(always)]
        || reduce(a, b, |sum: F, a: F, b: F| sum + (a + b) * (a + b)),
    )
}

/// Whether no element is NaN or infinite.
pub(crate) fn all_finite<F: Real>(row: &[F]) -> bool {
    // x · 0 is zero for finite x and NaN otherwise, and sums without overflow.
    let zero = Arch::new().dispatch(
        #[inline(always)]
        || reduce(row, row, |sum: F, value: F, _| sum + value * F::zero()),
    );
    zero == F::zero()
}

/// `row_k += other_k`
pub(crate) fn add<F: Real>(row: &mut [F], other: &[F]) {
    Arch::new().dispatch(
        #[inline(always)]
        || row.iter_mut().zip(other).for_each(|(value, &other)| *value += other),
    );
}

/// `target_k = source_k / divisor`
pub(crate) fn divide_into<F: Real>(source: &[F], divisor: F, target: &mut [F]) {
    Arch::new().dispatch(
        #[inline(always)]
        || target.iter_mut().zip(source).for_each(|(target, &value)| *target = value / divisor),
    );
}

/// `row_k += factor other_k`
pub(crate) fn add_scaled<F: Real>(row: &mut [F], factor: F, other: &[F]) {
    Arch::new().dispatch(
        #[inline(always)]
        || row.iter_mut().zip(other).for_each(|(value, &other)| *value += factor * other),
    );
}

/// `gradient = (gradient - (gradient·unit) unit) / norm`, the Jacobian of `unit = row / norm`.
pub(crate) fn normalization_backward<F: Real>(gradient: &mut [F], unit: &[F], norm: F) {
    let (along, factor) = (dot(gradient, unit), norm.recip());
    Arch::new().dispatch(
        #[inline(always)]
        || gradient.iter_mut().zip(unit).for_each(|(gradient, &unit)| *gradient = (*gradient - along * unit) * factor),
    );
}

/// The largest element.
pub(crate) fn maximum<F: Real>(row: &[F]) -> F {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (chunks, rest) = row.as_chunks::<LANES>();
            let mut lanes = [F::neg_infinity(); LANES];
            for chunk in chunks {
                lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane = larger(*lane, value));
            }
            lanes.iter().chain(rest).fold(F::neg_infinity(), |largest, &value| larger(largest, value))
        },
    )
}

/// How many elements are above `threshold`, or at it if `or_equal`.
pub(crate) fn count_above<F: Real>(row: &[F], threshold: F, or_equal: bool) -> usize {
    Arch::new().dispatch(
        #[inline(always)]
        || match or_equal {
            true => row.iter().filter(|&&value| value >= threshold).count(),
            false => row.iter().filter(|&&value| value > threshold).count(),
        },
    )
}

/// `Σ exp(scale row_k - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn sum_of_exp<F: Real>(row: &[F], scale: F, shift: F) -> F {
    Arch::new().dispatch(SumOfExp { row, scale, shift })
}

/// `row_k ← factor exp(scale row_k - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn scaled_exp<F: Real>(row: &mut [F], scale: F, shift: F, factor: F) {
    Arch::new().dispatch(ScaledExp { row, scale, shift, factor });
}

struct SumOfExp<'a, F> {
    row: &'a [F],
    scale: F,
    shift: F,
}

impl<F: Real> SumOfExp<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let exp = |value: F| (self.scale * value - self.shift).exp_of_nonpositive::<FUSED>();
        let mut lanes = [F::zero(); LANES];
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane += exp(value);
            }
        }
        lanes.into_iter().chain(rest.iter().map(|&value| exp(value))).sum()
    }
}

impl<F: Real> WithSimd for SumOfExp<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct ScaledExp<'a, F> {
    row: &'a mut [F],
    scale: F,
    shift: F,
    factor: F,
}

impl<F: Real> ScaledExp<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for value in self.row {
            *value = (self.scale * *value - self.shift).exp_of_nonpositive::<FUSED>() * self.factor;
        }
    }
}

impl<F: Real> WithSimd for ScaledExp<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

#[inline(always)]
fn reduce<F: Real>(a: &[F], b: &[F], add: impl Fn(F, F, F) -> F) -> F {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [F::zero(); LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = add(*lane, a, b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(F::zero(), |sum, (&a, &b)| add(sum, a, b));
    lanes.into_iter().sum::<F>() + rest
}

#[inline(always)]
fn larger<F: Real>(a: F, b: F) -> F {
    if b > a { b } else { a }
}
