//! `arcos export`

use super::train_args::at_least_one;
use super::trained_model::{model_files, read_model};
use super::{outputs, print, run_files};
use arcos::files::atomic_file;
use arcos::wording::counted;
use arcos::{Head, Result, export};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `arcos export`.
#[derive(clap::Args)]
#[command(after_help = "\
The file takes raw features (N, D), of f32 and any N, and gives logits (N, C) and probabilities (N, C), which are those of `arcos predict`, at the temperature that was fitted on \
validation rows where the run had some; with --top k also top_probabilities and top_classes (N, k). Classes count from 0: `labels` in its metadata is a JSON list of their labels, `names` one of their names.

Example:
  arcos export --run arcos-run --onnx head.onnx --top 5
  arcos export --run arcos-run --with efficientnet_b0.onnx --onnx birds.onnx --top 5")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// The ONNX file: transform, embedder, head and probabilities, of plain operators
    #[arg(long, value_name = "FILE.onnx")]
    onnx: PathBuf,
    /// From the images of this network, an ONNX file, to classes in one file: the network that made the features
    #[arg(long, value_name = "NETWORK.onnx")]
    with: Option<PathBuf>,
    /// The tensor of --with that features come from: an output, or any other that it computes [default: the first output]
    #[arg(long, value_name = "NAME", requires = "with")]
    output: Option<String>,
    /// Give the K likeliest classes as well
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    top: Option<usize>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    outputs::refuse_inputs(
        [&args.onnx],
        &[model_files(&args.run), run_files::all(&args.run), args.with.iter().cloned().collect()].concat(),
    )?;
    outputs::check_place(&args.onnx)?;
    let model = read_model(&args.run)?;
    let head = export::onnx(&model, args.top)?;
    let bytes = match &args.with {
        Some(network) => joined(network, args.output.as_deref(), &head)?,
        None => head,
    };
    atomic_file::write(&args.onnx, |file| file.write_all(&bytes))?;
    let classes = counted(model.class_table.len(), "class");
    print(format_args!("{} of {classes} in {}", model.head.name(), args.onnx.display()))
}

#[cfg(feature = "onnx")]
fn joined(network: &Path, output: Option<&str>, head: &[u8]) -> Result<Vec<u8>> {
    export::onnx_with_network(network, output, head).map_err(|error| error.in_file(network))
}

/// Says that this build cannot.
#[cfg(not(feature = "onnx"))]
fn joined(_: &Path, _: Option<&str>, _: &[u8]) -> Result<Vec<u8>> {
    Err(arcos::Error::NeedsFeature { what: "--with", needs: "an ONNX runtime", feature: "onnx" })
}
