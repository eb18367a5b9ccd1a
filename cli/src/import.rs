//! `arcos import`

use super::data_args::read_labels;
use super::head_args::{HeadArgs, borrowed, head, head_names};
use super::head_state::{HeadNumbers, set_state, set_trained};
use super::{outputs, print, run_files};
use arcos::data::{
    ClassTable, Matrix, Transform, TransformKind, file_of, read_class_names, read_f32_vector, read_matrix,
};
use arcos::train::{Model, RunDirectory};
use arcos::wording::counted;
use arcos::{Error, Head, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Arguments of `arcos import`.
#[derive(clap::Args)]
#[command(after_help = "\
What comes of it is a run directory with a model alone, which evaluate, predict, embed, classes and `arcos train --from` take. Features go to the head as they are.

Examples:
  arcos import --head arcface --scale 64 --weights fc.npy --out imported
  arcos import --head cosface --weights model.safetensors:head.weight --class-names names.txt --out imported
  arcos import --head softmax --weights dense.npz:kernel --bias dense.npz:bias --transposed --out imported
  arcos train --from imported --data DIR --epochs 3 --out further")]
pub(super) struct Args {
    /// The head that the class vectors are of
    #[arg(long, ignore_case = true, value_parser = head_names())]
    head: String,
    /// Class vectors (C, D), one a row, those of a class with several centres next to each other: .npy, .npz, archive.npz:name, .safetensors or file.safetensors:name
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The weights are (D, C), a class a column, as kernels of Keras are
    #[arg(long)]
    transposed: bool,
    /// Bias (C,) of softmax and l2-softmax [default: zero]
    #[arg(long, value_name = "FILE")]
    bias: Option<PathBuf>,
    /// The label of each class (C,), in the order of class vectors: integers or strings, .npy or a .txt file with a label a line [default: 0 to C - 1]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The name of each class in the order of class vectors, a line each, where labels are numbers
    #[arg(long, value_name = "FILE")]
    class_names: Option<PathBuf>,
    #[command(flatten)]
    numbers: HeadNumbers,
    /// Where the model goes: a directory without a run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    head_args: HeadArgs,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let head = head(&args.head, borrowed(args.head_args.given()))?;
    let files = [Some(&args.weights), args.bias.as_ref(), args.labels.as_ref(), args.class_names.as_ref()];
    let inputs: Vec<PathBuf> = files.into_iter().flatten().map(|path| file_of(path)).collect();
    outputs::refuse_inputs(run_files::all(&args.out), &inputs)?;
    run_files::refuse_others(&args.out)?;
    outputs::check_places(&args.out, &[])?;

    let in_file = |error: Error| match (error.subject(), &args.bias) {
        (Some("bias"), Some(bias)) => error.in_file(bias),
        _ => error.in_file(&args.weights),
    };
    let mut parameters = head.initial_parameters(read_weights(args)?).map_err(in_file)?;
    set_state(&mut parameters, &head, &args.numbers.state)?;
    set_trained(&mut parameters, &head, &args.numbers.parameter)?;
    let classes = parameters.classes(&head);
    if let Some(path) = &args.bias {
        set_bias(&mut parameters, head.name(), classes, path)?;
    }
    let transform = Transform::fit(TransformKind::None, Array2::zeros((0, 0)).view())?;
    let mut class_table = ClassTable::indices(classes);
    if let Some(path) = &args.class_names {
        class_table = class_table.with_names(read_class_names(path)?).map_err(|error| error.in_file(path))?;
    }
    let model = Model { head, parameters, transform, embedder: None, class_table, temperature: None };
    let model = match &args.labels {
        None => model,
        Some(path) => model.with_labels(&read_labels(path)?).map_err(|error| error.in_file(path))?,
    };
    // What no head can take is found before it is a run.
    model.logits(Array2::ones((1, model.parameters.weights.ncols())).view()).map_err(in_file)?;
    let (name, shape) = (model.head.name(), model.parameters.weights.dim());
    let labels = model.class_table.describe();
    RunDirectory::write_model(&args.out, model)?;
    print(format_args!(
        "{name}: {} of {}, labels {labels}; model in {}",
        counted(classes, "class"),
        counted(shape.1, "dimension"),
        args.out.display()
    ))
}

/// (C, D) in single precision.
fn read_weights(args: &Args) -> Result<Array2<f32>> {
    let path = &args.weights;
    let weights = match read_matrix(path)? {
        Matrix::F32(weights) => weights,
        Matrix::F64(weights) => {
            let is_too_large = |value: &f64| value.is_finite() && (*value as f32).is_infinite();
            if let Some(value) = weights.iter().find(|value| is_too_large(value)) {
                let expected = "numbers that single precision holds".into();
                return Err(Error::File { path: path.clone(), found: format!("holds {value:e}"), expected });
            }
            weights.mapv(|value| value as f32)
        }
    };
    let weights = if args.transposed { weights.reversed_axes() } else { weights };
    if weights.is_empty() {
        return Err(Error::Empty { what: "weights", found: weights.shape().to_vec() }.in_file(path));
    }
    Ok(weights.as_standard_layout().into_owned())
}

fn set_bias(parameters: &mut arcos::Parameters<f32>, head: &'static str, classes: usize, path: &Path) -> Result<()> {
    let Some(own) = parameters.vectors.get_mut("bias") else {
        let (value, expected) = (path.display().to_string(), format!("none: {head} has no bias"));
        return Err(Error::Setting { name: "--bias", value, expected });
    };
    let bias = read_f32_vector(path)?;
    if bias.len() != classes {
        let expected = format!("({classes},), a number for each class");
        return Err(Error::Shape { what: "bias", found: vec![bias.len()], expected }.in_file(path));
    }
    own.assign(&bias);
    Ok(())
}
