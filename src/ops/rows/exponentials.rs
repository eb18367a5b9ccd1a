//! Exponentials of rows of logits, as softmax takes them.

use super::{Arch, OthersRule, Real, Simd, WithSimd, sum_of_terms};

/// `Σ exp(scale row_k - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn sum_of_exp<F: Real>(row: &[F], scale: F, shift: F) -> F {
    Arch::new().dispatch(SumOfExp { row, scale, shift })
}

/// `Σ exp(beta (scale row_k - shift))`, of which no exponent may be positive; an element of -∞ adds nothing.
pub(crate) fn sum_of_powers<F: Real>(row: &[F], scale: F, shift: F, beta: F) -> F {
    Arch::new().dispatch(SumOfPowers { row, scale, shift, beta })
}

/// `row_k ← factor exp(scale row_k - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn scaled_exp<F: Real>(row: &mut [F], scale: F, shift: F, factor: F) {
    Arch::new().dispatch(ScaledExp { row, scale, shift, factor });
}

/// `Σ row_k exp(scale row_k - shift)`; an element of -∞ adds nothing, no exponent may be positive by more than rounding.
pub(crate) fn exp_weighted_sum<F: Real>(row: &[F], scale: F, shift: F) -> F {
    Arch::new().dispatch(ExpWeightedSum { row, scale, shift })
}

/// `row_k ← factor φ'(row_k) exp(scale φ(row_k) - shift)`; no exponent may be positive by more than rounding.
pub(crate) fn scaled_exp_of<F: Real>(rule: OthersRule<F>, row: &mut [F], scale: F, shift: F, factor: F) {
    Arch::new().dispatch(ScaledExpOf { rule, exp: ScaledExp { row, scale, shift, factor } });
}

struct SumOfExp<'a, F> {
    row: &'a [F],
    scale: F,
    shift: F,
}

impl<F: Real> SumOfExp<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        sum_of_terms(self.row, |value| (self.scale * value - self.shift).exp_of_nonpositive::<FUSED>())
    }
}

impl<F: Real> WithSimd for SumOfExp<'_, F> {
    type Output = F;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> F {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

struct SumOfPowers<'a, F> {
    row: &'a [F],
    scale: F,
    shift: F,
    beta: F,
}

impl<F: Real> SumOfPowers<'_, F> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) -> F {
        // The difference first: it is exact near the largest, and nothing overflows at a large β.
        sum_of_terms(self.row, |value| (self.beta * (self.scale * value - self.shift)).exp_of_nonpositive::<FUSED>())
    }
}

impl<F: Real> WithSimd for SumOfPowers<'_, F> {
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
        sum_of_terms(self.row, |value| {
            let exp = (self.scale * value - self.shift).exp_of_nonpositive::<FUSED>();
            if value > F::neg_infinity() { value * exp } else { F::zero() }
        })
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
