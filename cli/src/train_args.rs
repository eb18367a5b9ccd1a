//! The settings of a training run as arguments.

use super::embed_args::{EmbedArgs, learning_rate};
use super::kernel_args::KernelArgs;
use super::objective_args::ObjectiveArgs;
use super::only_with;
use arcos::data::TransformKind;
use arcos::embedder::Embedder;
use arcos::optim::{AdamW, Decay, Optimizer, RmsProp, Schedule, Sgd};
use arcos::streaming::Precision;
use arcos::train::{Kernel, Model, TrainConfig, WeightInit};
use arcos::wording::number;
use arcos::{AnyHead, Error, Result};
use clap::ValueEnum;

/// Optimizer, schedule, batches, transform.
#[derive(clap::Args)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainArgs {
    /// Passes over the training rows
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub epochs: usize,
    /// Rows in a batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch_size: usize,
    /// Optimizer
    #[arg(long, value_enum, default_value_t = OptimizerName::Rmsprop)]
    pub optimizer: OptimizerName,
    /// Full learning rate [default: 0.001 rmsprop and adamw, 0.1 sgd; a tenth of it with --embed]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// Nesterov momentum for sgd
    #[arg(long)]
    pub nesterov: bool,
    /// Weight decay of sgd and adamw [default: 0 sgd, 0.01 adamw]
    #[arg(long, allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// How the learning rate falls
    #[arg(long, value_enum, default_value_t = DecayName::Constant)]
    pub schedule: DecayName,
    /// Epochs between two drops of --schedule step [default: 10]
    #[arg(long, value_name = "N")]
    pub step_every: Option<usize>,
    /// What each drop of --schedule step multiplies the rate by [default: 0.1]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub step_factor: Option<f64>,
    /// Epochs over which the learning rate rises from near 0
    #[arg(long, value_name = "EPOCHS", default_value_t = 0.0, allow_negative_numbers = true)]
    pub warm_up: f64,
    /// What is done to features, fitted on the training rows; whiten needs a build with LAPACK
    #[arg(long, value_enum, default_value_t = TransformName::Centre)]
    pub transform: TransformName,
    /// Dimensions kept by --transform whiten [default: 256, or as many as there are]
    #[arg(long, value_name = "K")]
    pub dimensions: Option<usize>,
    /// Part of the mean variance that --transform whiten adds to each component's: 1 suits few rows [default: 0]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub ridge: Option<f64>,
    /// How class vectors begin; orthonormal needs a build with LAPACK, and with more class vectors than dimensions makes columns so
    #[arg(long, value_enum, default_value_t = WeightInit::GlorotNormal)]
    pub init: WeightInit,
    /// Seed of the first weights and of the order of rows
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How losses and gradients are computed
    #[arg(long, value_enum, default_value_t = KernelName::Streaming)]
    pub kernel: KernelName,
    /// Partial FC: each step takes this share of the classes, those of its rows among them [default: all]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub sample_rate: Option<f64>,
    /// The number format of the streaming kernel's matrix products [default: full]
    #[arg(long, value_enum)]
    pub precision: Option<Precision>,
    #[command(flatten)]
    pub objective: ObjectiveArgs,
    #[command(flatten)]
    pub streaming: KernelArgs,
    #[command(flatten)]
    pub embed: EmbedArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum KernelName {
    /// By blocks of classes, as fast as the matrix products allow
    Streaming,
    /// By the formulas as they stand in the papers
    Explicit,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum OptimizerName {
    Sgd,
    Rmsprop,
    Adamw,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum DecayName {
    Constant,
    Step,
    Cosine,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum TransformName {
    None,
    Centre,
    Standardise,
    Whiten,
}

impl TrainArgs {
    pub fn config(&self, head: AnyHead) -> Result<TrainConfig> {
        let config = self.config_with(head, self.transform()?, self.embed.embedder()?)?;
        config.check_build()?;
        Ok(config)
    }

    /// The configuration of a run that begins with a model, whose transform and embedder stay.
    pub fn config_from(&self, head: AnyHead, model: &Model) -> Result<TrainConfig> {
        self.config_with(head, model.transform.kind(), model.embedder.as_ref().map(|embedder| embedder.embedder))
    }

    fn config_with(&self, head: AnyHead, transform: TransformKind, embedder: Option<Embedder>) -> Result<TrainConfig> {
        let optimizer = self.optimizer()?;
        let default = match self.optimizer {
            OptimizerName::Sgd => 0.1,
            OptimizerName::Rmsprop | OptimizerName::Adamw => 1e-3,
        };
        let learning_rate = self.learning_rate.unwrap_or(learning_rate(default, embedder.is_some()));
        let config = TrainConfig {
            optimizer,
            learning_rate,
            schedule: self.schedule()?,
            batch_size: self.batch_size,
            epochs: self.epochs,
            seed: self.seed,
            transform,
            init: self.init,
            kernel: self.kernel()?,
            sample_rate: self.sample_rate,
            objective: self.objective.objective()?,
            penalties: self.objective.penalty.clone(),
            embedder,
            ..TrainConfig::new(head)
        };
        // How many classes there are the data will say, which may take minutes to read; they are too many for no head.
        config.check(usize::MAX)?;
        Ok(config)
    }

    fn optimizer(&self) -> Result<Optimizer> {
        let is_sgd = self.optimizer == OptimizerName::Sgd;
        only_with(self.momentum.is_some(), "--momentum", is_sgd, "--optimizer sgd")?;
        only_with(self.nesterov, "--nesterov", is_sgd, "--optimizer sgd")?;
        only_with(self.nesterov, "--nesterov", self.momentum != Some(0.0), "a momentum above 0")?;
        let decays = self.optimizer != OptimizerName::Rmsprop;
        only_with(self.weight_decay.is_some(), "--weight-decay", decays, "--optimizer sgd or adamw")?;
        Ok(match self.optimizer {
            OptimizerName::Sgd => Optimizer::Sgd(Sgd {
                momentum: self.momentum.unwrap_or(Sgd::default().momentum),
                nesterov: self.nesterov,
                weight_decay: self.weight_decay.unwrap_or(Sgd::default().weight_decay),
            }),
            OptimizerName::Rmsprop => Optimizer::RmsProp(RmsProp::default()),
            OptimizerName::Adamw => Optimizer::AdamW(AdamW {
                weight_decay: self.weight_decay.unwrap_or(AdamW::default().weight_decay),
                ..AdamW::default()
            }),
        })
    }

    fn schedule(&self) -> Result<Schedule> {
        let steps = self.schedule == DecayName::Step;
        only_with(self.step_every.is_some(), "--step-every", steps, "--schedule step")?;
        only_with(self.step_factor.is_some(), "--step-factor", steps, "--schedule step")?;
        let decay = match self.schedule {
            DecayName::Constant => Decay::Constant,
            DecayName::Step => {
                let every = self.step_every.unwrap_or(10);
                if every >= self.epochs {
                    let expected = format!("below {}, the epochs of the run, or the rate never falls", self.epochs);
                    return Err(Error::Setting { name: "--step-every", value: every.to_string(), expected });
                }
                let factor = self.step_factor.unwrap_or(0.1);
                if factor == 1.0 {
                    let expected = "below 1, or the rate never falls".into();
                    return Err(Error::Setting { name: "--step-factor", value: "1".into(), expected });
                }
                Decay::Step { every, factor }
            }
            DecayName::Cosine => Decay::Cosine,
        };
        if self.warm_up == self.epochs as f64 && decay != Decay::Constant {
            let expected = format!("below {}, the epochs of the run, or the rate only rises", self.epochs);
            return Err(Error::Setting { name: "--warm-up", value: number(self.warm_up), expected });
        }
        Ok(Schedule { warm_up: self.warm_up, decay })
    }

    fn transform(&self) -> Result<TransformKind> {
        let whitens = self.transform == TransformName::Whiten;
        only_with(self.dimensions.is_some(), "--dimensions", whitens, "--transform whiten")?;
        only_with(self.ridge.is_some(), "--ridge", whitens, "--transform whiten")?;
        Ok(match self.transform {
            TransformName::None => TransformKind::None,
            TransformName::Centre => TransformKind::Centre,
            TransformName::Standardise => TransformKind::Standardise,
            TransformName::Whiten => {
                TransformKind::Whiten { dimensions: self.dimensions, ridge: self.ridge.unwrap_or(0.0) }
            }
        })
    }

    fn kernel(&self) -> Result<Kernel> {
        let streams = self.kernel == KernelName::Streaming;
        only_with(self.streaming.workspace.is_some(), "--workspace", streams, "--kernel streaming")?;
        only_with(self.streaming.filter.is_some(), "--filter", streams, "--kernel streaming")?;
        only_with(self.sample_rate.is_some(), "--sample-rate", streams, "--kernel streaming")?;
        only_with(self.precision.is_some(), "--precision", streams, "--kernel streaming")?;
        let options = || self.streaming.options(self.precision.unwrap_or_default());
        Ok(if streams { Kernel::Streaming(options()?) } else { Kernel::Explicit })
    }
}

/// A number of things of which there must be some.
pub(super) fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("expected a whole number: {error}")),
    }
}
