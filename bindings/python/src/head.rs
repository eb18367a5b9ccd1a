//! Any of the library's heads, by name.

use crate::arrays::{self, Number};
use crate::step::{Outcome, Step};
use crate::{objective, parameters, raise};
use arcos::heads::OptionInfo;
use arcos::{AnyHead, Head as _};
use ndarray::Ix2;
use numpy::{IntoPyArray, PyUntypedArray};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

/// A classification head: hyper-parameters, and rules that make logits of features and class vectors. `arcos.heads` has a class for each.
///
/// `Head(name, **options)` is the head of that name; options are those of its class.
#[pyclass(subclass, module = "arcos")]
pub struct Head {
    head: AnyHead,
    options: Py<PyDict>,
    /// What it was told of the sizes of classes.
    class_sizes: Option<Vec<usize>>,
}

impl Head {
    /// The head, to be used while the interpreter's lock is free.
    pub fn head(&self) -> AnyHead {
        self.head.clone()
    }
}

#[pymethods]
impl Head {
    #[new]
    #[pyo3(signature = (name, /, **options))]
    fn new(py: Python, name: &str, options: Option<Bound<PyDict>>) -> PyResult<Self> {
        let options = options.unwrap_or_else(|| PyDict::new(py));
        let texts = options.iter().map(|(name, value)| Ok((option_name(&name.extract::<String>()?), text(&value)?)));
        let texts = texts.collect::<PyResult<Vec<_>>>()?;
        let texts: Vec<_> = texts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let head = AnyHead::new(name, &texts).map_err(raise)?;
        Ok(Self { head, options: options.unbind(), class_sizes: None })
    }

    /// The name of the head.
    #[getter]
    fn name(&self) -> &'static str {
        self.head.name()
    }

    /// The options that it was made with.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.options.bind(py).copy()
    }

    /// Class vectors a class, K: weights are (C*K, D), those of a class next to each other, and the nearest counts.
    #[getter]
    fn centres(&self) -> usize {
        self.head.centres()
    }

    /// Whether features are divided by their norms: a row of norm 0 is then an error.
    #[getter]
    fn normalizes_features(&self) -> bool {
        self.head.geometry().normalizes_features()
    }

    /// Tells the head how many training rows each class has, (C,): margins of dynamic-arcface and ldam follow from that.
    fn count_classes(&mut self, sizes: Vec<usize>) {
        self.head.count_classes(&sizes);
        self.class_sizes = Some(sizes);
    }

    /// Class vectors (C*K, D) with whatever else the head has, at its initial value: a zero bias, a scale, state. `weights` are not copied.
    fn initial_parameters(&self, weights: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
        let array = arrays::array(weights)?;
        match arrays::is_double("weights", &array)? {
            true => self.initial::<f64>(&array),
            false => self.initial::<f32>(&array),
        }
    }

    /// Loss and gradients of `features` (B, D) by `labels` (B,), margins included, from whole (B, C) arrays. `parameters` is a `Parameters`,
    /// or an array of class vectors (C*K, D); `objective` as in `Objective`. The type of the features, float32 or float64, is that of all.
    #[pyo3(signature = (features, parameters, labels, **objective))]
    fn forward_backward(
        &self,
        py: Python,
        features: &Bound<PyAny>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        objective: Option<&Bound<PyDict>>,
    ) -> PyResult<Step> {
        let features = arrays::array(features)?;
        match arrays::is_double("features", &features)? {
            true => self.explicit::<f64>(py, &features, parameters, labels, objective),
            false => self.explicit::<f32>(py, &features, parameters, labels, objective),
        }
    }

    /// Logits (B, C) of `features` (B, D) for inference: no labels, no margins.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        features: &Bound<'py, PyAny>,
        parameters: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let features = arrays::array(features)?;
        match arrays::is_double("features", &features)? {
            true => self.inference::<f64>(py, &features, parameters),
            false => self.inference::<f32>(py, &features, parameters),
        }
    }

    fn __repr__(slf: &Bound<Self>) -> PyResult<String> {
        let head = slf.borrow();
        let options = head.options.bind(slf.py()).iter();
        let options = options.map(|(name, value)| Ok(format!("{name}={}", value.repr()?)));
        let mut arguments = options.collect::<PyResult<Vec<_>>>()?;
        if is_base(slf) {
            arguments.insert(0, PyString::new(slf.py(), head.head.name()).repr()?.to_string());
        }
        Ok(format!("{}({})", slf.get_type().name()?, arguments.join(", ")))
    }

    fn __getnewargs_ex__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let (py, head) = (slf.py(), slf.borrow());
        let name = is_base(slf).then(|| head.head.name());
        Ok((PyTuple::new(py, name)?, head.options(py)?))
    }

    fn __getstate__(&self) -> Option<Vec<usize>> {
        self.class_sizes.clone()
    }

    fn __setstate__(&mut self, class_sizes: Vec<usize>) {
        self.count_classes(class_sizes);
    }
}

impl Head {
    fn initial<F: Number>(&self, array: &Bound<PyUntypedArray>) -> PyResult<Py<PyAny>> {
        let weights = arrays::readonly::<F, Ix2>("weights", array)?;
        // The library takes class vectors that it owns; Python's stay where they are.
        let parameters = self.head.initial_parameters(weights.as_array().to_owned()).map_err(raise)?;
        let parameters = parameters::into_python(array.py(), parameters)?;
        parameters.setattr(array.py(), "weights", array)?;
        Ok(parameters)
    }

    fn explicit<F: Number>(
        &self,
        py: Python,
        features: &Bound<PyUntypedArray>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        keywords: Option<&Bound<PyDict>>,
    ) -> PyResult<Step> {
        let given = parameters::Given::<F>::new(parameters)?;
        let objective = objective::Given::<F>::new(labels, keywords)?;
        let features = arrays::readonly::<F, Ix2>("features", features)?;
        let (head, features, parameters, objective) =
            (&self.head, features.as_array(), given.view(), objective.objective());
        let step = py.detach(|| {
            let (loss, mut cache) = head.forward(features, parameters, objective)?;
            let outcome = Outcome {
                loss,
                row_losses: std::mem::take(&mut cache.row_losses),
                statistics: cache.statistics,
                state: cache.state.clone(),
                gradient_norm: None,
                filtered: 0.0,
            };
            Ok((outcome, head.backward(cache)))
        });
        let (outcome, gradients) = step.map_err(raise)?;
        Step::new(py, outcome, gradients)
    }

    fn inference<'py, F: Number>(
        &self,
        py: Python<'py>,
        features: &Bound<'py, PyUntypedArray>,
        parameters: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = parameters::Given::<F>::new(parameters)?;
        let features = arrays::readonly::<F, Ix2>("features", features)?;
        let (head, features, parameters) = (&self.head, features.as_array(), given.view());
        let logits = py.detach(|| head.logits(features, parameters)).map_err(raise)?;
        Ok(logits.into_pyarray(py).into_any())
    }
}

fn is_base(head: &Bound<Head>) -> bool {
    head.get_type().is(head.py().get_type::<Head>())
}

/// An option as the library has it: `past_pi` is past-pi, and `lambda_`, which Python reserves, lambda.
fn option_name(keyword: &str) -> String {
    keyword.trim_end_matches('_').replace('_', "-")
}

/// A value as the library's options take it.
fn text(value: &Bound<PyAny>) -> PyResult<String> {
    if value.is_none() {
        return Ok("none".into());
    }
    match value.cast::<PyBool>() {
        Ok(value) => Ok(value.is_true().to_string()),
        Err(_) => Ok(value.str()?.to_string()),
    }
}

/// Name, name of the class, training logits, options.
type ListedHead<'py> = (&'static str, &'static str, &'static str, Vec<Bound<'py, PyDict>>);

/// Every head: its name, the name of its class, its training logits, and its options, each a dict of name, help, default, words that it may
/// be, whether it is a whole number, and the range of a number in words or None. All in the library's spelling.
#[pyfunction]
pub fn head_list(py: Python<'_>) -> PyResult<Vec<ListedHead<'_>>> {
    let option = |option: OptionInfo| {
        let dict = PyDict::new(py);
        dict.set_item("name", option.name)?;
        dict.set_item("help", option.help)?;
        dict.set_item("default", option.default)?;
        dict.set_item("words", option.words)?;
        dict.set_item("whole", option.whole)?;
        dict.set_item("range", option.range.map(|range| range.words))?;
        Ok(dict)
    };
    let entry = |&(name, formula): &(&'static str, &'static str)| {
        let class = AnyHead::type_of(name).expect("a listed head");
        let options = AnyHead::options_of(name).expect("a listed head").into_iter().map(option);
        Ok((name, class, formula, options.collect::<PyResult<_>>()?))
    };
    AnyHead::LIST.iter().map(entry).collect()
}
