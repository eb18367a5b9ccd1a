//! Losses of each class by itself, over rows of inner products.

use super::{Arch, LANES, OthersRule, Real, Simd, WithSimd, sum_of_terms};
use crate::ops::ClassLoss;

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
    let rule = rule.unwrap_or(OthersRule::none());
    Arch::new().dispatch(SlopesOfLosses { loss, rule, row, scale, threshold, factor })
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
        sum_of_terms(self.row, |value| self.loss.of_other::<F, FUSED>(self.scale * value - self.threshold))
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
