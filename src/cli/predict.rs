//! `arcos predict`

use super::evaluate::{model_files, read_model};
use super::outputs;
use super::train_args::at_least_one;
use crate::data::{file_of, read_features};
use crate::train::Model;
use crate::{Error, Result, atomic_file};
use ndarray::{ArrayView1, ArrayView2};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Arguments of `arcos predict`.
#[derive(clap::Args)]
#[command(after_help = "\
Writes CSV: row, rank, label, probability; a line for each row and rank. Probabilities are the softmax of the inference \
logits.")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Classes listed for each row, the likeliest first
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = at_least_one)]
    top: usize,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    labels_start: i64,
    /// The CSV file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let inputs = [model_files(&args.run), vec![file_of(&args.features)]].concat();
    if let Some(out) = &args.out {
        outputs::refuse_inputs([out], &inputs)?;
        outputs::check_place(out)?;
    }
    let model = read_model(&args.run)?;
    let classes = model.parameters.weights.nrows();
    if args.top > classes {
        let expected = format!("at most {classes}, the classes of the head");
        return Err(Error::Setting { name: "--top", value: args.top.to_string(), expected });
    }
    let features = read_features(&args.features)?;
    if features.view().is_empty() {
        return Err(Error::Empty { what: "features", found: features.view().shape().to_vec() });
    }
    let Some(out) = &args.out else {
        let failed = |error| Error::io("write to", "standard output", error);
        return write(&model, features.view(), args, &mut BufWriter::new(io::stdout().lock()), &failed);
    };
    // What fails on the way may be of the model or the features: the file then does not come to be.
    let mut outcome = Ok(());
    let written = atomic_file::write(out, |file| {
        outcome = write(&model, features.view(), args, file, &|error| Error::io("write", out, error));
        outcome.as_ref().map_err(|error| io::Error::other(error.to_string())).copied()
    });
    outcome.and(written)
}

/// Writes the CSV; its heading only with the first rows, since there are none if something is wrong.
fn write(
    model: &Model,
    features: ArrayView2<f32>,
    args: &Args,
    writer: &mut impl Write,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<()> {
    model.for_logits(features, |first, logits| {
        if first == 0 {
            writeln!(writer, "row,rank,label,probability").map_err(failed)?;
        }
        for (row, logits) in logits.rows().into_iter().enumerate() {
            for (rank, (class, probability)) in likeliest(logits, args.top).into_iter().enumerate() {
                let label = (class as i64).saturating_add(args.labels_start);
                writeln!(writer, "{},{},{label},{probability}", first + row, rank + 1).map_err(failed)?;
            }
        }
        Ok(())
    })?;
    writer.flush().map_err(failed)
}

/// The `top` classes with the largest logits and their probabilities, the likeliest first.
fn likeliest(logits: ArrayView1<f32>, top: usize) -> Vec<(usize, f64)> {
    let mut classes: Vec<_> = logits.iter().map(|&logit| f64::from(logit)).enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let largest = classes[0].1;
    let sum: f64 = classes.iter().map(|&(_, logit)| (logit - largest).exp()).sum();
    classes.truncate(top);
    classes.into_iter().map(|(class, logit)| (class, (logit - largest).exp() / sum)).collect()
}
