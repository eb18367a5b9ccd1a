//! `arcos grad`

use super::data_args::read_labels;
use super::head_args::{HeadArgs, borrowed, head, head_names};
use super::head_state::{HeadNumbers, PREVIOUS_SCALE, set_state, set_trained};
use super::npy::{self, write};
use super::objective_args::ObjectiveArgs;
use super::{outputs, print};
use arcos::data::{ClassTable, Matrix, file_of, read_f32_vector, read_matrix, read_vector};
use arcos::files::NewPlaces;
use arcos::heads::{OptionRange, Scale};
use arcos::ops::{Objective, Reduction, SoftTargets};
use arcos::penalties::{Penalty, PenaltyBatch};
use arcos::train::TrainObjective;
use arcos::wording::number;
use arcos::{AnyHead, Error, Head, Real, Result, files::atomic_file};
use ndarray::{Array1, Array2, ArrayView1, arr0};
use ndarray_npy::WritableElement;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is written for every head, and for some.
const ARRAYS: [&str; 3] = ["loss", "d_features", "d_weights"];
const ARRAYS_OF_SOME: [&str; 4] = ["d_bias", "d_alpha", "d_log_scale", "d_threshold"];

/// The line that is printed; where it is, the arrays beside it are those of an earlier `arcos grad`.
const RECORD: &str = "gradients.json";

/// Arguments of `arcos grad`.
#[derive(clap::Args)]
#[command(after_help = "\
Writes loss.npy (0-d; (B,) with --reduction none), d_features.npy, d_weights.npy, and where the head has them d_bias.npy, d_alpha.npy and d_log_scale.npy (0-d) and d_threshold.npy (1,), in \
the precision of the features. Prints one JSON line and leaves it in gradients.json: head, loss, scale (that of the logits), and what the head remembers if it does.

Examples:
  arcos grad --head arcface --scale 32 --margin 0.5 --features X.npy --weights W.npy --labels y.npy --out grads
  arcos grad --head softmax --bias b.npy --features X.npy --weights W.npy --labels y.npy --out grads
  arcos grad --head adacos --scale 7.2 --features X.npy --weights W.npy --labels y.npy --out grads
  arcos grad --head cosface --label-smoothing 0.1 --class-weights w.npy --features X.npy --weights W.npy --labels y.npy --out grads")]
pub(super) struct Args {
    /// The head; where it has no --scale of its own and its scale follows the batch, that is the scale of the step before
    #[arg(long, ignore_case = true, value_parser = head_names())]
    head: String,
    /// Features (B, D): .npy, .npz or archive.npz:name; f32 or f64 set the precision, f16 and integers become f32
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Class vectors (C, D), one a row, in the precision of the features
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Labels (B,): integers, or whole floating-point numbers; the value -100 means no label. Heads ldam and dynamic-arcface, and
    /// --class-weights inverse or effective, count the rows of classes in them
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    labels_start: i64,
    /// Bias (C,) of softmax and l2-softmax [default: zero]
    #[arg(long, value_name = "FILE")]
    bias: Option<PathBuf>,
    #[command(flatten)]
    numbers: HeadNumbers,
    /// Where the .npy files go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    head_args: HeadArgs,
    #[command(flatten)]
    objective: ObjectiveArgs,
    /// How much each row counts (B,) [default: all alike]
    #[arg(long, value_name = "FILE", help_heading = "Objective")]
    sample_weights: Option<PathBuf>,
    /// Probabilities (B, C) that take the place of labels; or (B, k), of the classes in --soft-classes. Margins stay on the labels
    #[arg(long, value_name = "FILE", help_heading = "Objective")]
    soft_targets: Option<PathBuf>,
    /// Classes (B, k) of --soft-targets, counted from 0
    #[arg(long, value_name = "FILE", help_heading = "Objective", requires = "soft_targets")]
    soft_classes: Option<PathBuf>,
    /// How the losses of rows become one; none writes them all (B,), with the gradients of their sum
    #[arg(long, value_enum, default_value_t = ReductionName::Mean, help_heading = "Objective")]
    reduction: ReductionName,
    /// The centres (C, D) of --penalty center-loss
    #[arg(long, value_name = "FILE", help_heading = "Objective", requires = "penalty")]
    center_loss_centres: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum ReductionName {
    Mean,
    Sum,
    None,
}

pub(super) fn run(args: &Args) -> Result<()> {
    if !args.objective.penalty.is_empty() && args.reduction == ReductionName::None {
        let expected = "mean or sum with --penalty, which is of no single row".into();
        return Err(Error::Setting { name: "--reduction", value: "none".into(), expected });
    }
    let mut options: Vec<_> = borrowed(args.head_args.given()).collect();
    let plain = head(&args.head, [])?;
    let mut state = args.numbers.state.clone();
    if let (false, Scale::AdaCos { .. }) = (AnyHead::takes(&args.head, "scale"), plain.scale())
        && let Some(place) = options.iter().position(|&(name, _)| name == "scale")
    {
        let (name, value) = options.remove(place);
        state.push((name.into(), previous_scale(value)?));
        if let Some((_, value)) = args.numbers.state.iter().find(|(own, _)| own == name) {
            let (value, expected) =
                (format!("{name}={}", number(*value)), "nothing of that name: --scale is it".into());
            return Err(Error::Setting { name: "--state", value, expected });
        }
    }
    let head = head(&args.head, options)?;
    let class_weights = args.objective.file();
    let inputs = [Some(&args.features), Some(&args.weights), Some(&args.labels), args.bias.as_ref()];
    let of_objective = [
        class_weights.as_ref(),
        args.sample_weights.as_ref(),
        args.soft_targets.as_ref(),
        args.soft_classes.as_ref(),
        args.center_loss_centres.as_ref(),
    ];
    let inputs: Vec<PathBuf> = inputs.into_iter().chain(of_objective).flatten().map(|path| file_of(path)).collect();
    let mut files = vec![args.out.join(RECORD)];
    files.extend(ARRAYS.into_iter().chain(ARRAYS_OF_SOME).map(|name| npy::path(&args.out, name)));
    outputs::refuse_inputs(&files, &inputs)?;
    outputs::refuse_others(&files[0], &["head", "loss", "scale"], &files)?;
    outputs::check_places(&args.out, &files)?;
    let of_file = read_labels(&args.labels)?;
    let indices = ClassTable::from_start(args.labels_start, &[&of_file]).and_then(|classes| classes.encode(&of_file));
    let labels = indices.map_err(|error| error.in_file(&args.labels))?;
    let in_file = |error: Error| {
        let path = match error.subject() {
            Some("features") => Some(&args.features),
            Some("weights") => Some(&args.weights),
            Some("labels") => Some(&args.labels),
            Some("bias") => args.bias.as_ref(),
            Some("class_weights") => class_weights.as_ref(),
            Some("sample_weights") => args.sample_weights.as_ref(),
            Some("centres") => args.center_loss_centres.as_ref(),
            Some("soft targets' classes") => args.soft_classes.as_ref().or(args.soft_targets.as_ref()),
            Some("soft targets' probabilities") => args.soft_targets.as_ref(),
            _ => match error {
                Error::Setting { name: "a class of soft targets", .. } => args.soft_classes.as_ref(),
                Error::Setting { name: "soft targets' probability", .. } => args.soft_targets.as_ref(),
                _ => None,
            },
        };
        path.into_iter().fold(error, |error, path| error.in_file(path))
    };
    let outcome = match (read_matrix(&args.features)?, read_matrix(&args.weights)?) {
        (Matrix::F32(features), Matrix::F32(weights)) => {
            let bias = args.bias.as_deref().map(read_f32_vector).transpose()?;
            write_gradients(args, &head, features, weights, bias, labels, &state)
        }
        (Matrix::F64(features), Matrix::F64(weights)) => {
            let bias = args.bias.as_deref().map(read_vector).transpose()?;
            write_gradients(args, &head, features, weights, bias, labels, &state)
        }
        (features, weights) => Err(Error::File {
            path: args.weights.clone(),
            found: format!("holds {}", weights.precision()),
            expected: format!("{}, the precision of the features", features.precision()),
        }),
    };
    outcome.map_err(in_file)
}

/// The scale of the step before, which is what `--scale` is of a head that has no other.
fn previous_scale(text: &str) -> Result<f64> {
    let OptionRange { from, to, words } = PREVIOUS_SCALE.range;
    let scale = text.parse().ok().filter(|scale| (from..=to).contains(scale));
    let expected = format!("{words}, the scale of the step before");
    scale.ok_or_else(|| Error::Setting { name: "scale", value: text.into(), expected })
}

/// The arrays of an objective.
struct ObjectiveArrays<F> {
    numbers: TrainObjective,
    class_weights: Option<Array1<F>>,
    sample_weights: Option<Array1<F>>,
    soft_targets: Option<(Array2<i64>, Array2<F>)>,
}

impl<F: Real> ObjectiveArrays<F> {
    fn read(args: &Args, sizes: &[usize]) -> Result<Self> {
        let numbers = args.objective.objective()?;
        let class_weights = numbers.class_weights(sizes)?;
        let sample_weights = args.sample_weights.as_deref().map(read_vector).transpose()?;
        let soft_targets = args.soft_targets.as_deref().map(|path| {
            let probabilities = read_matrix(path)?.into_f64().mapv(F::of);
            let classes = match &args.soft_classes {
                Some(path) => whole_numbers(path)?,
                None if probabilities.ncols() != sizes.len() => {
                    let found = probabilities.shape().to_vec();
                    let expected =
                        format!("(rows, {}), a column for each class, or --soft-classes beside it", sizes.len());
                    return Err(Error::Shape { what: "soft targets", found, expected }.in_file(path));
                }
                None => Array2::from_shape_fn(probabilities.dim(), |(_, class)| class as i64),
            };
            Ok::<_, Error>((classes, probabilities))
        });
        let sample_weights = sample_weights.map(|weights| weights.mapv(F::of));
        Ok(Self { numbers, class_weights, sample_weights, soft_targets: soft_targets.transpose()? })
    }

    fn objective<'a>(&'a self, labels: ArrayView1<'a, i64>, reduction: ReductionName) -> Objective<'a, F> {
        Objective {
            class_weights: self.class_weights.as_ref().map(|weights| weights.view()),
            sample_weights: self.sample_weights.as_ref().map(|weights| weights.view()),
            soft_targets: self.soft_targets.as_ref().map(|(classes, probabilities)| SoftTargets {
                classes: classes.view(),
                probabilities: probabilities.view(),
            }),
            reduction: match reduction {
                ReductionName::Mean => Reduction::Mean,
                ReductionName::Sum | ReductionName::None => Reduction::Sum,
            },
            ..self.numbers.of_labels(labels)
        }
    }
}

/// The centres of center loss, none where it is not asked for.
fn center_loss_centres<F: Real>(args: &Args) -> Result<Array2<F>> {
    let has_center_loss =
        args.objective.penalty.iter().any(|penalty| matches!(penalty.penalty, Penalty::CenterLoss { .. }));
    match (&args.center_loss_centres, has_center_loss) {
        (None, false) => Ok(Array2::zeros((0, 0))),
        (Some(path), true) => Ok(read_matrix(path)?.into_f64().mapv(F::of)),
        (Some(path), false) => {
            let (value, expected) = (path.display().to_string(), "--penalty center-loss beside it".into());
            Err(Error::Setting { name: "--center-loss-centres", value, expected })
        }
        (None, true) => {
            let expected = "--center-loss-centres beside it".into();
            Err(Error::Setting { name: "--penalty", value: "center-loss".into(), expected })
        }
    }
}

/// Numbers of classes.
fn whole_numbers(path: &Path) -> Result<Array2<i64>> {
    let numbers = read_matrix(path)?.into_f64();
    match numbers.iter().find(|number| number.fract() != 0.0) {
        None => Ok(numbers.mapv(|number| number as i64)),
        Some(other) => {
            let (found, expected) = (format!("holds {other}"), "numbers of classes, counted from 0".into());
            Err(Error::File { path: path.into(), found, expected })
        }
    }
}

fn write_gradients<F: Real + WritableElement>(
    args: &Args,
    head: &AnyHead,
    features: Array2<F>,
    weights: Array2<F>,
    bias: Option<Array1<F>>,
    labels: Array1<i64>,
    state: &[(String, f64)],
) -> Result<()> {
    let out = &args.out;
    let mut parameters = head.initial_parameters(weights)?;
    match (parameters.vectors.get_mut("bias"), bias) {
        (Some(own), Some(bias)) => *own = bias,
        (None, Some(_)) => {
            return Err(Error::UnknownOption {
                head: head.name(),
                option: "bias".into(),
                takes: "weights alone".into(),
            });
        }
        (_, None) => {}
    }
    set_state(&mut parameters, head, state)?;
    set_trained(&mut parameters, head, &args.numbers.parameter)?;
    let mut sizes = vec![0; parameters.classes(head)];
    for &label in &labels {
        sizes.get_mut(label as usize).into_iter().for_each(|size| *size += 1);
    }
    let mut head = head.clone();
    head.count_classes(&sizes);
    let arrays = ObjectiveArrays::read(args, &sizes)?;
    let (mut loss, cache) =
        head.forward(features.view(), &parameters, arrays.objective(labels.view(), args.reduction))?;
    let row_losses = cache.row_losses.clone();
    let (scale, state) = (cache.scale.to_double(), cache.state.clone());
    let mut gradients = head.backward(cache);
    let mut centres = center_loss_centres(args)?;
    for penalty in &args.objective.penalty {
        let (weights, labels) = (parameters.weights.view(), labels.view());
        let batch = PenaltyBatch { features: features.view(), weights, labels, centres: head.centres() };
        loss += penalty.add(batch, &mut centres, &mut gradients.d_features, &mut gradients.d_weights)?;
    }

    let mut line = serde_json::json!({ "head": head.name(), "loss": loss.to_double(), "scale": scale });
    if !state.is_empty() {
        line["state"] = serde_json::json!(state);
    }
    let record = out.join(RECORD);
    let mut places = NewPlaces::default();
    places.directory(out)?;
    places.file(record.clone());
    ARRAYS.into_iter().chain(ARRAYS_OF_SOME).for_each(|name| places.file(npy::path(out, name)));
    let write_all = || {
        atomic_file::write(&record, |file| writeln!(file, "{line}"))?;
        match args.reduction {
            ReductionName::None => write(out, "loss", &row_losses)?,
            ReductionName::Mean | ReductionName::Sum => write(out, "loss", &arr0(loss))?,
        }
        write(out, "d_features", &gradients.d_features)?;
        write(out, "d_weights", &gradients.d_weights)?;
        gradients.d_vectors.iter().try_for_each(|(name, gradient)| {
            let name = format!("d_{name}");
            match (head.scale().vector() == name.strip_prefix("d_"), gradient.first()) {
                (true, Some(&number)) => write(out, &name, &arr0(number)),
                _ => write(out, &name, gradient),
            }
        })?;
        // An earlier head's are not this one's.
        let others = ARRAYS_OF_SOME.iter().filter(|name| !gradients.d_vectors.contains_key(&name["d_".len()..]));
        others.into_iter().try_for_each(|name| outputs::remove(&npy::path(out, name)))
    };
    write_all().inspect_err(|_| places.remove())?;
    print(line)
}
