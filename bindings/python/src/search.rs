//! The best of many configurations, by repeated cross-validation with successive halving.

use crate::dataset::training;
use crate::head::Head;
use crate::optimizer::lock;
use crate::raise;
use crate::settings::config;
use arcos::data::Dataset;
use arcos::train::{Search, SearchResult, TrainConfig, Trial};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the interpreter is asked for signals.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(50);

/// A head and the settings of its `Trainer`.
type Candidate<'py> = (Bound<'py, Head>, Bound<'py, PyDict>);

/// Tries `candidates`, pairs (head, settings of `Trainer`), the simplest first, on folds of the rows: all on the first fold, the best part of them on the next, until a few
/// have been tried on all folds of all repeats. Returns a dictionary: `chosen`, the number of the first candidate within one standard error of the best; `scores`, for each candidate
/// that was tried its number, `splits`, `failed`, `accuracy` and `standard_error`, the most tried and most accurate first; `is_stopped`.
///
/// `on_trial` is called with each trial (`candidate`, `split`, `right`, `rows`; `right` is None where training failed); where it returns False the search stops, as it does once
/// `budget` seconds have passed. Candidates that share a transform share its work; each training takes one thread.
#[pyfunction]
#[pyo3(signature = (
    candidates, features, labels, *, sample_weights = None, folds = 5, repeats = 2, halving = 3, seed = 0, budget = None, on_trial = None
))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub fn tune<'py>(
    py: Python<'py>,
    candidates: Vec<Candidate>,
    features: &Bound<PyAny>,
    labels: &Bound<PyAny>,
    sample_weights: Option<&Bound<PyAny>>,
    folds: usize,
    repeats: usize,
    halving: usize,
    seed: u64,
    budget: Option<f64>,
    on_trial: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let configs = candidates.iter().map(|(head, settings)| config(head.borrow().head(), Some(settings)));
    let configs = configs.collect::<PyResult<Vec<_>>>()?;
    let train = training(features, labels, sample_weights)?;
    let search = Search { folds, repeats, halving, seed };
    let budget = budget.map(Duration::try_from_secs_f64).transpose();
    let budget = budget.map_err(|error| pyo3::exceptions::PyValueError::new_err(format!("budget: {error}")))?;
    result(py, &searched(py, &search, &configs, &train, budget, on_trial)?)
}

/// The search on a thread of its own, so that this one hears of signals.
fn searched(
    py: Python,
    search: &Search,
    configs: &[TrainConfig],
    train: &Dataset,
    budget: Option<Duration>,
    on_trial: Option<Py<PyAny>>,
) -> PyResult<SearchResult> {
    let begin = Instant::now();
    let (is_over, raised) = (AtomicBool::new(false), Mutex::new(Ok(())));
    let stop = || is_over.store(true, Ordering::Relaxed);
    let goes_on = |trial: Trial, on_trial: &Py<PyAny>| {
        Python::attach(|py| {
            let answer = on_trial.call1(py, (trial_dict(py, &trial)?,))?;
            Ok(answer.extract::<bool>(py).unwrap_or(true))
        })
    };
    let on_trial =
        |trial, _: Option<&arcos::Error>| match on_trial.as_ref().map_or(Ok(true), |on_trial| goes_on(trial, on_trial))
        {
            Ok(true) => {}
            Ok(false) => stop(),
            Err(error) => {
                *lock(&raised) = Err(error);
                stop();
            }
        };
    let is_late = || budget.is_some_and(|budget| begin.elapsed() >= budget);
    let found = std::thread::scope(|scope| {
        let (is_over, is_late) = (&is_over, &is_late);
        let is_over = move || is_over.load(Ordering::Relaxed) || is_late();
        let search = scope.spawn(move || search.run(configs, train, &[], on_trial, is_over));
        while !search.is_finished() {
            py.detach(|| std::thread::sleep(BETWEEN_SIGNALS));
            if let Err(error) = py.check_signals() {
                stop();
                *lock(&raised) = Err(error);
            }
        }
        search.join().expect("errors are returned")
    });
    std::mem::replace(&mut *lock(&raised), Ok(()))?;
    found.map_err(raise)
}

fn trial_dict<'py>(py: Python<'py>, trial: &Trial) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("candidate", trial.candidate)?;
    dict.set_item("split", trial.split)?;
    dict.set_item("right", trial.right)?;
    dict.set_item("rows", trial.rows)?;
    Ok(dict)
}

fn result<'py>(py: Python<'py>, found: &SearchResult) -> PyResult<Bound<'py, PyDict>> {
    let scores = found.scores.iter().map(|score| {
        let dict = PyDict::new(py);
        dict.set_item("candidate", score.candidate)?;
        dict.set_item("splits", score.splits)?;
        dict.set_item("failed", score.failed)?;
        dict.set_item("accuracy", score.accuracy)?;
        dict.set_item("standard_error", score.standard_error)?;
        Ok(dict)
    });
    let dict = PyDict::new(py);
    dict.set_item("chosen", found.chosen)?;
    dict.set_item("scores", scores.collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("is_stopped", found.is_stopped)?;
    Ok(dict)
}
