//! What stands for the cosines of the other classes of one row, where a head changes them.

use crate::Real;

/// `φ(c) = c` up to a threshold, and past it `v₀ + v₁ c + v₂ c²` with the derivative `s₀ + s₁ c`.
///
/// Heads that weigh hard negatives are of this form (MV-Softmax, CurricularFace). The derivative is given apart, since some papers hold a part
/// of φ constant in the gradient. The threshold may jump; it has no derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OthersRule<F> {
    /// The largest cosine that stays as it is.
    pub threshold: F,
    /// `[v₀, v₁, v₂]`
    pub value: [F; 3],
    /// `[s₀, s₁]`, dφ/dc.
    pub slope: [F; 2],
}

impl<F: Real> OthersRule<F> {
    /// 0 above this cosine, without a gradient: InsightFace's filter of negatives that may be of the labelled class. Such a class keeps `exp(0)` in the
    /// denominator.
    pub fn filter(threshold: f64) -> Self {
        Self { threshold: F::of(threshold), value: [F::zero(); 3], slope: [F::zero(); 2] }
    }

    /// `φ(c)`
    #[inline(always)] // into the code of several instruction sets
    pub fn value_at(&self, cosine: F) -> F {
        let [constant, linear, quadratic] = self.value;
        // Without branches, so that loops over it vectorise. A cosine of -∞ stands for a class that takes no part.
        let changed = constant + cosine * (linear + cosine * quadratic);
        if cosine > self.threshold { changed } else { cosine }
    }

    /// `dφ/dc`
    #[inline(always)]
    pub fn slope_at(&self, cosine: F) -> F {
        let changed = self.slope[0] + cosine * self.slope[1];
        if cosine > self.threshold { changed } else { F::one() }
    }

    /// No `|dφ/dc|` at cosines in [-1, 1] is larger; NaN if a slope is.
    pub(crate) fn steepest(&self) -> F {
        let changed = self.slope[0].abs() + self.slope[1].abs();
        if changed <= F::one() { F::one() } else { changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_past_the_threshold_are_changed_and_others_stay() {
        // CurricularFace at t = 0.2: c (t + c).
        let rule = OthersRule { threshold: 0.3, value: [0.0, 0.2, 1.0], slope: [0.2, 2.0] };
        for cosine in [-1.0, 0.0, 0.3] {
            assert_eq!((rule.value_at(cosine), rule.slope_at(cosine)), (cosine, 1.0));
        }
        assert_eq!((rule.value_at(0.5), rule.slope_at(0.5)), (0.35, 1.2));
        assert_eq!(rule.value_at(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(rule.slope_at(1.0) <= rule.steepest() && rule.steepest() == 2.2);
    }
}
