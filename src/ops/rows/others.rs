//! What heads make of the other classes' cosines, over rows of them.

use super::{Arch, LANES, OthersRule, Real, Simd, WithSimd, update};

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
