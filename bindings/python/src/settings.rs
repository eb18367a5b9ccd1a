//! Settings of a training run, from keyword arguments.

use crate::optimizer::Optimizer;
use crate::{arrays, raise};
use arcos::AnyHead;
use arcos::data::TransformKind;
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::optim::{Decay, Schedule};
use arcos::train::{ClassWeights, Kernel, TrainConfig};
use ndarray::Ix1;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What they are called.
const NAMES: &str = "batch_size, class_weights, dimensions, dropout, embed, embed_block, epochs, focal, label_smoothing, optimizer, \
                     patience, penalties, precision, ridge, sample_rate, schedule, seed, transform, warm_up or z_loss";

/// What two settings say together.
#[derive(Default)]
struct Parts {
    transform: Option<String>,
    dimensions: Option<usize>,
    ridge: Option<f64>,
    embed: Option<usize>,
    embed_block: Option<String>,
    dropout: Option<f64>,
    has_optimizer: bool,
}

/// The configuration of a run of `head`.
pub fn config(head: AnyHead, settings: Option<&Bound<PyDict>>) -> PyResult<TrainConfig> {
    let mut config = TrainConfig::new(head);
    let mut parts = Parts::default();
    for (name, value) in settings.into_iter().flatten() {
        let name: String = name.extract()?;
        set(&mut config, &mut parts, &name, &value)?;
    }
    config.transform = transform(&parts)?;
    config.embedder = embedder(&parts)?;
    if !parts.has_optimizer && config.embedder.is_some() {
        // As the program does: at a head's own rate an embedding fits the training classes and forgets what tells others apart.
        config.learning_rate *= 0.1;
    }
    Ok(config)
}

fn set(config: &mut TrainConfig, parts: &mut Parts, name: &str, value: &Bound<PyAny>) -> PyResult<()> {
    match name {
        "batch_size" => config.batch_size = value.extract()?,
        "class_weights" => config.objective.class_weights = class_weights(value)?,
        "dimensions" => parts.dimensions = value.extract()?,
        "dropout" => parts.dropout = value.extract()?,
        "embed" => parts.embed = value.extract()?,
        "embed_block" => parts.embed_block = value.extract()?,
        "epochs" => config.epochs = value.extract()?,
        "focal" => config.objective.focal = value.extract()?,
        "label_smoothing" => config.objective.label_smoothing = value.extract()?,
        "optimizer" if value.is_none() => {}
        "optimizer" => {
            (config.optimizer, config.learning_rate) = value.cast::<Optimizer>()?.get().rule();
            parts.has_optimizer = true;
        }
        "patience" => config.patience = value.extract()?,
        "penalties" => {
            let texts: Vec<String> = value.extract()?;
            config.penalties = texts.iter().map(|text| text.parse().map_err(raise)).collect::<PyResult<_>>()?;
        }
        "precision" => {
            let Kernel::Streaming(options) = &mut config.kernel else { return Ok(()) };
            options.precision = crate::streaming::precision(value.extract()?)?;
        }
        "ridge" => parts.ridge = value.extract()?,
        "sample_rate" => config.sample_rate = value.extract()?,
        "schedule" => {
            let decay = match value.extract()? {
                "constant" => Decay::Constant,
                "cosine" => Decay::Cosine,
                other => return Err(unknown(name, other, "\"constant\" or \"cosine\"")),
            };
            config.schedule = Schedule { decay, ..config.schedule };
        }
        "seed" => config.seed = value.extract()?,
        "transform" => parts.transform = value.extract()?,
        "warm_up" => config.schedule.warm_up = value.extract()?,
        "z_loss" => config.objective.z_loss = value.extract()?,
        _ => return Err(PyTypeError::new_err(format!("no keyword is called {name}; expected {NAMES}"))),
    }
    Ok(())
}

fn unknown(name: &str, found: &str, expected: &str) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(format!("{name} is {found:?}; expected {expected}"))
}

/// Refuses what another setting does not go with.
fn only_with(is_given: bool, name: &str, has_other: bool, other: &str) -> PyResult<()> {
    match is_given && !has_other {
        true => Err(PyTypeError::new_err(format!("{name} is given; expected {other} with it"))),
        false => Ok(()),
    }
}

fn transform(parts: &Parts) -> PyResult<TransformKind> {
    let kind = match parts.transform.as_deref() {
        None | Some("centre") => TransformKind::Centre,
        Some("none") => TransformKind::None,
        Some("standardise") => TransformKind::Standardise,
        Some("whiten") => {
            return Ok(TransformKind::Whiten { dimensions: parts.dimensions, ridge: parts.ridge.unwrap_or(0.0) });
        }
        Some(other) => return Err(unknown("transform", other, "\"none\", \"centre\", \"standardise\" or \"whiten\"")),
    };
    only_with(parts.dimensions.is_some(), "dimensions", false, "transform=\"whiten\"")?;
    only_with(parts.ridge.is_some(), "ridge", false, "transform=\"whiten\"")?;
    Ok(kind)
}

fn embedder(parts: &Parts) -> PyResult<Option<Embedder>> {
    only_with(parts.embed_block.is_some(), "embed_block", parts.embed.is_some(), "embed")?;
    let is_e = parts.embed_block.as_deref() == Some("e");
    only_with(parts.dropout.is_some(), "dropout", is_e, "embed_block=\"e\"")?;
    let block = match parts.embed_block.as_deref() {
        None | Some("linear") => EmbedBlock::Linear,
        Some("e") => parts.dropout.map_or(EmbedBlock::E, |dropout| EmbedBlock::E { dropout }),
        Some(other) => return Err(unknown("embed_block", other, "\"linear\" or \"e\"")),
    };
    Ok(parts.embed.map(|dimension| Embedder { dimension, block }))
}

/// A rule by its name, or weights (C,) in the order of classes.
fn class_weights(value: &Bound<PyAny>) -> PyResult<Option<ClassWeights>> {
    if value.is_none() {
        return Ok(None);
    }
    Ok(Some(match value.extract::<String>() {
        Ok(rule) => ClassWeights::Rule(rule.parse().map_err(raise)?),
        Err(_) => ClassWeights::Given(arrays::reals::<f64, Ix1>("class_weights", value)?.as_array().to_vec()),
    }))
}
