//! `arcos predict`

use super::evaluate::read_model;
use crate::data::read_features;
use crate::{Error, Result};
use ndarray::ArrayView1;
use std::fs::File;
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
    #[arg(long, value_name = "K", default_value_t = 1)]
    top: usize,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    labels_start: i64,
    /// The CSV file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let model = read_model(&args.run)?;
    let features = read_features(&args.features)?;
    let path = args.out.clone().unwrap_or("standard output".into());
    let failed = |error| Error::io("write", &path, error);
    let mut writer: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(failed)?)),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    writeln!(writer, "row,rank,label,probability").map_err(failed)?;
    model.for_logits(features.view(), |first, logits| {
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
