//! L2-constrained softmax (Ranjan, Castillo, Chellappa 2017, arXiv 1703.09507): features on a sphere of radius α.
//!
//! `z = α x̂ wᵀ + b`, the constraint `‖f(x)‖₂ = α` of the paper built in as a layer.
//!
//! Gradient, with `g = (softmax(z) - onehot(y)) / n` (B, C), n the number of labelled rows and `d = g w` (B, D):
//!
//! `d_features = (α / ‖x‖) (d - (d·x̂) x̂)`, `d_weights = α gᵀ x̂`, `d_bias = Σ_i g_i`, `d_alpha = Σ_i d_i·x̂_i`.
//!
//! α is fixed, as the paper prefers, or learned (it tends to grow, which relaxes the constraint). The
//! paper's lower bound for a probability p at C classes is [`alpha_lower_bound`]. The norm is of each row: the
//! Keras project that this crate follows normalised the whole batch as one vector.
//!
//! Shapes: features (B, D), weights (C, D), bias (C,), labels (B,). Errors: those of [`softmax`](super::softmax), a
//! feature row of norm zero, α that is not positive.

use super::gradient_bound::{Lengths, check_gradients};
use super::softmax::angle_of_rows;
use super::{BatchStatistics, ClassificationHead, Gradients, HeadOptions, Listed, LogitForm, Normalizes, Parameters, Scale, check_factor, check_hyper_parameter};
use crate::ops::l2_normalize::{self, Normalized, check_finite, longest_row};
use crate::ops::softmax_cross_entropy::{self as cross_entropy, CrossEntropyCache, check_classes};
use crate::ops::{Targets, linear};
use crate::{Error, Real, Result, metrics::accuracy};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// The L2-softmax head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct L2Softmax {
    /// The norm α given to every feature; where it starts, if it is learned.
    pub alpha: f64,
    /// Whether a trainer updates α by its gradient, which the backward pass gives in any case.
    pub learn_alpha: bool,
}

impl Default for L2Softmax {
    /// α = 16, fixed.
    fn default() -> Self {
        Self { alpha: 16.0, learn_alpha: false }
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub struct L2SoftmaxCache<F> {
    /// `x̂` (B, D) and `‖x‖` (B,).
    pub features: Normalized<F>,
    /// (C, D)
    pub weights: Array2<F>,
    /// The norm given to features.
    pub alpha: F,
    /// `p - onehot(y)` (B, C).
    pub cross_entropy: CrossEntropyCache<F>,
    /// For logs; the backward pass does not use them.
    pub statistics: BatchStatistics,
}

impl L2Softmax {
    /// α of `parameters`, or the head's own where there is none.
    fn alpha<F: Real>(&self, parameters: &Parameters<F>) -> Result<F> {
        let alpha = parameters.alpha.unwrap_or(F::of(self.alpha));
        Self { alpha: alpha.to_double(), ..*self }.check(parameters.weights.nrows())?;
        Ok(alpha)
    }

    /// `x̂`, `z = α x̂ wᵀ + b`, and how long w is.
    fn normalize_and_project<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
    ) -> Result<(Normalized<F>, Array2<F>, f64)> {
        let weights = parameters.weights.view();
        linear::check_shapes(features, weights)?;
        let alpha = self.alpha(parameters)?;
        let longest = longest_row("weights", 0, weights)?;
        let features = l2_normalize::forward("features", features)?;
        let logits = linear::forward((&features.unit * alpha).view(), weights, parameters.bias(Self::NAME)?)?;
        Ok((features, logits, longest))
    }
}

impl ClassificationHead for L2Softmax {
    type Cache<F: Real> = L2SoftmaxCache<F>;

    fn check(&self, classes: usize) -> Result<()> {
        check_factor(Self::NAME, "alpha", self.alpha)?;
        check_classes(Self::NAME, classes)
    }

    fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>> {
        self.check(weights.nrows())?;
        let bias = Some(Array1::zeros(weights.nrows()));
        Ok(Parameters { bias, alpha: Some(F::of(self.alpha)), ..Parameters::from(weights) })
    }

    fn forward<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<(F, L2SoftmaxCache<F>)> {
        let weights = parameters.weights.to_owned();
        let (features, logits, longest) = self.normalize_and_project(features, parameters)?;
        let alpha = self.alpha(parameters)?;
        let targets = Targets::new(labels, features.unit.nrows(), weights.nrows())?;
        let shortest = features.norms.fold(F::infinity(), |shortest, &norm| shortest.min(norm)).to_double();
        let lengths = Lengths { features: shortest, weights: longest };
        check_gradients(Normalizes::Features, alpha, F::one(), targets.class_of_row().len(), lengths, true)?;
        let correct = accuracy::top_k_correct(logits.view(), &targets, 1);
        let angles = targets.iter().map(|(row, class)| angle_of_rows(features.unit.row(row), weights.row(class)));
        let statistics = BatchStatistics::new(&targets, correct, angles, alpha);
        let (loss, cross_entropy) = cross_entropy::forward(logits, &targets)?;
        Ok((loss, L2SoftmaxCache { features, weights, alpha, cross_entropy, statistics }))
    }

    fn backward<F: Real>(&self, cache: L2SoftmaxCache<F>) -> Gradients<F> {
        backward(cache)
    }

    fn logits<F: Real>(&self, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Array2<F>> {
        let (_, logits, _) = self.normalize_and_project(features, parameters)?;
        check_finite("logits", logits.view())?;
        Ok(logits)
    }

    fn logit_form<F: Real>(&self, parameters: &Parameters<F>) -> Result<LogitForm<F>> {
        parameters.bias(Self::NAME)?;
        Ok(LogitForm { normalizes: Normalizes::Features, scale: Scale::Fixed(self.alpha(parameters)?) })
    }
}

/// From `g = (p - onehot(y)) / n` back through the linear layer, α and the normalisation.
pub(super) fn backward<F: Real>(cache: L2SoftmaxCache<F>) -> Gradients<F> {
    let d_logits = cross_entropy::backward(cache.cross_entropy);
    let linear = linear::backward(d_logits.view(), cache.features.unit.view(), cache.weights.view());
    let d_alpha = (&linear.d_features * &cache.features.unit).sum();
    Gradients {
        d_features: l2_normalize::backward(linear.d_features * cache.alpha, &cache.features),
        d_weights: linear.d_weights * cache.alpha,
        d_bias: Some(linear.d_bias),
        d_alpha: Some(d_alpha),
    }
}

/// The smallest α with which a probability `p` can be reached for every one of `classes` classes:
/// `ln(p (C-2) / (1-p))` (arXiv 1703.09507), for class vectors of norm 1. It leaves out a term `e^-α`: at C = 3 it is 0.1 low.
///
/// # Errors
/// [`Error::TooFewClasses`] for less than 3, [`Error::HyperParameter`] unless `0 < p < 1`.
pub fn alpha_lower_bound(classes: usize, p: f64) -> Result<f64> {
    if classes < 3 {
        let reason = ", since ln(C - 2) must exist";
        return Err(Error::TooFewClasses { head: L2Softmax::NAME, found: classes, minimum: 3, reason });
    }
    check_hyper_parameter(L2Softmax::NAME, "p", p, p > 0.0 && p < 1.0, "a probability between 0 and 1")?;
    Ok((p * (classes - 2) as f64 / (1.0 - p)).ln())
}

impl Listed for L2Softmax {
    const FORMULA: &'static str = "α x̂·w + b";
    const OPTIONS: &'static [&'static str] = &["alpha", "learn-alpha"];

    fn from_options(options: &HeadOptions) -> Self {
        let default = Self::default();
        Self {
            alpha: options.alpha.unwrap_or(default.alpha),
            learn_alpha: options.learn_alpha.unwrap_or(default.learn_alpha),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_bound_at_200_classes() {
        approx::assert_relative_eq!(alpha_lower_bound(200, 0.9).expect("C > 2"), 7.4855, epsilon = 5e-5);
        assert!(matches!(alpha_lower_bound(2, 0.9), Err(Error::TooFewClasses { .. })));
        approx::assert_relative_eq!(alpha_lower_bound(3, 0.9).expect("C > 2"), 9f64.ln(), max_relative = 1e-12);
        for p in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert!(matches!(alpha_lower_bound(200, p), Err(Error::HyperParameter { name: "p", .. })), "{p}");
        }
    }
}
