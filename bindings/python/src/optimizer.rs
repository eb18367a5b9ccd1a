//! Optimizers with what they remember of each array.

use crate::arrays::{self, Number};
use crate::raise;
use arcos::optim::{self, Moments};
use ndarray::{Ix1, IxDyn};
use numpy::{PyArrayMethods, PyUntypedArrayMethods, ToPyArray};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an optimizer remembers from step to step.
pub struct Memory {
    learning_rate: f64,
    steps: u64,
    pub single: Vec<Moments<f32>>,
    pub double: Vec<Moments<f64>>,
}

/// An optimizer of one set of arrays: `SGD`, `RMSprop` or `AdamW`. It remembers moments of each array and counts steps; set
/// `learning_rate` between steps for a schedule.
#[pyclass(subclass, frozen, module = "arcos.optim")]
pub struct Optimizer {
    optimizer: optim::Optimizer,
    memory: Mutex<Memory>,
}

/// (steps, whether moments are of float64, (first, second) of each array)
type PickledMemory<'py> = (u64, bool, Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>);

impl Optimizer {
    fn new(optimizer: optim::Optimizer, learning_rate: f64) -> PyResult<Self> {
        optimizer.check().map_err(raise)?;
        let memory = Memory { learning_rate: checked_rate(learning_rate)?, steps: 0, single: vec![], double: vec![] };
        Ok(Self { optimizer, memory: Mutex::new(memory) })
    }

    /// The rule and the learning rate, for a trainer that has moments of its own.
    pub fn rule(&self) -> (optim::Optimizer, f64) {
        (self.optimizer, lock(&self.memory).learning_rate)
    }

    /// Takes the next step on arrays of these lengths with `step`, which gets the moments, the step's number and the learning rate. Of an error
    /// nothing is remembered.
    pub fn take<F: Number, R>(
        &self,
        lengths: &[usize],
        step: impl FnOnce(&optim::Optimizer, &mut [Moments<F>], u64, f64) -> arcos::Result<R>,
    ) -> arcos::Result<R> {
        let mut memory = lock(&self.memory);
        let (number, learning_rate) = (memory.steps + 1, memory.learning_rate);
        let (moments, others) = F::moments(&mut memory);
        if others {
            let expected = "that of the arrays that it has taken steps on; make another for these".into();
            return Err(arcos::Error::Setting { name: "the optimizer's type", value: "another".into(), expected });
        }
        let is_first = moments.is_empty();
        if is_first {
            moments.extend(lengths.iter().map(|&length| self.optimizer.moments(length)));
        }
        let result = step(&self.optimizer, moments, number, learning_rate);
        match &result {
            Ok(_) => memory.steps = number,
            Err(_) if is_first => moments.clear(),
            Err(_) => {}
        }
        result
    }

    fn update_all<F: Number>(&self, py: Python, values: &[Bound<PyAny>], gradients: &[Bound<PyAny>]) -> PyResult<()> {
        let arrays = values.iter().map(|values| arrays::readwrite::<F, IxDyn>("values", values));
        let mut arrays = arrays.collect::<PyResult<Vec<_>>>()?;
        let gradients =
            gradients.iter().map(|gradient| arrays::readonly::<F, IxDyn>("gradients", &arrays::array(gradient)?));
        let gradients = gradients.collect::<PyResult<Vec<_>>>()?;
        let mut pairs = Vec::new();
        for (values, gradient) in arrays.iter_mut().zip(&gradients) {
            if values.shape() != gradient.shape() {
                let (found, expected) = (gradient.shape(), values.shape());
                return Err(PyValueError::new_err(format!("gradients has shape {found:?}; expected {expected:?}")));
            }
            let decays = values.ndim() > 1;
            let not_in_order = |_| PyValueError::new_err("values is not in row-major order; expected an array that is");
            pairs.push((values.as_slice_mut().map_err(not_in_order)?, gradient.as_array(), decays));
        }
        let step = || {
            let lengths: Vec<_> = pairs.iter().map(|(values, ..)| values.len()).collect();
            self.take(&lengths, |optimizer, moments: &mut [Moments<F>], step, learning_rate| {
                let of_arrays = moments.iter().map(|moments| moments.first.len().max(moments.second.len()));
                let found: Vec<_> = of_arrays.collect();
                if found != lengths {
                    let expected = format!("{found:?} elements, those of the steps before");
                    return Err(arcos::Error::Shape { what: "values", found: lengths.clone(), expected });
                }
                for ((values, gradient, decays), moments) in pairs.into_iter().zip(moments) {
                    let optimizer = if decays { *optimizer } else { optimizer.without_weight_decay() };
                    let gradient = gradient.as_standard_layout();
                    let gradient = gradient.as_slice().expect("in standard layout");
                    optimizer.update(values, gradient, moments.view_mut(), step, learning_rate)?;
                }
                Ok(())
            })
        };
        py.detach(step).map_err(raise)
    }
}

#[pymethods]
impl Optimizer {
    /// The learning rate of the next step.
    #[getter]
    fn learning_rate(&self, py: Python) -> f64 {
        py.detach(|| lock(&self.memory).learning_rate)
    }

    #[setter]
    fn set_learning_rate(&self, py: Python, rate: f64) -> PyResult<()> {
        let rate = checked_rate(rate)?;
        py.detach(|| lock(&self.memory).learning_rate = rate);
        Ok(())
    }

    /// Steps taken.
    #[getter]
    fn steps(&self, py: Python) -> u64 {
        py.detach(|| lock(&self.memory).steps)
    }

    /// One step on arrays, which are changed where they are, from their gradients, of the same shapes; always the same arrays in the same order.
    /// Weight decay is for those of two dimensions and more. Gradients are not looked at: one that is not finite makes values that are not.
    fn update(&self, py: Python, values: Vec<Bound<PyAny>>, gradients: Vec<Bound<PyAny>>) -> PyResult<()> {
        if values.len() != gradients.len() || values.is_empty() {
            let (values, gradients) = (values.len(), gradients.len());
            let message =
                format!("gradients has {gradients} arrays for {values} of values; expected one for each, at least one");
            return Err(PyValueError::new_err(message));
        }
        match arrays::is_double("values", &arrays::array(&values[0])?)? {
            true => self.update_all::<f64>(py, &values, &gradients),
            false => self.update_all::<f32>(py, &values, &gradients),
        }
    }

    fn __repr__(slf: &Bound<Self>) -> PyResult<String> {
        let ((rate,), keywords) = Self::__getnewargs_ex__(slf)?;
        let keywords = keywords.iter().map(|(name, value)| Ok(format!(", {name}={}", value.repr()?)));
        let keywords = keywords.collect::<PyResult<String>>()?;
        Ok(format!("{}({rate:?}{keywords})", slf.get_type().name()?))
    }

    fn __getnewargs_ex__<'py>(slf: &Bound<'py, Self>) -> PyResult<((f64,), Bound<'py, PyDict>)> {
        let (py, optimizer) = (slf.py(), slf.get());
        let keywords = PyDict::new(py);
        match optimizer.optimizer {
            optim::Optimizer::Sgd(optim::Sgd { momentum, nesterov, weight_decay }) => {
                keywords.set_item("momentum", momentum)?;
                keywords.set_item("nesterov", nesterov)?;
                keywords.set_item("weight_decay", weight_decay)?;
            }
            optim::Optimizer::RmsProp(optim::RmsProp { rho, epsilon }) => {
                keywords.set_item("rho", rho)?;
                keywords.set_item("epsilon", epsilon)?;
            }
            optim::Optimizer::AdamW(optim::AdamW { beta1, beta2, epsilon, weight_decay }) => {
                keywords.set_item("beta1", beta1)?;
                keywords.set_item("beta2", beta2)?;
                keywords.set_item("epsilon", epsilon)?;
                keywords.set_item("weight_decay", weight_decay)?;
            }
        }
        Ok(((optimizer.learning_rate(py),), keywords))
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> PickledMemory<'py> {
        fn pickled<'py, F: Number>(
            py: Python<'py>,
            moments: &[Moments<F>],
        ) -> Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
            let array = |values: &[F]| values.to_pyarray(py).into_any();
            moments.iter().map(|moments| (array(&moments.first), array(&moments.second))).collect()
        }
        let (steps, single, double) = py.detach(|| {
            let memory = lock(&self.memory);
            (memory.steps, memory.single.clone(), memory.double.clone())
        });
        let moments = if double.is_empty() { pickled(py, &single) } else { pickled(py, &double) };
        (steps, !double.is_empty(), moments)
    }

    fn __setstate__(&self, state: PickledMemory) -> PyResult<()> {
        fn unpickled<F: Number>(moments: &[(Bound<PyAny>, Bound<PyAny>)]) -> PyResult<Vec<Moments<F>>> {
            let vector = |array: &Bound<PyAny>| {
                let array = arrays::readonly::<F, Ix1>("moments", &arrays::array(array)?)?;
                array
                    .to_vec()
                    .map_err(|_| PyTypeError::new_err("moments is not in one piece; expected an array that is"))
            };
            let both = |(first, second): &(_, _)| {
                let moments = Moments { first: vector(first)?, second: vector(second)? };
                let are_finite = moments.first.iter().chain(&moments.second).all(|value| value.is_finite());
                match are_finite && moments.second.iter().all(|&square| square >= F::zero()) {
                    true => Ok(moments),
                    false => Err(PyValueError::new_err(
                        "moments has NaN, infinity or a negative square; expected an optimizer's",
                    )),
                }
            };
            moments.iter().map(both).collect()
        }
        let (steps, double, moments) = state;
        let mut memory = lock(&self.memory);
        memory.steps = steps;
        match double {
            true => memory.double = unpickled(&moments)?,
            false => memory.single = unpickled(&moments)?,
        }
        Ok(())
    }
}

/// Stochastic gradient descent: v = momentum v + g + weight_decay w, w = w - learning_rate v; with Nesterov momentum
/// w = w - learning_rate (g + momentum v).
#[pyclass(extends = Optimizer, frozen, subclass, name = "SGD", module = "arcos.optim")]
pub struct Sgd;

#[pymethods]
impl Sgd {
    #[new]
    #[pyo3(signature = (learning_rate, *, momentum = 0.9, nesterov = false, weight_decay = 0.0))]
    fn new(learning_rate: f64, momentum: f64, nesterov: bool, weight_decay: f64) -> PyResult<PyClassInitializer<Self>> {
        let optimizer = optim::Optimizer::Sgd(optim::Sgd { momentum, nesterov, weight_decay });
        Ok(PyClassInitializer::from(Optimizer::new(optimizer, learning_rate)?).add_subclass(Self))
    }
}

/// RMSprop (Tieleman & Hinton 2012), as Keras has it: v = rho v + (1 - rho) g², w = w - learning_rate g / (√v + epsilon).
#[pyclass(extends = Optimizer, frozen, subclass, name = "RMSprop", module = "arcos.optim")]
pub struct RmsProp;

#[pymethods]
impl RmsProp {
    #[new]
    #[pyo3(signature = (learning_rate, *, rho = 0.9, epsilon = 1e-7))]
    fn new(learning_rate: f64, rho: f64, epsilon: f64) -> PyResult<PyClassInitializer<Self>> {
        let optimizer = optim::Optimizer::RmsProp(optim::RmsProp { rho, epsilon });
        Ok(PyClassInitializer::from(Optimizer::new(optimizer, learning_rate)?).add_subclass(Self))
    }
}

/// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2): Adam with weight decay apart from the gradient.
#[pyclass(extends = Optimizer, frozen, subclass, module = "arcos.optim")]
pub struct AdamW;

#[pymethods]
impl AdamW {
    #[new]
    #[pyo3(signature = (learning_rate, *, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01))]
    fn new(
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
    ) -> PyResult<PyClassInitializer<Self>> {
        let optimizer = optim::Optimizer::AdamW(optim::AdamW { beta1, beta2, epsilon, weight_decay });
        Ok(PyClassInitializer::from(Optimizer::new(optimizer, learning_rate)?).add_subclass(Self))
    }
}

fn checked_rate(rate: f64) -> PyResult<f64> {
    match rate >= 0.0 && rate.is_finite() {
        true => Ok(rate),
        false => Err(PyValueError::new_err(format!("learning rate is {rate}; expected a number, not negative"))),
    }
}

/// What a mutex holds, be it after a panic in another call: each call begins anew.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
