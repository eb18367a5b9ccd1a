//! Arithmetic on contiguous rows: plain loops, compiled for several instruction sets of which one is chosen at run time.
//!
//! The loops are in `WithSimd` implementations: pulp compiles these, and what is inlined in them, once for each instruction
//! set. A closure given to its `dispatch` is not inlined, and would get the oldest one.

use super::{ClassLoss, OthersRule};
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

/// `Σ exp(scale row_k - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn sum_of_exp<F: Real>(row: &[F], scale: F, shift: F) -> F {
    Arch::new().dispatch(SumOfExp { row, scale, shift })
}

/// `row_k ← factor exp(scale row_k - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn scaled_exp<F: Real>(row: &mut [F], scale: F, shift: F, factor: F) {
    Arch::new().dispatch(ScaledExp { row, scale, shift, factor });
}

/// `Σ row_k` but for elements that are -∞.
pub(crate) fn sum_of_finite<F: Real>(row: &[F]) -> F {
    sum(row, row, |value, _| if value > F::neg_infinity() { value } else { F::zero() })
}

/// `Σ row_k exp(scale row_k - shift)`; an element of -∞ adds nothing, no exponent may be positive by more than rounding.
pub(crate) fn exp_weighted_sum<F: Real>(row: &[F], scale: F, shift: F) -> F {
    Arch::new().dispatch(ExpWeightedSum { row, scale, shift })
}

/// `row_k ← row_k - subtrahend φ'(source_k)`, but for elements of `source` that are -∞; φ' is 1 without a rule.
pub(crate) fn subtract_slopes<F: Real>(row: &mut [F], subtrahend: F, rule: Option<OthersRule<F>>, source: &[F]) {
    let or_zero = |source, value| if source > F::neg_infinity() { value } else { F::zero() };
    match rule {
        Some(rule) => update(row, source, |value, source| value - or_zero(source, subtrahend * rule.slope_at(source))),
        None => update(row, source, |value, source| value - or_zero(source, subtrahend)),
    }
}

/// `target_k = φ(source_k)`. Returns the largest element of each: one pass for what three would do.
pub(crate) fn apply_into<F: Real>(rule: OthersRule<F>, source: &[F], target: &mut [F]) -> (F, F) {
    Arch::new().dispatch(ApplyInto { rule, source, target })
}

/// `row_k ← factor φ'(row_k) exp(scale φ(row_k) - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn scaled_exp_of<F: Real>(rule: OthersRule<F>, row: &mut [F], scale: F, shift: F, factor: F) {
    Arch::new().dispatch(ScaledExpOf { rule, exp: ScaledExp { row, scale, shift, factor } });
}

/// `Σ ℓ(scale row_k - threshold)`, ℓ the loss of another class; an element of -∞ adds nothing.
pub(crate) fn sum_of_losses<F: Real>(loss: ClassLoss, row: &[F], scale: F, threshold: F) -> F {
    Arch::new().dispatch(SumOfLosses { loss, row, scale, threshold })
}

/// `row_k ← r_k φ'(row_k)` with the residual `r_k = factor ℓ'(scale φ(row_k) - threshold)`, ℓ the loss of another class; 0 for an element of -∞.
/// Returns `Σ r_k` and `Σ r_k φ(row_k)`.
pub(crate) fn slopes_of_losses<F: Real>(
    loss: ClassLoss,
    rule: Option<OthersRule<F>>,
    row: &mut [F],
    (scale, threshold): (F, F),
    factor: F,
) -> (F, F) {
    let rule = rule.unwrap_or(OthersRule { threshold: F::infinity(), ..OthersRule::filter(0.0) });
    Arch::new().dispatch(SlopesOfLosses { loss, rule, row, scale, threshold, factor })
}

/// `Σ term(a_k, b_k)`
fn sum<F: Real>(a: &[F], b: &[F], term: impl Fn(F, F) -> F) -> F {
    Arch::new().dispatch(Sum { a, b, term })
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

struct ApplyInto<'a, F> {
    rule: OthersRule<F>,
    source: &'a [F],
    target: &'a mut [F],
}

impl<F: Real> WithSimd for ApplyInto<'_, F> {
    type Output = (F, F);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (F, F) {
        let larger = |a, b| if b > a { b } else { a };
        let (source, source_rest) = self.source.as_chunks::<LANES>();
        let (target, target_rest) = self.target.as_chunks_mut::<LANES>();
        let mut of_source = [F::neg_infinity(); LANES];
        let mut of_target = [F::neg_infinity(); LANES];
        for (source, target) in source.iter().zip(target) {
            let lanes = of_source.iter_mut().zip(&mut of_target);
            for ((&value, changed), (of_source, of_target)) in source.iter().zip(target).zip(lanes) {
                *changed = self.rule.value_at(value);
                *of_source = larger(*of_source, value);
                *of_target = larger(*of_target, *changed);
            }
        }
        let largest = |lanes: [F; LANES]| lanes.into_iter().fold(F::neg_infinity(), larger);
        let rest = source_rest.iter().zip(target_rest);
        rest.fold((largest(of_source), largest(of_target)), |(of_source, of_target), (&value, changed)| {
            *changed = self.rule.value_at(value);
            (larger(of_source, value), larger(of_target, *changed))
        })
    }
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
        let rest = rest.iter().fold(F::zero(), |sum, &value| sum + exp(value));
        lanes.into_iter().fold(rest, |sum, lane| sum + lane)
    }
}

impl<F: Real> WithSimd for SumOfExp<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct ExpWeightedSum<'a, F> {
    row: &'a [F],
    scale: F,
    shift: F,
}

impl<F: Real> ExpWeightedSum<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let term = |value: F| {
            let exp = (self.scale * value - self.shift).exp_of_nonpositive::<FUSED>();
            if value > F::neg_infinity() { value * exp } else { F::zero() }
        };
        let mut lanes = [F::zero(); LANES];
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane += term(value);
            }
        }
        let rest = rest.iter().fold(F::zero(), |sum, &value| sum + term(value));
        lanes.into_iter().fold(rest, |sum, lane| sum + lane)
    }
}

impl<F: Real> WithSimd for ExpWeightedSum<'_, F> {
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

struct SumOfLosses<'a, F> {
    loss: ClassLoss,
    row: &'a [F],
    scale: F,
    threshold: F,
}

impl<F: Real> SumOfLosses<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let term = |value: F| self.loss.of_other::<F, FUSED>(self.scale * value - self.threshold);
        let mut lanes = [F::zero(); LANES];
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane += term(value);
            }
        }
        let rest = rest.iter().fold(F::zero(), |sum, &value| sum + term(value));
        lanes.into_iter().fold(rest, |sum, lane| sum + lane)
    }
}

impl<F: Real> WithSimd for SumOfLosses<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct SlopesOfLosses<'a, F> {
    loss: ClassLoss,
    rule: OthersRule<F>,
    row: &'a mut [F],
    scale: F,
    threshold: F,
    factor: F,
}

impl<F: Real> SlopesOfLosses<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> (F, F) {
        let Self { loss, rule, row, scale, threshold, factor } = self;
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        let slope = |value: &mut F, sum: &mut F, weighted_sum: &mut F| {
            let changed = rule.value_at(*value);
            let residual = factor * loss.slope_of_other::<F, FUSED>(scale * changed - threshold);
            *sum += residual;
            *weighted_sum += if *value > F::neg_infinity() { residual * changed } else { F::zero() };
            *value = residual * rule.slope_at(if *value > F::neg_infinity() { *value } else { F::zero() });
        };
        let (mut sums, mut weighted_sums) = ([F::zero(); LANES], [F::zero(); LANES]);
        for chunk in chunks {
            for ((value, sum), weighted_sum) in chunk.iter_mut().zip(&mut sums).zip(&mut weighted_sums) {
                slope(value, sum, weighted_sum);
            }
        }
        let total = |lanes: [F; LANES]| lanes.into_iter().fold(F::zero(), |sum, lane| sum + lane);
        let (mut sum, mut weighted_sum) = (total(sums), total(weighted_sums));
        rest.iter_mut().for_each(|value| slope(value, &mut sum, &mut weighted_sum));
        (sum, weighted_sum)
    }
}

impl<F: Real> WithSimd for SlopesOfLosses<'_, F> {
    type Output = (F, F);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (F, F) {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct ScaledExpOf<'a, F> {
    rule: OthersRule<F>,
    exp: ScaledExp<'a, F>,
}

impl<F: Real> ScaledExpOf<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let ScaledExp { row, scale, shift, factor } = self.exp;
        for value in row {
            let exp = (scale * self.rule.value_at(*value) - shift).exp_of_nonpositive::<FUSED>();
            *value = exp * factor * self.rule.slope_at(*value);
        }
    }
}

impl<F: Real> WithSimd for ScaledExpOf<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}
