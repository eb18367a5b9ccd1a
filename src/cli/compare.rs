//! `arcos compare`

use super::data_args::DataArgs;
use super::head_args::TrainedHeadArgs;
use super::plot::{self, Curve, Panel};
use super::print;
use super::table::{Outcome, table};
use super::train::{describe_data, train_to_end};
use super::train_args::TrainArgs;
use crate::data::Dataset;
use crate::train::{EpochRecord, TrainConfig, Trainer};
use crate::{Error, Head, HeadOptions, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The heads that are compared unless others are named: those of the Keras project that this one follows.
pub(super) const CLASSIC_HEADS: [&str; 5] = ["softmax", "l2-softmax", "fixed-adacos", "adacos", "arcface"];

/// Arguments of `arcos compare`.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves result.png, results.csv and a run for each head in the output directory. An option of a head goes to
every head that has it.

Examples:
  arcos compare --data DIR
  arcos compare --data DIR --heads all --scale 16 --epochs 60 --out by-head
  arcos compare --data DIR --heads norm-softmax,arcface --transform none")]
pub(super) struct Args {
    /// Heads, separated by commas, or all
    #[arg(long, value_delimiter = ',', default_values = CLASSIC_HEADS)]
    heads: Vec<String>,
    #[command(flatten)]
    head_args: TrainedHeadArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    train: TrainArgs,
    /// Where figure, table and runs go
    #[arg(long, value_name = "DIR", default_value = "arcos-compare")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let names: Vec<&str> = match args.heads.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["all"] => Head::names().collect(),
        ref named => named.to_vec(),
    };
    let heads = heads(&names, &args.head_args.options())?;
    let configs = heads.into_iter().map(|head| args.train.config(head)).collect::<Result<Vec<_>>>()?;
    let (train, test) = args.data.read()?;
    let title = describe_data(&train, test.as_ref());
    print(&title)?;
    compare(configs, &train, test.as_ref(), &args.out, &title)
}

/// The named heads, each with those of `options` that it has.
pub(super) fn heads(names: &[&str], options: &HeadOptions) -> Result<Vec<Head>> {
    let takes = |name: &&str| Head::options_of(name).unwrap_or_default();
    for option in options.given() {
        if !names.iter().any(|name| takes(name).contains(&option)) {
            let takes = names.iter().flat_map(takes).copied().collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownOption { head: "none of these heads", option, takes });
        }
    }
    names.iter().map(|name| Head::new(name, &options.only(takes(name)))).collect()
}

/// Trains each configuration on the same data, prints the table, draws the figure.
pub(super) fn compare(
    configs: Vec<TrainConfig>,
    train: &Dataset,
    test: Option<&Dataset>,
    out: &Path,
    title: &str,
) -> Result<()> {
    let mut outcomes = Vec::new();
    for config in configs {
        let head = config.head.name();
        let run = out.join(head);
        if run.exists() {
            fs::remove_dir_all(&run).map_err(|error| Error::io("replace", &run, error))?;
        }
        let trainer = train_to_end(Trainer::new(config, train.clone(), test.cloned())?, &run, 1)?;
        outcomes.push(Outcome { head, history: trainer.history().to_vec() });
    }
    let table = table(&outcomes);
    print(format_args!("\n{title}\n\n{table}"))?;
    let figure = out.join("result.png");
    plot::draw(&figure, title, &panels(&outcomes))?;
    print(format_args!("\nfigure in {}", figure.display()))
}

fn panels(outcomes: &[Outcome]) -> [Panel; 3] {
    let panel = |title: &str, y_label: &str, value: &dyn Fn(&Outcome, &EpochRecord) -> Option<f64>| Panel {
        title: title.into(),
        y_label: y_label.into(),
        curves: outcomes.iter().filter_map(|outcome| curve(outcome, value)).collect(),
    };
    [
        panel("accuracy", "test accuracy", &|_, record| record.test_accuracy.or(Some(record.train_accuracy))),
        panel("scale of AdaCos", "scale s", &|outcome, record| {
            ["adacos", "fixed-adacos"].contains(&outcome.head).then_some(record.scale)
        }),
        panel("mean cosine of the correct label", "cosine, training rows", &|_, record| record.target_cosine),
    ]
}

fn curve(outcome: &Outcome, value: &dyn Fn(&Outcome, &EpochRecord) -> Option<f64>) -> Option<Curve> {
    let point = |record: &EpochRecord| Some((record.epoch as f64, value(outcome, record)?));
    let points: Vec<_> = outcome.history.iter().filter_map(point).collect();
    (!points.is_empty()).then(|| Curve { name: outcome.head.into(), points })
}
