//! What a step gives back.

use crate::arrays::Number;
use crate::parameters::named;
use arcos::heads::{BatchStatistics, Gradients, State};
use ndarray::{Array1, Array2};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;

/// Loss, gradients and figures of one batch.
#[pyclass(frozen, get_all, module = "arcos")]
pub struct Step {
    /// The loss in nats, by the objective.
    loss: f64,
    /// (B,) the loss of each row in nats; zero in rows without a label.
    row_losses: Py<PyAny>,
    /// (B, D) derivative of the loss by the features; None where it was not asked for.
    d_features: Option<Py<PyAny>>,
    /// (C*K, D) derivative of the loss by the class vectors; None of a step that has updated them.
    d_weights: Option<Py<PyAny>>,
    /// Derivatives by the vectors of the parameters, by name: bias (C,), alpha, log_scale or threshold (1,). Empty of a step that has
    /// updated them.
    d_vectors: Py<PyDict>,
    /// What to put into `Parameters.state` once the step is taken; `train_step` has put it there.
    state: Py<PyDict>,
    /// The scale of the logits.
    scale: f64,
    /// Rows with a label.
    labelled: usize,
    /// Labelled rows whose class has the largest logit without margins.
    correct: usize,
    /// Mean cosine between a feature and its class vector; None if a row has no direction.
    target_cosine: Option<f64>,
    /// Mean angle between a feature and its class vector, in radians; None if a row has no direction.
    target_angle: Option<f64>,
    /// Median of these angles, in radians.
    median_target_angle: Option<f64>,
    /// Euclidean norm of the gradients of what is trained; None of `Head.forward_backward`.
    gradient_norm: Option<f64>,
    /// Share of blocks of classes that the filter left out of the gradients.
    filtered: f64,
}

#[pymethods]
impl Step {
    fn __repr__(&self) -> String {
        let Self { loss, labelled, correct, scale, .. } = self;
        format!("Step(loss={loss}, labelled={labelled}, correct={correct}, scale={scale})")
    }
}

/// What both engines say of a batch.
pub struct Outcome<F> {
    pub loss: F,
    pub row_losses: Array1<F>,
    pub statistics: BatchStatistics,
    pub state: State,
    pub gradient_norm: Option<f64>,
    pub filtered: f64,
}

impl<F: Number> From<arcos::streaming::Step<F>> for Outcome<F> {
    fn from(step: arcos::streaming::Step<F>) -> Self {
        let arcos::streaming::Step { loss, row_losses, statistics, state, gradient_norm, filtered } = step;
        Self { loss, row_losses, statistics, state, gradient_norm: Some(gradient_norm), filtered }
    }
}

impl Step {
    pub fn new<F: Number>(py: Python, outcome: Outcome<F>, gradients: Gradients<F>) -> PyResult<Self> {
        let Gradients { d_features, d_weights, d_vectors } = gradients;
        Self::of_parts(py, outcome, Some(d_features), Some(d_weights), d_vectors)
    }

    /// Of a step that has updated class vectors and all else.
    pub fn updated<F: Number>(py: Python, outcome: Outcome<F>, d_features: Option<Array2<F>>) -> PyResult<Self> {
        Self::of_parts(py, outcome, d_features, None, BTreeMap::new())
    }

    fn of_parts<F: Number>(
        py: Python,
        outcome: Outcome<F>,
        d_features: Option<Array2<F>>,
        d_weights: Option<Array2<F>>,
        d_vectors: BTreeMap<String, Array1<F>>,
    ) -> PyResult<Self> {
        let Outcome { loss, row_losses, statistics, state, gradient_norm, filtered } = outcome;
        let array = |array: Array2<F>| array.into_pyarray(py).into_any().unbind();
        Ok(Self {
            loss: loss.to_double(),
            row_losses: row_losses.into_pyarray(py).into_any().unbind(),
            d_features: d_features.map(array),
            d_weights: d_weights.map(array),
            d_vectors: named(py, d_vectors)?.unbind(),
            state: state.into_pyobject(py)?.unbind(),
            scale: statistics.scale,
            labelled: statistics.labelled,
            correct: statistics.correct,
            target_cosine: statistics.target_cosine,
            target_angle: statistics.target_angle,
            median_target_angle: statistics.median_target_angle,
            gradient_norm,
            filtered,
        })
    }
}
