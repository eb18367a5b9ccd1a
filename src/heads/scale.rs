//! What inner products are multiplied by: a number, or a rule. Any margin goes with any of them.

use super::State;
use super::range::{check_factor, check_hyper_parameter};
use crate::ops::Angle;
use crate::ops::angle::median;
use crate::{Error, Real, Result};
use ndarray::{Array1, array};
use std::collections::BTreeMap;
use std::f64::consts::{FRAC_PI_4, SQRT_2};

/// The scale s of a head's logits, the inverse temperature of its softmax. Dimensionless.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "ScaleForm", into = "ScaleForm"))]
pub enum Scale {
    /// This number.
    Fixed(f64),
    /// `√2 ln(C-1)` (Zhang et al. 2019, arXiv 1905.00292, section 4.1), see [`fixed_adacos`](super::fixed_adacos).
    FixedAdaCos,
    /// Follows the batch (arXiv 1905.00292, section 4.2), see [`adacos`](super::adacos). State `scale`.
    AdaCos {
        /// The scale is never set above this; `None` leaves it free, as in the paper.
        max: Option<f64>,
    },
    /// The norm α given to features (arXiv 1703.09507), see [`l2_softmax`](super::l2_softmax). Vector `alpha` (1,).
    Alpha {
        /// α, or where it starts.
        start: f64,
        /// Whether a trainer updates it by its gradient.
        learned: bool,
    },
    /// Learned, as a logarithm: `s = min(exp(log_scale), max)` (CLIP, Radford et al. 2021, arXiv 2103.00020, section 2.5). Vector
    /// `log_scale` (1,).
    Learned {
        /// Where it starts.
        start: f64,
        /// It is clipped there. Past that a gradient that would raise it further counts as zero.
        max: f64,
    },
}

/// The state of a scale that follows the batch.
pub(crate) const SCALE_STATE: &str = "scale";

impl Scale {
    /// CLIP's temperature: from 1/0.07, clipped at 100.
    pub const LEARNED: Self = Self::Learned { start: 1.0 / 0.07, max: 100.0 };

    /// The rules that an option can name.
    pub(super) const RULES: [(&'static str, Self); 3] =
        [("fixed-adacos", Self::FixedAdaCos), ("adacos", Self::AdaCos { max: None }), ("learned", Self::LEARNED)];

    /// A bound for a scale that follows the batch without one.
    pub(super) fn bound(&mut self, largest: f64) {
        if let Self::AdaCos { max } = self {
            max.get_or_insert(largest);
        }
    }

    /// Checks the scale for a head of this name and so many classes.
    ///
    /// # Errors
    /// [`Error::HyperParameter`], [`Error::TooFewClasses`].
    pub fn check(self, head: &'static str, classes: usize) -> Result<()> {
        match self {
            Self::Fixed(scale) => check_factor(head, "scale", scale),
            Self::FixedAdaCos => fixed_adacos_scale(head, classes).map(|_| ()),
            Self::AdaCos { max } => {
                fixed_adacos_scale(head, classes)?;
                max.map_or(Ok(()), |max| check_factor(head, "max-scale", max))
            }
            Self::Alpha { start, .. } => check_factor(head, "alpha", start),
            Self::Learned { start, max } => {
                check_factor(head, "max-scale", max)?;
                let in_range = start > 0.0 && start <= max;
                check_hyper_parameter(head, "scale", start, in_range, "a positive number, at most the largest scale")
            }
        }
    }

    /// Checks that the numbers given are positive and finite in this precision, too.
    ///
    /// # Errors
    /// [`Error::HyperParameter`].
    pub(crate) fn check_precision<F: Real>(self, head: &'static str) -> Result<()> {
        let given = match self {
            Self::Fixed(scale) => [Some(("scale", scale)), None],
            Self::FixedAdaCos => [None, None],
            Self::AdaCos { max } => [max.map(|max| ("max-scale", max)), None],
            Self::Alpha { start, .. } => [Some(("alpha", start)), None],
            Self::Learned { start, max } => [Some(("scale", start)), Some(("max-scale", max))],
        };
        given.into_iter().flatten().try_for_each(|(name, value)| check_holds::<F>(head, name, value))
    }

    /// Whether the scale of a step is known only from its batch.
    pub(crate) fn follows_batch(self) -> bool {
        matches!(self, Self::AdaCos { .. })
    }

    /// The state of a scale that follows the batch, as before the first step.
    pub(super) fn initial_state(self, head: &'static str, classes: usize) -> Result<State> {
        match self {
            Self::AdaCos { .. } => Ok(State::from([(SCALE_STATE.into(), self.at_first(head, classes)?)])),
            _ => Ok(State::new()),
        }
    }

    /// The vector that the scale is kept in, at its first value.
    pub(super) fn initial_vector<F: Real>(self) -> Option<(&'static str, Array1<F>)> {
        Some((self.vector()?, array![F::of(self.first_value()?)]))
    }

    /// The name of the vector that the scale is kept in.
    pub fn vector(self) -> Option<&'static str> {
        match self {
            Self::Alpha { .. } => Some("alpha"),
            Self::Learned { .. } => Some("log_scale"),
            Self::Fixed(_) | Self::FixedAdaCos | Self::AdaCos { .. } => None,
        }
    }

    /// Whether that vector is trained.
    pub(crate) fn is_trained(self) -> bool {
        matches!(self, Self::Alpha { learned: true, .. } | Self::Learned { .. })
    }

    fn first_value(self) -> Option<f64> {
        match self {
            Self::Alpha { start, .. } => Some(start),
            Self::Learned { start, .. } => Some(start.ln()),
            Self::Fixed(_) | Self::FixedAdaCos | Self::AdaCos { .. } => None,
        }
    }

    /// The scale of the first step, but for what its batch does to it.
    fn at_first(self, head: &'static str, classes: usize) -> Result<f64> {
        match self {
            Self::Fixed(scale) => Ok(scale),
            Self::FixedAdaCos => fixed_adacos_scale(head, classes),
            Self::AdaCos { max } => {
                let initial = fixed_adacos_scale(head, classes)?;
                Ok(max.map_or(initial, |max| initial.min(max)))
            }
            Self::Alpha { start, .. } | Self::Learned { start, .. } => Ok(start),
        }
    }

    /// The scale with these vectors and state, where it follows the batch that of the step before; positive and finite in this precision.
    ///
    /// # Errors
    /// [`Error::HyperParameter`], [`Error::TooFewClasses`].
    pub(super) fn with<F: Real>(
        self,
        head: &'static str,
        classes: usize,
        vectors: &BTreeMap<String, Array1<F>>,
        state: &State,
    ) -> Result<F> {
        self.check(head, classes)?;
        self.check_precision::<F>(head)?;
        let kept = self.vector().and_then(|name| Some((name, vectors.get(name)?)));
        let kept = kept.map(|(name, vector)| the_one_of(name, vector)).transpose()?;
        let value = match (self, kept) {
            (Self::AdaCos { .. }, _) => match state.get(SCALE_STATE) {
                Some(&scale) => scale,
                None => self.at_first(head, classes)?,
            },
            // `min` would pass over NaN.
            (Self::Learned { max, .. }, Some(log_scale)) => log_scale.to_double().exp().clamp(0.0, max),
            (Self::Alpha { .. }, Some(alpha)) => alpha.to_double(),
            _ => self.at_first(head, classes)?,
        };
        let name = if let Self::Alpha { .. } = self { "alpha" } else { "scale" };
        check_factor(head, name, value)?;
        check_holds::<F>(head, name, value)?;
        Ok(F::of(value))
    }

    /// AdaCos's scale of a step: `ln(B_avg) / cos(min(π/4, θ_med))`, from `ln B_avg` at the scale of the step before and the angles to the
    /// labelled classes (arXiv 1905.00292, eq. 15 to 17). Any other scale stays as it is.
    ///
    /// # Errors
    /// [`Error::AdaCosScale`].
    pub(crate) fn after_batch<F: Real>(
        self,
        head: &'static str,
        previous: F,
        ln_b_avg: F,
        angles: impl Iterator<Item = Angle<F>>,
    ) -> Result<F> {
        let Self::AdaCos { max } = self else { return Ok(previous) };
        let median_angle = median(angles.map(Angle::theta).collect());
        let scale = ln_b_avg / median_angle.min(F::of(FRAC_PI_4)).cos();
        if !(scale > F::zero() && scale.is_finite()) {
            return Err(Error::AdaCosScale {
                head,
                value: scale.to_double(),
                previous: previous.to_double(),
                ln_b_avg: ln_b_avg.to_double(),
                median_angle: median_angle.to_double(),
            });
        }
        Ok(max.map_or(scale, |max| scale.min(F::of(max))))
    }

    /// The gradient of the vector that the scale is kept in, from that of the scale.
    pub(crate) fn d_vector<F: Real>(self, scale: F, d_scale: F) -> F {
        match self {
            // Descent would raise a scale that is clipped already.
            Self::Learned { max, .. } if scale >= F::of(max) && d_scale < F::zero() => F::zero(),
            Self::Learned { .. } => d_scale * scale,
            _ => d_scale,
        }
    }
}

/// An [`Error::HyperParameter`] unless `value` is positive and finite in this precision.
fn check_holds<F: Real>(head: &'static str, name: &'static str, value: f64) -> Result<()> {
    let expected = "a number that is positive and finite in the precision of the features, too";
    check_hyper_parameter(head, name, value, F::of(value) > F::zero() && F::of(value).is_finite(), expected)
}

/// The element of the vector called `name`.
fn the_one_of<F: Real>(name: &'static str, vector: &Array1<F>) -> Result<F> {
    match (vector.len(), vector.first()) {
        (1, Some(&value)) => Ok(value),
        _ => Err(Error::Shape { what: name, found: vec![vector.len()], expected: "(1,), the scale".into() }),
    }
}

/// `ln(mean_i Σ_{j≠y_i} exp(s c_ij))` over `labelled` rows, from the largest `c` of each row, or of each part of one, and
/// `Σ exp(s (c - largest))` over that part.
pub(crate) fn ln_b_avg<F: Real>(scale: F, labelled: usize, parts: impl Iterator<Item = (F, F)> + Clone) -> F {
    let largest = parts.clone().fold(F::neg_infinity(), |largest, (maximum, _)| largest.max(maximum));
    // Relative to the largest, the sum is at least 1: it neither overflows nor vanishes.
    let sum: F = parts.map(|(maximum, sum)| sum * (scale * (maximum - largest)).exp()).sum();
    scale * largest + (sum / F::of(labelled as f64)).ln()
}

/// `√2 ln(C-1)`, dimensionless.
///
/// # Errors
/// [`Error::TooFewClasses`] for C < 3.
pub fn fixed_adacos_scale(head: &'static str, classes: usize) -> Result<f64> {
    if classes < 3 {
        let reason = ", since the scale √2 ln(C - 1) must be positive";
        return Err(Error::TooFewClasses { head, found: classes, minimum: 3, reason });
    }
    Ok(SQRT_2 * ((classes - 1) as f64).ln())
}

/// A scale as files have it: a number, or a rule.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum ScaleForm {
    Number(f64),
    Rule(ScaleRule),
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScaleRule {
    FixedAdacos,
    Adacos { max: Option<f64> },
    Alpha { start: f64, learned: bool },
    Learned { start: f64, max: f64 },
}

#[cfg(feature = "serde")]
impl From<ScaleForm> for Scale {
    fn from(form: ScaleForm) -> Self {
        match form {
            ScaleForm::Number(scale) => Self::Fixed(scale),
            ScaleForm::Rule(ScaleRule::FixedAdacos) => Self::FixedAdaCos,
            ScaleForm::Rule(ScaleRule::Adacos { max }) => Self::AdaCos { max },
            ScaleForm::Rule(ScaleRule::Alpha { start, learned }) => Self::Alpha { start, learned },
            ScaleForm::Rule(ScaleRule::Learned { start, max }) => Self::Learned { start, max },
        }
    }
}

#[cfg(feature = "serde")]
impl From<Scale> for ScaleForm {
    fn from(scale: Scale) -> Self {
        Self::Rule(match scale {
            Scale::Fixed(scale) => return Self::Number(scale),
            Scale::FixedAdaCos => ScaleRule::FixedAdacos,
            Scale::AdaCos { max } => ScaleRule::Adacos { max },
            Scale::Alpha { start, learned } => ScaleRule::Alpha { start, learned },
            Scale::Learned { start, max } => ScaleRule::Learned { start, max },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_adacos_at_200_classes() {
        approx::assert_relative_eq!(fixed_adacos_scale("test", 200).expect("C > 2"), 7.4859, epsilon = 5e-5);
        assert!(matches!(fixed_adacos_scale("test", 2), Err(Error::TooFewClasses { found: 2, minimum: 3, .. })));
    }

    #[test]
    fn a_clipped_scale_can_fall_and_not_rise() {
        let scale = Scale::Learned { start: 10.0, max: 50.0 };
        assert_eq!(scale.d_vector(20.0, -3.0), -60.0);
        assert_eq!((scale.d_vector(50.0, -3.0), scale.d_vector(50.0, 3.0)), (0.0, 150.0));
        assert_eq!(Scale::Alpha { start: 1.0, learned: true }.d_vector(20.0, -3.0), -3.0);
    }

    #[test]
    fn largest_factors_are_refused_by_name() {
        for scale in [Scale::Fixed(2e9), Scale::Learned { start: 5.0, max: 4.0 }, Scale::Fixed(f64::NAN)] {
            assert!(matches!(scale.check("test", 9), Err(Error::HyperParameter { name: "scale", .. })), "{scale:?}");
        }
    }
}
