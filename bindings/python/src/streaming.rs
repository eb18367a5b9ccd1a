//! The streaming kernel, with its scratch memory.

use crate::arrays::{self, Number};
use crate::head::Head;
use crate::optimizer::{Optimizer, lock};
use crate::step::Step;
use crate::{objective, parameters, raise};
use arcos::heads::ParametersMut;
use arcos::optim::{self, Moments};
use arcos::streaming::{GradientFilter, Precision, StreamingOptions, Update};
use ndarray::{Array2, Ix1, Ix2};
use numpy::PyUntypedArray;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Mutex;

/// A kernel for each type of elements; one that is not used takes no memory.
#[derive(Default)]
pub struct Kernels {
    pub single: arcos::streaming::Streaming<f32>,
    pub double: arcos::streaming::Streaming<f64>,
}

/// The streaming kernel: loss and gradients of any head, a block of classes at a time, on all cores. Keep one for as long as you train: its
/// scratch memory serves from step to step.
///
/// `workspace`: bytes for inner products that are kept from the first pass to the second; those past it are computed twice.
/// `filter`: blocks of classes that have less than this share of every row's probability are left out of the gradients; 1e-7 is about the
/// rounding of float32. `precision`: "full", or "mixed" for bf16 products, of float32 on processors with AVX512-BF16.
/// `threads`: of a pool of its own; without it RAYON_NUM_THREADS, or all cores.
#[pyclass(frozen, module = "arcos")]
pub struct Streaming {
    kernels: Mutex<Kernels>,
    pool: Option<ThreadPool>,
}

/// A precision by its name.
pub fn precision(name: &str) -> PyResult<Precision> {
    match name {
        "full" => Ok(Precision::Full),
        "mixed" => Ok(Precision::Mixed),
        _ => Err(PyValueError::new_err(format!("precision is {name}; expected full or mixed"))),
    }
}

#[pymethods]
impl Streaming {
    #[new]
    #[pyo3(signature = (*, workspace = 256 << 20, filter = None, precision = "full", threads = None))]
    fn new(workspace: usize, filter: Option<f64>, precision: &str, threads: Option<usize>) -> PyResult<Self> {
        let precision = self::precision(precision)?;
        let filter = filter.map_or(GradientFilter::Off, GradientFilter::Mass);
        let options = StreamingOptions { workspace, filter, precision };
        let single = arcos::streaming::Streaming::new(options).map_err(raise)?;
        // Mixed precision is of float32: the other type is refused when it comes.
        let double = arcos::streaming::Streaming::new(StreamingOptions { precision: Precision::Full, ..options });
        let pool = threads.map(|threads| match threads {
            0 => Err(PyValueError::new_err("threads is 0; expected at least 1")),
            _ => ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
                PyValueError::new_err(format!("threads is {threads}; expected as many as can be started: {error}"))
            }),
        });
        let kernels = Kernels { single, double: double.map_err(raise)? };
        Ok(Self { kernels: Mutex::new(kernels), pool: pool.transpose()? })
    }

    /// Loss and gradients of `features` (B, D) by `labels` (B,): what `Head.forward_backward` gives, without (B, C) arrays. `parameters` is a
    /// `Parameters`, or an array of class vectors (C*K, D); `objective` as in `Objective`.
    #[pyo3(signature = (head, features, parameters, labels, **objective))]
    fn forward_backward(
        &self,
        head: &Bound<Head>,
        features: &Bound<PyAny>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        objective: Option<&Bound<PyDict>>,
    ) -> PyResult<Step> {
        let features = arrays::array(features)?;
        match self.is_double(&features)? {
            true => self.gradients::<f64>(head, &features, parameters, labels, objective),
            false => self.gradients::<f32>(head, &features, parameters, labels, objective),
        }
    }

    /// A whole training step: each block of class vectors is updated as soon as its gradient is known, so that `d_weights` is never in memory.
    /// The arrays of `parameters`, a `Parameters`, are changed where they are and get the new state; of an error they stay as they were.
    /// `d_features` asks for the derivative by the features, for those who train what gives them, too.
    #[pyo3(signature = (head, features, parameters, labels, optimizer, *, d_features = false, **objective))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn train_step(
        &self,
        head: &Bound<Head>,
        features: &Bound<PyAny>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        optimizer: &Bound<Optimizer>,
        d_features: bool,
        objective: Option<&Bound<PyDict>>,
    ) -> PyResult<Step> {
        let features = arrays::array(features)?;
        let optimizer = optimizer.get();
        match self.is_double(&features)? {
            true => self.step::<f64>(head, &features, parameters, labels, optimizer, d_features, objective),
            false => self.step::<f32>(head, &features, parameters, labels, optimizer, d_features, objective),
        }
    }

    /// Mean loss in nats and counts of `features` (B, D) without margins, by `labels` (B,): (loss, labelled rows, those whose class has the
    /// largest logit, those whose class is among the five largest). Logits are never all in memory.
    fn evaluate(
        &self,
        head: &Bound<Head>,
        features: &Bound<PyAny>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
    ) -> PyResult<(f64, usize, usize, usize)> {
        let features = arrays::array(features)?;
        match arrays::is_double("features", &features)? {
            true => self.measures::<f64>(head, &features, parameters, labels),
            false => self.measures::<f32>(head, &features, parameters, labels),
        }
    }
}

impl Streaming {
    fn is_double(&self, features: &Bound<PyUntypedArray>) -> PyResult<bool> {
        let double = arrays::is_double("features", features)?;
        let mixed = || lock(&self.kernels).single.options().precision == Precision::Mixed;
        if double && features.py().detach(mixed) {
            return Err(PyTypeError::new_err(
                "features has type float64; expected float32, which mixed precision is for",
            ));
        }
        Ok(double)
    }

    /// `work` with the kernel of a type, on the threads of the pool, while the interpreter's lock is free.
    fn run<F: Number, R: Send>(
        &self,
        py: Python,
        work: impl FnOnce(&mut arcos::streaming::Streaming<F>) -> arcos::Result<R> + Send,
    ) -> PyResult<R> {
        let work = || {
            let mut kernels = lock(&self.kernels);
            let kernel = F::kernel(&mut kernels);
            match &self.pool {
                Some(pool) => pool.install(|| work(kernel)),
                None => work(kernel),
            }
        };
        py.detach(work).map_err(raise)
    }

    fn gradients<F: Number>(
        &self,
        head: &Bound<Head>,
        features: &Bound<PyUntypedArray>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        keywords: Option<&Bound<PyDict>>,
    ) -> PyResult<Step> {
        let (py, head) = (head.py(), head.borrow().head());
        let given = parameters::Given::<F>::new(parameters)?;
        let objective = objective::Given::<F>::new(labels, keywords)?;
        let features = arrays::readonly::<F, Ix2>("features", features)?;
        let (features, parameters, objective) = (features.as_array(), given.view(), objective.objective());
        let (step, gradients) =
            self.run::<F, _>(py, |kernel| kernel.forward_backward(&head, features, parameters, objective))?;
        Step::new(py, step.into(), gradients)
    }

    #[expect(clippy::too_many_arguments, reason = "those of train_step")]
    fn step<F: Number>(
        &self,
        head: &Bound<Head>,
        features: &Bound<PyUntypedArray>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        optimizer: &Optimizer,
        wants_d_features: bool,
        keywords: Option<&Bound<PyDict>>,
    ) -> PyResult<Step> {
        let (py, head) = (head.py(), head.borrow().head());
        let Some(weights) = parameters.getattr_opt("weights")? else {
            let expected = "expected a Parameters, which a step changes: class vectors, vectors and state";
            return Err(PyTypeError::new_err(format!("parameters is no Parameters; {expected}")));
        };
        let mut weights = arrays::readwrite::<F, Ix2>("weights", &weights)?;
        let mut vectors = parameters::vectors::<F>(parameters)?;
        let mut state = parameters::state(parameters)?;
        let python_vectors = parameters.getattr("vectors")?;
        let python_vectors = vectors
            .keys()
            .map(|name| Ok((name.clone(), arrays::readwrite::<F, Ix1>(name, &python_vectors.get_item(name)?)?)));
        let python_vectors = python_vectors.collect::<PyResult<Vec<_>>>()?;
        let objective = objective::Given::<F>::new(labels, keywords)?;
        let features = arrays::readonly::<F, Ix2>("features", features)?;
        let (features, objective) = (features.as_array(), objective.objective());
        let mut d_features = Array2::default((0, 0));

        let view = ParametersMut { weights: weights.as_array_mut(), vectors: &mut vectors, state: &mut state };
        let step = self.run::<F, _>(py, |kernel| {
            let lengths = view.trained_lengths(&head);
            optimizer.take(&lengths, |optimizer: &optim::Optimizer, moments: &mut [Moments<F>], step, learning_rate| {
                let d_features = wants_d_features.then_some(&mut d_features);
                let update = Update { optimizer, moments, step, learning_rate, d_features };
                kernel.train_step_in_place(&head, features, view, objective, update)
            })
        })?;

        for (name, mut array) in python_vectors {
            array.as_array_mut().assign(&vectors[&name]);
        }
        parameters.setattr("state", state)?;
        Step::updated(py, step.into(), wants_d_features.then_some(d_features))
    }

    fn measures<F: Number>(
        &self,
        head: &Bound<Head>,
        features: &Bound<PyUntypedArray>,
        parameters: &Bound<PyAny>,
        labels: &Bound<PyAny>,
    ) -> PyResult<(f64, usize, usize, usize)> {
        let (py, head) = (head.py(), head.borrow().head());
        let given = parameters::Given::<F>::new(parameters)?;
        let labels = arrays::integers::<Ix1>("labels", labels)?;
        let features = arrays::readonly::<F, Ix2>("features", features)?;
        let (features, parameters, labels) = (features.as_array(), given.view(), labels.as_array());
        let evaluated = self.run::<F, _>(py, |kernel| kernel.evaluate(&head, features, parameters, labels))?;
        Ok((evaluated.loss.to_double(), evaluated.labelled, evaluated.correct, evaluated.correct_top5))
    }
}
