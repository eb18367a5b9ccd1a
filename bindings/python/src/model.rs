//! What is left of a run.

use crate::dataset::{self, held_out};
use crate::{parameters, raise};
use arcos::Head as _;
use arcos::data::Features;
use arcos::train::{Checkpoint, RunDirectory};
use ndarray::{Array2, Axis};
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::{Path, PathBuf};

/// A trained head with its embedder, if there is one, and its feature transform: `Trainer.model`, or `Model.load(path)`.
///
/// Features (N, D) are as they were given to training: an array, or the path of a `.npy` file.
#[pyclass(frozen, module = "arcos")]
pub struct Model(pub arcos::train::Model);

/// The newest checkpoint of a run directory, or the checkpoint at `path`.
pub fn load(path: &Path) -> PyResult<Checkpoint> {
    let newest = if path.is_dir() { RunDirectory::load_newest(path).map_err(raise)? } else { None };
    newest.map_or_else(|| Checkpoint::load(path).map_err(raise), Ok)
}

#[pymethods]
impl Model {
    /// The model of a run of `arcos train`, by its directory, or of a checkpoint.
    #[staticmethod]
    fn load(py: Python, path: PathBuf) -> PyResult<Self> {
        let checkpoint = py.detach(|| load(&path))?;
        Ok(Self(checkpoint.best.unwrap_or(checkpoint.model)))
    }

    /// The head's name.
    #[getter]
    fn head_name(&self) -> &'static str {
        self.0.head.name()
    }

    /// The labels of the classes, in the order of class vectors.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let table = &self.0.class_table;
        (0..table.len()).map(|class| dataset::label(py, table.label(class))).collect()
    }

    /// What divides logits before they become probabilities, where one was fitted on validation rows.
    #[getter]
    fn temperature(&self) -> Option<f64> {
        self.0.temperature
    }

    /// A copy of the head's parameters, class vectors (C*K, E) among them.
    #[getter]
    fn parameters(&self, py: Python) -> PyResult<Py<PyAny>> {
        parameters::into_python(py, self.0.parameters.clone())
    }

    /// Embeddings (N, E) of features, of whatever length; without an embedder the transformed features.
    fn embeddings<'py>(&self, py: Python<'py>, features: &Bound<PyAny>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let features = dataset::features(features)?;
        Ok(py.detach(|| self.0.embeddings(&features)).map_err(raise)?.into_pyarray(py))
    }

    /// Inference logits (N, C) of features, without margins.
    fn logits<'py>(&self, py: Python<'py>, features: &Bound<PyAny>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let features = dataset::features(features)?;
        let logits = || self.0.logits(features.rows().all()?.view());
        Ok(py.detach(logits).map_err(raise)?.into_pyarray(py))
    }

    /// The labels (N,) of the likeliest classes.
    fn predict<'py>(&self, py: Python<'py>, features: &Bound<PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (classes, _) = self.likeliest_classes(py, &dataset::features(features)?, 1)?;
        self.labels_of(py, &classes)?.call_method1("reshape", (-1,))
    }

    /// The labels (N, count) of the likeliest classes, the likeliest first, and their probabilities (N, count), at the model's temperature. Logits are never all in
    /// memory.
    #[pyo3(signature = (features, count = 1))]
    fn likeliest<'py>(
        &self,
        py: Python<'py>,
        features: &Bound<PyAny>,
        count: usize,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray2<f64>>)> {
        let (classes, probabilities) = self.likeliest_classes(py, &dataset::features(features)?, count)?;
        Ok((self.labels_of(py, &classes)?, probabilities.into_pyarray(py)))
    }

    /// Loss in nats and accuracies on labelled rows, without margins.
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        features: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let pair = (features, labels).into_pyobject(py)?;
        let data = held_out(&pair, &self.0.class_table)?;
        let evaluation = py.detach(|| self.0.evaluate(&data)).map_err(raise)?;
        let dict = PyDict::new(py);
        dict.set_item("rows", evaluation.rows)?;
        dict.set_item("loss", evaluation.loss)?;
        dict.set_item("accuracy", evaluation.accuracy)?;
        dict.set_item("top5_accuracy", evaluation.top5_accuracy)?;
        Ok(dict)
    }

    /// An ONNX file of transform, embedder, head and probabilities, as bytes: input `features` (N, D), outputs `logits` and `probabilities` (N, C), with
    /// `top` also `top_probabilities` and `top_classes` (N, top).
    #[pyo3(signature = (top = None))]
    fn to_onnx<'py>(&self, py: Python<'py>, top: Option<usize>) -> PyResult<Bound<'py, PyBytes>> {
        let file = py.detach(|| arcos::export::onnx(&self.0, top)).map_err(raise)?;
        Ok(PyBytes::new(py, &file))
    }
}

impl Model {
    fn likeliest_classes(
        &self,
        py: Python,
        features: &Features,
        count: usize,
    ) -> PyResult<(Array2<usize>, Array2<f64>)> {
        let shape = (features.rows().dim().0, count.min(self.0.class_table.len()));
        let (mut classes, mut probabilities) = (Array2::zeros(shape), Array2::zeros(shape));
        let found = py.detach(|| {
            self.0.for_likeliest(features, count, |first, likeliest| {
                let rows = first..first + likeliest.classes.nrows();
                classes.slice_axis_mut(Axis(0), rows.clone().into()).assign(&likeliest.classes);
                probabilities.slice_axis_mut(Axis(0), rows.into()).assign(&likeliest.probabilities);
                Ok(())
            })
        });
        found.map_err(raise)?;
        Ok((classes, probabilities))
    }

    /// The labels of classes, as an array of the same shape.
    fn labels_of<'py>(&self, py: Python<'py>, classes: &Array2<usize>) -> PyResult<Bound<'py, PyAny>> {
        let numpy = py.import("numpy")?;
        let indices = numpy.call_method1("array", (classes.clone().into_pyarray(py),))?;
        numpy.call_method1("array", (self.classes(py)?,))?.call_method1("take", (indices,))
    }
}
