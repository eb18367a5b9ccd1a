//! Class vectors with whatever else a head trains or remembers, as `arcos.Parameters` has them.

use crate::arrays::{self, Number};
use crate::raise;
use arcos::heads::{Parameters, ParametersView, State};
use ndarray::{Array1, Ix1, Ix2};
use numpy::{IntoPyArray, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

/// What a step reads.
pub struct Given<'py, F: Number> {
    weights: PyReadonlyArray2<'py, F>,
    vectors: BTreeMap<String, Array1<F>>,
    state: State,
}

impl<'py, F: Number> Given<'py, F> {
    /// Of an `arcos.Parameters`, or of an array of class vectors alone.
    pub fn new(parameters: &Bound<'py, PyAny>) -> PyResult<Self> {
        let (weights, vectors, state) = match parameters.getattr_opt("weights")? {
            Some(weights) => (weights, vectors(parameters)?, state(parameters)?),
            None => (parameters.clone(), BTreeMap::new(), State::new()),
        };
        Ok(Self { weights: arrays::readonly::<F, Ix2>("weights", &arrays::array(&weights)?)?, vectors, state })
    }

    pub fn view(&self) -> ParametersView<'_, F> {
        ParametersView { weights: self.weights.as_array(), vectors: &self.vectors, state: &self.state }
    }
}

/// Copies of the named vectors, which are small beside the class vectors.
pub fn vectors<F: Number>(parameters: &Bound<PyAny>) -> PyResult<BTreeMap<String, Array1<F>>> {
    let vectors = parameters.getattr("vectors")?;
    let vectors = vectors.cast::<PyDict>()?;
    let copied = |(name, vector): (Bound<PyAny>, Bound<PyAny>)| {
        let name: String = name.extract()?;
        let vector = arrays::readonly::<F, Ix1>(&name, &arrays::array(&vector)?)?;
        Ok((name, vector.as_array().to_owned()))
    };
    vectors.iter().map(copied).collect()
}

pub fn state(parameters: &Bound<PyAny>) -> PyResult<State> {
    parameters.getattr("state")?.extract()
}

/// An `arcos.Parameters` of these.
pub fn into_python<F: Number>(py: Python, parameters: Parameters<F>) -> PyResult<Py<PyAny>> {
    let Parameters { weights, vectors, state } = parameters;
    let class = py.import("arcos")?.getattr("Parameters")?;
    Ok(class.call1((weights.into_pyarray(py), named(py, vectors)?, state))?.unbind())
}

/// Vectors by name.
pub fn named<F: Number>(py: Python<'_>, vectors: BTreeMap<String, Array1<F>>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    vectors.into_iter().try_for_each(|(name, vector)| dict.set_item(name, vector.into_pyarray(py)))?;
    Ok(dict)
}

/// First class vectors, (classes, dimension): normal of standard deviation √(2 / (classes + dimension)), cut off at two standard
/// deviations (Glorot & Bengio 2010, as Keras draws it). `dtype` is float32 or float64.
#[pyfunction]
#[pyo3(signature = (classes, dimension, *, seed = 0, dtype = "float32"))]
pub fn glorot_normal<'py>(
    py: Python<'py>,
    classes: usize,
    dimension: usize,
    seed: u64,
    dtype: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    match dtype {
        "float32" => Ok(arcos::init::glorot_normal::<f32>(classes, dimension, &mut rng).into_pyarray(py).into_any()),
        "float64" => Ok(arcos::init::glorot_normal::<f64>(classes, dimension, &mut rng).into_pyarray(py).into_any()),
        _ => Err(raise(arcos::Error::Setting {
            name: "dtype",
            value: dtype.into(),
            expected: "float32 or float64".into(),
        })),
    }
}
