//! `arcos compare`

use super::class_report::{self, class_names};
use super::data_args::{Data, DataArgs};
use super::head_args::{TrainedHeadArgs, borrowed, head};
use super::plot::{self, Curve, Panel, X};
use super::table::{Outcome, open_set_table, table};
use super::train::{remark_on_frozen_features, retrieve, train_to_end};
use super::train_args::TrainArgs;
use super::{open_set, print};
use crate::data::Transform;
use crate::directory_lock::lock;
use crate::train::{EpochRecord, TrainConfig, Trainer};
use crate::{Error, Head, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The heads that are compared unless others are named: those of the Keras project that this one follows.
pub(super) const CLASSIC_HEADS: [&str; 5] = ["softmax", "l2-softmax", "fixed-adacos", "adacos", "arcface"];

/// Arguments of `arcos compare`.
#[derive(clap::Args)]
#[command(after_help = "\
A head is a name and, after colons, options of its own: arcface:margin=0.1:past-pi=easy. An option given as an argument \
goes to every head that has it. Leaves result.png and a run for each head in the output directory; with --open-set also open_set.png; where classes have names \
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
    #[arg(help = format!("Heads, separated by commas, or all: {}", Head::names().collect::<Vec<_>>().join(", ")))]
    heads: Vec<String>,
    #[command(flatten)]
    head_args: TrainedHeadArgs,
    #[command(flatten)]
    data: DataArgs,
    /// CUB-200-2011, for the names of its classes [default: those in the manifest.json of --data, if there is one]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    cub: Option<PathBuf>,
    #[command(flatten)]
    train: TrainArgs,
    /// Where figure and runs go; what is there of an earlier comparison is replaced
    #[arg(long, value_name = "DIR", default_value = "arcos-compare")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let names: Vec<&str> = match args.heads.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["all"] => Head::names().collect(),
        ref named => named.to_vec(),
    };
    let heads = named_heads(&names, &args.head_args.given())?;
    let with_config = |(name, head)| Ok((name, args.train.config(head)?));
    let configs = heads.into_iter().map(with_config).collect::<Result<Vec<_>>>()?;
    let data = args.data.read()?;
    let title = data.describe();
    print(&title)?;
    remark_on_frozen_features(&data, args.train.embed.embed)?;
    if args.cub.is_some() && data.test.is_none() {
        print("without test rows there is nothing to say of single classes")?;
    }
    let class_names = class_names(args.cub.as_deref(), &args.data, data.train.classes())?;
    compare(configs, &data, &args.out, &title, class_names.as_deref())
}

/// The heads of `NAME[:OPTION=VALUE]...`, each with those of the shared options that it has.
pub(super) fn named_heads(specs: &[&str], shared: &[(&'static str, String)]) -> Result<Vec<(String, Head)>> {
    let takes = |spec: &str| Head::options_of(spec.split(':').next().unwrap_or(spec)).unwrap_or_default();
    for (option, _) in shared {
        if !specs.iter().any(|spec| takes(spec).contains(option)) {
            let expected = "one of the heads to have it".into();
            return Err(Error::Setting { name: option, value: "given".into(), expected });
        }
    }
    let parse = |spec: &&str| {
        let (name, own) = spec.split_once(':').unwrap_or((spec, ""));
        let own = own.split(':').filter(|option| !option.is_empty());
        let own = own.map(option_and_value).collect::<Result<Vec<_>>>()?;
        let shared = borrowed(shared).filter(|(option, _)| takes(spec).contains(option));
        Ok((spec.to_string(), head(name, shared.chain(own))?))
    };
    specs.iter().map(parse).collect()
}

fn option_and_value(text: &str) -> Result<(&str, &str)> {
    let wrong = || Error::Setting { name: "a head's option", value: text.into(), expected: "OPTION=VALUE".into() };
    text.split_once('=').ok_or_else(wrong)
}

/// Trains each configuration on the same data, prints the table, draws the figure; reports on unseen classes where there are some, and on
/// single classes where they have names.
pub(super) fn compare(
    configs: Vec<(String, TrainConfig)>,
    data: &Data,
    out: &Path,
    title: &str,
    class_names: Option<&[String]>,
) -> Result<()> {
    fs::create_dir_all(out).map_err(|error| Error::io("create", out, error))?;
    let _lock = lock(out)?;
    let Data { train, test, unseen } = data;
    let test = test.as_ref();
    let features = unseen.as_ref().zip(configs.first()).map(|(unseen, (_, config))| {
        let transform = Transform::fit(config.transform, train.features.view())?;
        let features = transform.apply(unseen.features.view())?;
        open_set::measure_unseen(features.view(), unseen)
    });
    let features = features.transpose()?;
    let mut outcomes = Vec::new();
    for (name, config) in configs {
        let run = out.join(name.replace([':', '='], "-"));
        if run.exists() {
            fs::remove_dir_all(&run).map_err(|error| Error::io("replace", &run, error))?;
        }
        let head = config.head.clone();
        let trainer = train_to_end(&name, Trainer::new(config, train.clone(), test.cloned())?, &run, 1)?;
        let test_of_classes = test.filter(|_| class_names.is_some());
        let confusion = test_of_classes.map(|test| trainer.model().confusion(test)).transpose()?;
        let open_set = unseen.as_ref().map(|unseen| retrieve(trainer.model(), unseen, &run)).transpose()?;
        outcomes.push(Outcome { name, head, history: trainer.history().to_vec(), confusion, open_set });
    }
    print(format_args!("\n{title}\n\n{}", table(&outcomes)))?;
    if let Some(features) = &features {
        print(format_args!("\nOn classes that were not trained on\n\n{}", open_set_table(&outcomes, features)))?;
        let of_heads = outcomes.iter().filter_map(|outcome| Some((outcome.name.as_str(), outcome.open_set.as_ref()?)));
        let measured: Vec<_> = of_heads.chain([("(features)", features)]).collect();
        open_set::draw_several(&out.join("open_set.png"), title, &measured)?;
    }
    let figure = out.join("result.png");
    plot::draw(&figure, title, &panels(&outcomes))?;
    print(format_args!("\nfigure in {}", figure.display()))?;
    class_names.map_or(Ok(()), |names| class_report::report(names, &outcomes, out))
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
    let is_adacos = |head: &Head| matches!(head, Head::AdaCos(_) | Head::FixedAdaCos(_));
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
