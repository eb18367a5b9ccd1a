//! Going on with a run: its configuration stands, and what is given beside `--resume` must not contradict it.

use super::data_args::DataArgs;
use super::given::Given;
use super::listed_name::only_name;
use super::objective_args::{are_class_weights, is_same_rule};
use arcos::data::ClassTable;
use arcos::penalties::WeightedPenalty;
use arcos::train::{TrainConfig, difference};
use arcos::wording::counted;
use arcos::{AnyHead, Error, Result};
use serde_json::Value;

/// Options that are settings of a run, and where its configuration has them as JSON.
const SETTINGS: [(&str, &str); 29] = [
    ("head", "/head/name"),
    ("batch_size", "/batch_size"),
    ("optimizer", "/optimizer/name"),
    ("learning_rate", "/learning_rate"),
    ("momentum", "/optimizer/momentum"),
    ("nesterov", "/optimizer/nesterov"),
    ("weight_decay", "/optimizer/weight_decay"),
    ("schedule", "/schedule/decay/kind"),
    ("step_every", "/schedule/decay/every"),
    ("step_factor", "/schedule/decay/factor"),
    ("warm_up", "/schedule/warm_up"),
    ("transform", "/transform/kind"),
    ("dimensions", "/transform/dimensions"),
    ("ridge", "/transform/ridge"),
    ("init", "/init"),
    ("seed", "/seed"),
    ("kernel", "/kernel"),
    ("sample_rate", "/sample_rate"),
    ("precision", "/kernel/streaming/precision"),
    ("label_smoothing", "/objective/label_smoothing"),
    ("focal", "/objective/focal"),
    ("z_loss", "/objective/z_loss"),
    ("class_weights", "/objective/class_weights"),
    ("penalty", "/penalties"),
    ("workspace", "/kernel/streaming/workspace"),
    ("filter", "/kernel/streaming/filter/mass"),
    ("embed", "/embedder/dimension"),
    ("embed_block", "/embedder/block"),
    ("dropout", "/embedder/block/e/dropout"),
];

/// Refuses to go on with a run where there are differences.
///
/// # Errors
/// [`Error::OtherSettings`].
pub(super) fn refuse(differences: impl Iterator<Item = String>) -> Result<()> {
    match differences.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        differences => Err(Error::OtherSettings { differences }),
    }
}

/// In what options that are given differ from those of the run, whose data were read by `of_run` and have these classes.
pub(super) fn differences(
    given: &Given,
    config: &TrainConfig,
    data: &DataArgs,
    of_run: Option<&DataArgs>,
    classes: &ClassTable,
) -> Vec<String> {
    let json = serde_json::to_value(config).expect("plain data");
    let mut differences: Vec<String> = given
        .iter()
        .filter_map(|(option, value)| {
            let of_run = of_run_as_given(option, &json)?;
            (!is_same(value, &of_run)).then(|| difference(&option.replace('_', " "), value, &shown(&of_run)))
        })
        .collect();
    if let Some(of_run) = of_run {
        differences.extend(data.differences(given, of_run, classes));
    }
    differences
}

/// What a run's configuration has for an option, `None` for options that are none of its settings.
fn of_run_as_given(option: &str, config: &Value) -> Option<Value> {
    let setting = SETTINGS.into_iter().find_map(|(name, pointer)| (name == option).then(|| pointer.to_owned()));
    let pointer = setting.or_else(|| is_of_a_head(option).then(|| format!("/head/{option}")))?;
    Some(match config.pointer(&pointer) {
        // Variants with values are objects with the name as the key.
        Some(Value::Object(variant)) => variant.keys().next().cloned().into(),
        // An objective that is the default is left out.
        None if matches!(option, "label_smoothing" | "focal" | "z_loss") => 0.0.into(),
        // Of a head that is not AdaCos, and has its scale.
        None if option == "max_scale" => config.pointer("/head/scale/adacos/max").cloned().unwrap_or_default(),
        // Bytes, where the option counts MiB.
        Some(value) if option == "workspace" => value.as_u64().map(|bytes| bytes >> 20).into(),
        value => value.cloned().unwrap_or_default(),
    })
}

/// Whether any head has this option; its configuration has it by the same name.
fn is_of_a_head(option: &str) -> bool {
    AnyHead::names().any(|head| AnyHead::takes(head, &option.replace('_', "-")))
}

fn is_same(given: &str, of_run: &Value) -> bool {
    match of_run {
        Value::String(name) => name.eq_ignore_ascii_case(only_name(given)) || is_same_rule(given, name),
        Value::Number(number) => match (number.as_u64(), given.parse::<u64>()) {
            (Some(number), Ok(given)) => number == given,
            _ => number.as_f64() == given.parse().ok(),
        },
        Value::Array(penalties) if penalties.iter().all(Value::is_string) => {
            let parsed = |text: &str| text.parse::<WeightedPenalty>().ok();
            given.split(',').map(parsed).eq(penalties.iter().map(|of_run| parsed(of_run.as_str()?)))
        }
        Value::Array(weights) => {
            let weights: Option<Vec<_>> = weights.iter().map(Value::as_f64).collect();
            weights.is_some_and(|weights| are_class_weights(given, &weights))
        }
        other => shown(other) == given,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(name) => name.clone(),
        Value::Array(penalties) if penalties.iter().all(Value::is_string) => {
            penalties.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        Value::Array(numbers) => format!("{} of a file", counted(numbers.len(), "number")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::advice_on;
    use super::super::train::Args;
    use super::*;
    use clap::{Args as _, Command, FromArgMatches};

    /// Options that may differ from those of the run; of files, only where they are.
    const MAY_DIFFER: [&str; 5] = ["epochs", "patience", "keep", "checkpoint_every", "class_names"];

    /// Options that say which run and where its data are, or that are compared with its record of them.
    const OTHERS: [&str; 15] = [
        "from",
        "data",
        "train_features",
        "train_labels",
        "test_features",
        "test_labels",
        "sample_weights",
        "validation",
        "validation_features",
        "validation_labels",
        "labels_start",
        "open_set",
        "out",
        "resume",
        "resume_or_start",
    ];

    #[test]
    fn every_option_of_training_is_compared_or_known_not_to_matter() {
        let command = Args::augment_args(Command::new("train"));
        for option in command.get_arguments().map(|argument| argument.get_id().as_str()) {
            let is_setting = is_of_a_head(option) || SETTINGS.into_iter().any(|(name, _)| name == option);
            assert!(is_setting != (OTHERS.contains(&option) || MAY_DIFFER.contains(&option)), "{option}");
        }
        let of_heads = command.get_arguments().filter(|argument| is_of_a_head(argument.get_id().as_str())).count();
        assert_eq!(command.get_arguments().count(), of_heads + SETTINGS.len() + OTHERS.len() + MAY_DIFFER.len());
    }

    fn parsed(arguments: &str) -> Args {
        let words = ["train"].into_iter().chain(arguments.split_whitespace());
        let matches = Args::augment_args(Command::new("train")).try_get_matches_from(words).expect("good usage");
        Args::from_arg_matches(&matches).expect("good usage")
    }

    fn differences(run: &str, given: &str) -> Vec<String> {
        let config = parsed(run).new_config(None).expect("a configuration");
        let args = parsed(&format!("--resume {given}"));
        super::differences(&args.given, &config, &args.data, None, &ClassTable::indices(0))
    }

    #[test]
    fn what_is_given_again_is_no_difference() {
        for run in [
            "--head arcface --scale 16 --margin 0.2 --past-pi easy --batch-size 64 --learning-rate 1e-2 --seed 18446744073709551615",
            "--head combined-margin --m1 1.1 --m2 0.25 --m3 0.05 --optimizer sgd --momentum 0.8 --nesterov --weight-decay 5e-4",
            "--head l2-softmax --alpha 12 --learn-alpha --schedule step --step-every 3 --step-factor 0.3 --warm-up 0.5",
            "--head AdaCos --max-scale 32 --transform whiten --dimensions 20 --ridge 0.1 --init orthonormal",
            "--head adacos --max-scale 64 --workspace 32 --filter 1e-7 --embed 8 --embed-block e --dropout 0.2",
            "--head arcface --scale adacos --max-scale 32",
            "--head softmax --kernel explicit --embed 8 --embed-block linear --optimizer adamw",
            "--head softmax --label-smoothing 0.1 --focal 2 --z-loss 1e-4 --class-weights effective:0.99 --sample-rate 0.5 --precision full",
            "--head softmax --penalty regularface:0.5,intra --embed 8",
        ] {
            // A build without LAPACK makes no configuration that needs it.
            if run.contains("whiten") && !cfg!(feature = "blas") {
                continue;
            }
            let run = &run.replace("AdaCos", "adacos");
            assert!(differences(run, run).is_empty(), "{run}: {:?}", differences(run, run));
            let (head, _) = run["--head ".len()..].split_once(' ').expect("options");
            assert!(differences(run, &format!("--head {head},")).is_empty(), "{head},");
            let other = "--head norm-softmax --scale 3 --batch-size 5 --learning-rate 5 --momentum 0.5 --warm-up 5 --seed 5 \
                         --m1 5 --m2 5 --m3 5 --alpha 5 --max-scale 5 --weight-decay 5 --step-every 5 --step-factor 0.5 \
                         --dimensions 5 --ridge 5 --workspace 5 --filter 0.5 --embed 5 --embed-block e --dropout 0.5 \
                         --label-smoothing 0.5 --focal 5 --z-loss 5 --class-weights inverse --sample-rate 0.25 --precision mixed --penalty inter";
            let found = differences(run, other);
            let words = other.split("--").filter(|word| !word.is_empty()).count();
            let same = usize::from(run.contains("--embed-block e"));
            assert_eq!(found.len(), words - same, "{run}: {found:?}");
        }
    }

    #[test]
    fn another_spelling_of_a_rule_is_no_difference() {
        let run = "--head softmax --class-weights effective";
        assert!(differences(run, "--class-weights effective:0.9990").is_empty());
        let found = differences(run, "--class-weights effective:0.99");
        assert_eq!(found, ["class weights is effective:0.99, the run has effective"]);
    }

    #[test]
    fn what_may_differ_is_listed_and_nothing_else() {
        let listed = advice_on(&Error::OtherSettings { differences: vec!["seed is 1, the run has 0".into()] });
        let option = |word: &str| Some(word.strip_prefix("--")?.trim_end_matches(',').replace('-', "_"));
        let listed: Vec<String> = listed.split(' ').filter_map(option).collect();
        assert_eq!(listed, MAY_DIFFER);
    }

    #[test]
    fn differences_are_sentences() {
        let found = differences(
            "--head adacos --data d",
            "--batch-size 64 --embed 8 --optimizer sgd --nesterov --kernel explicit",
        );
        let expected = [
            "batch size is 64, the run has 32",
            "embed is 8, the run has none",
            "kernel is explicit, the run has streaming",
            "nesterov is true, the run has none",
            "optimizer is sgd, the run has rmsprop",
        ];
        let mut found = found;
        found.sort();
        assert_eq!(found, expected);
    }
}
