//! A run at the end of an epoch, or paused inside one, on disk: tensors as safetensors, the rest as JSON.
//!
//! `NAME.safetensors` holds `weights`, the head's other [vectors](Parameters::vectors) by their names, the feature transform (`transform.*`), the
//! embedder (`embedder.*`), the optimizer's moments (`moments.<tensor>.first`, `moments.<tensor>.second`) and the centres of center loss (`center_loss.centres`), and of a run that has gone on since its best
//! epoch what was trained then (`best.*`); all are f32. `NAME.json` holds the
//! configuration, the head's [state](Parameters::state), that of the best epoch, the history, the temperature, what tells the data from others, and check sums of the tensors and of itself. The JSON is put in its place last: a
//! checkpoint without one is not whole and is not found.

use super::checksum::DataChecksum;
use super::config::difference;
use super::stored_head::{name_apart, name_in};
use super::stored_model::{BEST, CENTRES, from_tensors, with_names};
use super::tensor_file::{self, Tensor, checksum};
use super::{EpochRecord, Model, PausedEpoch, RunPosition, StoredHead, TrainConfig, TrainedEmbedder, best_epoch};
use crate::data::{ClassTable, Dataset, without_byte_order_mark};
use crate::files::atomic_file::{Written, directory_of, flush_directory};
use crate::files::regular_file;
use crate::heads::State;
use crate::metrics::temperature::check_temperature;
use crate::ops::l2_normalize::check_finite;
use crate::optim::{Moments, Optimizer, Sgd};
use crate::{AnyHead, Error, Parameters, Result};
use crc32c::crc32c;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// A run at the end of an epoch, or paused inside one.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<H = AnyHead> {
    /// What the run was asked to do.
    pub config: TrainConfig<H>,
    /// The head, its parameters, the feature transform and the embedder.
    pub model: Model<H>,
    /// The model after the [best epoch](best_epoch), where that is not `model`; see [`best_model`](Self::best_model).
    pub best: Option<Model<H>>,
    /// What the optimizer remembers of each trained tensor, in the order of [`Model::trained`].
    pub moments: Vec<Moments<f32>>,
    /// (C, D) the centres of center loss; (0, 0) without it.
    pub centres: Array2<f32>,
    /// The epochs done.
    pub history: Vec<EpochRecord>,
    /// What is done of the next, where the run was paused inside it.
    pub paused: Option<PausedEpoch>,
    /// Rows of the training set; 0 where none was trained on.
    pub train_rows: usize,
    /// What tells the data from others; of checkpoints from before there were check sums, nothing.
    pub data: Option<RunData>,
}

/// What tells the data of a run from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunData {
    /// The training set.
    pub train: DataChecksum,
    /// The validation set, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<DataChecksum>,
    /// The test set, if there is one.
    pub test: Option<DataChecksum>,
}

/// The JSON beside the tensors.
#[derive(Serialize, Deserialize)]
#[serde(bound = "H: StoredHead")]
struct Description<H> {
    format: String,
    /// The name of a head that does not keep it with its options, as [`AnyHead`](crate::AnyHead) does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    config: TrainConfig<H>,
    train_rows: usize,
    #[serde(default)]
    data: Option<RunData>,
    /// Runs from before labels were kept have none: theirs count from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<ClassTable>,
    /// What the head remembers.
    #[serde(default, skip_serializing_if = "State::is_empty")]
    state: State,
    /// What it remembered after the best epoch.
    #[serde(default, skip_serializing_if = "State::is_empty")]
    best_state: State,
    history: Vec<EpochRecord>,
    /// That of the model after the best epoch; only once training was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused: Option<PausedEpoch>,
    /// Of names, shapes and elements of all tensors.
    #[serde(default)]
    tensors_crc32c: u32,
    /// Of this description, without white space and with 0 here.
    #[serde(default)]
    crc32c: u32,
}

impl<H: StoredHead> Description<H> {
    /// What `crc32c` should be.
    fn checksum(&mut self) -> u32 {
        let found = std::mem::take(&mut self.crc32c);
        let json = serde_json::to_vec(self).expect("what was read or is to be written is JSON");
        self.crc32c = found;
        crc32c(&json)
    }
}

/// The version of the format; files of another are refused.
const FORMAT: &str = "arcos checkpoint 3";

/// The version that had AdaCos's scale among the tensors, and moments by number.
const FORMAT_WITH_NUMBERS: &str = "arcos checkpoint 2";

/// The version before that, which had no check sums either and said nothing of the data.
const FORMAT_WITHOUT_CHECKSUMS: &str = "arcos checkpoint 1";

impl<H: StoredHead> Checkpoint<H> {
    /// A model that no run has made: what evaluates, predicts and can be [trained on](super::Trainer::from_model), without epochs and data, moments at 0.
    pub fn of_model(model: Model<H>) -> Self {
        let head = model.head.clone();
        let config = TrainConfig {
            // That with the fewest moments.
            optimizer: Optimizer::Sgd(Sgd { momentum: 0.0, ..Sgd::default() }),
            transform: model.transform.kind(),
            embedder: model.embedder.as_ref().map(|embedder| embedder.embedder),
            ..TrainConfig::new(head.clone())
        };
        let config = TrainConfig { head, ..config };
        let moments = model.trained().into_iter().map(|(_, length)| config.optimizer.moments(length)).collect();
        Self {
            config,
            model,
            best: None,
            moments,
            centres: Array2::zeros((0, 0)),
            history: Vec::new(),
            paused: None,
            train_rows: 0,
            data: None,
        }
    }

    /// How far the run has come.
    pub fn position(&self) -> RunPosition {
        RunPosition { epochs: self.history.len(), batches: self.paused.as_ref().map_or(0, |paused| paused.batches) }
    }

    /// The model after the [best epoch](best_epoch) of those that are done; without validation rows the model as it stands.
    pub fn best_model(&self) -> &Model<H> {
        self.best.as_ref().unwrap_or(&self.model)
    }

    /// [`best_model`](Self::best_model).
    pub(super) fn best_model_mut(&mut self) -> &mut Model<H> {
        self.best.as_mut().unwrap_or(&mut self.model)
    }

    /// Writes `path` with the extensions `safetensors` and `json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors =
            Written::new(&path.with_extension("safetensors"), |file| tensor_file::write(file, &self.tensors()))?;
        let mut description = Description {
            format: FORMAT.into(),
            head: name_apart(&self.config.head),
            config: self.config.clone(),
            train_rows: self.train_rows,
            data: self.data,
            classes: Some(self.model.class_table.clone()),
            state: self.model.parameters.state.clone(),
            best_state: self.best.as_ref().map(|best| best.parameters.state.clone()).unwrap_or_default(),
            history: self.history.clone(),
            temperature: self.best_model().temperature,
            paused: self.paused.clone(),
            tensors_crc32c: checksum(&self.tensors()),
            crc32c: 0,
        };
        description.crc32c = description.checksum();
        let json = path.with_extension("json");
        let written = Written::new(&json, |file| Ok(serde_json::to_writer_pretty(file, &description)?))?;
        tensors.put()?;
        written.put()?;
        flush_directory(directory_of(&json))
    }

    /// Reads what [`save`](Self::save) wrote, or a checkpoint from before there were check sums.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::File`]; [`Error::InFile`] of an [`Error::Checkpoint`] where the parts do not fit together.
    pub fn load(path: &Path) -> Result<Self> {
        let json = path.with_extension("json");
        let text = regular_file::read(&json)?;
        let refused =
            |found: String, expected: &str| Error::File { path: json.clone(), found, expected: expected.into() };
        let text = without_byte_order_mark(&text);
        let named = name_in(text);
        let mut description: Description<H> = serde_json::from_slice(text).map_err(|error| match &named {
            Some((name, is_among_options)) => {
                let kept =
                    if *is_among_options { "with its name, as `AnyHead`" } else { "by itself, not as `AnyHead`" };
                refused(format!("is of the head {name}, kept {kept}: {error}"), FORMAT)
            }
            None => refused(error.to_string(), FORMAT),
        })?;
        let head = description.config.head.name();
        if let Some((name, _)) = named.filter(|(name, _)| name != head) {
            return Err(refused(format!("is of the head {name}"), &format!("one of {head}")));
        }
        let is_former = description.format != FORMAT;
        let has_checksums = description.format != FORMAT_WITHOUT_CHECKSUMS;
        if is_former && has_checksums && description.format != FORMAT_WITH_NUMBERS {
            return Err(refused(description.format, FORMAT));
        }
        let computed = description.checksum();
        let Description {
            config,
            train_rows,
            data,
            classes,
            mut state,
            best_state,
            history,
            temperature,
            paused,
            tensors_crc32c,
            crc32c,
            ..
        } = description;
        if has_checksums && computed != crc32c {
            let found = format!("damaged or changed by hand: its check sum is {computed}");
            return Err(refused(found, &format!("{crc32c}, as it says")));
        }
        let path = path.with_extension("safetensors");
        let mut tensors = tensor_file::read(&path)?;
        let computed = checksum(&tensors.iter().map(|(name, tensor)| (name.clone(), Tensor::of(tensor))).collect());
        if has_checksums && computed != tensors_crc32c {
            let expected = format!("{tensors_crc32c}, as the JSON beside them says");
            let found = format!("damaged, or not the tensors of this checkpoint: their check sum is {computed}");
            return Err(Error::File { path, found, expected });
        }
        if is_former {
            state.extend(with_names(&mut tensors));
        }
        let has_gone_on = best_epoch(&history).is_some_and(|best| best < history.len() || paused.is_some());
        let best_state = has_gone_on.then_some(best_state);
        let stored = from_tensors(&config, state, best_state, tensors).map_err(|error| error.in_file(&path))?;
        let class_table = classes.unwrap_or_else(|| stored.model.class_table.clone());
        class_table.check(stored.model.class_table.len()).map_err(|error| error.in_file(&json))?;
        temperature.map_or(Ok(()), check_temperature).map_err(|error| error.in_file(&json))?;
        let labelled = |model: Model<H>| Model { class_table: class_table.clone(), ..model };
        let (mut model, mut best) = (labelled(stored.model), stored.best.map(labelled));
        best.as_mut().unwrap_or(&mut model).temperature = temperature;
        let (moments, centres) = (stored.moments, stored.centres);
        Ok(Self { config, model, best, moments, centres, history, paused, train_rows, data })
    }

    /// Checks that a run of so many epochs can go on from here.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check_epochs(&self, epochs: usize) -> Result<()> {
        let done = self.history.len();
        let (least, why) = match self.paused {
            Some(_) => (done + 1, ": the run was paused inside that epoch"),
            None => (done, ", the epochs that are done"),
        };
        if epochs < least {
            let expected = format!("at least {least}{why}");
            return Err(Error::Setting { name: "epochs", value: epochs.to_string(), expected });
        }
        Ok(())
    }

    /// The training rows, where they are those of this run with its classes counted as the run counts them: one that began with a model may have classes without
    /// a row. Any others stay as they are.
    pub(super) fn with_classes_of_run(&self, train: Dataset) -> Result<Dataset> {
        let table = &self.model.class_table;
        let (Some(of_run), false) = (&self.data, train.class_table().same_labels(table)) else { return Ok(train) };
        match train.clone().with_classes_of(table) {
            Ok(recounted) if DataChecksum::new(&recounted)? == of_run.train => Ok(recounted),
            _ => Ok(train),
        }
    }

    /// Checks that the configuration, but for when training ends, and the data are those of this run.
    pub(super) fn check_same_run(&self, config: &TrainConfig<H>, train: &Dataset, data: &RunData) -> Result<()> {
        let TrainConfig { epochs, patience, .. } = self.config;
        let differences = TrainConfig { epochs, patience, ..config.clone() }.differences(&self.config);
        if !differences.is_empty() {
            return Err(Error::OtherSettings { differences });
        }
        let found = vec![train.rows(), train.dimension(), train.classes()];
        let Model { parameters: Parameters { weights, .. }, transform, embedder, .. } = &self.model;
        let transformed = embedder.as_ref().map_or(weights, |embedder| &embedder.parameters.weights).ncols();
        let dimension = transform.input_dimension().unwrap_or(transformed);
        let expected = vec![self.train_rows, dimension, self.model.parameters.classes(&self.model.head)];
        if found != expected {
            return Err(Error::Shape {
                what: "the training set (rows, dimension, classes)",
                found,
                expected: format!("{expected:?}, that of the run to resume"),
            });
        }
        let (found, expected) = (train.class_table(), &self.model.class_table);
        // Of a run from before labels were kept, any others may be.
        let may_differ = expected.is_indices() && self.data.is_none();
        if !may_differ && !found.same_labels(expected) {
            let differences = vec![difference("the set of labels", &found.describe(), &expected.describe())];
            return Err(Error::OtherData { differences });
        }
        let Some(of_run) = &self.data else { return Ok(()) };
        let mut differences = data.train.differences(&of_run.train, "training");
        let held_out = [("validation", &data.validation, &of_run.validation), ("test", &data.test, &of_run.test)];
        for (what, found, of_run) in held_out {
            match (found, of_run) {
                (Some(found), Some(of_run)) => differences.extend(found.differences(of_run, what)),
                (None, Some(_)) => differences.push(format!("there is no {what} set, the run has one")),
                (Some(_), None) => differences.push(format!("there is a {what} set, the run has none")),
                (None, None) => {}
            }
        }
        if differences.is_empty() { Ok(()) } else { Err(Error::OtherData { differences }) }
    }

    /// Checks that training has left everything finite.
    pub(super) fn check_finite(&self) -> Result<()> {
        let vector = |what, values: &[f32]| {
            let row = ArrayView2::from_shape((1, values.len()), values).expect("a row of all values");
            check_finite(what, row)
        };
        let Model { parameters: Parameters { weights, vectors, state }, embedder, .. } = &self.model;
        check_finite("weights", weights.view())?;
        vectors.values().try_for_each(|values| vector("what is trained beside weights", &values.to_vec()))?;
        let state: Vec<_> = state.values().copied().collect();
        check_finite(
            "the head's state",
            ArrayView2::from_shape((1, state.len()), &state).expect("a row of all values"),
        )?;
        if let Some(TrainedEmbedder { parameters, .. }) = embedder {
            check_finite("the embedder's weights", parameters.weights.view())?;
            let mut vectors = parameters.vectors().into_iter();
            vectors.try_for_each(|(_, values)| vector("the embedder's vectors", &values.to_vec()))?;
        }
        check_finite("the centres of center loss", self.centres.view())?;
        let mut moments = self.moments.iter().flat_map(|moments| [&moments.first, &moments.second]);
        moments.try_for_each(|values| vector("the optimizer's moments", values))
    }

    /// All tensors by name; large ones are borrowed, since at a million classes each takes gigabytes.
    fn tensors(&self) -> BTreeMap<String, Tensor<'_>> {
        let mut tensors = tensors_of(&self.model);
        let best = self.best.iter().flat_map(tensors_of);
        tensors.extend(best.map(|(name, tensor)| (format!("{BEST}{name}"), tensor)));
        let transform = self.model.transform.tensors().into_iter().map(|(name, tensor)| {
            let values = Cow::Owned(tensor.iter().copied().collect());
            (format!("transform.{name}"), Tensor { shape: tensor.shape().to_vec(), values })
        });
        tensors.extend(transform);
        if self.config.has_center_loss() {
            tensors.insert(CENTRES.into(), Tensor::of(&self.centres));
        }
        for ((name, _), moments) in self.model.trained().into_iter().zip(&self.moments) {
            for (order, values) in [("first", &moments.first), ("second", &moments.second)] {
                let tensor = Tensor { shape: vec![values.len()], values: values.into() };
                tensors.insert(format!("moments.{name}.{order}"), tensor);
            }
        }
        tensors
    }
}

/// What a model has learned, by name.
fn tensors_of<H>(model: &Model<H>) -> BTreeMap<String, Tensor<'_>> {
    let Model { parameters, embedder, .. } = model;
    let mut tensors = BTreeMap::from([("weights".into(), Tensor::of(&parameters.weights))]);
    tensors.extend(parameters.vectors.iter().map(|(name, vector)| (name.clone(), Tensor::of(vector))));
    if let Some(TrainedEmbedder { parameters, .. }) = embedder {
        tensors.insert("embedder.weights".into(), Tensor::of(&parameters.weights));
        let vectors = parameters.vectors().into_iter();
        tensors.extend(vectors.map(|(name, vector)| (format!("embedder.{name}"), Tensor::of(vector))));
    }
    tensors
}
