//! `arcos train`

use super::data_args::{Data, DataArgs};
use super::head_args::{TrainedHeadArgs, borrowed, head, head_names};
use super::interrupt::{self, Training};
use super::progress::Report;
use super::train_args::TrainArgs;
use super::{open_set, print, training_plot};
use crate::data::Dataset;
use crate::metrics::open_set::OpenSet;
use crate::train::{Checkpoint, Model, RunDirectory, TrainConfig, Trainer, has_logs};
use crate::{Error, Head, Result, atomic_file};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Arguments of `arcos train`.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves history.csv, iterations.csv, target_angles.csv, training.png, checkpoints/ and tensorboard/ in the output directory, and with \
--open-set open_set.json and open_set.png. Ctrl-C stops after the step at hand, with a checkpoint from which --resume goes on to the same bits.

Examples:
  arcos train --head adacos --data DIR
  arcos train --head arcface --scale 16 --margin 0.2 --train-features X.npy --train-labels y.npy --labels-start 1
  arcos train --head cosface --data DIR --optimizer sgd --schedule cosine --warm-up 2 --epochs 60
  arcos train --head arcface --data DIR --open-set --embed 128
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
    let data = args.data.read()?;
    print(data.describe())?;
    remark_on_frozen_features(&data, args.train.embed.embed)?;
    let Data { train, test, unseen } = data;
    let trainer = match resumed {
        Some(checkpoint) => {
            print(format_args!("going on after {}", checkpoint.place()))?;
            Trainer::resume(checkpoint, config, train, test)?
        }
        None => Trainer::new(config, train, test)?,
    };
    let trainer = train_to_end(&args.head, trainer, &args.out, args.keep)?;
    if let Some(unseen) = unseen {
        let measures = retrieve(trainer.model(), &unseen, &args.out)?;
        print(format_args!("\n{}\n", open_set::text(&measures)))?;
    }
    print(format_args!("run in {}", args.out.display()))
}

/// Runs all epochs that are left, reports each under `name`, and leaves the run in `out`.
pub(super) fn train_to_end(name: &str, mut trainer: Trainer, out: &Path, keep: usize) -> Result<Trainer> {
    let mut directory = RunDirectory::create(out, keep, trainer.checkpoint())?;
    let report = Report::new(name, trainer.config().epochs);
    let mut said_bound = false;
    let training = Training::begin()?;
    while !trainer.is_done() {
        let record = trainer.run_epoch_or_pause(|progress| {
            report.batch(progress);
            if training.was_interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match record {
            Some(record) => report.epoch(record)?,
            None => {
                directory.save_paused(trainer.checkpoint())?;
                stop(&report, &trainer, out);
            }
        }
        if let (Some(bound), false) = (bound_reached(trainer.config(), &trainer), said_bound) {
            report
                .remark(&format!("the scale has reached its bound, {bound}; see --max-scale and --transform centre"))?;
            said_bound = true;
        }
        directory.save(trainer.checkpoint(), trainer.epoch_log())?;
        if training.was_interrupted() {
            stop(&report, &trainer, out);
        }
    }
    report.finish();
    if has_logs(out) {
        training_plot::draw(out, name)?;
    }
    Ok(trainer)
}

/// Ends the program after Ctrl-C, once a checkpoint is written.
fn stop(report: &Report, trainer: &Trainer, out: &Path) -> ! {
    report.finish();
    let (place, out) = (trainer.checkpoint().place(), out.display());
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(
        io::stderr(),
        "arcos: interrupted after {place}; `arcos train --out {out} --resume` goes on from there"
    );
    std::process::exit(interrupt::EXIT_STATUS)
}

/// AdaCos's largest scale, if that is where it is.
fn bound_reached(config: &TrainConfig, trainer: &Trainer) -> Option<f64> {
    let Head::AdaCos(adacos) = &config.head else { return None };
    let (bound, scale) = (adacos.max_scale?, trainer.model().parameters.scale?);
    (scale >= bound as f32).then_some(bound)
}

/// Says that nothing is learned for an open set where nothing is trained but the head.
pub(super) fn remark_on_frozen_features(data: &Data, embed: Option<usize>) -> Result<()> {
    match (&data.unseen, embed) {
        (Some(_), None) => print("without --embed the features stay where they are, and retrieve as well as before"),
        _ => Ok(()),
    }
}

/// Measures a model on rows of classes that it was not trained on, and leaves `open_set.json` and `open_set.png` in its run directory.
pub(super) fn retrieve(model: &Model, unseen: &Dataset, directory: &Path) -> Result<OpenSet> {
    let embeddings = model.embeddings(unseen.features.view())?;
    let measures = open_set::measure_unseen(embeddings.view(), unseen)?;
    atomic_file::write(&directory.join("open_set.json"), |file| {
        Ok(serde_json::to_writer_pretty(file, &open_set::json(&measures))?)
    })?;
    let title = format!("{}: {} rows of {} unseen classes", model.head.name(), measures.rows, measures.classes);
    open_set::draw_one(&directory.join("open_set.png"), &title, &measures)?;
    Ok(measures)
}
