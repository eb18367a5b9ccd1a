//! AdaCos (Zhang et al. 2019, arXiv 1905.00292, section 4.2): the scale follows the batch.
//!
//! `z_ij = s cosθ_ij`, no margin. With s' the scale of the step before, at the start `√2 ln(C-1)`:
//!
//! `B_avg = mean_i Σ_{j≠y_i} exp(s' cosθ_ij)`, `θ_med = median_i θ_{i,y_i}`, `s = ln(B_avg) / cos(min(π/4, θ_med))`.
//!
//! s is the scale of this step's logits and the s' of the next. It is a constant to the gradient, which is therefore
//! that of the normalised softmax at s. The median of an even batch is the midpoint of the two middle angles. `ln B_avg`
//! is a log-sum-exp: the bare `exp` overflows `f32` at s' > 88. Outside training s stays as it is.
//!
//! The recursion diverges where other classes' cosines stay above `cos(min(π/4, θ_med))`, as they do once class vectors share
//! the large common mean of pooled features: centre the features, or set [`max_scale`](AdaCos::max_scale).
//!
//! Gradient: [`normalized`]. Shapes: features (B, D), weights (C, D), labels (B,). Errors: C < 3,
//! where `ln(C-1) ≤ 0`; a scale that is not positive, given or computed; shapes, labels, NaN or infinity, rows of norm zero.

use super::fixed_adacos::fixed_scale;
use super::normalized::{self, Cosines, NormalizedCache, check_scale};
use super::{ClassificationHead, Gradients, HeadOptions, Listed, LogitForm, Margin, Normalizes, Parameters, Scale, check_factor, check_hyper_parameter};
use crate::ops::angle::median;
use crate::ops::{Angle, linear};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::f64::consts::FRAC_PI_4;

/// The AdaCos head. Its scale lives in [`Parameters::scale`]; after a training step, put
/// [`NormalizedCache::scale`] there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaCos {
    /// The scale is never set above this; `None` leaves it free, as in the paper.
    pub max_scale: Option<f64>,
}

impl AdaCos {
    /// The scale that training starts from, `√2 ln(C-1)`.
    ///
    /// # Errors
    /// [`Error::TooFewClasses`] for C < 3.
    pub fn initial_scale(&self, classes: usize) -> Result<f64> {
        let initial = fixed_scale(Self::NAME, classes)?;
        Ok(self.max_scale.map_or(initial, |max_scale| initial.min(max_scale)))
    }

    fn scale_of_step_before<F: Real>(&self, parameters: &Parameters<F>) -> Result<F> {
        let initial = self.initial_scale(parameters.weights.nrows())?;
        let scale = parameters.scale.unwrap_or(F::of(initial));
        check_scale(Self::NAME, scale.to_double())?;
        if let Some(max_scale) = self.max_scale {
            let expected = "a number that is positive in the precision of the features, too";
            check_hyper_parameter(Self::NAME, "max-scale", max_scale, F::of(max_scale) > F::zero(), expected)?;
        }
        Ok(scale)
    }

    /// s, from `ln B_avg` at the previous scale and the angles to the labelled classes.
    pub(crate) fn next_scale<F: Real>(
        &self,
        previous: F,
        ln_b_avg: F,
        angles: impl Iterator<Item = Angle<F>>,
    ) -> Result<F> {
        let median_angle = median(angles.map(Angle::theta).collect());
        let scale = ln_b_avg / median_angle.min(F::of(FRAC_PI_4)).cos();
        if !(scale > F::zero() && scale.is_finite()) {
            return Err(Error::AdaCosScale {
                value: scale.to_double(),
                previous: previous.to_double(),
                ln_b_avg: ln_b_avg.to_double(),
                median_angle: median_angle.to_double(),
            });
        }
        Ok(self.max_scale.map_or(scale, |max_scale| scale.min(F::of(max_scale))))
    }
}

/// `ln(mean_i Σ_{j≠y_i} exp(s cosθ_ij))` over the labelled rows.
fn ln_b_avg<F: Real>(scale: F, cosines: &Cosines<F>) -> F {
    // Shifted by the largest cosine, the sum is at least 1: it neither overflows nor vanishes.
    let others = |(row, class): (usize, usize)| {
        let row = cosines.cosine.row(row);
        row.into_iter().enumerate().filter(move |&(j, _)| j != class).map(|(_, &cosine)| cosine)
    };
    let largest = cosines.targets.iter().flat_map(others).fold(-F::one(), |largest, cosine| largest.max(cosine));
    let sum: F = cosines.targets.iter().flat_map(others).map(|cosine| (scale * (cosine - largest)).exp()).sum();
    scale * largest + (sum / F::of(cosines.targets.labelled() as f64)).ln()
}

impl ClassificationHead for AdaCos {
    type Cache<F: Real> = NormalizedCache<F>;

    fn check(&self, classes: usize) -> Result<()> {
        fixed_scale(Self::NAME, classes)?;
        self.max_scale.map_or(Ok(()), |max_scale| check_factor(Self::NAME, "max-scale", max_scale))
    }

    fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>> {
        self.check(weights.nrows())?;
        let scale = Some(F::of(self.initial_scale(weights.nrows())?));
        Ok(Parameters { scale, ..Parameters::from(weights) })
    }

    fn forward<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<(F, NormalizedCache<F>)> {
        linear::check_shapes(features, parameters.weights.view())?;
        self.check(parameters.weights.nrows())?;
        let previous = self.scale_of_step_before(parameters)?;
        let cosines = Cosines::forward(features, parameters.weights.view(), labels)?;
        let scale = self.next_scale(previous, ln_b_avg(previous, &cosines), cosines.angles.iter().copied())?;
        cosines.cross_entropy(scale, Margin::none)
    }

    fn backward<F: Real>(&self, cache: NormalizedCache<F>) -> Gradients<F> {
        normalized::backward(cache)
    }

    fn logits<F: Real>(&self, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Array2<F>> {
        linear::check_shapes(features, parameters.weights.view())?;
        self.check(parameters.weights.nrows())?;
        normalized::logits(features, parameters.weights.view(), self.scale_of_step_before(parameters)?)
    }

    fn logit_form<F: Real>(&self, parameters: &Parameters<F>) -> Result<LogitForm<F>> {
        self.check(parameters.weights.nrows())?;
        let previous = self.scale_of_step_before(parameters)?;
        Ok(LogitForm { normalizes: Normalizes::Both, scale: Scale::AdaCos { head: *self, previous } })
    }
}

impl Listed for AdaCos {
    const FORMULA: &'static str = "s cosθ, s = ln(B_avg) / cos(min(π/4, θ_med))";
    const OPTIONS: &'static [&'static str] = &["max-scale"];

    fn from_options(options: &HeadOptions) -> Self {
        Self { max_scale: options.max_scale }
    }
}
