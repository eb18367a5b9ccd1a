//! The trainer, an epoch at a time.

use crate::dataset::{held_out, training};
use crate::head::Head;
use crate::model::{Model, load};
use crate::optimizer::lock;
use crate::raise;
use crate::settings::config;
use arcos::Error;
use arcos::data::{Dataset, ValidationSplit, validation_split};
use arcos::train::{EpochRecord, HeldOut, TrainConfig, Trainer as Run};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Mutex;

/// Trains a head on frozen features, as `arcos train` does; the same seed, data, machine and number of threads give the same bits.
///
/// `features` (N, D) are an array, of which float32 is kept, or the path of a `.npy` file, which must not change; `labels` (N,) whole numbers, -100 for
/// none, or strings. `validation` is a share of the rows, or a pair (features, labels): the epoch that is best on it gives `model`. `test` is a pair
/// that nothing is chosen on. `settings` are those of `arcos train`, with its defaults.
#[pyclass(frozen, module = "arcos")]
pub struct Trainer(Mutex<Run>);

/// The training rows, and those that are not trained on.
fn data(
    train: Dataset,
    validation: Option<&Bound<PyAny>>,
    test: Option<&Bound<PyAny>>,
    seed: u64,
) -> PyResult<(Dataset, HeldOut)> {
    let test = test.map(|pair| held_out(pair, train.class_table())).transpose()?;
    let Some(validation) = validation else { return Ok((train, HeldOut { validation: None, test })) };
    let Ok(share) = validation.extract::<f64>() else {
        let validation = Some(held_out(validation, train.class_table())?);
        return Ok((train, HeldOut { validation, test }));
    };
    let ValidationSplit { train, validation } = validation_split(&train, share, seed).map_err(raise)?;
    Ok((train, HeldOut { validation: Some(validation), test }))
}

#[pymethods]
impl Trainer {
    #[new]
    #[pyo3(signature = (head, features, labels, *, sample_weights = None, validation = None, test = None, **settings))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python,
        head: &Bound<Head>,
        features: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        sample_weights: Option<&Bound<PyAny>>,
        validation: Option<&Bound<PyAny>>,
        test: Option<&Bound<PyAny>>,
        settings: Option<&Bound<PyDict>>,
    ) -> PyResult<Self> {
        let config = config(head.borrow().head(), settings)?;
        let train = training(features, labels, sample_weights)?;
        let (train, held_out) = data(train, validation, test, config.seed)?;
        let run = py.detach(|| Run::new(config, train, held_out)).map_err(raise)?;
        Ok(Self(Mutex::new(run)))
    }

    /// Goes on with what `save`, or `arcos train`, left at `path`, on the same data, to the bits that it would have ended with. `epochs` and `patience` may be others.
    #[staticmethod]
    #[pyo3(signature = (
        path, features, labels, *, sample_weights = None, validation = None, test = None, epochs = None, patience = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn resume(
        py: Python,
        path: PathBuf,
        features: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        sample_weights: Option<&Bound<PyAny>>,
        validation: Option<&Bound<PyAny>>,
        test: Option<&Bound<PyAny>>,
        epochs: Option<usize>,
        patience: Option<usize>,
    ) -> PyResult<Self> {
        let checkpoint = load(&path)?;
        let of_run = &checkpoint.config;
        let (epochs, patience) = (epochs.unwrap_or(of_run.epochs), patience.or(of_run.patience));
        let config = TrainConfig { epochs, patience, ..of_run.clone() };
        let (train, held_out) = data(training(features, labels, sample_weights)?, validation, test, config.seed)?;
        let run = py.detach(|| Run::resume(checkpoint, config, train, held_out)).map_err(raise)?;
        Ok(Self(Mutex::new(run)))
    }

    /// Runs what is left of the epochs, and returns the history. `on_epoch` is called with the record of each; where it returns False training pauses, and the next `run`
    /// goes on. With validation rows a temperature is fitted at the end, if there is one, for the model's probabilities.
    #[pyo3(signature = (on_epoch = None))]
    fn run<'py>(&self, py: Python<'py>, on_epoch: Option<&Bound<'py, PyAny>>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        while !py.detach(|| lock(&self.0).is_done()) {
            let record = py.detach(|| lock(&self.0).run_epoch(|_| ()).cloned()).map_err(raise)?;
            py.check_signals()?;
            let Some(on_epoch) = on_epoch else { continue };
            let answer = on_epoch.call1((as_dict(py, &record)?,))?;
            if answer.extract::<bool>().is_ok_and(|goes_on| !goes_on) {
                break;
            }
        }
        let fitted = py.detach(|| {
            let mut run = lock(&self.0);
            let is_wanted = run.is_done() && run.best_model().temperature.is_none();
            if is_wanted { run.fit_temperature().map(|_| ()) } else { Ok(()) }
        });
        match fitted {
            // Rows that are all right, or labels that logits say nothing of, have none.
            Ok(()) | Err(Error::NotDefined { .. }) => {}
            Err(error) => return Err(raise(error)),
        }
        self.history(py)
    }

    /// The record of each epoch: `train_loss` in nats, `train_accuracy`, `validation_accuracy`, `test_accuracy`, `scale`, `target_angle` in radians and others.
    #[getter]
    fn history<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let history = py.detach(|| lock(&self.0).history().to_vec());
        history.iter().map(|record| as_dict(py, record)).collect()
    }

    /// Whether all epochs are done, or patience is at its end.
    #[getter]
    fn is_done(&self, py: Python) -> bool {
        py.detach(|| lock(&self.0).is_done())
    }

    /// A copy of the model: that of the best epoch where there are validation rows, else as it stands.
    #[getter]
    fn model(&self, py: Python) -> Model {
        Model(py.detach(|| lock(&self.0).best_model().clone()))
    }

    /// Writes a checkpoint, `path` with the extensions .safetensors and .json: `Trainer.resume`, `Model.load` and `arcos` itself read it.
    fn save(&self, py: Python, path: PathBuf) -> PyResult<()> {
        py.detach(|| lock(&self.0).checkpoint().save(&path)).map_err(raise)
    }
}

fn as_dict<'py>(py: Python<'py>, record: &EpochRecord) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("epoch", record.epoch)?;
    for (name, value) in [
        ("learning_rate", Some(record.learning_rate)),
        ("train_loss", Some(record.train_loss)),
        ("train_accuracy", Some(record.train_accuracy)),
        ("validation_loss", record.validation_loss),
        ("validation_accuracy", record.validation_accuracy),
        ("test_loss", record.test_loss),
        ("test_accuracy", record.test_accuracy),
        ("test_top5_accuracy", record.test_top5_accuracy),
        ("scale", Some(record.scale)),
        ("target_cosine", record.target_cosine),
        ("target_angle", record.target_angle),
        ("gradient_norm", Some(record.gradient_norm)),
        ("rows_per_second", Some(record.rows_per_second)),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}
