//! The path that all normalised heads share: cosines, a margin on the target, a scale, cross-entropy.
//!
//! `z_ij = s cosθ_ij` for `j ≠ y_i` and `z_{i,y_i} = s ψ(θ_{i,y_i})`, with ψ the head's own margin function. With
//! `g = ∂loss/∂z` from the cross-entropy the gradient is
//!
//! `∂loss/∂cosθ_ij = s g_ij` for `j ≠ y_i` and `s g_{i,y_i} ψ'` for the target, `ψ' = dψ/dcosθ`,
//!
//! and from there the Jacobian of the two normalisations ([`ops::cosine`](crate::ops::cosine)).

use super::gradient_bound::{Lengths, check_gradients};
use super::{
    BatchStatistics, ClassificationHead, Gradients, LogitForm, Normalizes, Parameters, Scale, check_hyper_parameter,
};
use crate::ops::{Angle, Targets, cosine, linear, softmax_cross_entropy as cross_entropy};
use crate::{Real, Result, metrics::accuracy};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// A margin function at one angle: `ψ(θ)` and its derivative with respect to `cosθ`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin<F> {
    /// `ψ(θ)`, what takes the place of `cosθ` for the labelled class.
    pub value: F,
    /// `dψ/dcosθ`.
    pub slope: F,
}

impl<F: Real> Margin<F> {
    /// No margin: `ψ(θ) = cosθ`.
    pub fn none(angle: Angle<F>) -> Self {
        Self { value: angle.cos, slope: F::one() }
    }
}

/// A normalised head with a fixed scale: all it has of its own is a margin function.
///
/// Implementing this trait is enough to get the whole of [`ClassificationHead`]; `examples/own_margin.rs` does it.
pub trait CosineHead: Sync {
    /// The scale s for this number of classes, checked.
    ///
    /// # Errors
    /// [`Error::HyperParameter`](crate::Error::HyperParameter), [`Error::TooFewClasses`](crate::Error::TooFewClasses).
    fn scale(&self, classes: usize) -> Result<f64>;

    /// Checks the hyper-parameters of the margin function.
    ///
    /// # Errors
    /// [`Error::HyperParameter`](crate::Error::HyperParameter).
    fn check_margin(&self) -> Result<()>;

    /// `ψ(θ)` and `dψ/dcosθ` at the angle to the labelled class.
    fn margin<F: Real>(&self, angle: Angle<F>) -> Margin<F>;
}

/// What the backward pass of a normalised head needs.
#[derive(Clone, Debug)]
pub struct NormalizedCache<F> {
    /// `x̂` (B, D), `‖x‖` (B,), `ŵ` (C, D), `‖w‖` (C,).
    pub cosine: cosine::CosineCache<F>,
    /// `p - onehot(y)` (B, C).
    pub cross_entropy: cross_entropy::CrossEntropyCache<F>,
    /// (row, class, `dψ/dcosθ`) of each labelled row.
    pub slopes: Vec<(usize, usize, F)>,
    /// The scale of the logits.
    pub scale: F,
    /// For logs; the backward pass does not use them.
    pub statistics: BatchStatistics,
}

/// The cosines of a batch, before scale and margin are known.
pub(super) struct Cosines<F> {
    /// (B, C)
    pub cosine: Array2<F>,
    /// The class of each row.
    pub targets: Targets,
    /// The angle to the labelled class, one for each labelled row.
    pub angles: Vec<Angle<F>>,
    cache: cosine::CosineCache<F>,
}

impl<F: Real> Cosines<F> {
    pub fn forward(features: ArrayView2<F>, weights: ArrayView2<F>, labels: ArrayView1<i64>) -> Result<Self> {
        let (cosine, cache) = cosine::forward(features, weights)?;
        let targets = Targets::new(labels, features.nrows(), weights.nrows())?;
        let angle = |(row, class)| Angle::between(cache.features.unit.row(row), cache.weights.unit.row(class));
        let angles = targets.iter().map(angle).collect();
        Ok(Self { cosine, targets, angles, cache })
    }

    /// The loss of the logits `s cosθ`, with `s ψ(θ)` for the labelled class.
    pub fn cross_entropy(self, scale: F, margin: impl Fn(Angle<F>) -> Margin<F>) -> Result<(F, NormalizedCache<F>)> {
        let correct = accuracy::top_k_correct(self.cosine.view(), &self.targets, 1);
        let statistics = BatchStatistics::new(&self.targets, correct, self.angles.iter().copied().map(Some), scale);
        let mut logits = self.cosine * scale;
        let mut slopes = Vec::with_capacity(self.angles.len());
        for ((row, class), &angle) in self.targets.iter().zip(&self.angles) {
            let Margin { value, slope } = margin(angle);
            logits[[row, class]] = scale * value;
            slopes.push((row, class, slope));
        }
        let shortest = |norms: &Array1<F>| norms.fold(F::infinity(), |shortest, &norm| shortest.min(norm)).to_double();
        let lengths =
            Lengths { features: shortest(&self.cache.features.norms), weights: shortest(&self.cache.weights.norms) };
        let steepest = steepest(slopes.iter().map(|&(_, _, slope)| slope));
        check_gradients(Normalizes::Both, scale, steepest, logits.nrows(), lengths, true)?;
        let (loss, cross_entropy) = cross_entropy::forward(logits, &self.targets)?;
        Ok((loss, NormalizedCache { cosine: self.cache, cross_entropy, slopes, scale, statistics }))
    }
}

/// The largest `|ψ'|`, NaN if there is one.
pub(crate) fn steepest<F: Real>(slopes: impl Iterator<Item = F>) -> F {
    slopes.map(F::abs).fold(F::zero(), |steepest, slope| if slope <= steepest { steepest } else { slope })
}

/// From the cross-entropy back through scale, margin and normalisation.
pub(super) fn backward<F: Real>(cache: NormalizedCache<F>) -> Gradients<F> {
    let mut d_cosine = cross_entropy::backward(cache.cross_entropy) * cache.scale;
    for (row, class, slope) in cache.slopes {
        d_cosine[[row, class]] *= slope;
    }
    let (d_features, d_weights) = cosine::backward(d_cosine.view(), &cache.cosine);
    Gradients { d_features, d_weights, d_bias: None, d_alpha: None }
}

/// Inference logits `s cosθ` (B, C): margins act in training only.
pub(super) fn logits<F: Real>(features: ArrayView2<F>, weights: ArrayView2<F>, scale: F) -> Result<Array2<F>> {
    Ok(cosine::forward(features, weights)?.0 * scale)
}

impl<H: CosineHead> ClassificationHead for H {
    type Cache<F: Real> = NormalizedCache<F>;

    fn check(&self, classes: usize) -> Result<()> {
        self.check_margin()?;
        self.scale(classes)?;
        cross_entropy::check_classes("a normalised head", classes)
    }

    fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>> {
        self.check(weights.nrows())?;
        Ok(Parameters::from(weights))
    }

    fn forward<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<(F, NormalizedCache<F>)> {
        let scale = checked_scale(self, features, parameters)?;
        let cosines = Cosines::forward(features, parameters.weights.view(), labels)?;
        cosines.cross_entropy(scale, |angle| self.margin(angle))
    }

    fn backward<F: Real>(&self, cache: NormalizedCache<F>) -> Gradients<F> {
        backward(cache)
    }

    fn logits<F: Real>(&self, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Array2<F>> {
        let scale = checked_scale(self, features, parameters)?;
        logits(features, parameters.weights.view(), scale)
    }

    fn logit_form<F: Real>(&self, parameters: &Parameters<F>) -> Result<LogitForm<F>> {
        let classes = parameters.weights.nrows();
        self.check(classes)?;
        Ok(LogitForm { normalizes: Normalizes::Both, scale: Scale::Fixed(rounded_scale(self, classes)?) })
    }

    fn target_margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        self.margin(angle)
    }
}

/// The scale, once shapes and hyper-parameters are checked.
fn checked_scale<F: Real>(head: &impl CosineHead, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<F> {
    linear::check_shapes(features, parameters.weights.view())?;
    let classes = parameters.weights.nrows();
    head.check(classes)?;
    rounded_scale(head, classes)
}

/// The scale in the element type, where it must be positive and finite, too.
fn rounded_scale<F: Real>(head: &impl CosineHead, classes: usize) -> Result<F> {
    let value = head.scale(classes)?;
    let scale = F::of(value);
    let expected = "a number that is positive and finite in the precision of the features, too";
    check_hyper_parameter("a normalised head", "scale", value, scale > F::zero() && scale.is_finite(), expected)?;
    Ok(scale)
}

/// The scale of normalised logits, if it is in range.
pub(super) fn check_scale(head: &'static str, scale: f64) -> Result<f64> {
    super::check_factor(head, "scale", scale)?;
    Ok(scale)
}
