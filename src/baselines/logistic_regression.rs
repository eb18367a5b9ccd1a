//! Multinomial logistic regression: the [softmax head](crate::heads::Softmax) where its loss and a penalty on its class vectors are least.
//!
//! `min_{w,b} 1/N Σ_i (logsumexp(z_i) - z_{i,y_i}) + 1/(2 C N) ‖w‖²`, `z = x wᵀ + b`, with C > 0 the inverse strength of the penalty, as
//! scikit-learn's `LogisticRegression` has it (times C N). The bias is not penalised. Minimised by [L-BFGS](crate::optim::lbfgs), the loss and
//! its gradient from [the streaming kernel](crate::streaming), so that (N, classes) is never in memory.

use crate::heads::{Gradients, Softmax};
use crate::optim::Lbfgs;
use crate::optim::lbfgs::Minimum;
use crate::streaming::Streaming;
use crate::{Error, Head, Parameters, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Strengths for [`best_strength`]: C, the weakest model first.
pub const STRENGTHS: [f64; 8] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0];

/// Logistic regression of one strength.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticRegression {
    /// C, the inverse strength of the penalty: above 0.
    pub strength: f64,
    /// How the minimum is found.
    pub minimiser: Lbfgs,
}

impl LogisticRegression {
    /// Fits `parameters` of the [softmax head](Softmax) to `features` (N, D) and `labels` (N,), from where they are: zeros, or the optimum at
    /// a neighbouring strength. The value is that of the objective above.
    ///
    /// # Errors
    /// [`Error::Setting`] for a strength out of range; those of [`Head::forward`].
    pub fn fit<F: Real>(
        &self,
        features: ArrayView2<F>,
        labels: ArrayView1<i64>,
        parameters: &mut Parameters<F>,
    ) -> Result<Minimum<F>> {
        let head = Softmax {};
        let labelled = labels.iter().filter(|&&label| label != crate::ops::IGNORE_LABEL).count();
        let penalty = 1.0 / (self.strength * labelled as f64);
        if !(self.strength > 0.0 && penalty > 0.0 && penalty.is_finite()) {
            let (value, expected) = (self.strength.to_string(), "a positive number, not so far from 1".into());
            return Err(Error::Setting { name: "strength of logistic regression", value, expected });
        }
        let penalty = F::of(penalty);
        let mut kernel = Streaming::default();
        let (mut gradients, mut at) = (Gradients::default(), parameters.clone());
        let mut point = flat(parameters);
        let minimum = self.minimiser.minimise(&mut point, |point, gradient| {
            set(&mut at, point);
            let step = kernel.forward_backward_into(&head, features, &at, labels, &mut gradients)?;
            let (of_weights, of_bias) = gradient.split_at_mut(at.weights.len());
            let mut squares = 0.0;
            for ((gradient, &d_weight), &weight) in of_weights.iter_mut().zip(&gradients.d_weights).zip(&at.weights) {
                *gradient = d_weight + penalty * weight;
                squares += weight.to_double().powi(2);
            }
            let d_bias = gradients.d_vectors["bias"].iter();
            of_bias.iter_mut().zip(d_bias).for_each(|(gradient, &d_bias)| *gradient = d_bias);
            Ok(F::of(step.loss.to_double() + 0.5 * penalty.to_double() * squares))
        });
        let minimum = minimum?;
        set(parameters, &point);
        Ok(minimum)
    }
}

/// Parameters to begin with: zeros, for so many classes of features (N, D).
///
/// # Errors
/// Those of [`Head::initial_parameters`].
pub fn zeros<F: Real>(classes: usize, dimension: usize) -> Result<Parameters<F>> {
    Softmax {}.initial_parameters(Array2::zeros((classes, dimension)))
}

/// (N,) the class of each row of `features` (N, D).
///
/// # Errors
/// Those of [`Head::logits`].
pub fn predict<F: Real>(features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Vec<usize>> {
    let logits = Softmax {}.logits(features, parameters)?;
    Ok(crate::metrics::accuracy::predict(logits.view()))
}

/// That of `strengths` whose models are right on most rows of folds that they were not fitted to; of equals the first, which should be the weakest.
/// `folds` (N,) has the fold of each row of `features` (N, D), from 0. Once two strengths in a row are worse than the best, those after them are not
/// tried.
///
/// # Errors
/// [`Error::Setting`] for no strengths; those of [`LogisticRegression::fit`], where all rows outside a fold are without a label, too.
pub fn best_strength<F: Real>(
    features: ArrayView2<F>,
    labels: ArrayView1<i64>,
    classes: usize,
    folds: &[usize],
    strengths: &[f64],
    minimiser: Lbfgs,
) -> Result<f64> {
    let count = folds.iter().max().map_or(0, |&last| last + 1);
    let rows = |is_wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        folds.iter().enumerate().filter(|&(_, &fold)| is_wanted(fold)).map(|(row, _)| row).collect()
    };
    let part = |rows: Vec<usize>| (features.select(Axis(0), &rows), labels.select(Axis(0), &rows));
    let mut of_folds = Vec::with_capacity(count);
    for fold in 0..count {
        let (inside, outside) = (part(rows(&|other| other == fold)), part(rows(&|other| other != fold)));
        of_folds.push((inside, outside, zeros::<F>(classes, features.ncols())?));
    }
    let mut best: Option<(f64, usize)> = None;
    let mut worse = 0;
    for &strength in strengths {
        let mut right = 0;
        for ((held_out, held_out_labels), (features, labels), parameters) in &mut of_folds {
            LogisticRegression { strength, minimiser }.fit(features.view(), labels.view(), parameters)?;
            let predicted = predict(held_out.view(), parameters)?;
            right +=
                predicted.iter().zip(held_out_labels.iter()).filter(|&(&class, &label)| class as i64 == label).count();
        }
        match best {
            Some((_, most)) if right <= most => worse += usize::from(right < most),
            _ => (best, worse) = (Some((strength, right)), 0),
        }
        if worse == 2 {
            break;
        }
    }
    let expected = || "at least one".into();
    let none =
        || Error::Setting { name: "strengths of logistic regression", value: "none".into(), expected: expected() };
    best.map(|(strength, _)| strength).ok_or_else(none)
}

fn flat<F: Real>(parameters: &Parameters<F>) -> Vec<F> {
    parameters.weights.iter().chain(parameters.vectors["bias"].iter()).copied().collect()
}

fn set<F: Real>(parameters: &mut Parameters<F>, point: &[F]) {
    let (weights, bias) = point.split_at(parameters.weights.len());
    parameters.weights.iter_mut().zip(weights).for_each(|(weight, &value)| *weight = value);
    parameters.vectors.insert("bias".into(), Array1::from(bias.to_vec()));
}
