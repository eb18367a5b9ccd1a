//! What a step minimises, from keyword arguments.

use crate::arrays::{self, Number};
use arcos::ops::{Objective, Reduction, SoftTargets};
use ndarray::{Ix1, Ix2};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Labels with the keyword arguments of an objective.
pub struct Given<'py, F: Number> {
    labels: PyReadonlyArray1<'py, i64>,
    label_smoothing: f64,
    focal: f64,
    z_loss: f64,
    class_weights: Option<PyReadonlyArray1<'py, F>>,
    sample_weights: Option<PyReadonlyArray1<'py, F>>,
    soft_targets: Option<(PyReadonlyArray2<'py, i64>, PyReadonlyArray2<'py, F>)>,
    reduction: Reduction,
}

impl<'py, F: Number> Given<'py, F> {
    pub fn new(labels: &Bound<'py, PyAny>, keywords: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        let mut given = Self {
            labels: arrays::integers("labels", labels)?,
            label_smoothing: 0.0,
            focal: 0.0,
            z_loss: 0.0,
            class_weights: None,
            sample_weights: None,
            soft_targets: None,
            reduction: Reduction::Mean,
        };
        for (name, value) in keywords.into_iter().flatten() {
            let name: String = name.extract()?;
            let weights = || match value.is_none() {
                true => Ok(None),
                false => arrays::reals::<F, Ix1>(&name, &value).map(Some),
            };
            match name.as_str() {
                "label_smoothing" => given.label_smoothing = value.extract()?,
                "focal" => given.focal = value.extract()?,
                "z_loss" => given.z_loss = value.extract()?,
                "class_weights" => given.class_weights = weights()?,
                "sample_weights" => given.sample_weights = weights()?,
                "soft_targets" => given.soft_targets = soft_targets(&value)?,
                "reduction" => given.reduction = reduction(value.extract()?)?,
                _ => {
                    let expected =
                        "label_smoothing, focal, z_loss, class_weights, sample_weights, soft_targets or reduction";
                    return Err(PyTypeError::new_err(format!("no keyword is called {name}; expected {expected}")));
                }
            }
        }
        Ok(given)
    }

    pub fn objective(&self) -> Objective<'_, F> {
        let soft_targets = self.soft_targets.as_ref();
        Objective {
            labels: self.labels.as_array(),
            label_smoothing: self.label_smoothing,
            focal: self.focal,
            z_loss: self.z_loss,
            class_weights: self.class_weights.as_ref().map(|weights| weights.as_array()),
            sample_weights: self.sample_weights.as_ref().map(|weights| weights.as_array()),
            soft_targets: soft_targets.map(|(classes, probabilities)| SoftTargets {
                classes: classes.as_array(),
                probabilities: probabilities.as_array(),
            }),
            reduction: self.reduction,
            sampled_from: None,
        }
    }
}

fn soft_targets<'py, F: Number>(
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<(PyReadonlyArray2<'py, i64>, PyReadonlyArray2<'py, F>)>> {
    if value.is_none() {
        return Ok(None);
    }
    let (classes, probabilities): (Bound<PyAny>, Bound<PyAny>) = value.extract()?;
    let classes = arrays::integers::<Ix2>("soft targets' classes", &classes)?;
    Ok(Some((classes, arrays::reals("soft targets' probabilities", &probabilities)?)))
}

fn reduction(name: &str) -> PyResult<Reduction> {
    match name {
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        _ => Err(PyValueError::new_err(format!("reduction is {name}; expected mean or sum"))),
    }
}
