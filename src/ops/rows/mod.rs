//! Arithmetic on contiguous rows: plain loops, compiled for several instruction sets of which one is chosen at run time.
//!
//! The loops are in `WithSimd` implementations: pulp compiles these, and what is inlined in them, once for each instruction
//! set. A closure given to its `dispatch` is not inlined, and would get the oldest one.

mod class_losses;
mod codes;
mod columns;
mod exponentials;
mod mixture;
mod nearest;
mod others;

pub(crate) use class_losses::{slopes_of_losses, sum_of_losses};
pub(crate) use codes::{of_codes, round_to_codes};
pub(crate) use columns::{add_exp, raise, scaled_exp_down, weighted_sum_of_exp};
pub(crate) use exponentials::{exp_weighted_sum, scaled_exp, scaled_exp_of, sum_of_exp, sum_of_powers};
pub(crate) use mixture::{mix_centres, unmix_centres};
pub(crate) use nearest::keep_largest;
pub(crate) use others::{apply_into, subtract_slopes};

use super::OthersRule;
use crate::Real;
use pulp::{Arch, Simd, WithSimd};

/// Independent partial results of a reduction: the order of additions is the same on every processor.
const LANES: usize = 32;

/// `Σ a_k b_k`
pub(crate) fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    sum(a, b, |a, b| a * b)
}

/// The Euclidean norm, whether or not its square can be held; not finite if the row is not, or if double precision does not hold it.
pub(crate) fn norm<F: Real>(row: &[F]) -> f64 {
    let squared = dot(row, row);
    if is_in_range(squared) {
        return squared.to_double().sqrt();
    }
    let largest = row.iter().fold(F::zero(), |largest, value| largest.max(value.abs())).to_double();
    if squared.is_nan() || largest == 0.0 || largest == f64::INFINITY {
        return squared.to_double();
    }
    largest * row.iter().map(|value| (value.to_double() / largest).powi(2)).sum::<f64>().sqrt()
}

/// The smallest normal number over ε, 1e-31 in `f32` and 1e-292 in `f64`.
pub(crate) fn smallest_in_range<F: Real>() -> F {
    F::min_positive_value() / F::epsilon()
}

/// Whether a sum of squares has neither overflowed nor lost digits by vanishing.
pub(crate) fn is_in_range<F: Real>(squared: F) -> bool {
    squared.is_finite() && squared >= smallest_in_range()
}

/// `Σ (a_k - b_k)²`
pub(crate) fn squared_distance<F: Real>(a: &[F], b: &[F]) -> F {
    sum(a, b, |a, b| (a - b) * (a - b))
}

/// `Σ (a_k + b_k)²`
pub(crate) fn squared_sum<F: Real>(a: &[F], b: &[F]) -> F {
    sum(a, b, |a, b| (a + b) * (a + b))
}

/// Whether no element is NaN or infinite.
pub(crate) fn all_finite<F: Real>(row: &[F]) -> bool {
    // x · 0 is zero for finite x and NaN otherwise, and sums without overflow.
    sum(row, row, |value, _| value * F::zero()) == F::zero()
}

/// How many elements are above `threshold`, or at it if `or_equal`.
pub(crate) fn count_above<F: Real>(row: &[F], threshold: F, or_equal: bool) -> usize {
    let one_if = |condition| if condition { F::one() } else { F::zero() };
    // Exact up to 2^24 elements a lane.
    let count = match or_equal {
        true => sum(row, row, |value, _| one_if(value >= threshold)),
        false => sum(row, row, |value, _| one_if(value > threshold)),
    };
    count.to_double() as usize
}

/// Calls `each` with every k where `row_k ≥ thresholds_k`; most elements are below.
pub(crate) fn for_each_reaching<F: Real>(row: &[F], thresholds: &[F], each: impl FnMut(usize)) {
    Arch::new().dispatch(Reaching { row, thresholds, each });
}

/// `target_k = source_k / divisor`
pub(crate) fn divide_into<F: Real>(source: &[F], divisor: F, target: &mut [F]) {
    update(target, source, |_, value| value / divisor);
}

/// `row_k += other_k`
pub(crate) fn add<F: Real>(row: &mut [F], other: &[F]) {
    update(row, other, |value, other| value + other);
}

/// `row_k += factor other_k`
pub(crate) fn add_scaled<F: Real>(row: &mut [F], factor: F, other: &[F]) {
    update(row, other, |value, other| value + factor * other);
}

/// `row_k *= factor`
pub(crate) fn scale<F: Real>(row: &mut [F], factor: F) {
    Arch::new().dispatch(Scaled { row, factor });
}

/// `gradient = (gradient - (gradient·unit) unit) / norm`, the Jacobian of `unit = row / norm`.
pub(crate) fn normalization_backward<F: Real>(gradient: &mut [F], unit: &[F], norm: F) {
    let (along, factor) = (dot(gradient, unit), norm.recip());
    update(gradient, unit, |gradient, unit| (gradient - along * unit) * factor);
}

/// The largest element.
pub(crate) fn maximum<F: Real>(row: &[F]) -> F {
    Arch::new().dispatch(Maximum { row })
}

/// `Σ row_k` but for elements that are -∞.
pub(crate) fn sum_of_finite<F: Real>(row: &[F]) -> F {
    sum(row, row, |value, _| if value > F::neg_infinity() { value } else { F::zero() })
}

/// `Σ term(a_k, b_k)`
fn sum<F: Real>(a: &[F], b: &[F], term: impl Fn(F, F) -> F) -> F {
    Arch::new().dispatch(Sum { a, b, term })
}

/// `Σ term(row_k)`, in code that is compiled for several instruction sets already.
#[inline(always)]
fn sum_of_terms<F: Real>(row: &[F], term: impl Fn(F) -> F) -> F {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [F::zero(); LANES];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += term(value);
        }
    }
    let rest = rest.iter().fold(F::zero(), |sum, &value| sum + term(value));
    lanes.into_iter().fold(rest, |sum, lane| sum + lane)
}

/// `row_k ← new(row_k, other_k)`
fn update<F: Real>(row: &mut [F], other: &[F], new: impl Fn(F, F) -> F) {
    Arch::new().dispatch(Update { row, other, new });
}

struct Sum<'a, F, T> {
    a: &'a [F],
    b: &'a [F],
    term: T,
}

impl<F: Real, T: Fn(F, F) -> F> WithSimd for Sum<'_, F, T> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        let ((a, a_rest), (b, b_rest)) = (self.a.as_chunks::<LANES>(), self.b.as_chunks::<LANES>());
        let mut lanes = [F::zero(); LANES];
        for (a, b) in a.iter().zip(b) {
            for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += (self.term)(a, b);
            }
        }
        let rest = a_rest.iter().zip(b_rest).fold(F::zero(), |sum, (&a, &b)| sum + (self.term)(a, b));
        lanes.into_iter().fold(rest, |sum, lane| sum + lane)
    }
}

struct Reaching<'a, F, E> {
    row: &'a [F],
    thresholds: &'a [F],
    each: E,
}

impl<F: Real, E: FnMut(usize)> WithSimd for Reaching<'_, F, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let mut start = 0;
        for (row, thresholds) in self.row.chunks(LANES).zip(self.thresholds.chunks(LANES)) {
            let reaches = |(value, threshold): (&F, &F)| value >= threshold;
            // Without a way out of the loop, so that it vectorises.
            if row.iter().zip(thresholds).fold(false, |any, pair| any | reaches(pair)) {
                let found = row.iter().zip(thresholds).enumerate().filter(|&(_, pair)| reaches(pair));
                found.for_each(|(k, _)| (self.each)(start + k));
            }
            start += LANES;
        }
    }
}

struct Update<'a, F, N> {
    row: &'a mut [F],
    other: &'a [F],
    new: N,
}

impl<F: Real, N: Fn(F, F) -> F> WithSimd for Update<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (value, &other) in self.row.iter_mut().zip(self.other) {
            *value = (self.new)(*value, other);
        }
    }
}

struct Scaled<'a, F> {
    row: &'a mut [F],
    factor: F,
}

impl<F: Real> WithSimd for Scaled<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.row {
            *value *= self.factor;
        }
    }
}

struct Maximum<'a, F> {
    row: &'a [F],
}

impl<F: Real> WithSimd for Maximum<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        let larger = |a, b| if b > a { b } else { a };
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let mut lanes = [F::neg_infinity(); LANES];
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane = larger(*lane, value);
            }
        }
        lanes.iter().chain(rest).fold(F::neg_infinity(), |largest, &value| larger(largest, value))
    }
}
