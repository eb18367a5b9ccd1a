//! What a head is: rules on one row, from which the engines make losses and gradients.

use super::explicit::{self, Cache};
use super::{Geometry, Gradients, Logit, Parameters, ParametersView, Penalty, Row, Scale, StateValue};
use crate::ops::{Loss, Objective, OthersRule};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView2};

/// A classification head: a plain struct of hyper-parameters, and rules that say what its logits are.
///
/// The logits of row i are `z_ij = s φ(c_ij)` for the other classes j and `z_iy = s ψ` for the labelled one, with the inner products c of
/// the head's [geometry](Self::geometry) (cosines, for most), the [scale](Self::scale) s, the rule [`target`](Self::target) for ψ and
/// [`others`](Self::others) for φ. The loss is the mean cross-entropy of these logits, or another [loss](Self::loss), plus the mean
/// [`penalty`](Self::penalty).
///
/// Only [`name`](Self::name), [`check`](Self::check) and [`scale`](Self::scale) must be written: that alone is a softmax of cosines.
/// `examples/own_head.rs` has a margin of its own with state, in 40 lines. The loss with its gradients comes from one of two engines, which give the same results: the explicit
/// [`forward`](Self::forward) and [`backward`](Self::backward), which read like the formulas, and the [streaming kernel](crate::streaming).
pub trait Head: Sync {
    /// The name, as errors and files have it.
    fn name(&self) -> &'static str;

    /// Checks the hyper-parameters other than the scale, for this number of classes.
    ///
    /// # Errors
    /// [`Error::HyperParameter`](crate::Error::HyperParameter), [`Error::TooFewClasses`](crate::Error::TooFewClasses).
    fn check(&self, classes: usize) -> Result<()>;

    /// What inner products are multiplied by.
    fn scale(&self) -> Scale;

    /// Bounds a scale that follows the batch and has no bound of its own: training asks for it.
    fn bound_scale(&mut self, _largest: f64) {}

    /// Tells the head how many training rows each class has: training does, before the first step, and `arcos grad` with the labels given. Heads whose
    /// margins follow from the sizes of classes remember what they need, as a part of themselves.
    fn count_classes(&mut self, _sizes: &[usize]) {}

    /// Which vectors are divided by their norms. [`observe`](Self::observe) and the rules after it are asked where there is no bias, and
    /// [`others`](Self::others) on the [sphere](Geometry::Sphere) alone.
    fn geometry(&self) -> Geometry {
        Geometry::Sphere
    }

    /// What is minimised of the logits.
    fn loss(&self) -> Loss {
        Loss::Softmax
    }

    /// Where the threshold of a [logistic loss](crate::ops::ClassLoss::Logistic) starts, for so many classes.
    fn initial_threshold(&self, _classes: usize) -> f64 {
        0.0
    }

    /// Class vectors a class, K: `weights` are (C·K, D), those of a class next to each other, and the nearest counts.
    fn centres(&self) -> usize {
        1
    }

    /// A temperature γ with which all centres of a class count, in place of the nearest alone: `Σ_k q_k c_k`, `q = softmax(c / γ)`, takes the place of
    /// the class's cosine.
    fn centre_temperature(&self) -> Option<f64> {
        None
    }

    /// What the head remembers from step to step besides a scale that follows the batch.
    fn state(&self) -> &'static [StateValue] {
        &[]
    }

    /// Brings the state up to date with the labelled rows of a batch, before any rule is asked. A constant to the gradient. [`Row::number`] may be given to
    /// other rows, where that of a row follows from the batch.
    fn observe<F: Real>(&self, _rows: &mut [Row<F>], _state: &mut [f64]) {}

    /// ψ, what takes the place of `cosθ` for the labelled class; of `x·w`, `cosθ` times both norms, in the [linear](Geometry::Linear) geometry.
    fn target<F: Real>(&self, row: &Row<F>, _state: &[f64]) -> Logit<F> {
        match self.geometry() {
            Geometry::Linear => Logit::plain(row).times_norms(row),
            _ => Logit::plain(row),
        }
    }

    /// φ, what takes the place of the other classes' cosines in this row; `None` where they stay. Asked on the sphere alone.
    fn others<F: Real>(&self, _row: &Row<F>, _state: &[f64]) -> Option<OthersRule<F>> {
        None
    }

    /// What a row adds to its loss for the norm of its feature.
    fn penalty<F: Real>(&self, _norm: F) -> Penalty<F> {
        Penalty::default()
    }

    /// `weights` (C·K, D) with whatever else the head has, at its initial value: a zero bias, α, state.
    ///
    /// # Errors
    /// [`Error::HyperParameter`](crate::Error::HyperParameter), [`Error::TooFewClasses`](crate::Error::TooFewClasses),
    /// [`Error::Shape`](crate::Error::Shape).
    fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>>
    where
        Self: Sized,
    {
        Parameters::initial(self, weights)
    }

    /// The loss in nats of `features` (B, D), margins included: by `labels` (B,), `labels.view()`, the mean cross-entropy, or by an
    /// [`Objective`].
    ///
    /// # Errors
    /// Whatever is wrong with hyper-parameters, shapes, labels or values, named as in [`Error`](crate::Error).
    fn forward<'a, 'p, F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
        objective: impl Into<Objective<'a, F>>,
    ) -> Result<(F, Cache<F>)>
    where
        Self: Sized,
    {
        explicit::forward(self, features, parameters.into(), &objective.into())
    }

    /// The gradients of that loss.
    fn backward<F: Real>(&self, cache: Cache<F>) -> Gradients<F>
    where
        Self: Sized,
    {
        explicit::backward(cache)
    }

    /// Inference logits (B, C): no labels, no margins.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn logits<'p, F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
    ) -> Result<Array2<F>>
    where
        Self: Sized,
    {
        explicit::logits(self, features, parameters.into())
    }
}
