//! What stands for the cosines of the other classes of one row, where a head changes them.

use crate::Real;

/// `φ(c) = c` up to a threshold, or 0, and past it `v₀ + v₁ c + v₂ c² + v₃ c³` with the derivative `s₀ + s₁ c + s₂ c²`.
///
/// Heads that weigh hard negatives are of this form (MV-Softmax, CurricularFace, Circle loss). The derivative is given apart, since some papers
/// hold a part of φ constant in the gradient. The threshold may jump; it has no derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OthersRule<F> {
    /// The largest cosine that is not changed by the polynomial; -∞ if all are.
    pub threshold: F,
    /// Whether cosines up to the threshold count as 0 and have no gradient, instead of staying as they are.
    pub zero_below: bool,
    /// `[v₀, v₁, v₂, v₃]`
    pub value: [F; 4],
    /// `[s₀, s₁, s₂]`, dφ/dc.
    pub slope: [F; 3],
}

impl<F: Real> OthersRule<F> {
    /// 0 above this cosine, without a gradient: InsightFace's filter of negatives that may be of the labelled class. Such a class keeps `exp(0)` in the
    /// denominator.
    pub fn filter(threshold: f64) -> Self {
        Self { threshold: F::of(threshold), zero_below: false, value: [F::zero(); 4], slope: [F::zero(); 3] }
    }

    /// Every cosine stays as it is.
    pub(crate) fn none() -> Self {
        Self { threshold: F::infinity(), ..Self::filter(0.0) }
    }

    /// `φ(c)`
    #[inline(always)] // into the code of several instruction sets
    pub fn value_at(&self, cosine: F) -> F {
        let [constant, linear, quadratic, cubic] = self.value;
        // Without branches, so that loops over it vectorise. A cosine of -∞ stands for a class that takes no part.
        let changed = constant + cosine * (linear + cosine * (quadratic + cosine * cubic));
        let below = if self.zero_below && cosine > F::neg_infinity() { F::zero() } else { cosine };
        if cosine > self.threshold { changed } else { below }
    }

    /// `dφ/dc`
    #[inline(always)]
    pub fn slope_at(&self, cosine: F) -> F {
        let [constant, linear, quadratic] = self.slope;
        let changed = constant + cosine * (linear + cosine * quadratic);
        let below = if self.zero_below { F::zero() } else { F::one() };
        if cosine > self.threshold { changed } else { below }
    }

    /// No `|dφ/dc|` at cosines in [-1, 1] is larger; NaN if a slope is.
    pub(crate) fn steepest(&self) -> F {
        let changed = self.slope.iter().fold(F::zero(), |sum, slope| sum + slope.abs());
        if changed <= F::one() { F::one() } else { changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_past_the_threshold_are_changed_and_others_stay() {
        // CurricularFace at t = 0.2: c (t + c).
        let rule =
            OthersRule { threshold: 0.3, zero_below: false, value: [0.0, 0.2, 1.0, 0.0], slope: [0.2, 2.0, 0.0] };
        for cosine in [-1.0, 0.0, 0.3] {
            assert_eq!((rule.value_at(cosine), rule.slope_at(cosine)), (cosine, 1.0));
        }
        assert_eq!((rule.value_at(0.5), rule.slope_at(0.5)), (0.35, 1.2));
        assert_eq!(rule.value_at(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(rule.slope_at(1.0) <= rule.steepest() && rule.steepest() == 2.2);

        let rule = OthersRule { zero_below: true, value: [-0.09, 0.0, 1.0, 2.0], slope: [0.0, 2.0, 6.0], ..rule };
        assert_eq!((rule.value_at(0.3), rule.slope_at(0.3)), (0.0, 0.0));
        assert_eq!((rule.value_at(0.5), rule.slope_at(0.5)), (-0.09 + 0.25 + 0.25, 1.0 + 1.5));
        assert_eq!(rule.value_at(f64::NEG_INFINITY), f64::NEG_INFINITY);
    }
}
