//! `arcos train`

use super::calibration::of_temperature;
use super::checkpoint_every::{CheckpointEvery, SinceCheckpoint};
use super::data_args::{Data, DataArgs};
use super::failure::Failure;
use super::given::Given;
use super::head_args::{HeadArgs, borrowed, head, head_names};
use super::interrupt::{self, Training};
use super::progress::Report;
use super::run_files::{self, RUN_FILES};
use super::run_record::{MadeBy, RunRecord};
use super::table::figure;
use super::train_args::{TrainArgs, at_least_one};
use super::trained_model::read_model;
use super::validation_args::ValidationArgs;
use super::{complain, only_with, open_set, outputs, program, resumption, tell, training_plot};
use arcos::data::{Dataset, TransformKind};
use arcos::files::{atomic_file, directory_lock::lock};
use arcos::heads::Scale;
use arcos::metrics::open_set::OpenSet;
use arcos::optim::Decay;
use arcos::train::{Checkpoint, HeldOut, Model, RunDirectory, TrainConfig, Trainer, best_epoch, has_logs};
use arcos::wording::{counted, number};
use arcos::{Error, Head, Result, shell};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Training rows for each dimension of whitening, below which variances are estimated badly.
const ROWS_A_DIMENSION: usize = 10;

/// Arguments of `arcos train`.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves history.csv, iterations.csv, target_angles.csv, training.png, checkpoints/ and tensorboard/ in the output directory, and with \
--open-set open_set.json and open_set.png. Ctrl-C, SIGTERM, SIGHUP and SIGXCPU stop after the step at hand, with a checkpoint from which --resume goes on to the same bits. --resume needs no more than --out: \
configuration and data are those of the run, and an option that is given and differs is an error. With more --epochs a run is extended; a cosine \
schedule then ends later, and the jump of the learning rate is said.

Examples:
  arcos train --head adacos --data DIR
  arcos train --head arcface --scale 16 --margin 0.2 --train-features X.npy --train-labels y.npy --labels-start 1
  arcos train --head cosface --data DIR --optimizer sgd --schedule cosine --warm-up 2 --epochs 60
  arcos train --head arcface --data DIR --open-set --embed 128
  arcos train --from arcos-run --data DIR2 --learning-rate 1e-4 --out further
  arcos train --resume
  arcos train --resume --epochs 60
  arcos train --resume-or-start --head adacos --data DIR --out DIR2 --checkpoint-every 10min")]
pub(super) struct Args {
    #[command(flatten)]
    pub given: Given,
    /// The head
    #[arg(long, ignore_case = true, value_parser = head_names(), required_unless_present_any = ["resume", "from"])]
    head: Option<String>,
    /// Where the run goes
    #[arg(long, value_name = "DIR", default_value = "arcos-run")]
    out: PathBuf,
    /// Go on with the run in the output directory, as it was begun; only --epochs, --patience, --keep, --checkpoint-every, --class-names and where its data are may differ
    #[arg(long)]
    resume: bool,
    /// Go on with the run in the output directory, or begin it if there is none
    #[arg(long, conflicts_with = "resume")]
    resume_or_start: bool,
    /// Begin with the model of this run or checkpoint: its class vectors, transform, embedder and classes, and unless --head names another its head. Optimizer and order of rows begin anew
    #[arg(long, value_name = "PATH", conflicts_with_all = ["resume", "init", "transform", "dimensions", "ridge", "embed", "embed_block", "dropout"])]
    from: Option<PathBuf>,
    /// How many of the newest checkpoints stay
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    keep: usize,
    /// Epochs (5) or time (90s, 10min, 2h) between two checkpoints, at most so much is lost in a crash; the end and signals always leave one
    #[arg(long, value_name = "EPOCHS|TIME", default_value_t)]
    checkpoint_every: CheckpointEvery,
    #[command(flatten)]
    head_args: HeadArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    validation: ValidationArgs,
    #[command(flatten)]
    train: TrainArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let refused = |found: &str, expected: &str| {
        let (path, found, expected) = (args.out.clone(), found.into(), expected.into());
        Err(Error::File { path, found, expected }.into())
    };
    let newest = RunDirectory::load_newest(&args.out)?;
    if args.resume || args.resume_or_start || newest.is_none() {
        // Another process may be writing there, and have no checkpoint yet. This is said before data are read.
        lock(&args.out)?;
    }
    match newest {
        Some(checkpoint) if (args.resume || args.resume_or_start) && checkpoint.train_rows == 0 => {
            refused("holds a model that was not trained there", "--from with it, and another --out")
        }
        Some(checkpoint) if args.resume || args.resume_or_start => resume(args, checkpoint),
        Some(_) => refused("holds a run already", "--resume to go on with it, or another --out"),
        None if args.resume => refused("holds no run with a checkpoint", "one, or --resume-or-start to begin it"),
        None => Ok(start(args)?),
    }
}

fn start(args: &Args) -> Result<()> {
    let model = args.from.as_deref().map(read_model).transpose()?;
    let config = args.new_config(model.as_ref())?;
    let record = RunRecord {
        data: Some(args.data.clone()),
        validation: args.validation.clone(),
        keep: args.keep,
        checkpoint_every: args.checkpoint_every,
        made_by: None,
    };
    refuse_inputs(&record, &args.out)?;
    run_files::refuse_others(&args.out)?;
    outputs::check_places(&args.out, &[])?;
    let data = read(&args.data, &record.validation, &config)?;
    let held_out = HeldOut { validation: data.validation, test: data.test };
    let trainer = match model {
        None => Trainer::new(config, data.train, held_out),
        Some(model) => Trainer::from_model(config, model, data.train, held_out),
    };
    let trainer = trainer.map_err(|error| args.train.objective.located(error))?;
    remark_on_few_rows(&trainer);
    train(trainer, data.unseen, &record, &args.out)
}

fn resume(args: &Args, checkpoint: Checkpoint) -> Result<(), Failure> {
    let of_run = RunRecord::read(&args.out)?;
    let data_of_run = of_run.as_ref().and_then(|record| record.data.as_ref());
    if data_of_run.is_none() && !args.data.names_files() {
        let found = if of_run.is_none() { "is not there" } else { "says nothing of the data" };
        let expected = "what `arcos train` wrote there, or the data: --data, or --train-features and --train-labels";
        let path = args.out.join(RunRecord::FILE);
        return Err(Error::File { path, found: found.into(), expected: expected.into() }.into());
    }
    let of_run_in_out = |error: Error| Failure::of_run(error, &args.out);
    let classes = &checkpoint.model.class_table;
    let differences = resumption::differences(&args.given, &checkpoint.config, &args.data, data_of_run, classes);
    let of_validation = of_run.as_ref().and_then(|record| args.validation.difference(&args.given, &record.validation));
    resumption::refuse(differences.into_iter().chain(of_validation)).map_err(of_run_in_out)?;
    let validation =
        of_run.as_ref().map_or_else(|| args.validation.clone(), |record| args.validation.resuming(&record.validation));
    let mut record = RunRecord {
        data: Some(data_of_run.map_or_else(|| args.data.clone(), |of_run| args.data.resuming(of_run.clone()))),
        validation,
        keep: of_run.as_ref().filter(|_| !args.given.has("keep")).map_or(args.keep, |record| record.keep),
        checkpoint_every: of_run
            .as_ref()
            .filter(|_| !args.given.has("checkpoint_every"))
            .map_or(args.checkpoint_every, |record| record.checkpoint_every),
        made_by: of_run.as_ref().and_then(|record| record.made_by),
    };
    let before = checkpoint.config.clone();
    let epochs = if args.given.has("epochs") { args.train.epochs } else { before.epochs };
    let config = TrainConfig { epochs, patience: args.validation.patience.or(before.patience), ..before.clone() };
    // Before there are data, which may take minutes to read.
    config.check(usize::MAX).map_err(of_run_in_out)?;
    checkpoint.check_epochs(epochs).map_err(of_run_in_out)?;
    let of_record = record.data.as_ref().unwrap_or(&args.data);
    refuse_inputs(&record, &args.out)?;
    let data = read(of_record, &record.validation, &config)?;
    let (position, last) = (checkpoint.position(), checkpoint.history.last().map(|record| record.learning_rate));
    let held_out = HeldOut { validation: data.validation, test: data.test };
    let trainer = Trainer::resume(checkpoint, config, data.train, held_out).map_err(of_run_in_out)?;
    if !trainer.is_done() {
        record.made_by = None;
    }
    tell(format_args!("going on after {position}"));
    if let (true, Some(patience)) = (position.epochs < epochs && trainer.is_done(), trainer.config().patience) {
        tell(format_args!("the run has stopped early; --patience with more than {patience} goes on"));
    } else if trainer.is_done() {
        tell(format_args!("all epochs of the run are done; --epochs with more than {epochs} adds some"));
    } else if let (Decay::Cosine, true, Some(last)) = (before.schedule.decay, epochs != before.epochs, last) {
        tell(format_args!(
            "the cosine now ends after epoch {epochs}, not {}: the learning rate goes on at {:.1e}, after {last:.1e}",
            before.epochs,
            trainer.next_learning_rate()?
        ));
    }
    Ok(train(trainer, data.unseen, &record, &args.out)?)
}

impl Args {
    /// The configuration of a run that begins, with a model if with one.
    pub fn new_config(&self, model: Option<&Model>) -> Result<TrainConfig> {
        let config = match (&self.head, model) {
            (None, Some(model)) => {
                let given = self.head_args.given().first().map(|&(option, _)| option);
                given.map_or(Ok(()), |option| only_with(true, option, false, "--head"))?;
                self.train.config_from(model.head.clone(), model)
            }
            (Some(name), Some(model)) => self.train.config_from(head(name, borrowed(self.head_args.given()))?, model),
            // Only what goes on can do without a head.
            (name, None) => {
                let name = name.as_deref().unwrap_or_default();
                self.train.config(head(name, borrowed(self.head_args.given()))?)
            }
        }?;
        self.validation.check(config.epochs)?;
        Ok(TrainConfig { patience: self.validation.patience, ..config })
    }
}

/// Refuses data that the run in `out` would replace.
fn refuse_inputs(record: &RunRecord, out: &Path) -> Result<()> {
    let data = record.data.iter().flat_map(DataArgs::files).chain(record.validation.files()).collect::<Vec<_>>();
    outputs::refuse_inputs(RUN_FILES.map(|name| out.join(name)), &data)
}

fn read(data: &DataArgs, validation: &ValidationArgs, config: &TrainConfig) -> Result<Data> {
    let data = validation.hold_out(data.read()?, config.seed)?;
    tell(data.describe());
    remark_on_frozen_features(&data, config.embedder.is_some());
    Ok(data)
}

fn train(trainer: Trainer, unseen: Option<Dataset>, record: &RunRecord, out: &Path) -> Result<()> {
    let name = trainer.model().head.name();
    let trainer = train_to_end(name, trainer, out, record).inspect_err(|error| {
        let newest = RunDirectory::newest_position(out).ok().flatten();
        if let (Some(position), true) = (newest, is_of_files(error)) {
            complain(format_args!(
                "the run has come to {position}; once that is mended, {} goes on",
                resumption_of(out)
            ));
        }
    })?;
    tell_best(&trainer);
    if let Some(unseen) = unseen {
        let measures = retrieve(trainer.best_model(), &unseen, out)?;
        tell(format_args!("\n{}\n", open_set::text(&measures)));
    }
    tell(format_args!("run in {}", out.display()));
    Ok(())
}

/// Says which epoch is the run's result and at which temperature, where validation rows say so.
fn tell_best(trainer: &Trainer) {
    let history = trainer.history();
    let Some(best) = best_epoch(history) else { return };
    let record = &history[best - 1];
    let figures = |name: &str, loss: Option<f64>, accuracy: Option<f64>| match (loss, accuracy) {
        (Some(loss), Some(accuracy)) => format!("  {name} {} {accuracy:.4}", figure(loss)),
        _ => String::new(),
    };
    tell(format_args!(
        "epoch {best} of {} is the best on the validation rows, and the run's result:{}{}",
        history.len(),
        figures("validation", record.validation_loss, record.validation_accuracy),
        figures("test", record.test_loss, record.test_accuracy)
    ));
    if let Some(temperature) = trainer.best_model().temperature {
        tell(format_args!(
            "its probabilities are those at {}, the temperature at which the validation rows' labels are likeliest",
            of_temperature(temperature)
        ));
    }
}

/// Runs all epochs that are left, reports each under `name`, and leaves the run in `out`.
pub(super) fn train_to_end(name: &str, mut trainer: Trainer, out: &Path, record: &RunRecord) -> Result<Trainer> {
    let mut directory = RunDirectory::create(out, record.keep, trainer.checkpoint())?;
    directory.further_file(RunRecord::FILE);
    let outcome = record.write(out).and_then(|()| run_epochs(name, &mut trainer, &mut directory, out, record));
    if outcome.is_err() {
        directory.discard();
    }
    outcome?;
    if has_logs(out) {
        training_plot::draw(out, name)?;
    }
    Ok(trainer)
}

/// [`train_to_end`] in a directory that is there.
fn run_epochs(
    name: &str,
    trainer: &mut Trainer,
    directory: &mut RunDirectory,
    out: &Path,
    record: &RunRecord,
) -> Result<()> {
    if let Some(first) = directory.lost_epochs().first() {
        let (count, logs) = (counted(directory.lost_epochs().len(), "epoch"), "iterations.csv or target_angles.csv");
        complain(format_args!(
            "{}: {logs} have not all rows of {count}, {first} the first: a power cut takes what is not on disk yet",
            out.display()
        ));
    }
    let report = Report::new(name, trainer.config().epochs);
    let mut said_bound = false;
    let mut since_checkpoint = SinceCheckpoint::begin(record.checkpoint_every);
    let mut saved = trainer.checkpoint().position();
    let training = Training::begin();
    while !trainer.is_done() {
        let epoch = trainer.run_epoch_or_pause(|progress| {
            report.batch(progress);
            match training.interrupted_by().is_some() || since_checkpoint.is_due() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let epoch = match epoch {
            Ok(epoch) => epoch,
            // Data that cannot be read any more take nothing from what was trained before.
            Err(error) => {
                if is_of_files(&error) && trainer.checkpoint().position() > saved {
                    directory.save(trainer.checkpoint()).unwrap_or_else(complain);
                }
                return Err(error);
            }
        };
        if let Some(epoch) = epoch {
            report.epoch(epoch);
            since_checkpoint.epoch();
            directory.log_epoch(trainer.checkpoint(), trainer.epoch_log())?;
        }
        if let (Some(bound), false) = (bound_reached(trainer.config(), trainer), said_bound) {
            report.remark(&format!(
                "the scale has reached its bound, {}; see --max-scale and --transform centre",
                number(bound)
            ));
            said_bound = true;
        }
        // Asked once: a signal between saving and stopping would stop without saving.
        let signal = training.interrupted_by();
        if signal.is_some() || trainer.is_done() || since_checkpoint.is_due() {
            directory.save(trainer.checkpoint())?;
            saved = trainer.checkpoint().position();
            since_checkpoint = SinceCheckpoint::begin(record.checkpoint_every);
        }
        // After the last epoch there is nothing to go on with.
        if let (Some(signal), false) = (signal, trainer.is_done()) {
            stop(signal, &report, trainer, out, record);
        }
    }
    if let (Some(patience), true) = (trainer.config().patience, trainer.history().len() < trainer.config().epochs) {
        report.remark(&format!("no epoch of the last {patience} was better on the validation rows: training stops"));
    }
    report.finish();
    // All is saved, so that a signal may end the program from here on.
    drop(training);
    fit_temperature(trainer, directory)
}

/// Fits the temperature of a run that is done, where it has validation rows, and leaves it in the last checkpoint.
fn fit_temperature(trainer: &mut Trainer, directory: &mut RunDirectory) -> Result<()> {
    let before = trainer.best_model().temperature;
    match trainer.fit_temperature() {
        Err(error @ Error::NotDefined { .. }) => {
            complain(format_args!("{error}: probabilities are those of the logits as they are"));
        }
        fitted => drop(fitted?),
    }
    if trainer.best_model().temperature != before { directory.save(trainer.checkpoint()) } else { Ok(()) }
}

/// Ends the program after a signal, once a checkpoint is written.
fn stop(signal: i32, report: &Report, trainer: &Trainer, out: &Path, record: &RunRecord) -> ! {
    report.finish();
    let goes_on = match (&record.data, record.made_by) {
        (Some(_), None) => format!("{} goes on from there", resumption_of(out)),
        // Whatever made it for itself begins it anew.
        (_, made_by) => {
            let anew = match made_by {
                Some(MadeBy::Comparison) => ", and the same command trains all heads anew",
                Some(MadeBy::Search) => ", and the search with --resume trains it anew",
                None => "",
            };
            format!("the checkpoint is in {}{anew}", out.display())
        }
    };
    complain(format_args!("interrupted after {}; {goes_on}", trainer.checkpoint().position()));
    std::process::exit(interrupt::exit_status(signal))
}

/// The command that goes on with a run.
fn resumption_of(out: &Path) -> String {
    format!("`{} train --out {} --resume`", program(), shell::word(out))
}

/// Whether files ended training: with better ones it can go on.
fn is_of_files(error: &Error) -> bool {
    match error {
        Error::Training { cause, .. } => is_of_files(cause),
        other => matches!(other, Error::File { .. } | Error::Io { .. }),
    }
}

/// The largest scale of a head whose scale follows the batch, if that is where it is.
fn bound_reached(config: &TrainConfig, trainer: &Trainer) -> Option<f64> {
    let Scale::AdaCos { max: Some(bound) } = config.head.scale() else { return None };
    let scale = *trainer.model().parameters.state.get("scale")?;
    (scale >= f64::from(bound as f32)).then_some(bound)
}

/// Says that nothing is learned for an open set where nothing is trained but the head.
pub(super) fn remark_on_frozen_features(data: &Data, has_embedder: bool) {
    if data.unseen.is_some() && !has_embedder {
        tell("without --embed the features stay where they are, and retrieve as well as before");
    }
}

/// Says that few rows tell whitening little, where they are few.
pub(super) fn remark_on_few_rows(trainer: &Trainer) {
    let TransformKind::Whiten { ridge: 0.0, .. } = trainer.config().transform else { return };
    let (dimensions, rows) = (trainer.model().transform.dimension(0), trainer.checkpoint().train_rows);
    if rows < ROWS_A_DIMENSION * dimensions {
        complain(format_args!(
            "whitening to {} by {}, fewer than {ROWS_A_DIMENSION} each: the last dimensions are mostly noise; see --ridge and \
             --dimensions",
            counted(dimensions, "dimension"),
            counted(rows, "training row")
        ));
    }
}

/// Measures a model on rows of classes that it was not trained on, and leaves `open_set.json` and `open_set.png` in its run directory.
pub(super) fn retrieve(model: &Model, unseen: &Dataset, directory: &Path) -> Result<OpenSet> {
    let embeddings = model.embeddings(&unseen.features);
    let embeddings = embeddings.map_err(|error| unseen.located(error, "features", |row| row))?;
    let measures = open_set::measure_unseen(embeddings.view(), unseen)?;
    atomic_file::write(&directory.join("open_set.json"), |file| {
        Ok(serde_json::to_writer_pretty(file, &open_set::json(&measures))?)
    })?;
    let title = format!(
        "{}: {} of {}",
        model.head.name(),
        counted(measures.rows, "row"),
        counted(measures.classes, "unseen class")
    );
    open_set::draw_one(&directory.join("open_set.png"), &title, &measures)?;
    Ok(measures)
}
