//! A model, that of the best epoch and the moments of the optimizer from the tensors of a checkpoint.

use super::tensor_file::Tensors;
use super::{Model, StoredHead, TrainConfig, TrainedEmbedder};
use crate::data::{ClassTable, Transform};
use crate::embedder::{Embedder, EmbedderParameters};
use crate::heads::State;
use crate::optim::Moments;
use crate::wording::counted;
use crate::{Error, Parameters, Result};
use ndarray::{Array1, Array2, ArrayD, Axis};

/// What names of tensors of the best epoch begin with.
pub(super) const BEST: &str = "best.";

/// What the centres of center loss are called.
pub(super) const CENTRES: &str = "center_loss.centres";

/// The order of the head's moments where they have numbers.
const NUMBERED: [&str; 3] = ["weights", "bias", "alpha"];

/// Gives the tensors of a former version the names of this one; returns what was state.
pub(super) fn with_names(tensors: &mut Tensors) -> State {
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

/// An error about a part of a checkpoint.
fn wrong(part: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Error {
    Error::Checkpoint { part: part.into(), found: found.into(), expected: expected.into() }
}

fn take(tensors: &mut Tensors, name: &str) -> Result<ArrayD<f32>> {
    let missing = || wrong(format!("tensor {name:?}"), "missing", "what a run of this configuration has");
    tensors.remove(name).ok_or_else(missing)
}

fn take_matrix(tensors: &mut Tensors, name: &str) -> Result<Array2<f32>> {
    let tensor = take(tensors, name)?;
    let found = format!("of the shape {:?}", tensor.shape());
    let matrix: Option<Array2<f32>> =
        tensor.into_dimensionality().ok().filter(|matrix: &Array2<f32>| !matrix.is_empty());
    matrix.ok_or_else(|| wrong(format!("tensor {name:?}"), found, "a matrix that is not empty"))
}

fn take_vector(tensors: &mut Tensors, name: &str, length: usize) -> Result<Array1<f32>> {
    let tensor = take(tensors, name)?;
    let found = format!("of the shape {:?}", tensor.shape());
    let vector = tensor.into_dimensionality().ok().filter(|vector: &Array1<f32>| vector.len() == length);
    vector.ok_or_else(|| wrong(format!("tensor {name:?}"), found, format!("[{length}]")))
}

/// What the tensors of a checkpoint are.
pub(super) struct Stored<H> {
    pub model: Model<H>,
    /// After the best epoch.
    pub best: Option<Model<H>>,
    pub moments: Vec<Moments<f32>>,
    /// Of center loss.
    pub centres: Array2<f32>,
}

/// The model and the moments of a run of this configuration, and the model of the best epoch where there is a state of it.
///
/// # Errors
/// [`Error::Checkpoint`] for a tensor or a number of the state that is missing, of another shape or too many; what the head says of its weights.
pub(super) fn from_tensors<H: StoredHead>(
    config: &TrainConfig<H>,
    state: State,
    best_state: Option<State>,
    mut tensors: Tensors,
) -> Result<Stored<H>> {
    let transform = Transform::from_tensors(config.transform, &take_prefixed(&mut tensors, "transform."))?;
    let best = best_state.map(|state| {
        let mut tensors = take_prefixed(&mut tensors, BEST);
        let model = model_from_tensors(config, transform.clone(), state, &mut tensors)?;
        check_all_taken(&tensors)?;
        Ok(model)
    });
    let best = best.transpose().map_err(|error| match error {
        Error::Checkpoint { part, found, expected } => wrong(format!("{part} of the best epoch"), found, expected),
        other => other,
    })?;
    let model = model_from_tensors(config, transform, state, &mut tensors)?;
    let mut moments = Vec::new();
    for (trained, length) in model.trained() {
        let expected = config.optimizer.moments::<f32>(length);
        let mut values = |order, length| {
            take_vector(&mut tensors, &format!("moments.{trained}.{order}"), length).map(|values| values.to_vec())
        };
        let (first, second) = (values("first", expected.first.len())?, values("second", expected.second.len())?);
        moments.push(Moments { first, second });
    }
    let centres = match config.has_center_loss() {
        true => take_matrix(&mut tensors, CENTRES)?,
        false => Array2::zeros((0, 0)),
    };
    let expected = (model.parameters.classes(&config.head), model.parameters.weights.ncols());
    if config.has_center_loss() && centres.dim() != expected {
        let found = format!("of the shape {:?}", centres.shape());
        return Err(wrong(format!("tensor {CENTRES:?}"), found, format!("{expected:?}, a centre a class")));
    }
    check_all_taken(&tensors)?;
    Ok(Stored { model, best, moments, centres })
}

/// Takes the tensors whose names begin so, by the rest of their names.
fn take_prefixed(tensors: &mut Tensors, prefix: &str) -> Tensors {
    let (prefixed, others): (Tensors, Tensors) =
        std::mem::take(tensors).into_iter().partition(|(name, _)| name.starts_with(prefix));
    *tensors = others;
    prefixed.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect()
}

fn check_all_taken(tensors: &Tensors) -> Result<()> {
    match tensors.keys().next() {
        Some(name) => {
            Err(wrong(format!("tensor {name:?}"), "there", "none of that name in a run of this configuration"))
        }
        None => Ok(()),
    }
}

fn model_from_tensors<H: StoredHead>(
    config: &TrainConfig<H>,
    transform: Transform,
    state: State,
    tensors: &mut Tensors,
) -> Result<Model<H>> {
    let parameters = head_from_tensors(&config.head, state, tensors)?;
    let embedder = config.embedder.map(|embedder| embedder_from_tensors(embedder, tensors)).transpose()?;
    let class_vectors = &parameters.weights;
    if let Some(TrainedEmbedder { embedder, parameters }) = &embedder {
        let (found, expected) = (parameters.weights.nrows(), embedder.dimension);
        if found != expected || class_vectors.ncols() != expected {
            let found =
                format!("one to {} before class vectors of {}", counted(found, "dimension"), class_vectors.ncols());
            return Err(wrong("the embedder", found, format!("{expected} of both, as the configuration says")));
        }
    }
    let taken = embedder.as_ref().map_or(class_vectors, |embedder| &embedder.parameters.weights).ncols();
    let given = transform.dimension(transform.input_dimension().unwrap_or(taken));
    if given != taken {
        return Err(wrong(
            "the feature transform",
            format!("one to {}", counted(given, "dimension")),
            format!("{taken}, as the weights take"),
        ));
    }
    let class_table = ClassTable::indices(parameters.classes(&config.head));
    Ok(Model { head: config.head.clone(), parameters, transform, embedder, class_table, temperature: None })
}

/// The head's parameters: those that it has at the beginning, with what is stored.
fn head_from_tensors(head: &impl StoredHead, state: State, tensors: &mut Tensors) -> Result<Parameters<f32>> {
    let mut parameters = head.initial_parameters(take_matrix(tensors, "weights")?)?;
    for (name, vector) in &mut parameters.vectors {
        *vector = take_vector(tensors, name, vector.len())?;
    }
    for (name, value) in &mut parameters.state {
        let missing = || wrong(format!("state {name:?}"), "missing", "what a run of this configuration has");
        *value = *state.get(name).ok_or_else(missing)?;
    }
    Ok(parameters)
}

fn embedder_from_tensors(embedder: Embedder, tensors: &mut Tensors) -> Result<TrainedEmbedder> {
    let weights = take_matrix(tensors, "embedder.weights")?;
    let vector = |name, length| take_vector(tensors, &format!("embedder.{name}"), length);
    let parameters = EmbedderParameters::from_vectors(&embedder, weights, vector)?;
    Ok(TrainedEmbedder { embedder, parameters })
}
