//! Softmax: a linear layer and cross-entropy, the baseline of every paper here.
//!
//! `z = x wᵀ + b`, `loss = mean_i (logsumexp(z_i) - z_{i,y_i})`.
//!
//! Gradient, with `g = (softmax(z) - onehot(y)) / n` (B, C), n the number of labelled rows:
//!
//! `d_features = g w`, `d_weights = gᵀ x`, `d_bias = Σ_i g_i`.
//!
//! Shapes: features (B, D), weights (C, D), bias (C,), labels (B,). Errors: shapes that do not fit, an empty batch, C < 2,
//! labels out of range, NaN or infinity in any input, logits that overflow. Rows of norm zero are fine here.

use super::gradient_bound::{Lengths, check_gradients};
use super::{BatchStatistics, ClassificationHead, Gradients, HeadOptions, Listed, LogitForm, Normalizes, Parameters, Scale};
use crate::ops::l2_normalize::{check_finite, longest_row};
use crate::ops::softmax_cross_entropy::{self as cross_entropy, CrossEntropyCache, check_classes};
use crate::ops::{Angle, Targets, l2_normalize, linear};
use crate::{Real, Result, metrics::accuracy};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// The plain softmax head; it has no hyper-parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Softmax {}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub struct SoftmaxCache<F> {
    /// (B, D)
    pub features: Array2<F>,
    /// (C, D)
    pub weights: Array2<F>,
    /// `p - onehot(y)` (B, C).
    pub cross_entropy: CrossEntropyCache<F>,
    /// For logs; the backward pass does not use them.
    pub statistics: BatchStatistics,
}

impl ClassificationHead for Softmax {
    type Cache<F: Real> = SoftmaxCache<F>;

    fn check(&self, classes: usize) -> Result<()> {
        check_classes(Self::NAME, classes)
    }

    fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>> {
        self.check(weights.nrows())?;
        Ok(Parameters { bias: Some(Array1::zeros(weights.nrows())), ..Parameters::from(weights) })
    }

    fn forward<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<(F, SoftmaxCache<F>)> {
        let weights = parameters.weights.view();
        let (logits, lengths) = self.project(features, parameters)?;
        let targets = Targets::new(labels, features.nrows(), weights.nrows())?;
        check_gradients(Normalizes::Nothing, F::one(), F::one(), features.nrows(), lengths, true)?;
        let correct = accuracy::top_k_correct(logits.view(), &targets, 1);
        let angles = targets.iter().map(|(row, class)| angle_of_rows(features.row(row), weights.row(class)));
        let statistics = BatchStatistics::new(&targets, correct, angles, F::one());
        let (loss, cross_entropy) = cross_entropy::forward(logits, &targets)?;
        Ok((loss, SoftmaxCache { features: features.to_owned(), weights: weights.to_owned(), cross_entropy, statistics }))
    }

    fn backward<F: Real>(&self, cache: SoftmaxCache<F>) -> Gradients<F> {
        backward(cache)
    }

    fn logits<F: Real>(&self, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Array2<F>> {
        let (logits, _) = self.project(features, parameters)?;
        check_finite("logits", logits.view())?;
        Ok(logits)
    }

    fn logit_form<F: Real>(&self, parameters: &Parameters<F>) -> Result<LogitForm<F>> {
        self.check(parameters.weights.nrows())?;
        parameters.bias(Self::NAME)?;
        Ok(LogitForm { normalizes: Normalizes::Nothing, scale: Scale::Fixed(F::one()) })
    }
}

impl Softmax {
    /// `z = x wᵀ + b`, and how long x and w are.
    fn project<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
    ) -> Result<(Array2<F>, Lengths)> {
        let weights = parameters.weights.view();
        linear::check_shapes(features, weights)?;
        self.check(weights.nrows())?;
        let logits = linear::forward(features, weights, parameters.bias(Self::NAME)?)?;
        let features = longest_row("features", 0, features)?;
        Ok((logits, Lengths { features, weights: longest_row("weights", 0, weights)? }))
    }
}

/// From `g = (p - onehot(y)) / n` back through the linear layer.
pub(super) fn backward<F: Real>(cache: SoftmaxCache<F>) -> Gradients<F> {
    let d_logits = cross_entropy::backward(cache.cross_entropy);
    let linear = linear::backward(d_logits.view(), cache.features.view(), cache.weights.view());
    Gradients {
        d_features: linear.d_features,
        d_weights: linear.d_weights,
        d_bias: Some(linear.d_bias),
        d_alpha: None,
    }
}

/// The angle between two rows of any length; `None` if one has no direction.
pub(crate) fn angle_of_rows<F: Real>(x: ArrayView1<F>, w: ArrayView1<F>) -> Option<Angle<F>> {
    let unit = |row: ArrayView1<F>| l2_normalize::forward("row", row.insert_axis(Axis(0))).ok();
    let (x, w) = (unit(x)?, unit(w)?);
    Some(Angle::between(x.unit.row(0), w.unit.row(0)))
}

impl Listed for Softmax {
    const FORMULA: &'static str = "x·w + b";
    const OPTIONS: &'static [&'static str] = &[];

    fn from_options(_: &HeadOptions) -> Self {
        Self {}
    }
}
