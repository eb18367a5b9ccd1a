//! `arcos train`

use super::data_args::DataArgs;
use super::head_args::{TrainedHeadArgs, borrowed, head, head_names};
use super::print;
use super::progress::Report;
use super::train_args::TrainArgs;
use crate::data::Dataset;
use crate::train::{Checkpoint, RunDirectory, TrainConfig, Trainer};
use crate::{Error, Head, Result};
use std::path::{Path, PathBuf};

/// Arguments of `arcos train`.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves history.csv, checkpoints/ and tensorboard/ in the output directory.

Examples:
  arcos train --head adacos --data DIR
  arcos train --head arcface --scale 16 --margin 0.2 --train-features X.npy --train-labels y.npy --labels-start 1
  arcos train --head cosface --data DIR --optimizer sgd --schedule cosine --warm-up 2 --epochs 60
  arcos train --head adacos --data DIR --epochs 60 --resume")]
pub(super) struct Args {
    /// The head
    #[arg(long, value_parser = head_names())]
    head: String,
    #[command(flatten)]
    head_args: TrainedHeadArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    train: TrainArgs,
    /// Where the run goes
    #[arg(long, value_name = "DIR", default_value = "arcos-run")]
    out: PathBuf,
    /// Go on from the newest checkpoint in the output directory, with the same arguments; only --epochs may differ
    #[arg(long)]
    resume: bool,
    /// How many of the newest checkpoints stay
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: usize,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let head = head(&args.head, borrowed(&args.head_args.given()))?;
    let config = args.train.config(head)?;
    let newest = RunDirectory::newest_checkpoint(&args.out)?;
    let resumed = match newest {
        Some(path) if args.resume => Some(Checkpoint::load(&path)?),
        Some(_) => {
            return Err(Error::File {
                path: args.out.clone(),
                found: "holds a run already".into(),
                expected: "--resume to go on with it, or another --out".into(),
            });
        }
        None => None,
    };
    let (train, test) = args.data.read()?;
    print(format_args!("{}", describe_data(&train, test.as_ref())))?;
    let trainer = match resumed {
        Some(checkpoint) => {
            print(format_args!("going on after epoch {}", checkpoint.history.len()))?;
            Trainer::resume(checkpoint, config, train, test)?
        }
        None => Trainer::new(config, train, test)?,
    };
    train_to_end(&args.head, trainer, &args.out, args.keep)?;
    print(format_args!("run in {}", args.out.display()))
}

/// Runs all epochs that are left, reports each under `name`, and leaves the run in `out`.
pub(super) fn train_to_end(name: &str, mut trainer: Trainer, out: &Path, keep: usize) -> Result<Trainer> {
    let mut directory = RunDirectory::create(out, keep)?;
    let report = Report::new(name, trainer.config().epochs);
    let mut said_bound = false;
    while !trainer.is_done() {
        report.epoch(trainer.run_epoch(|progress| report.batch(progress))?)?;
        if let (Some(bound), false) = (bound_reached(trainer.config(), &trainer), said_bound) {
            report
                .remark(&format!("the scale has reached its bound, {bound}; see --max-scale and --transform centre"))?;
            said_bound = true;
        }
        directory.save(trainer.checkpoint())?;
    }
    report.finish();
    Ok(trainer)
}

/// AdaCos's largest scale, if that is where it is.
fn bound_reached(config: &TrainConfig, trainer: &Trainer) -> Option<f64> {
    let Head::AdaCos(adacos) = &config.head else { return None };
    let (bound, scale) = (adacos.max_scale?, trainer.model().parameters.scale?);
    (scale >= bound as f32).then_some(bound)
}

/// The sizes of the data, in a line.
pub(super) fn describe_data(train: &Dataset, test: Option<&Dataset>) -> String {
    let test = test.map_or("no test rows".into(), |test| format!("{} test rows", test.rows()));
    let (rows, dimension, classes) = (train.rows(), train.dimension(), train.classes());
    format!("{rows} training rows, {test}, {dimension} dimensions, {classes} classes")
}
