//! `arcos train`

use super::data_args::{Data, DataArgs};
use super::head_args::{TrainedHeadArgs, borrowed, head, head_names};
use super::interrupt::{self, Training};
use super::progress::Report;
use super::train_args::{TrainArgs, at_least_one};
use super::{complain, open_set, outputs, tell, training_plot};
use crate::data::{Dataset, TransformKind};
use crate::metrics::open_set::OpenSet;
use crate::train::{Checkpoint, Model, RUN_FILES, RunDirectory, TrainConfig, Trainer, has_logs};
use crate::{Error, Head, Result, atomic_file};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Training rows for each dimension of whitening, below which variances are estimated badly.
const ROWS_A_DIMENSION: usize = 10;

/// Arguments of `arcos train`.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves history.csv, iterations.csv, target_angles.csv, training.png, checkpoints/ and tensorboard/ in the output directory, and with \
--open-set open_set.json and open_set.png. Ctrl-C, SIGTERM and SIGHUP stop after the step at hand, with a checkpoint from which --resume goes on to the same bits.

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
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    keep: usize,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let head = head(&args.head, borrowed(&args.head_args.given()))?;
    let config = args.train.config(head)?;
    outputs::refuse_inputs(RUN_FILES.map(|name| args.out.join(name)), &args.data.files())?;
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
    tell(data.describe())?;
    remark_on_frozen_features(&data, args.train.embed.embed)?;
    let Data { train, test, unseen } = data;
    let trainer = match resumed {
        Some(checkpoint) => {
            tell(format_args!("going on after {}", checkpoint.place()))?;
            Trainer::resume(checkpoint, config, train, test)?
        }
        None => Trainer::new(config, train, test)?,
    };
    remark_on_few_rows(&trainer);
    let trainer = train_to_end(&args.head, trainer, &args.out, args.keep)?;
    if let Some(unseen) = unseen {
        let measures = retrieve(trainer.model(), &unseen, &args.out)?;
        tell(format_args!("\n{}\n", open_set::text(&measures)))?;
    }
    tell(format_args!("run in {}", args.out.display()))
}

/// Runs all epochs that are left, reports each under `name`, and leaves the run in `out`.
pub(super) fn train_to_end(name: &str, mut trainer: Trainer, out: &Path, keep: usize) -> Result<Trainer> {
    let mut directory = RunDirectory::create(out, keep, trainer.checkpoint())?;
    let report = Report::new(name, trainer.config().epochs);
    let mut said_bound = false;
    let training = Training::begin();
    while !trainer.is_done() {
        let record = trainer.run_epoch_or_pause(|progress| {
            report.batch(progress);
            if training.interrupted_by().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match record {
            Some(record) => report.epoch(record),
            None => {
                directory.save_paused(trainer.checkpoint())?;
                stop(&training, &report, &trainer, out);
            }
        }
        if let (Some(bound), false) = (bound_reached(trainer.config(), &trainer), said_bound) {
            report.remark(&format!("the scale has reached its bound, {bound}; see --max-scale and --transform centre"));
            said_bound = true;
        }
        directory.save(trainer.checkpoint(), trainer.epoch_log())?;
        // After the last epoch there is nothing to go on with.
        if training.interrupted_by().is_some() && !trainer.is_done() {
            stop(&training, &report, &trainer, out);
        }
    }
    report.finish();
    if has_logs(out) {
        training_plot::draw(out, name)?;
    }
    Ok(trainer)
}

/// Ends the program after a signal, once a checkpoint is written.
fn stop(training: &Training, report: &Report, trainer: &Trainer, out: &Path) -> ! {
    report.finish();
    let (place, out) = (trainer.checkpoint().place(), out.display());
    complain(format_args!("interrupted after {place}; `arcos train --out {out} --resume` goes on from there"));
    std::process::exit(interrupt::exit_status(training.interrupted_by().unwrap_or_default()))
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
        (Some(_), None) => tell("without --embed the features stay where they are, and retrieve as well as before"),
        _ => Ok(()),
    }
}

/// Says that few rows tell whitening little, where they are few.
pub(super) fn remark_on_few_rows(trainer: &Trainer) {
    let TransformKind::Whiten { ridge: 0.0, .. } = trainer.config().transform else { return };
    let (dimensions, rows) = (trainer.model().transform.dimension(0), trainer.checkpoint().train_rows);
    if rows < ROWS_A_DIMENSION * dimensions {
        complain(format_args!(
            "whitening to {dimensions} dimensions by {rows} training rows, fewer than {ROWS_A_DIMENSION} each: \
             the last dimensions are mostly noise; see --ridge and --dimensions"
        ));
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
