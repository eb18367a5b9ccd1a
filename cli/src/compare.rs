//! `arcos compare`

use super::baselines::{self, Baselines};
use super::class_report;
use super::comparison::Comparison;
use super::data_args::{Data, DataArgs};
use super::failure::Failure;
use super::head_args::HeadArgs;
use super::head_specs::named_heads;
use super::run_record::{MadeBy, RunRecord};
use super::table::{Outcome, RunOutcome, open_set_table, table};
use super::train::{remark_on_few_rows, remark_on_frozen_features, retrieve, train_to_end};
use super::train_args::TrainArgs;
use super::{comparison_plot, complain, only_with, open_set, outputs, plot, tell, verdicts};
use arcos::data::{ClassTable, Dataset, Transform, TransformKind, cub};
use arcos::train::{TrainConfig, Trainer};
use arcos::{AnyHead, Error, Result};
use std::path::{Path, PathBuf};

/// The heads of the Keras project that this one follows.
pub(super) const CLASSIC_HEADS: [&str; 5] = ["softmax", "l2-softmax", "fixed-adacos", "adacos", "arcface"];

/// The heads that are compared unless others are named.
const DEFAULT_HEADS: [&str; 7] =
    ["softmax", "l2-softmax", "norm-softmax", "fixed-adacos", "adacos", "cosface", "arcface"];

/// What suits features that do not move, for the default heads: the papers' settings ask for a network that learns.
const OF_FROZEN_FEATURES: [(&str, &str); 2] = [("margin", "0.1"), ("scale", "16")];

/// What a comparison leaves besides runs.
const FIGURE: &str = "result.png";
const TABLE: &str = "table.csv";
const OPEN_SET_FIGURE: &str = "open_set.png";

/// Arguments of `arcos compare`.
#[derive(clap::Args)]
#[command(after_help = "\
A head is a name and, after colons, options of its own: arcface:margin=0.1:past-pi=easy. An option given as an argument \
goes to every head that has it. Heads that need more classes than there are, are left out. Leaves result.png, table.csv, comparison.json and a run for each head and seed in the output directory; with --open-set also open_set.png; where there are test rows \
also class_accuracy.csv, and confusions.png of the classes that are most often taken for each other.

The column \"vs best\" has how likely a difference from the best at least as large is by chance, by an exact sign test on the test rows with Holm's correction \
for the number of heads; = marks those that the test rows do not tell from the best. Baselines are classifiers of the same transformed features: the nearest class mean \
and a vote of the nearest rows, by angle, and logistic regression; what there is to choose in them is chosen on the training rows.

Examples:
  arcos compare --data DIR
  arcos compare --data features --cub CUB_200_2011
  arcos compare --data DIR --heads all --scale 32 --epochs 60 --out by-head
  arcos compare --data DIR --heads arcface:margin=0.05,arcface:margin=0.1,arcface:margin=0.5 --scale 32
  arcos compare --data DIR --heads norm-softmax,adacos --transform none
  arcos compare --data DIR --heads norm-softmax,cosface:margin=0.1 --scale 16 --seeds 5
  arcos compare --data DIR --open-set --embed 512 --optimizer sgd --scale 16")]
pub(super) struct Args {
    #[arg(long, value_name = "HEAD[:OPTION=VALUE]...", value_delimiter = ',')]
    #[arg(help = heads_help())]
    heads: Option<Vec<String>>,
    /// The default heads with their papers' scales and margins, rather than with those that suit frozen features: 16 and 0.1
    #[arg(long, conflicts_with = "heads")]
    paper: bool,
    /// Train each head so many times, with seeds from --seed: the table has means and standard deviations, the figure bands
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Leave out class means, nearest rows and logistic regression, which show what the features alone are worth
    #[arg(long)]
    no_baselines: bool,
    /// Where figure and runs go; what is there of an earlier comparison, as its comparison.json lists it, is replaced once all heads are
    /// trained, in DIR/unfinished until then
    #[arg(long, value_name = "DIR", default_value = "arcos-compare")]
    out: PathBuf,
    #[command(flatten)]
    head_args: HeadArgs,
    #[command(flatten)]
    data: DataArgs,
    /// CUB-200-2011, for the names of its classes [default: as --class-names]
    #[arg(long, value_name = "DIR", conflicts_with = "class_names", help_heading = "Data")]
    cub: Option<PathBuf>,
    #[command(flatten)]
    train: TrainArgs,
}

fn heads_help() -> String {
    let (names, defaults) = (AnyHead::names().collect::<Vec<_>>().join(", "), DEFAULT_HEADS.join(", "));
    format!("Heads, separated by commas, or all: {names} [default: {defaults}, with margin 0.1 and scale 16]")
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut given = args.head_args.given().to_vec();
    let names: Vec<&str> = match &args.heads {
        Some(heads) => {
            match &heads.iter().map(|spec| spec.trim()).filter(|spec| !spec.is_empty()).collect::<Vec<_>>()[..] {
                [all] if all.eq_ignore_ascii_case("all") => AnyHead::names().collect(),
                named => named.to_vec(),
            }
        }
        None => {
            let has = |given: &[(&str, String)], option| given.iter().any(|(name, _)| *name == option);
            for (option, value) in OF_FROZEN_FEATURES.into_iter().filter(|_| !args.paper) {
                if !has(&given, option) {
                    given.push((option, value.into()));
                }
            }
            DEFAULT_HEADS.to_vec()
        }
    };
    let heads = named_heads(&names, &given)?;
    if args.train.seed.checked_add(args.seeds - 1).is_none() {
        let (value, expected) = (args.train.seed.to_string(), format!("at most 2^64 - {}", args.seeds));
        return Err(Error::Setting { name: "seed", value, expected }.into());
    }
    let with_config = |(name, head)| Ok((name, args.train.config(head)?));
    let configs = heads.into_iter().map(with_config).collect::<Result<Vec<_>>>()?;
    outputs::check_places(&args.out, &[])?;
    let data = args.data.read()?;
    only_with(args.cub.is_some(), "--cub", data.test.is_some(), "test rows")?;
    let data = match &args.cub {
        Some(cub) => {
            data.with_class_names(&cub::read_classes(cub)?, &cub.join("classes.txt"), args.data.labels_start)?
        }
        None => data,
    };
    let title = data.describe();
    tell(&title);
    remark_on_frozen_features(&data, args.train.embed.embed.is_some());
    let plan = Plan { configs, seeds: args.seeds, has_baselines: !args.no_baselines };
    compare(plan, &data, Some(&args.data), &args.out, &title, Some(data.train.class_table())).map_err(|failure| {
        match failure {
            Failure::Library(error) => args.train.objective.located(error).into(),
            other => other,
        }
    })
}

/// What is compared.
pub(super) struct Plan {
    /// By name.
    pub configs: Vec<(String, TrainConfig)>,
    /// How often each is trained, the seed one higher each time.
    pub seeds: u64,
    /// Whether classifiers that are no heads are beside them.
    pub has_baselines: bool,
}

impl Plan {
    /// The runs of a head, each by the name that its directory is called after.
    fn runs<'a>(
        &self,
        name: &'a str,
        config: &'a TrainConfig,
    ) -> impl Iterator<Item = (String, TrainConfig)> + use<'a> {
        let seeds = self.seeds;
        (0..seeds).map(move |number| {
            let config = TrainConfig { seed: config.seed + number, ..config.clone() };
            let name = if seeds == 1 { name.to_owned() } else { format!("{name}:seed={}", config.seed) };
            (name, config)
        })
    }
}

/// Trains each configuration on the same data, prints the table, draws the figure; reports on unseen classes where there are some, and on
/// single `classes`, if on any. Heads that cannot be with so few classes are left out; those whose training fails are reported
/// beside the others. The `files` that the data are from, if from any, are not replaced.
///
/// # Errors
/// What is wrong with the settings, the data or the directory; [`Failure::HeadsFailed`] where heads failed, once the others are compared.
pub(super) fn compare(
    plan: Plan,
    data: &Data,
    files: Option<&DataArgs>,
    out: &Path,
    title: &str,
    classes: Option<&ClassTable>,
) -> Result<(), Failure> {
    let Data { train, test, unseen, .. } = data;
    let test = test.as_ref();
    let Possible { plan, left_out } = possible(plan, train.classes())?;
    let classes = classes.filter(|_| test.is_some());
    let of_unseen = unseen.iter().map(|_| OPEN_SET_FIGURE);
    let of_classes = classes.iter().flat_map(|_| class_report::FILES);
    let figures: Vec<&str> = [FIGURE, TABLE].into_iter().chain(of_unseen).chain(of_classes).collect();
    let runs: Vec<_> = plan.configs.iter().flat_map(|(name, config)| plan.runs(name, config)).collect();
    let of_runs: Vec<_> = runs.iter().map(|(name, _)| name.as_str()).collect();
    let inputs = files.map(DataArgs::files).unwrap_or_default();
    let mut comparison = Comparison::begin(out, &of_runs, &figures, &inputs)?;
    let transform = plan.configs.first().map_or(TransformKind::None, |(_, config)| config.transform);
    let features = unseen.as_ref().map(|unseen| {
        let features = Transform::fit(transform, &train.rows_that_count()?.features)?.apply_to_all(&unseen.features)?;
        open_set::measure_unseen(features.view(), unseen)
    });
    let features = features.transpose()?;

    let record = RunRecord::made_by(MadeBy::Comparison, files.cloned());
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut failed: Vec<(String, Error)> = Vec::new();
    for (name, config) in &plan.configs {
        let mut of_head = Vec::new();
        for (run_name, config) in plan.runs(name, config) {
            let run = comparison.run(&run_name);
            let trainer = Trainer::new(config, train.clone(), test.cloned());
            if of_head.is_empty() && outcomes.is_empty() && failed.is_empty() {
                // What the first cannot begin with, none can.
                let Ok(trainer) = &trainer else { return Ok(trainer.map(|_| ())?) };
                comparison.start()?;
                remark_on_few_rows(trainer);
            }
            let outcome = trainer.and_then(|trainer| {
                let trainer = train_to_end(&run_name, trainer, &run, &record)?;
                let test_of_classes = test.filter(|_| classes.is_some());
                measured(&trainer, test, test_of_classes, unseen.as_ref(), &run)
            });
            match outcome {
                Ok(outcome) => of_head.push(outcome),
                Err(error) => {
                    complain(format_args!("{run_name} failed: {error}"));
                    failed.push((run_name, error));
                }
            }
        }
        if !of_head.is_empty() {
            outcomes.push(Outcome { name: name.clone(), head: config.head.clone(), runs: of_head });
        }
    }
    if outcomes.is_empty() {
        if let Some(place) = comparison.unfinished() {
            complain(format_args!("what the heads left is in {}, until the next comparison", place.display()));
        }
        return Err(runs_failed(failed, runs.len()));
    }
    let baselines = match test.filter(|_| plan.has_baselines) {
        Some(test) => Baselines::fit(train, test, transform)?,
        None => Baselines::default(),
    };
    let finished = comparison.finish();
    if let (Err(_), Some(place)) = (&finished, comparison.unfinished()) {
        complain(format_args!("the heads are trained; they are in {}, until the next comparison", place.display()));
    }
    finished?;
    let failures = failed.iter().map(|(name, error)| (name.as_str(), format!("failed: {error}")));
    let left_out = left_out.iter().map(|(name, reason)| (name.as_str(), format!("left out: {reason}")));
    let others: Vec<_> = failures.chain(left_out).chain(baselines.left_out).collect();
    let standings = verdicts::standings_of(&outcomes, &baselines.done);
    tell(format_args!("\n{title}\n\n{}", table(&outcomes, &baselines.done, &standings, &others)));
    if let Some(test) = test {
        tell(format_args!("\n{}", verdicts::explained(test, &standings, plan.seeds)));
    }
    verdicts::still_learning(&outcomes).iter().for_each(tell);
    verdicts::write_csv(&out.join(TABLE), &outcomes, &baselines.done, &standings)?;
    if let Some(features) = &features {
        tell(format_args!("\nOn classes that were not trained on\n\n{}", open_set_table(&outcomes, features)));
        let of_heads = outcomes
            .iter()
            .filter_map(|outcome| Some((outcome.name.as_str(), outcome.runs.first()?.open_set.as_ref()?)));
        let measured: Vec<_> = of_heads.chain([("(features)", features)]).collect();
        open_set::draw_several(&out.join(OPEN_SET_FIGURE), title, &measured)?;
    }
    let figure = out.join(FIGURE);
    plot::draw(&figure, title, &comparison_plot::panels(&outcomes))?;
    tell(format_args!("\nfigure in {}, table in {}", figure.display(), out.join(TABLE).display()));
    classes.map_or(Ok(()), |classes| class_report::report(classes, &outcomes, out))?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(runs_failed(failed, runs.len())),
    }
}

/// What is looked at of a run that has come to its end.
fn measured(
    trainer: &Trainer,
    test: Option<&Dataset>,
    test_of_classes: Option<&Dataset>,
    unseen: Option<&Dataset>,
    run: &Path,
) -> Result<RunOutcome> {
    let model = trainer.model();
    let right = test.map(|test| {
        let labels = test.labels_as(&model.class_table)?;
        Ok::<_, Error>(baselines::right(labels.view(), &model.predictions(test)?))
    });
    Ok(RunOutcome {
        history: trainer.history().to_vec(),
        right: right.transpose()?,
        confusion: test_of_classes.map(|test| model.confusion(test)).transpose()?,
        open_set: unseen.map(|unseen| retrieve(model, unseen, run)).transpose()?,
    })
}

fn runs_failed(failed: Vec<(String, Error)>, runs: usize) -> Failure {
    Failure::HeadsFailed { failed: failed.into_iter().map(|(name, _)| name).collect(), heads: runs }
}

/// What can be trained, and what cannot with so few classes, with the reason.
struct Possible {
    plan: Plan,
    left_out: Vec<(String, Error)>,
}

/// Checks every configuration before the first of them is trained.
fn possible(plan: Plan, classes: usize) -> Result<Possible> {
    let (mut configs, mut left_out) = (Vec::new(), Vec::new());
    for (name, config) in plan.configs {
        match config.check(classes) {
            Ok(()) => configs.push((name, config)),
            Err(reason @ Error::TooFewClasses { .. }) => {
                complain(format_args!("{name} is left out: {reason}"));
                left_out.push((name, reason));
            }
            Err(error) => return Err(error),
        }
    }
    if configs.is_empty() {
        let (_, reason) = left_out.swap_remove(0);
        return Err(reason);
    }
    Ok(Possible { plan: Plan { configs, ..plan }, left_out })
}
