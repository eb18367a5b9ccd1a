//! `arcos evaluate`

use super::print;
use crate::data::Dataset;
use crate::train::{Checkpoint, Model, RunDirectory};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Arguments of `arcos evaluate`.
#[derive(clap::Args)]
#[command(after_help = "Prints one JSON line: rows, loss, accuracy, top5_accuracy.")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Labels (N,)
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    labels_start: i64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let model = read_model(&args.run)?;
    let data = Dataset::read(&args.features, &args.labels, args.labels_start)?;
    let evaluation = model.evaluate(&data)?;
    let line = serde_json::json!({
        "head": model.head.name(),
        "rows": evaluation.rows,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "top5_accuracy": evaluation.top5_accuracy,
    });
    print(line)
}

/// The model of a run's newest checkpoint, or of the checkpoint itself.
pub(super) fn read_model(path: &Path) -> Result<Model> {
    let newest = if path.is_dir() { RunDirectory::newest_checkpoint(path)? } else { Some(path.into()) };
    let newest = newest.ok_or_else(|| Error::File {
        path: path.into(),
        found: "holds no checkpoint".into(),
        expected: "the output directory of `arcos train`, or a checkpoint".into(),
    })?;
    Ok(Checkpoint::load(&newest)?.model)
}
