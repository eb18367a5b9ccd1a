//! Features with labels, as training takes them.

use crate::{arrays, raise};
use arcos::data::{ClassTable, Dataset, Features, Label, Labels, read_features};
use ndarray::{Ix1, Ix2};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::path::PathBuf;

/// Features (N, D) of an array, copied as float32, or of a `.npy` file by its path, which are read as they are needed.
pub fn features(given: &Bound<PyAny>) -> PyResult<Features> {
    match given.extract::<PathBuf>() {
        Ok(path) => read_features(&path).map_err(raise),
        Err(_) => Ok(arrays::reals::<f32, Ix2>("features", given)?.as_array().to_owned().into()),
    }
}

/// Labels (N,): whole numbers, -100 for none, or strings.
pub fn labels(given: &Bound<PyAny>) -> PyResult<Labels> {
    let array = given.py().import("numpy")?.call_method1("asarray", (given,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    match kind.as_str() {
        "i" | "u" => Ok(Labels::Integers(arrays::integers::<Ix1>("labels", &array)?.as_array().to_owned())),
        "U" => Ok(Labels::Strings(array.call_method0("tolist")?.extract()?)),
        _ => {
            let found = array.getattr("dtype")?;
            Err(PyTypeError::new_err(format!("labels has type {found}; expected whole numbers or strings")))
        }
    }
}

/// A training set. Its classes are the labels that occur.
pub fn training(
    given_features: &Bound<PyAny>,
    given_labels: &Bound<PyAny>,
    sample_weights: Option<&Bound<PyAny>>,
) -> PyResult<Dataset> {
    let labels = labels(given_labels)?;
    let classes = ClassTable::of(&[&labels]).map_err(raise)?;
    let data = Dataset::encoded(features(given_features)?, &labels, classes).map_err(raise)?;
    let Some(weights) = sample_weights else { return Ok(data) };
    let weights = arrays::reals::<f32, Ix1>("sample_weights", weights)?;
    data.with_sample_weights(weights.as_array().to_owned()).map_err(raise)
}

/// Rows of the classes of a training set: a pair (features, labels).
pub fn held_out(pair: &Bound<PyAny>, classes: &ClassTable) -> PyResult<Dataset> {
    let (given_features, given_labels): (Bound<PyAny>, Bound<PyAny>) = pair.extract()?;
    Dataset::encoded(features(&given_features)?, &labels(&given_labels)?, classes.clone()).map_err(raise)
}

/// The label of a class, as it was given.
pub fn label<'py>(py: Python<'py>, label: Label) -> PyResult<Bound<'py, PyAny>> {
    match label {
        Label::Number(number) => Ok(number.into_pyobject(py)?.into_any()),
        Label::String(text) => Ok(text.into_pyobject(py)?.into_any()),
    }
}
