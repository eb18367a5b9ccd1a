//! `arcos compare`

use super::checkpoint_every::CheckpointEvery;
use super::class_report;
use super::comparison::Comparison;
use super::data_args::{Data, DataArgs};
use super::failure::Failure;
use super::head_args::HeadArgs;
use super::head_specs::named_heads;
use super::plot::{self, Curve, Panel, X};
use super::run_record::RunRecord;
use super::table::{Outcome, open_set_table, table};
use super::train::{remark_on_few_rows, remark_on_frozen_features, retrieve, train_to_end};
use super::train_args::TrainArgs;
use super::{complain, only_with, open_set, outputs, tell};
use arcos::data::{ClassTable, Transform, cub};
use arcos::heads::Scale;
use arcos::train::{EpochRecord, TrainConfig, Trainer};
use arcos::{AnyHead, Error, Head, Result};
use std::path::{Path, PathBuf};

/// The heads that are compared unless others are named: those of the Keras project that this one follows.
pub(super) const CLASSIC_HEADS: [&str; 5] = ["softmax", "l2-softmax", "fixed-adacos", "adacos", "arcface"];

/// The figures of a comparison.
const FIGURE: &str = "result.png";
const OPEN_SET_FIGURE: &str = "open_set.png";

/// Arguments of `arcos compare`.
#[derive(clap::Args)]
#[command(after_help = "\
A head is a name and, after colons, options of its own: arcface:margin=0.1:past-pi=easy. An option given as an argument \
goes to every head that has it. Heads that need more classes than there are, are left out. Leaves result.png, comparison.json and a run for each head in the output directory; with --open-set also open_set.png; where classes have names \
also class_accuracy.csv, and confusions.png of the classes that are most often taken for each other.

Examples:
  arcos compare --data DIR
  arcos compare --data features --cub CUB_200_2011
  arcos compare --data DIR --heads all --scale 32 --epochs 60 --out by-head
  arcos compare --data DIR --heads arcface:margin=0.05,arcface:margin=0.1,arcface:margin=0.5 --scale 32
  arcos compare --data DIR --heads norm-softmax,adacos --transform none
  arcos compare --data DIR --open-set --embed 512 --optimizer sgd --scale 16")]
pub(super) struct Args {
    #[arg(long, value_name = "HEAD[:OPTION=VALUE]...", value_delimiter = ',', default_values = CLASSIC_HEADS)]
    #[arg(help = format!("Heads, separated by commas, or all: {}", AnyHead::names().collect::<Vec<_>>().join(", ")))]
    heads: Vec<String>,
    #[command(flatten)]
    head_args: HeadArgs,
    #[command(flatten)]
    data: DataArgs,
    /// CUB-200-2011, for the names of its classes [default: as --class-names]
    #[arg(long, value_name = "DIR", conflicts_with = "class_names", help_heading = "Data")]
    cub: Option<PathBuf>,
    #[command(flatten)]
    train: TrainArgs,
    /// Where figure and runs go; what is there of an earlier comparison, as its comparison.json lists it, is replaced once all heads are
    /// trained, in DIR/unfinished until then
    #[arg(long, value_name = "DIR", default_value = "arcos-compare")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let named = args.heads.iter().map(|spec| spec.trim()).filter(|spec| !spec.is_empty());
    let names: Vec<&str> = match &named.collect::<Vec<_>>()[..] {
        [all] if all.eq_ignore_ascii_case("all") => AnyHead::names().collect(),
        named => named.to_vec(),
    };
    let heads = named_heads(&names, args.head_args.given())?;
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
    let named_classes = Some(data.train.class_table()).filter(|table| table.has_names());
    compare(configs, &data, Some(&args.data), &args.out, &title, named_classes).map_err(|failure| match failure {
        Failure::Library(error) => args.train.objective.located(error).into(),
        other => other,
    })
}

/// Trains each configuration on the same data, prints the table, draws the figure; reports on unseen classes where there are some, and on
/// single classes where they have names. Heads that cannot be with so few classes are left out; those whose training fails are reported
/// beside the others. The `files` that the data are from, if from any, are not replaced.
///
/// # Errors
/// What is wrong with the settings, the data or the directory; [`Failure::HeadsFailed`] where heads failed, once the others are compared.
pub(super) fn compare(
    configs: Vec<(String, TrainConfig)>,
    data: &Data,
    files: Option<&DataArgs>,
    out: &Path,
    title: &str,
    named_classes: Option<&ClassTable>,
) -> Result<(), Failure> {
    let Data { train, test, unseen } = data;
    let test = test.as_ref();
    let Possible { configs, left_out } = possible(configs, train.classes())?;
    let named_classes = named_classes.filter(|_| test.is_some());
    let of_unseen = unseen.iter().map(|_| OPEN_SET_FIGURE);
    let of_classes = named_classes.iter().flat_map(|_| class_report::FILES);
    let figures: Vec<&str> = [FIGURE].into_iter().chain(of_unseen).chain(of_classes).collect();
    let of_heads: Vec<_> = configs.iter().map(|(name, config)| (name.as_str(), config.epochs)).collect();
    let heads = of_heads.len();
    let inputs = files.map(DataArgs::files).unwrap_or_default();
    let mut comparison = Comparison::begin(out, &of_heads, &figures, &inputs)?;
    let features = unseen.as_ref().zip(configs.first()).map(|(unseen, (_, config))| {
        let transform = Transform::fit(config.transform, &train.features)?;
        let features = transform.apply_to_all(&unseen.features)?;
        open_set::measure_unseen(features.view(), unseen)
    });
    let features = features.transpose()?;

    let record = RunRecord { data: files.cloned(), keep: 1, checkpoint_every: CheckpointEvery::default() };
    let mut outcomes = Vec::new();
    let mut failed: Vec<(String, Error)> = Vec::new();
    for (name, config) in configs {
        let (run, head) = (comparison.run(&name), config.head.clone());
        let trainer = Trainer::new(config, train.clone(), test.cloned());
        if outcomes.is_empty() && failed.is_empty() {
            // What the first cannot begin with, none can.
            let Ok(trainer) = &trainer else { return Ok(trainer.map(|_| ())?) };
            comparison.start()?;
            remark_on_few_rows(trainer);
        }
        let train_and_measure = || {
            let trainer = train_to_end(&name, trainer?, &run, &record)?;
            let test_of_classes = test.filter(|_| named_classes.is_some());
            let confusion = test_of_classes.map(|test| trainer.model().confusion(test)).transpose()?;
            let open_set = unseen.as_ref().map(|unseen| retrieve(trainer.model(), unseen, &run)).transpose()?;
            Ok(Outcome { name: name.clone(), head, history: trainer.history().to_vec(), confusion, open_set })
        };
        match train_and_measure() {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                complain(format_args!("{name} failed: {error}"));
                failed.push((name, error));
            }
        }
    }
    if outcomes.is_empty() {
        if let Some(place) = comparison.unfinished() {
            complain(format_args!("what the heads left is in {}, until the next comparison", place.display()));
        }
        return Err(heads_failed(failed, heads));
    }
    comparison.finish()?;
    let failures = failed.iter().map(|(name, error)| (name.as_str(), format!("failed: {error}")));
    let left_out = left_out.iter().map(|(name, reason)| (name.as_str(), format!("left out: {reason}")));
    let others: Vec<_> = failures.chain(left_out).collect();
    tell(format_args!("\n{title}\n\n{}", table(&outcomes, &others)));
    if let Some(features) = &features {
        tell(format_args!("\nOn classes that were not trained on\n\n{}", open_set_table(&outcomes, features)));
        let of_heads = outcomes.iter().filter_map(|outcome| Some((outcome.name.as_str(), outcome.open_set.as_ref()?)));
        let measured: Vec<_> = of_heads.chain([("(features)", features)]).collect();
        open_set::draw_several(&out.join(OPEN_SET_FIGURE), title, &measured)?;
    }
    let figure = out.join(FIGURE);
    plot::draw(&figure, title, &panels(&outcomes))?;
    tell(format_args!("\nfigure in {}", figure.display()));
    named_classes.map_or(Ok(()), |classes| class_report::report(classes, &outcomes, out))?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(heads_failed(failed, heads)),
    }
}

fn heads_failed(failed: Vec<(String, Error)>, heads: usize) -> Failure {
    Failure::HeadsFailed { failed: failed.into_iter().map(|(name, _)| name).collect(), heads }
}

/// What can be trained, and what cannot with so few classes, with the reason.
struct Possible {
    configs: Vec<(String, TrainConfig)>,
    left_out: Vec<(String, Error)>,
}

/// Checks every configuration before the first of them is trained.
fn possible(configs: Vec<(String, TrainConfig)>, classes: usize) -> Result<Possible> {
    let mut possible = Possible { configs: Vec::new(), left_out: Vec::new() };
    for (name, config) in configs {
        match config.check(classes) {
            Ok(()) => possible.configs.push((name, config)),
            Err(reason @ Error::TooFewClasses { .. }) => {
                complain(format_args!("{name} is left out: {reason}"));
                possible.left_out.push((name, reason));
            }
            Err(error) => return Err(error),
        }
    }
    if possible.configs.is_empty() {
        let (_, reason) = possible.left_out.swap_remove(0);
        return Err(reason);
    }
    Ok(possible)
}

/// The panels of the Keras project's figure: accuracy, the scale of AdaCos, the mean cosine of the correct label. A panel that no
/// head has a curve for is left out.
fn panels(outcomes: &[Outcome]) -> Vec<Panel> {
    let panel = |title: &str, y_label: &str, value: &dyn Fn(&Outcome, &EpochRecord) -> Option<f64>| Panel {
        title: title.into(),
        x: X::Epochs,
        y_label: y_label.into(),
        curves: outcomes.iter().filter_map(|outcome| curve(outcome, value)).collect(),
    };
    let has_test = outcomes.iter().flat_map(|outcome| &outcome.history).any(|record| record.test_accuracy.is_some());
    let is_adacos = |head: &AnyHead| matches!(head.scale(), Scale::AdaCos { .. } | Scale::FixedAdaCos);
    let accuracy = if has_test { "test accuracy" } else { "training accuracy" };
    let mut panels = vec![
        panel("accuracy", accuracy, &|_, record| match has_test {
            true => record.test_accuracy,
            false => Some(record.train_accuracy),
        }),
        panel("scale of AdaCos", "scale s", &|outcome, record| is_adacos(&outcome.head).then_some(record.scale)),
        panel("mean cosine of the correct label", "cosine, training rows", &|_, record| record.target_cosine),
    ];
    panels.retain(|panel| !panel.curves.is_empty());
    panels
}

fn curve(outcome: &Outcome, value: &dyn Fn(&Outcome, &EpochRecord) -> Option<f64>) -> Option<Curve> {
    let point = |record: &EpochRecord| Some((record.epoch as f64, value(outcome, record)?));
    let points: Vec<_> = outcome.history.iter().filter_map(point).collect();
    (!points.is_empty()).then(|| Curve { name: outcome.name.clone(), points })
}
