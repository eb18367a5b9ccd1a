//! Sums down columns, a row at a time: what a row adds to each of its columns.

use super::{Arch, LANES, OthersRule, Real, Simd, WithSimd, update};

/// `maxima_k ← max(maxima_k, scale row_k)`
pub(crate) fn raise<F: Real>(maxima: &mut [F], row: &[F], scale: F) {
    update(maxima, row, |maximum, value| if scale * value > maximum { scale * value } else { maximum });
}

/// `sums_k ← sums_k + exp(scale row_k - shifts_k)`; no exponent may be positive by more than rounding.
pub(crate) fn add_exp<F: Real>(sums: &mut [F], row: &[F], scale: F, shifts: &[F]) {
    Arch::new().dispatch(AddExp { sums, row, scale, shifts });
}

/// `Σ_k factors_k exp(scale row_k - shifts_k)`; no exponent may be positive by more than rounding.
pub(crate) fn weighted_sum_of_exp<F: Real>(row: &[F], scale: F, shifts: &[F], factors: &[F]) -> F {
    Arch::new().dispatch(WeightedSumOfExp { row, scale, shifts, factors })
}

/// `row_k ← r_k φ'(row_k)` with the residual `r_k = factor exp(scale φ(row_k) - shifts_k)`, 0 for an element of -∞. Returns `Σ r_k φ(row_k)`.
pub(crate) fn scaled_exp_down<F: Real>(
    rule: Option<OthersRule<F>>,
    row: &mut [F],
    scale: F,
    shifts: &[F],
    factor: F,
) -> F {
    let rule = rule.unwrap_or(OthersRule::none());
    Arch::new().dispatch(ScaledExpDown { rule, row, scale, shifts, factor })
}

struct AddExp<'a, F> {
    sums: &'a mut [F],
    row: &'a [F],
    scale: F,
    shifts: &'a [F],
}

impl<F: Real> AddExp<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for ((sum, &value), &shift) in self.sums.iter_mut().zip(self.row).zip(self.shifts) {
            *sum += (self.scale * value - shift).exp_of_nonpositive::<FUSED>();
        }
    }
}

impl<F: Real> WithSimd for AddExp<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct WeightedSumOfExp<'a, F> {
    row: &'a [F],
    scale: F,
    shifts: &'a [F],
    factors: &'a [F],
}

impl<F: Real> WeightedSumOfExp<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        let Self { row, scale, shifts, factors } = self;
        let term = |value: F, shift: F, factor: F| factor * (scale * value - shift).exp_of_nonpositive::<FUSED>();
        let ((row, row_rest), (shifts, shifts_rest)) = (row.as_chunks::<LANES>(), shifts.as_chunks::<LANES>());
        let (factors, factors_rest) = factors.as_chunks::<LANES>();
        let mut lanes = [F::zero(); LANES];
        for ((row, shifts), factors) in row.iter().zip(shifts).zip(factors) {
            for (((lane, &value), &shift), &factor) in lanes.iter_mut().zip(row).zip(shifts).zip(factors) {
                *lane += term(value, shift, factor);
            }
        }
        let rest = row_rest.iter().zip(shifts_rest).zip(factors_rest);
        let rest = rest.fold(F::zero(), |sum, ((&value, &shift), &factor)| sum + term(value, shift, factor));
        lanes.into_iter().fold(rest, |sum, lane| sum + lane)
    }
}

impl<F: Real> WithSimd for WeightedSumOfExp<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct ScaledExpDown<'a, F> {
    rule: OthersRule<F>,
    row: &'a mut [F],
    scale: F,
    shifts: &'a [F],
    factor: F,
}

impl<F: Real> ScaledExpDown<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        let Self { rule, row, scale, shifts, factor } = self;
        let slope = |value: &mut F, shift: F, weighted_sum: &mut F| {
            let is_there = *value > F::neg_infinity();
            let changed = rule.value_at(*value);
            let residual = factor * (scale * changed - shift).exp_of_nonpositive::<FUSED>();
            *weighted_sum += if is_there { residual * changed } else { F::zero() };
            *value = residual * rule.slope_at(if is_there { *value } else { F::zero() });
        };
        let ((row, row_rest), (shifts, shifts_rest)) = (row.as_chunks_mut::<LANES>(), shifts.as_chunks::<LANES>());
        let mut weighted_sums = [F::zero(); LANES];
        for (row, shifts) in row.iter_mut().zip(shifts) {
            for ((value, &shift), weighted_sum) in row.iter_mut().zip(shifts).zip(&mut weighted_sums) {
                slope(value, shift, weighted_sum);
            }
        }
        let mut weighted_sum = weighted_sums.into_iter().fold(F::zero(), |sum, lane| sum + lane);
        row_rest.iter_mut().zip(shifts_rest).for_each(|(value, &shift)| slope(value, shift, &mut weighted_sum));
        weighted_sum
    }
}

impl<F: Real> WithSimd for ScaledExpDown<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}
