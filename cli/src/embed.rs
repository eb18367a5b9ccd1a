//! `arcos embed`

use super::trained_model::{model_files, read_model};
use super::{npy, outputs, print, run_files};
use arcos::data::{file_of, read_features};
use arcos::ops::l2_normalize;
use arcos::wording::counted;
use arcos::{Result, files::atomic_file};
use ndarray_npy::WriteNpyExt;
use std::io;
use std::path::PathBuf;

/// Arguments of `arcos embed`.
#[derive(clap::Args)]
#[command(after_help = "\
Writes (N, E), f32: what the head of the run works on. Of a run without --embed these are the transformed features.

Example:
  arcos embed --run arcos-run --features X.npy --out embeddings.npy --normalize")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied. The file must not change until
    /// the end
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Where embeddings go
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// Divide each embedding by its length
    #[arg(long)]
    normalize: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    npy::check_name("--out", &args.out)?;
    outputs::refuse_inputs(
        [&args.out],
        &[model_files(&args.run), run_files::all(&args.run), vec![file_of(&args.features)]].concat(),
    )?;
    outputs::check_place(&args.out)?;
    let model = read_model(&args.run)?;
    let features = read_features(&args.features)?;
    let embed = || {
        let embeddings = model.embeddings(&features)?;
        l2_normalize::check_finite("embeddings", embeddings.view())?;
        match args.normalize {
            true => Ok(l2_normalize::forward("embeddings", embeddings.view())?.unit),
            false => Ok(embeddings),
        }
    };
    let embeddings = embed().map_err(|error: arcos::Error| error.in_file(&args.features))?;
    atomic_file::write(&args.out, |file| embeddings.write_npy(file).map_err(io::Error::other))?;
    let (rows, dimension) = embeddings.dim();
    print(format_args!(
        "{} of {} in {}",
        counted(rows, "embedding"),
        counted(dimension, "dimension"),
        args.out.display()
    ))
}
