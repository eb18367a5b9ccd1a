//! The configurations that a search tries.

use super::super::head_specs::named_heads;
use arcos::data::TransformKind;
use arcos::train::TrainConfig;
use arcos::wording::number;
use arcos::{AnyHead, Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What is varied.
#[derive(clap::Args)]
#[command(next_help_heading = "What is varied")]
pub(super) struct SpaceArgs {
    /// Heads, the simplest first; one that is given a scale or a margin keeps it
    #[arg(long, value_name = "HEAD[:OPTION=VALUE]...", value_delimiter = ',')]
    #[arg(default_values = ["softmax", "norm-softmax", "adacos", "cosface", "arcface"])]
    heads: Vec<String>,
    /// Scales of heads that have one
    #[arg(long, value_name = "S", value_delimiter = ',', default_values = ["8", "16", "32"])]
    scales: Vec<String>,
    /// Margins of heads that have one
    #[arg(long, value_name = "M", value_delimiter = ',', default_values = ["0.05", "0.1", "0.2"])]
    margins: Vec<String>,
    /// What is done to features
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["centre", "standardise"])]
    transforms: Vec<TransformName>,
    /// Steps of the optimizer, rounded up to whole epochs
    #[arg(long, value_name = "N", value_delimiter = ',', default_values = ["1000", "3000"])]
    steps: Vec<usize>,
    /// Learning rates of RMSprop
    #[arg(long, value_name = "RATE", value_delimiter = ',', default_values = ["0.001", "0.003"])]
    learning_rates: Vec<f64>,
    /// Rows in a batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: usize,
    /// Try so many, drawn from all combinations [default: all]
    #[arg(long, value_name = "N")]
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
    /// All combinations for so many training rows, or as many as were asked for; the simplest first: in the order of heads, then of margins, scales,
    /// transforms, steps and rates.
    ///
    /// # Errors
    /// What is wrong with one of the settings; [`Error::Setting`] where no candidate is left.
    pub fn candidates(&self, rows: usize, seed: u64) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for spec in self.specs() {
            let [(head, any_head)] = &named_heads(&[&spec], &[])?[..] else { continue };
            for &transform in &self.transforms {
                for &steps in &self.steps {
                    for &learning_rate in &self.learning_rates {
                        candidates.push(self.candidate(head, any_head, transform, steps, learning_rate, rows, seed)?);
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
        match candidates.is_empty() {
            false => Ok(candidates),
            true => Err(Error::Setting { name: "candidates", value: "none".into(), expected: "at least one".into() }),
        }
    }

    /// Every head with every margin and scale that it takes and has not been given.
    fn specs(&self) -> Vec<String> {
        let mut specs = Vec::new();
        for head in self.heads.iter().map(|head| head.trim().to_lowercase()).filter(|head| !head.is_empty()) {
            let name = head.split(':').next().unwrap_or_default().trim().to_owned();
            let free = |option: &str| AnyHead::takes(&name, option) && !head.contains(&format!(":{option}="));
            let values = |option: &str, values: &[String]| match free(option) {
                true => values.iter().map(|value| format!(":{option}={}", value.trim())).collect(),
                false => vec![String::new()],
            };
            for margin in values("margin", &self.margins) {
                for scale in values("scale", &self.scales) {
                    specs.push(format!("{head}{margin}{scale}"));
                }
            }
        }
        specs
    }

    #[expect(clippy::too_many_arguments, reason = "one value of each thing that is varied")]
    fn candidate(
        &self,
        head: &str,
        any_head: &AnyHead,
        transform: TransformName,
        steps: usize,
        learning_rate: f64,
        rows: usize,
        seed: u64,
    ) -> Result<Candidate> {
        let batches = rows.div_ceil(self.batch_size.max(1)).max(1);
        let epochs = steps.div_ceil(batches);
        let (kind, transform) = transform.kind();
        let mut of_head = head.split(':');
        let name = of_head.next().unwrap_or_default();
        let of_head: String = of_head
            .filter_map(|option| option.split_once('='))
            .map(|(key, value)| format!(" --{key} {value}"))
            .collect();
        let options = format!(
            "--head {name}{of_head} --transform {transform} --learning-rate {} --batch-size {} --epochs {epochs} --seed {seed}",
            number(learning_rate),
            self.batch_size
        );
        let config = TrainConfig {
            learning_rate,
            batch_size: self.batch_size,
            epochs,
            seed,
            transform: kind,
            ..TrainConfig::new(any_head.clone())
        };
        Ok(Candidate { options, head: head.to_owned(), transform, config })
    }
}
