//! The configurations that a search tries.

use super::super::complain;
use super::super::given::Given;
use super::super::head_specs::named_heads;
use super::super::list_entry::{ListEntry, entries};
use super::super::train_args::at_least_one;
use arcos::data::{Dataset, TransformKind};
use arcos::optim::{AdamW, Optimizer, RmsProp};
use arcos::train::TrainConfig;
use arcos::wording::{counted, number};
use arcos::{AnyHead, Error, Result};
use clap::builder::{EnumValueParser, StringValueParser};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What is varied.
#[derive(clap::Args)]
#[command(next_help_heading = "What is varied")]
pub(super) struct SpaceArgs {
    /// Heads, the simplest first; one that is given a scale or a margin keeps it
    #[arg(long, value_name = "HEAD[:OPTION=VALUE]...", value_delimiter = ',')]
    #[arg(default_values = ["softmax", "norm-softmax", "adacos", "cosface", "arcface"], value_parser = ListEntry(StringValueParser::new()))]
    heads: Vec<Option<String>>,
    /// Scales of heads that have one
    #[arg(long, value_name = "S", value_delimiter = ',', default_values = ["8", "16", "32"])]
    #[arg(value_parser = ListEntry(StringValueParser::new()))]
    scales: Vec<Option<String>>,
    /// Margins of heads that have one
    #[arg(long, value_name = "M", value_delimiter = ',', default_values = ["0.05", "0.1", "0.2"])]
    #[arg(value_parser = ListEntry(StringValueParser::new()))]
    margins: Vec<Option<String>>,
    /// What is done to features
    #[arg(long, value_delimiter = ',', default_values = ["centre", "standardise"])]
    #[arg(value_parser = ListEntry(EnumValueParser::<TransformName>::new()))]
    transforms: Vec<Option<TransformName>>,
    /// Steps of the optimizer, rounded up to whole epochs
    #[arg(long, value_name = "N", value_delimiter = ',', default_values = ["1000", "3000"])]
    #[arg(value_parser = ListEntry(at_least_one))]
    steps: Vec<Option<usize>>,
    /// Learning rates
    #[arg(long, value_name = "RATE", value_delimiter = ',', default_values = ["0.001", "0.003"])]
    #[arg(value_parser = ListEntry(str::parse::<f64>))]
    learning_rates: Vec<Option<f64>>,
    /// Weight decays; with one above 0 the optimizer is AdamW, else RMSprop
    #[arg(long, value_name = "LAMBDA", value_delimiter = ',', default_values = ["0"])]
    #[arg(value_parser = ListEntry(str::parse::<f64>))]
    weight_decays: Vec<Option<f64>>,
    /// Rows in a batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    batch_size: usize,
    /// Try so many, drawn from all combinations [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    candidates: Option<usize>,
}

/// Transforms without settings of their own.
#[derive(Clone, Copy, clap::ValueEnum)]
enum TransformName {
    None,
    Centre,
    Standardise,
}

impl TransformName {
    fn kind(self) -> (TransformKind, &'static str) {
        match self {
            Self::None => (TransformKind::None, "none"),
            Self::Centre => (TransformKind::Centre, "centre"),
            Self::Standardise => (TransformKind::Standardise, "standardise"),
        }
    }
}

/// A configuration, and the options of `arcos train` that it is.
pub(super) struct Candidate {
    pub options: String,
    /// The head with its options.
    pub head: String,
    /// The transform's name.
    pub transform: &'static str,
    pub config: TrainConfig,
}

impl SpaceArgs {
    /// All combinations for these training rows, or as many as were asked for; the simplest first: in the order of heads, then of margins, scales,
    /// transforms, steps, rates and weight decays. Heads that need more classes than there are, are left out and named.
    ///
    /// # Errors
    /// What is wrong with one of the settings; [`Error::Setting`] for a combination that is there twice.
    pub fn candidates(&self, train: &Dataset, seed: u64) -> Result<Vec<Candidate>> {
        let mut heads: Vec<(String, AnyHead)> = Vec::new();
        let mut too_few = None;
        for spec in self.specs()? {
            let (text, head) = named_heads(&[&spec], &[])?.swap_remove(0);
            if let Some((known, _)) = heads.iter().find(|(_, known)| *known == head) {
                let expected = "each combination once: these are the same".into();
                return Err(Error::Setting { name: "--heads", value: format!("{known} and {text}"), expected });
            }
            match TrainConfig::new(head.clone()).check(train.classes()) {
                Err(reason @ Error::TooFewClasses { .. }) => {
                    complain(format_args!("{text} is left out: {reason}"));
                    too_few = Some(reason);
                }
                _ => heads.push((text, head)),
            }
        }
        if let (true, Some(reason)) = (heads.is_empty(), too_few) {
            return Err(reason);
        }
        let transforms = each_once("--transforms", &self.transforms, |transform| transform.kind().1.into())?;
        let batches = (train.rows() - train.unlabelled_rows()).div_ceil(self.batch_size).max(1);
        let steps = each_once("--steps", &self.steps, |steps| counted(steps.div_ceil(batches), "epoch"))?;
        let learning_rates = each_once("--learning-rates", &self.learning_rates, |rate| number(*rate))?;
        let weight_decays = each_once("--weight-decays", &self.weight_decays, |decay| number(*decay))?;
        let with_decays = |&rate: &f64| weight_decays.iter().map(move |&decay| (rate, decay));
        let rates: Vec<(f64, f64)> = learning_rates.iter().flat_map(with_decays).collect();
        let mut candidates = Vec::new();
        for (text, head) in &heads {
            for &transform in &transforms {
                for &steps in &steps {
                    for &(learning_rate, weight_decay) in &rates {
                        let (transform, transform_name) = transform.kind();
                        let config = TrainConfig {
                            optimizer: optimizer(weight_decay),
                            learning_rate,
                            batch_size: self.batch_size,
                            epochs: steps.div_ceil(batches),
                            seed,
                            transform,
                            ..TrainConfig::new(head.clone())
                        };
                        config.check(train.classes())?;
                        candidates.push(Candidate::new(text, transform_name, config));
                    }
                }
            }
        }
        if let Some(count) = self.candidates {
            let mut order: Vec<usize> = (0..candidates.len()).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            order.truncate(count);
            let mut place = 0..;
            candidates.retain(|_| order.contains(&place.next().expect("endless")));
        }
        Ok(candidates)
    }

    /// Refuses margins and scales that are given and that no head has.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check_given(&self, given: &Given) -> Result<()> {
        let heads: Vec<&String> = self.heads.iter().flatten().collect();
        let is_unused = |option: &str| !heads.iter().any(|head| is_free(&head.to_lowercase(), option));
        for (name, id, option) in [("--margins", "margins", "margin"), ("--scales", "scales", "scale")] {
            if given.has(id) && is_unused(option) {
                let expected = "one of the heads to have it, without a value of its own".into();
                return Err(Error::Setting { name, value: "given".into(), expected });
            }
        }
        Ok(())
    }

    /// Every head with every margin and scale that it takes and has not been given.
    fn specs(&self) -> Result<Vec<String>> {
        let [heads, margins, scales] =
            [("--heads", &self.heads), ("--margins", &self.margins), ("--scales", &self.scales)].map(
                |(name, values)| {
                    let values: Vec<_> = values.iter().map(|value| value.as_deref().map(str::to_lowercase)).collect();
                    entries(name, &values)
                },
            );
        let (margins, scales) = (margins?, scales?);
        let mut specs = Vec::new();
        for head in heads? {
            let options = |option: &str, values: &[String]| {
                let given = |value: &String| format!(":{option}={value}");
                if is_free(&head, option) { values.iter().map(given).collect() } else { vec![String::new()] }
            };
            for margin in options("margin", &margins) {
                specs.extend(options("scale", &scales).into_iter().map(|scale| format!("{head}{margin}{scale}")));
            }
        }
        Ok(specs)
    }
}

/// What trains with such a weight decay.
fn optimizer(weight_decay: f64) -> Optimizer {
    match weight_decay {
        0.0 => Optimizer::RmsProp(RmsProp::default()),
        _ => Optimizer::AdamW(AdamW { weight_decay, ..AdamW::default() }),
    }
}

/// The weight decay that [`optimizer`] was asked for.
pub(super) fn decay_of(config: &TrainConfig) -> f64 {
    match config.optimizer {
        Optimizer::AdamW(AdamW { weight_decay, .. }) => weight_decay,
        _ => 0.0,
    }
}

impl Candidate {
    fn new(head: &str, transform: &'static str, config: TrainConfig) -> Self {
        let mut of_head = head.split(':');
        let name = of_head.next().unwrap_or_default();
        let of_head: String = of_head
            .filter_map(|option| option.split_once('='))
            .map(|(key, value)| match value {
                // A flag has its value with it.
                "true" | "false" => format!(" --{key}={value}"),
                value => format!(" --{key} {value}"),
            })
            .collect();
        let TrainConfig { learning_rate, batch_size, epochs, seed, .. } = config;
        let decay = match decay_of(&config) {
            0.0 => String::new(),
            decay => format!(" --optimizer adamw --weight-decay {}", number(decay)),
        };
        let options = format!(
            "--head {name}{of_head} --transform {transform} --learning-rate {}{decay} --batch-size {batch_size} --epochs {epochs} \
             --seed {seed}",
            number(learning_rate)
        );
        Self { options, head: head.to_owned(), transform, config }
    }
}

/// Whether a head takes an option, and has been given no value of it.
fn is_free(head: &str, option: &str) -> bool {
    let name = head.split(':').next().unwrap_or_default().trim();
    AnyHead::takes(name, option) && !head.contains(&format!(":{option}="))
}

/// The entries of an option, of which no two may be written alike.
fn each_once<T: Clone>(name: &'static str, given: &[Option<T>], shown: impl Fn(&T) -> String) -> Result<Vec<T>> {
    let values = entries(name, given)?;
    let texts: Vec<String> = values.iter().map(shown).collect();
    match texts.iter().enumerate().find(|(place, text)| texts[..*place].contains(text)) {
        Some((_, twice)) => {
            Err(Error::Setting { name, value: format!("{twice}, twice"), expected: "each value once".into() })
        }
        None => Ok(values),
    }
}
