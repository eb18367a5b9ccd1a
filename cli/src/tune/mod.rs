//! `arcos tune`

mod former_run;
mod heat_map;
mod record;
mod report;
mod space;

use super::checkpoint_every::CheckpointEvery;
use super::data_args::{Data, DataArgs, FILES};
use super::failure::Failure;
use super::interrupt::{self, Training};
use super::run_record::RunRecord;
use super::train::train_to_end;
use super::train_args::at_least_one;
use super::{complain, outputs, tell};
use arcos::data::Dataset;
use arcos::files::{NewPlaces, directory_lock::lock};
use arcos::metrics::significance::standard_error;
use arcos::train::{Search, SearchResult, Trainer, Trial};
use arcos::wording::counted;
use arcos::{Error, Result, shell};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use record::Record;
use space::{Candidate, SpaceArgs};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The run of what was chosen, in the output directory.
const RUN: &str = "run";

/// Arguments of `arcos tune`.
#[derive(clap::Args)]
#[command(after_help = "\
Every combination is trained on four fifths of the training rows and tried on the others; the best third goes on to further folds, until a few have been \
tried on all folds of all repeats. The simplest of those within one standard error of the best is chosen and trained on all training rows; only then are test \
rows looked at, once. Combinations are the simpler the earlier their head, margin, scale, transform, steps and rate are in the lists.

Leaves search.json (every trial; --resume goes on from it after Ctrl-C or --budget), candidates.csv, scale_margin.png and run/, the run of what was chosen, as `arcos train` \
leaves it.

Examples:
  arcos tune --data DIR
  arcos tune --data DIR --budget 2min
  arcos tune --data DIR --heads norm-softmax,cosface --scales 16,32,64 --margins 0.05,0.1 --steps 3000
  arcos tune --data DIR --resume --budget 10min")]
pub(super) struct Args {
    /// Folds of training rows
    #[arg(long, value_name = "N", default_value_t = 5)]
    folds: usize,
    /// How often rows are drawn into folds anew
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    repeats: usize,
    /// Stop after so much time (90s, 2min, 1h) and choose among what has been tried
    #[arg(long, value_name = "TIME", value_parser = budget)]
    budget: Option<f64>,
    /// Seed of folds, first weights and orders of rows
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go on with the search in the output directory
    #[arg(long)]
    resume: bool,
    /// Where all goes
    #[arg(long, value_name = "DIR", default_value = "arcos-tune")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    space: SpaceArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let search = Search { folds: args.folds, repeats: args.repeats, seed: args.seed, ..Search::default() };
    if args.data.open_set {
        let (value, expected) =
            ("given".into(), "none: candidates are told apart by the accuracy on their own classes".into());
        return Err(Error::Setting { name: "--open-set", value, expected }.into());
    }
    let files = report::FILES.map(|name| args.out.join(name));
    outputs::refuse_inputs(files.iter().chain([&args.out.join(RUN)]), &args.data.files())?;
    outputs::refuse_others(&files[0], &Record::KEYS, &files)?;
    outputs::check_places(&args.out, &files)?;
    let Data { train, test, .. } = args.data.read()?;
    let candidates = args.space.candidates(train.rows() - train.unlabelled_rows(), args.seed)?;
    let mut new = NewPlaces::default();
    new.directory(&args.out)?;
    let _lock = lock(&args.out)?;
    let begun = Record::begin(&args.out, &search, &train, &candidates, args.resume);
    let (mut record, known) = begun.inspect_err(|_| new.remove())?;
    former_run::check(&args.out.join(RUN), record.run_epochs())?;
    tell(format_args!(
        "{}: {} to be tried, {} trainings at most",
        counted(train.rows(), "training row"),
        counted(candidates.len(), "combination"),
        search.trainings(candidates.len())
    ));
    let found = try_all(args, &search, &candidates, &train, &known, &mut record);
    match args.out.join(Record::FILE).exists() {
        true => new.keep(),
        false => new.remove(),
    }
    let found = found?;
    report::leave(&args.out, &candidates, &found)?;
    tell(report::text(&candidates, &found));
    let chosen = &candidates[found.chosen];
    former_run::remove(&args.out.join(RUN), record.run_epochs())?;
    record.leaves_run(chosen.config.epochs)?;
    refit(args, chosen, train, test.as_ref())
}

/// The search itself, with its progress; a signal ends the program.
fn try_all(
    args: &Args,
    search: &Search,
    candidates: &[Candidate],
    train: &Dataset,
    known: &[Trial],
    record: &mut Record,
) -> Result<SearchResult, Failure> {
    let configs: Vec<_> = candidates.iter().map(|candidate| candidate.config.clone()).collect();
    let bar = std::io::stdout().is_terminal().then(|| {
        let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len}  {elapsed}  {msg}")
            .expect("the template is well-formed")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(
            Some(search.trainings(candidates.len()) as u64),
            ProgressDrawTarget::stdout(),
        );
        bar.with_style(style).with_position(known.len() as u64)
    });
    let (begin, training) = (Instant::now(), Training::begin());
    let deadline = args.budget.map(|seconds| begin + Duration::from_secs_f64(seconds));
    let mut best: Option<(f64, usize)> = None;
    let mut unwritten = Ok(());
    let found = search.run(&configs, train, known, |trial| {
        if unwritten.is_ok() {
            unwritten = record.add(trial, &candidates[trial.candidate]);
        }
        let accuracy = trial.right as f64 / trial.rows as f64;
        if best.is_none_or(|(most, _)| accuracy > most) {
            best = Some((accuracy, trial.candidate));
        }
        if let (Some(bar), Some((accuracy, candidate))) = (&bar, best) {
            bar.inc(1);
            bar.set_message(format!("best of one fold {accuracy:.4}: {}", candidates[candidate].head));
        }
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match unwritten.is_err() || is_late || training.interrupted_by().is_some() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    unwritten?;
    record.write_rest()?;
    if let Some(signal) = training.interrupted_by() {
        complain(format_args!("interrupted; `{} --resume` goes on", shell_command()));
        std::process::exit(interrupt::exit_status(signal));
    }
    let found = found?;
    let seconds = begin.elapsed().as_secs_f64();
    let splits = found.scores.first().map_or(0, |score| score.splits);
    if deadline.is_some() && splits < search.folds {
        complain(format_args!(
            "the budget was spent when candidates had been tried on {} of {}: the choice is a guess; --resume with more goes on",
            counted(splits, "fold"),
            search.folds * search.repeats
        ));
    }
    let trials: usize = found.scores.iter().map(|score| score.splits).sum();
    tell(format_args!("{} in {seconds:.1} s", counted(trials - known.len().min(trials), "training")));
    Ok(found)
}

/// The command as it was given.
fn shell_command() -> String {
    let words: Vec<String> =
        std::env::args_os().map(|word| shell::word(word.as_ref())).filter(|word| word != "--resume").collect();
    words.join(" ")
}

/// Trains what was chosen on all rows, and looks at the test rows.
fn refit(args: &Args, chosen: &Candidate, train: Dataset, test: Option<&Dataset>) -> Result<(), Failure> {
    let out = args.out.join(RUN);
    let record =
        RunRecord { data: Some(training_rows(&args.data)), keep: 1, checkpoint_every: CheckpointEvery::default() };
    let trainer = train_to_end(&chosen.head, Trainer::new(chosen.config.clone(), train, None)?, &out, &record)?;
    tell(format_args!("trained on all training rows: {}", out.display()));
    if let Some(test) = test {
        let evaluation = trainer.model().evaluate(test)?;
        tell(format_args!(
            "{}, looked at once: accuracy {:.4} (standard error {:.4})",
            counted(evaluation.rows, "test row"),
            evaluation.accuracy,
            standard_error(evaluation.accuracy, evaluation.rows)
        ));
    }
    let program = std::env::args_os().next().map_or_else(|| "arcos".into(), |program| shell::word(program.as_ref()));
    tell(format_args!("the same by hand:\n  {program} train {}{}", chosen.options, data_options(&args.data)));
    Ok(())
}

/// The training rows alone.
fn training_rows(data: &DataArgs) -> DataArgs {
    let [features, labels, ..] = FILES;
    let of_directory = |name: &str| data.data.as_ref().map(|directory| directory.join(name));
    DataArgs {
        data: None,
        train_features: of_directory(features).or(data.train_features.clone()),
        train_labels: of_directory(labels).or(data.train_labels.clone()),
        test_features: None,
        test_labels: None,
        ..data.clone()
    }
}

/// The options that say where the data are.
fn data_options(data: &DataArgs) -> String {
    let files = [
        ("data", &data.data),
        ("train-features", &data.train_features),
        ("train-labels", &data.train_labels),
        ("test-features", &data.test_features),
        ("test-labels", &data.test_labels),
        ("sample-weights", &data.sample_weights),
        ("class-names", &data.class_names),
    ];
    let files = files.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?)));
    let files = files.map(|(name, path): (&str, &Path)| format!(" --{name} {}", shell::word(path)));
    files.chain(data.labels_start.map(|start| format!(" --labels-start {start}"))).collect()
}

/// Seconds, of a time such as `2min`.
fn budget(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(CheckpointEvery::Seconds(seconds)) => Ok(seconds),
        _ => Err("expected a time such as 90s, 10min or 2h".into()),
    }
}
