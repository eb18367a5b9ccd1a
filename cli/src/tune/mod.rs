//! `arcos tune`

mod heat_map;
mod record;
mod report;
mod space;

use super::checkpoint_every::CheckpointEvery;
use super::data_args::{Data, DataArgs, FILES};
use super::failure::Failure;
use super::former_run::FormerRun;
use super::given::Given;
use super::interrupt::{self, Training};
use super::run_record::{MadeBy, RunRecord};
use super::train::train_to_end;
use super::train_args::at_least_one;
use super::{complain, outputs, program, tell};
use arcos::data::Dataset;
use arcos::files::{NewPlaces, directory_lock::lock};
use arcos::metrics::significance::standard_error;
use arcos::train::{Search, SearchResult, TrainConfig, Trainer, Trial};
use arcos::wording::counted;
use arcos::{Error, Head, Result, shell};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use record::Record;
use space::{Candidate, SpaceArgs};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
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
    #[command(flatten)]
    given: Given,
    /// Folds of training rows
    #[arg(long, value_name = "N", default_value_t = 5)]
    folds: usize,
    /// How often rows are drawn into folds anew
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    repeats: usize,
    /// Stop after so much time (90s, 2min, 1h) and choose among what has been tried
    #[arg(long, value_name = "TIME", value_parser = budget)]
    budget: Option<Duration>,
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
    args.space.check_given(&args.given)?;
    let files = report::FILES.map(|name| args.out.join(name));
    outputs::refuse_inputs(files.iter().chain([&args.out.join(RUN)]), &args.data.files())?;
    outputs::refuse_others(&files[0], &Record::KEYS, &files)?;
    outputs::check_places(&args.out, &files)?;
    let Data { train, test, .. } = args.data.read()?;
    let candidates = args.space.candidates(&train, args.seed)?;
    search.check(candidates.len())?;
    test.as_ref().map_or(Ok(()), |test| check_test(test, &train, &candidates))?;
    let mut new = NewPlaces::default();
    new.directory(&args.out)?;
    let _lock = lock(&args.out)?;
    let begun = Record::begin(&args.out, &search, &train, &candidates, args.resume);
    let (mut record, known) = begun.inspect_err(|_| new.remove())?;
    former_run(args, &record)?;
    tell(format_args!(
        "{}: {} to be tried, {} trainings at most",
        counted(train.rows(), "training row"),
        counted(candidates.len(), "combination"),
        search.trainings(candidates.len())
    ));
    let found = try_all(args, &search, &candidates, &train, &known, &mut record, &mut new);
    match args.out.join(Record::FILE).exists() {
        true => new.keep(),
        false => new.remove(),
    }
    let found = found?;
    report::leave(&args.out, &candidates, &found)?;
    tell(report::text(&candidates, &found));
    let chosen = &candidates[found.chosen];
    if let Some(run) = former_run(args, &record)? {
        // It is out of the way, whatever is left of it.
        run.set_aside()?.remove().unwrap_or_else(complain);
    }
    record.leaves_run()?;
    refit(args, chosen, train, test.as_ref())
}

/// What is in the place of the search's run, if anything is: the run that an earlier end of it has left.
fn former_run(args: &Args, record: &Record) -> Result<Option<FormerRun>> {
    let run = args.out.join(RUN);
    if !record.has_run() && run.symlink_metadata().is_ok() {
        let (found, expected) = ("is in the way".into(), "nothing; another --out, or move it away".into());
        return Err(Error::File { path: run, found, expected });
    }
    FormerRun::find(&run, MadeBy::Search, &args.data.files())
}

/// Checks that every candidate can be tried on the test rows: they are looked at when all is done, and would be found unfit then.
fn check_test(test: &Dataset, train: &Dataset, candidates: &[Candidate]) -> Result<()> {
    test.check_dimension(train.dimension())?;
    let kind = |config: &TrainConfig| (config.transform, config.head.geometry().normalizes_features());
    let mut checked = Vec::new();
    for config in candidates.iter().map(|candidate| &candidate.config) {
        if !checked.contains(&kind(config)) {
            checked.push(kind(config));
            Trainer::new(config.clone(), train.clone(), None)?.model().evaluate(test)?;
        }
    }
    Ok(())
}

/// The search itself, with its progress; a signal ends the program.
fn try_all(
    args: &Args,
    search: &Search,
    candidates: &[Candidate],
    train: &Dataset,
    known: &[Trial],
    record: &mut Record,
    new: &mut NewPlaces,
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
    let deadline = args.budget.and_then(|budget| begin.checked_add(budget));
    let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let mut best: Option<(f64, usize)> = None;
    let (mut unwritten, is_unwritten) = (Ok(()), AtomicBool::new(false));
    let (mut made, mut first_failure) = (0, None);
    let on_trial = |trial: Trial, failure: Option<&Error>| {
        made += 1;
        if unwritten.is_ok() {
            unwritten = record.add(trial, &candidates[trial.candidate]);
            is_unwritten.store(unwritten.is_err(), Ordering::Relaxed);
        }
        if let (Some(failure), None) = (failure, &first_failure) {
            first_failure = Some(format!("{}: {failure}", candidates[trial.candidate].options));
        }
        let accuracy = trial.accuracy();
        if best.is_none_or(|(most, _)| accuracy > most) {
            best = Some((accuracy, trial.candidate));
        }
        if let (Some(bar), Some((accuracy, candidate))) = (&bar, best) {
            bar.inc(1);
            bar.set_message(format!("best of one fold {accuracy:.4}: {}", candidates[candidate].head));
        }
    };
    let is_over = || is_unwritten.load(Ordering::Relaxed) || is_late() || training.interrupted_by().is_some();
    let found = search.run(&configs, train, known, on_trial, is_over);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    unwritten?;
    record.write_rest()?;
    if let Some(signal) = training.interrupted_by() {
        let goes_on = match record.is_empty() {
            true => {
                new.remove();
                "before a training had come to its end".into()
            }
            false => format!("`{}` goes on", shell_command()),
        };
        complain(format_args!("interrupted; {goes_on}"));
        std::process::exit(interrupt::exit_status(signal));
    }
    if is_late() && record.is_empty() {
        let expected = "time for one training at least".into();
        let value = format!("{:?}", args.budget.unwrap_or_default());
        return Err(Error::Setting { name: "--budget", value, expected }.into());
    }
    let found = found?;
    let splits = found.scores.first().map_or(0, |score| score.splits);
    if found.is_stopped {
        complain(format_args!(
            "the budget was spent when {} of {} had been tried, the best on {} of {}; --resume with more goes on",
            found.scores.len(),
            counted(candidates.len(), "combination"),
            splits,
            counted(search.folds * search.repeats, "fold")
        ));
    }
    let failed: usize = found.scores.iter().map(|score| score.failed).sum();
    if failed > 0 {
        let first = first_failure.map_or(String::new(), |failure| format!("; the first, {failure}"));
        complain(format_args!("{} failed, with nothing right{first}", counted(failed, "training")));
    }
    tell(format_args!("{} in {:.1} s", counted(made, "training"), begin.elapsed().as_secs_f64()));
    Ok(found)
}

/// The command that goes on with the search.
fn shell_command() -> String {
    let given = std::env::args_os().skip(1).filter(|word| word != "--resume").map(|word| shell::argument(&word));
    [program()].into_iter().chain(given).chain(["--resume".into()]).collect::<Vec<_>>().join(" ")
}

/// Trains what was chosen on all rows, and looks at the test rows.
fn refit(args: &Args, chosen: &Candidate, train: Dataset, test: Option<&Dataset>) -> Result<(), Failure> {
    let out = args.out.join(RUN);
    let record = RunRecord::made_by(MadeBy::Search, Some(training_rows(&args.data)));
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
    let options = format!("{}{}", chosen.options, data_options(&args.data));
    tell(format_args!("the same by hand:\n  {} train {options}", program()));
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

/// A time such as `2min`.
fn budget(text: &str) -> std::result::Result<Duration, String> {
    match text.parse() {
        Ok(CheckpointEvery::Seconds(seconds)) => {
            Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
        }
        _ => Err("expected a time such as 90s, 10min or 2h".into()),
    }
}
