//! A run at the end of an epoch, or paused inside one, on disk: tensors as safetensors, the rest as JSON.
//!
//! `NAME.safetensors` holds `weights`, the head's other [vectors](Parameters::vectors) by their names, the feature transform (`transform.*`), the
//! embedder (`embedder.*`) and the optimizer's moments (`moments.<tensor>.first`, `moments.<tensor>.second`); all are f32. `NAME.json` holds the
//! configuration, the head's [state](Parameters::state), the history, what tells the data from others, and check sums of the tensors and of itself. The JSON is put in its place last: a
//! checkpoint without one is not whole and is not found.

use super::checksum::{DataChecksum, little_endian};
use super::{EpochRecord, Model, PausedEpoch, RunPosition, StoredHead, TrainConfig, TrainedEmbedder};
use crate::data::{ClassTable, Dataset, Transform, without_byte_order_mark};
use crate::embedder::{Embedder, EmbedderParameters};
use crate::files::atomic_file::{Written, directory_of, flush_directory};
use crate::heads::State;
use crate::ops::l2_normalize::check_finite;
use crate::optim::Moments;
use crate::wording::counted;
use crate::{AnyHead, Error, Parameters, Result};
use crc32c::{crc32c, crc32c_append};
use ndarray::{Array, Array1, Array2, ArrayD, ArrayView2, Axis, Dimension};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// A run at the end of an epoch, or paused inside one.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<H = AnyHead> {
    /// What the run was asked to do.
    pub config: TrainConfig<H>,
    /// The head, its parameters, the feature transform and the embedder.
    pub model: Model<H>,
    /// What the optimizer remembers of each trained tensor, in the order of [`Model::trained`].
    pub moments: Vec<Moments<f32>>,
    /// The epochs done.
    pub history: Vec<EpochRecord>,
    /// What is done of the next, where the run was paused inside it.
    pub paused: Option<PausedEpoch>,
    /// Rows of the training set.
    pub train_rows: usize,
    /// What tells the data from others; of checkpoints from before there were check sums, nothing.
    pub data: Option<RunData>,
}

/// What tells the data of a run from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunData {
    /// The training set.
    pub train: DataChecksum,
    /// The test set, if there is one.
    pub test: Option<DataChecksum>,
}

/// The JSON beside the tensors.
#[derive(Serialize, Deserialize)]
#[serde(bound = "H: StoredHead")]
struct Description<H> {
    format: String,
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
    history: Vec<EpochRecord>,
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

/// The order of the head's moments where they have numbers.
const NUMBERED: [&str; 3] = ["weights", "bias", "alpha"];

type Tensors = BTreeMap<String, ArrayD<f32>>;

impl<H: StoredHead> Checkpoint<H> {
    /// How far the run has come.
    pub fn position(&self) -> RunPosition {
        RunPosition { epochs: self.history.len(), batches: self.paused.as_ref().map_or(0, |paused| paused.batches) }
    }

    /// Writes `path` with the extensions `safetensors` and `json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors = Written::new(&path.with_extension("safetensors"), |file| write_tensors(file, &self.tensors()))?;
        let mut description = Description {
            format: FORMAT.into(),
            config: self.config.clone(),
            train_rows: self.train_rows,
            data: self.data,
            classes: Some(self.model.class_table.clone()),
            state: self.model.parameters.state.clone(),
            history: self.history.clone(),
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
    /// [`Error::Io`], [`Error::File`].
    pub fn load(path: &Path) -> Result<Self> {
        let json = path.with_extension("json");
        let text = fs::read(&json).map_err(|error| Error::io("read", &json, error))?;
        let refused =
            |found: String, expected: &str| Error::File { path: json.clone(), found, expected: expected.into() };
        let mut description: Description<H> = serde_json::from_slice(without_byte_order_mark(&text))
            .map_err(|error| refused(error.to_string(), FORMAT))?;
        let is_former = description.format != FORMAT;
        let has_checksums = description.format != FORMAT_WITHOUT_CHECKSUMS;
        if is_former && has_checksums && description.format != FORMAT_WITH_NUMBERS {
            return Err(refused(description.format, FORMAT));
        }
        let computed = description.checksum();
        let Description {
            config, train_rows, data, classes, mut state, history, paused, tensors_crc32c, crc32c, ..
        } = description;
        if has_checksums && computed != crc32c {
            let found = format!("damaged or changed by hand: its check sum is {computed}");
            return Err(refused(found, &format!("{crc32c}, as it says")));
        }
        let path = path.with_extension("safetensors");
        let bytes = fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        let unusable =
            |found: String| Error::File { path: path.clone(), found, expected: "the tensors of a checkpoint".into() };
        let mut tensors = read_tensors(&bytes).map_err(unusable)?;
        let computed = checksum(&tensors.iter().map(|(name, tensor)| (name.clone(), Tensor::of(tensor))).collect());
        if has_checksums && computed != tensors_crc32c {
            let expected = format!("{tensors_crc32c}, as the JSON beside them says");
            let found = format!("damaged, or not the tensors of this checkpoint: their check sum is {computed}");
            return Err(Error::File { path, found, expected });
        }
        if is_former {
            state.extend(with_names(&mut tensors));
        }
        let (model, moments) = from_tensors(&config, state, tensors).map_err(unusable)?;
        let class_table = classes.unwrap_or_else(|| model.class_table.clone());
        class_table.check(model.class_table.len()).map_err(|found| refused(found, FORMAT))?;
        let model = Model { class_table, ..model };
        Ok(Self { config, model, moments, history, paused, train_rows, data })
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

    /// Checks that the configuration, but for the number of epochs, and the data are those of this run.
    pub(super) fn check_same_run(&self, config: &TrainConfig<H>, train: &Dataset, data: &RunData) -> Result<()> {
        let differences = TrainConfig { epochs: self.config.epochs, ..config.clone() }.differences(&self.config);
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
            return Err(Error::Setting {
                name: "the labels of the classes",
                value: found.describe(),
                expected: format!("those of the run to resume, {}", expected.describe()),
            });
        }
        let Some(of_run) = &self.data else { return Ok(()) };
        let mut differences = data.train.differences(&of_run.train, "training");
        match (&data.test, &of_run.test) {
            (Some(test), Some(of_run)) => differences.extend(test.differences(of_run, "test")),
            (None, Some(_)) => differences.push("there is no test set, the run has one".into()),
            (Some(_), None) => differences.push("there is a test set, the run has none".into()),
            (None, None) => {}
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
        let mut moments = self.moments.iter().flat_map(|moments| [&moments.first, &moments.second]);
        moments.try_for_each(|values| vector("the optimizer's moments", values))
    }

    /// All tensors by name; large ones are borrowed, since at a million classes each takes gigabytes.
    fn tensors(&self) -> BTreeMap<String, Tensor<'_>> {
        let Model { parameters, transform, embedder, .. } = &self.model;
        let mut tensors = BTreeMap::from([("weights".into(), Tensor::of(&parameters.weights))]);
        tensors.extend(parameters.vectors.iter().map(|(name, vector)| (name.clone(), Tensor::of(vector))));
        let transform = transform.tensors().into_iter().map(|(name, tensor)| {
            let values = Cow::Owned(tensor.iter().copied().collect());
            (format!("transform.{name}"), Tensor { shape: tensor.shape().to_vec(), values })
        });
        tensors.extend(transform);
        if let Some(TrainedEmbedder { parameters, .. }) = embedder {
            tensors.insert("embedder.weights".into(), Tensor::of(&parameters.weights));
            let vectors = parameters.vectors().into_iter();
            tensors.extend(vectors.map(|(name, vector)| (format!("embedder.{name}"), Tensor::of(vector))));
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

/// A tensor to be stored.
struct Tensor<'a> {
    shape: Vec<usize>,
    /// In row-major order.
    values: Cow<'a, [f32]>,
}

impl<'a> Tensor<'a> {
    fn of<D: Dimension>(array: &'a Array<f32, D>) -> Self {
        let values = array.as_slice().map_or_else(|| array.iter().copied().collect(), Cow::Borrowed);
        Self { shape: array.shape().to_vec(), values }
    }
}

/// Writes a safetensors file. The crate's own writer would not do: it makes a file of its own and renames it, which nobody has flushed then.
fn write_tensors(file: &mut impl Write, tensors: &BTreeMap<String, Tensor>) -> io::Result<()> {
    let mut end = 0;
    let entries = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += size_of_val(&*tensor.values);
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: tensor.shape.clone(), data_offsets: (start, end) })
    });
    let metadata = Metadata::new(None, entries.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    // Elements begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    tensors.values().try_for_each(|tensor| file.write_all(&little_endian(&tensor.values)))
}

/// The CRC-32C of names, shapes and elements, from memory: what was written wrong is found out, too.
fn checksum(tensors: &BTreeMap<String, Tensor>) -> u32 {
    tensors.iter().fold(0, |crc, (name, tensor)| {
        let crc = crc32c_append(crc, format!("{name} {:?}", tensor.shape).as_bytes());
        crc32c_append(crc, &little_endian(&tensor.values))
    })
}

fn read_tensors(bytes: &[u8]) -> Result<Tensors, String> {
    check_offsets(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let read = |(name, view): (&str, TensorView)| {
        if view.dtype() != Dtype::F32 {
            return Err(format!("tensor {name:?} holds {:?}, not F32", view.dtype()));
        }
        let (values, _) = view.data().as_chunks::<4>();
        let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let tensor =
            ArrayD::from_shape_vec(view.shape(), values).map_err(|error| format!("tensor {name:?}: {error}"))?;
        Ok((name.to_owned(), tensor))
    };
    file.iter().map(read).collect()
}

/// Gives the tensors of a former version the names of this one; returns what was state.
fn with_names(tensors: &mut Tensors) -> State {
    let scale = tensors.remove("scale").and_then(|scale| Some(("scale".to_owned(), f64::from(*scale.first()?))));
    if let Some(alpha) = tensors.get_mut("alpha").filter(|alpha| alpha.ndim() == 0) {
        *alpha = alpha.clone().insert_axis(Axis(0));
    }
    let of_embedder = [
        ("embedder.bias", vec!["weights", "bias"]),
        ("embedder.input.gamma", vec!["weights", "input.gamma", "input.beta", "output.beta"]),
    ];
    let of_embedder =
        of_embedder.into_iter().filter(|(name, _)| tensors.contains_key(*name)).flat_map(|(_, names)| names);
    // α has moments where it is learned: the numbers say whether.
    let numbers = tensors.keys().filter_map(|name| name.strip_prefix("moments.")?.strip_suffix(".first")).count();
    let of_embedder: Vec<_> = of_embedder.map(|name| format!("embedder.{name}")).collect();
    let of_head = NUMBERED.into_iter().filter(|name| tensors.contains_key(*name)).map(str::to_owned);
    let names: Vec<_> = of_head.take(numbers.saturating_sub(of_embedder.len())).chain(of_embedder).collect();
    for (number, name) in names.iter().enumerate() {
        for order in ["first", "second"] {
            if let Some(moments) = tensors.remove(&format!("moments.{number}.{order}")) {
                tensors.insert(format!("moments.{name}.{order}"), moments);
            }
        }
    }
    scale.into_iter().collect()
}

fn from_tensors<H: StoredHead>(
    config: &TrainConfig<H>,
    state: State,
    mut tensors: Tensors,
) -> Result<(Model<H>, Vec<Moments<f32>>), String> {
    let transform = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("transform.")?.to_owned(), tensor.clone())))
        .collect();
    let transform = Transform::from_tensors(config.transform, &transform).map_err(|error| error.to_string())?;

    tensors.retain(|name, _| !name.starts_with("transform."));
    let parameters = head_from_tensors(&config.head, state, &mut tensors)?;
    let embedder = config.embedder.map(|embedder| embedder_from_tensors(embedder, &mut tensors)).transpose()?;
    let class_vectors = &parameters.weights;
    if let Some(TrainedEmbedder { embedder, parameters }) = &embedder {
        let (found, expected) = (parameters.weights.nrows(), embedder.dimension);
        if found != expected || class_vectors.ncols() != expected {
            let found =
                format!("embeddings of {} and class vectors of {}", counted(found, "dimension"), class_vectors.ncols());
            return Err(format!("{found}, not {expected}, the dimension in the configuration"));
        }
    }
    let taken = embedder.as_ref().map_or(class_vectors, |embedder| &embedder.parameters.weights).ncols();
    let given = transform.dimension(transform.input_dimension().unwrap_or(taken));
    if given != taken {
        return Err(format!("a transform to {} and weights for {taken}", counted(given, "dimension")));
    }
    let class_table = ClassTable::indices(parameters.classes(&config.head));
    let model = Model { head: config.head.clone(), parameters, transform, embedder, class_table };
    let mut moments = Vec::new();
    for (trained, length) in model.trained() {
        let mut values = |order| {
            let name = format!("moments.{trained}.{order}");
            let tensor = tensors.remove(&name).ok_or_else(|| format!("no tensor {name:?}"))?;
            Ok::<_, String>((name, tensor.into_iter().collect::<Vec<_>>()))
        };
        let ((first_name, first), (second_name, second)) = (values("first")?, values("second")?);
        let expected = config.optimizer.moments::<f32>(length);
        for (name, found, expected) in
            [(first_name, first.len(), expected.first.len()), (second_name, second.len(), expected.second.len())]
        {
            if found != expected {
                return Err(format!("tensor {name:?} has {}, not {expected}", counted(found, "element")));
            }
        }
        moments.push(Moments { first, second });
    }
    match tensors.keys().next() {
        Some(name) => Err(format!("tensor {name:?}, which a run of this configuration does not have")),
        None => Ok((model, moments)),
    }
}

/// The head's parameters: those that it has at the beginning, with what is stored.
fn head_from_tensors(head: &impl StoredHead, state: State, tensors: &mut Tensors) -> Result<Parameters<f32>, String> {
    let mut take = |name: &str| tensors.remove(name).ok_or_else(|| format!("no tensor {name:?}"));
    let wrong = |name: &str, shape: &[usize]| format!("tensor {name:?} has the shape {shape:?}");
    let weights = take("weights")?;
    let shape = weights.shape().to_vec();
    let weights: Array2<f32> = weights.into_dimensionality().map_err(|_| wrong("weights", &shape))?;
    if weights.is_empty() {
        return Err(wrong("weights", &shape));
    }
    let mut parameters = head.initial_parameters(weights).map_err(|error| error.to_string())?;
    for (name, vector) in &mut parameters.vectors {
        let stored = take(name)?;
        let shape = stored.shape().to_vec();
        let fitting = stored.into_dimensionality().ok().filter(|stored: &Array1<f32>| stored.len() == vector.len());
        *vector = fitting.ok_or_else(|| wrong(name, &shape))?;
    }
    for (name, value) in &mut parameters.state {
        *value = *state.get(name).ok_or_else(|| format!("no state {name:?}"))?;
    }
    Ok(parameters)
}

/// Checks that no tensor claims to reach past the end of the file: the format's own reader adds offsets up without care.
fn check_offsets(bytes: &[u8]) -> Result<(), String> {
    let (length, rest) = bytes.split_first_chunk().ok_or("ends before its header")?;
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let header = header.ok_or_else(|| format!("claims a header of {}", counted(length, "byte")))?;
    let tensors: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let past_the_end = |offset: &serde_json::Value| offset.as_u64().is_none_or(|offset| offset > bytes.len() as u64);
    for (name, tensor) in tensors {
        let offsets = tensor.get("data_offsets").and_then(|offsets| offsets.as_array());
        if offsets.is_some_and(|offsets| offsets.iter().any(past_the_end)) {
            return Err(format!("tensor {name:?} reaches past the end of the file"));
        }
    }
    Ok(())
}

fn embedder_from_tensors(embedder: Embedder, tensors: &mut Tensors) -> Result<TrainedEmbedder, String> {
    let mut take = |name: &str| {
        let name = format!("embedder.{name}");
        tensors.remove(&name).ok_or_else(|| format!("no tensor {name:?}"))
    };
    let weights = take("weights")?.into_dimensionality();
    let weights = weights.map_err(|_| "tensor \"embedder.weights\" has the wrong number of dimensions".to_owned())?;
    let vector = |name, length| {
        let vector = take(name)?;
        let found = vector.shape().to_vec();
        let fitting = vector.into_dimensionality().ok().filter(|vector| vector.len() == length);
        fitting.ok_or_else(|| format!("tensor \"embedder.{name}\" has the shape {found:?}, not [{length}]"))
    };
    let parameters = EmbedderParameters::from_vectors(&embedder, weights, vector)?;
    Ok(TrainedEmbedder { embedder, parameters })
}
