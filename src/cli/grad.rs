//! `arcos grad`

use super::data_args::read_labels;
use super::head_args::{HeadArgs, borrowed, head, head_names};
use super::npy::{self, write};
use super::{outputs, print};
use crate::data::{ClassTable, Matrix, file_of, read_f32_vector, read_matrix, read_vector};
use crate::{ClassificationHead, Error, Head, Real, Result};
use ndarray::{Array1, Array2, arr0};
use ndarray_npy::WritableElement;
use std::path::{Path, PathBuf};

/// What is written, not all of it for every head.
const ARRAYS: [&str; 5] = ["loss", "d_features", "d_weights", "d_bias", "d_alpha"];

/// Arguments of `arcos grad`.
#[derive(clap::Args)]
#[command(after_help = "\
Writes loss.npy (0-d), d_features.npy, d_weights.npy, and where the head has them d_bias.npy and d_alpha.npy (0-d), in \
the precision of the features, and prints one JSON line: head, loss, scale (that of the logits).

Examples:
  arcos grad --head arcface --scale 32 --margin 0.5 --features X.npy --weights W.npy --labels y.npy --out grads
  arcos grad --head softmax --bias b.npy --features X.npy --weights W.npy --labels y.npy --out grads
  arcos grad --head adacos --scale 7.2 --features X.npy --weights W.npy --labels y.npy --out grads")]
pub(super) struct Args {
    /// The head; for adacos --scale is the scale of the step before
    #[arg(long, ignore_case = true, value_parser = head_names())]
    head: String,
    #[command(flatten)]
    head_args: HeadArgs,
    /// Bias (C,) of softmax and l2-softmax [default: zero]
    #[arg(long, value_name = "FILE")]
    bias: Option<PathBuf>,
    /// Features (B, D): .npy, .npz or archive.npz:name; f32 or f64 set the precision, f16 and integers become f32
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Class vectors (C, D), one a row, in the precision of the features
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Labels (B,): integers, or whole floating-point numbers; the value -100 means no label
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    labels_start: i64,
    /// Where the .npy files go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    // AdaCos keeps its scale with its parameters, not its hyper-parameters.
    let previous_scale = args.head_args.scale.filter(|_| args.head == "adacos");
    let given = args.head_args.given();
    let options = borrowed(&given).filter(|&(name, _)| previous_scale.is_none() || name != "scale");
    let head = head(&args.head, options)?;
    let inputs = [Some(&args.features), Some(&args.weights), Some(&args.labels), args.bias.as_ref()];
    let inputs: Vec<PathBuf> = inputs.into_iter().flatten().map(|path| file_of(path)).collect();
    outputs::refuse_inputs(ARRAYS.map(|name| npy::path(&args.out, name)), &inputs)?;
    let of_file = read_labels(&args.labels)?;
    let indices = ClassTable::from_start(args.labels_start, &[&of_file]).and_then(|classes| classes.encode(&of_file));
    let labels = indices.map_err(|error| error.in_file(&args.labels))?;
    let in_file = |error: Error| match error.subject() {
        Some("features") => error.in_file(&args.features),
        Some("weights") => error.in_file(&args.weights),
        Some("labels") => error.in_file(&args.labels),
        Some("bias") => args.bias.iter().fold(error, |error, path| error.in_file(path)),
        _ => error,
    };
    let outcome = match (read_matrix(&args.features)?, read_matrix(&args.weights)?) {
        (Matrix::F32(features), Matrix::F32(weights)) => {
            let bias = args.bias.as_deref().map(read_f32_vector).transpose()?;
            write_gradients(&head, features, weights, bias, labels, previous_scale, &args.out)
        }
        (Matrix::F64(features), Matrix::F64(weights)) => {
            let bias = args.bias.as_deref().map(read_vector).transpose()?;
            write_gradients(&head, features, weights, bias, labels, previous_scale, &args.out)
        }
        (features, weights) => Err(Error::File {
            path: args.weights.clone(),
            found: format!("holds {}", weights.precision()),
            expected: format!("{}, the precision of the features", features.precision()),
        }),
    };
    outcome.map_err(in_file)
}

fn write_gradients<F: Real + WritableElement>(
    head: &Head,
    features: Array2<F>,
    weights: Array2<F>,
    bias: Option<Array1<F>>,
    labels: Array1<i64>,
    previous_scale: Option<f64>,
    out: &Path,
) -> Result<()> {
    let mut parameters = head.initial_parameters(weights)?;
    match (&mut parameters.bias, bias) {
        (own @ Some(_), Some(bias)) => *own = Some(bias),
        (None, Some(_)) => {
            return Err(Error::UnknownOption { head: head.name(), option: "bias", takes: "weights alone".into() });
        }
        (_, None) => {}
    }
    if let Some(scale) = previous_scale {
        parameters.scale = Some(F::of(scale));
    }
    let (loss, cache) = head.forward(features.view(), &parameters, labels.view())?;
    let scale = cache.statistics().scale;
    let gradients = head.backward(cache);

    write(out, "loss", &arr0(loss))?;
    write(out, "d_features", &gradients.d_features)?;
    write(out, "d_weights", &gradients.d_weights)?;
    gradients.d_bias.map_or(Ok(()), |d_bias| write(out, "d_bias", &d_bias))?;
    gradients.d_alpha.map_or(Ok(()), |d_alpha| write(out, "d_alpha", &arr0(d_alpha)))?;
    print(serde_json::json!({ "head": head.name(), "loss": loss.to_double(), "scale": scale }))
}
