//! What a training run is asked to do.

use super::{StoredHead, TrainObjective};
use crate::data::TransformKind;
use crate::embedder::Embedder;
use crate::heads::checked::check_head;
use crate::ops::Objective;
use crate::optim::{Optimizer, RmsProp, Schedule};
use crate::penalties::{Penalty, WeightedPenalty};
use crate::streaming::StreamingOptions;
use crate::streaming::sampled_classes::check_sample_rate;
use crate::wording::number;
use crate::{AnyHead, Error, Real, Result, init, linalg};
use ndarray::{Array2, ArrayView1};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest that training lets a scale become that follows the batch, unless told otherwise: the scale of the margin papers, four times
/// what AdaCos's formula starts from at 85,000 classes.
pub const MAX_SCALE: f64 = 64.0;

/// A training run of any head, but for its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig<H = AnyHead> {
    /// The head and its hyper-parameters.
    pub head: H,
    /// The optimizer and its hyper-parameters.
    pub optimizer: Optimizer,
    /// The full learning rate η.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Rows in a batch; the last batch of an epoch takes what is left. A single row that an embedder cannot take by itself joins
    /// the batch before.
    pub batch_size: usize,
    /// Passes over the training rows, at most.
    pub epochs: usize,
    /// Training stops after so many epochs of which none was [better](super::best_epoch) than one before them; without it never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Seed of the first weights and of the order of rows.
    pub seed: u64,
    /// What is done to features, fitted on the training rows.
    pub transform: TransformKind,
    /// How class vectors begin.
    pub init: WeightInit,
    /// How losses and gradients are computed.
    #[serde(default)]
    pub kernel: Kernel,
    /// The share of classes that a step takes, its own among them, by [`PartialFc`](crate::streaming::PartialFc); all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<f64>,
    /// What is minimised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub objective: TrainObjective,
    /// What is added to the objective. With one `d_weights` is in memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub penalties: Vec<WeightedPenalty>,
    /// What is trained between features and head; without it the features stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<Embedder>,
}

/// How losses and gradients are computed. Both give the same results but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// By [`Streaming`](crate::streaming::Streaming), with these options.
    Streaming(StreamingOptions),
    /// By the head's own [`forward`](crate::Head::forward) and [`backward`](crate::Head::backward).
    Explicit,
}

impl Default for Kernel {
    /// Streaming, with the default options.
    fn default() -> Self {
        Self::Streaming(StreamingOptions::default())
    }
}

/// How class vectors begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum WeightInit {
    /// Normal, of variance 2 / (C + D), after Glorot.
    #[default]
    GlorotNormal,
    /// At right angles, of norm 1; needs a build with LAPACK.
    Orthonormal,
}

impl WeightInit {
    /// Class vectors (C, D).
    ///
    /// # Errors
    /// [`Error::NeedsFeature`], [`Error::Lapack`].
    pub fn weights<F: Real>(self, classes: usize, dimension: usize, rng: &mut impl Rng) -> Result<Array2<F>> {
        match self {
            Self::GlorotNormal => Ok(init::glorot_normal(classes, dimension, rng)),
            Self::Orthonormal => init::orthonormal(classes, dimension, rng),
        }
    }
}

fn is_default(objective: &TrainObjective) -> bool {
    *objective == TrainObjective::default()
}

impl<H: StoredHead> TrainConfig<H> {
    /// A run of `head` with settings that suit frozen features: RMSprop at 1e-3, batches of 32, 30 epochs, features
    /// centred, a scale that follows the batch bounded by [`MAX_SCALE`] unless it has a bound.
    pub fn new(mut head: H) -> Self {
        head.bound_scale(MAX_SCALE);
        Self {
            head,
            optimizer: Optimizer::RmsProp(RmsProp::default()),
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            batch_size: 32,
            epochs: 30,
            patience: None,
            seed: 0,
            transform: TransformKind::Centre,
            init: WeightInit::default(),
            kernel: Kernel::default(),
            sample_rate: None,
            objective: TrainObjective::default(),
            penalties: Vec::new(),
            embedder: None,
        }
    }

    /// The settings in which this is not `expected`, each in a sentence.
    pub(super) fn differences(&self, expected: &Self) -> Vec<String> {
        let json = |config: &Self| serde_json::to_value(config).expect("plain data");
        let mut differences = Vec::new();
        find_differences("", &json(self), &json(expected), &mut differences);
        differences
    }

    /// Rows without which no step can be taken.
    pub(super) fn smallest_batch(&self) -> usize {
        self.embedder.map_or(1, |embedder| embedder.smallest_batch())
    }

    /// Checks that this build can begin such a run; going on needs no more than there is.
    ///
    /// # Errors
    /// [`Error::NeedsFeature`].
    pub fn check_build(&self) -> Result<()> {
        if let TransformKind::Whiten { .. } = self.transform {
            linalg::check(linalg::WHITENING)?;
        }
        match self.init {
            WeightInit::GlorotNormal => Ok(()),
            WeightInit::Orthonormal => linalg::check(linalg::ORTHONORMAL),
        }
    }

    /// Checks every setting, for this number of classes.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::HyperParameter`], [`Error::TooFewClasses`].
    pub fn check(&self, classes: usize) -> Result<()> {
        check_head(&self.head, classes)?;
        // That of training.
        self.head.scale().check_precision::<f32>(self.head.name())?;
        self.optimizer.check()?;
        self.schedule.check()?;
        self.objective.check()?;
        // That there are any matters here; which ones the rows will say.
        let class_weights = self.objective.class_weights.iter().map(|_| ArrayView1::from(&[])).next();
        let objective = Objective { class_weights, ..self.objective.of_labels::<f32>(ArrayView1::from(&[])) };
        self.head.loss().check_objective(self.head.name(), &objective)?;
        self.transform.check()?;
        self.check_penalties()?;
        if let Some(rate) = self.sample_rate {
            check_sample_rate(rate)?;
            if self.kernel == Kernel::Explicit {
                let expected = "none with the explicit kernel, which takes all classes".into();
                return Err(Error::Setting { name: "sample rate", value: number(rate), expected });
            }
        }
        if let Kernel::Streaming(options) = self.kernel {
            options.check()?;
        }
        let rate = self.learning_rate;
        let at_least_one = |name, value: usize| match value {
            0 => Err(Error::Setting { name, value: value.to_string(), expected: "at least 1".into() }),
            _ => Ok(()),
        };
        at_least_one("batch size", self.batch_size)?;
        at_least_one("epochs", self.epochs)?;
        self.patience.map_or(Ok(()), |patience| at_least_one("patience", patience))?;
        if self.schedule.warm_up > self.epochs as f64 {
            let expected = format!("at most {}, the epochs of the run", self.epochs);
            return Err(Error::Setting { name: "warm-up", value: number(self.schedule.warm_up), expected });
        }
        if let Some(embedder) = self.embedder {
            embedder.check()?;
            let smallest = self.smallest_batch();
            if self.batch_size < smallest {
                let expected =
                    format!("at least {smallest} with this embedder, whose batch normalisation needs other rows");
                return Err(Error::Setting { name: "batch size", value: self.batch_size.to_string(), expected });
            }
        }
        crate::optim::check_setting("learning rate", rate, rate > 0.0 && rate.is_finite(), "a positive finite number")?;
        self.optimizer.check_step::<f32>(1, rate)
    }

    /// Checks that training can have these penalties.
    fn check_penalties(&self) -> Result<()> {
        let refused = |penalty: &WeightedPenalty, expected: &str| {
            Err(Error::Setting { name: "penalty", value: penalty.to_string(), expected: expected.into() })
        };
        for penalty in &self.penalties {
            penalty.check(self.head.centres())?;
            if penalty.penalty.is_of_rows() && self.embedder.is_none() {
                return refused(penalty, "an embedder beside it, or rows stay where they are");
            }
            if self.sample_rate.is_some() {
                return refused(penalty, "none with a sample rate, which leaves out classes");
            }
        }
        let is_center_loss = |penalty: &&WeightedPenalty| matches!(penalty.penalty, Penalty::CenterLoss { .. });
        match self.penalties.iter().filter(is_center_loss).nth(1) {
            Some(penalty) => refused(penalty, "one center loss alone, which has the centres to itself"),
            None => Ok(()),
        }
    }

    /// Whether center loss is one of the penalties.
    pub(super) fn has_center_loss(&self) -> bool {
        self.penalties.iter().any(|penalty| matches!(penalty.penalty, Penalty::CenterLoss { .. }))
    }
}

/// The sentence in which a setting is said not to be that of the run to resume.
pub fn difference(setting: &str, found: &str, expected: &str) -> String {
    format!("{setting} is {found}, the run has {expected}")
}

/// Differences of two values, of their parts where both are objects of one kind. `path` is where they are in the configuration.
fn find_differences(path: &str, found: &Value, expected: &Value, differences: &mut Vec<String>) {
    let part = |of: &Value, key: &str| of.get(key).cloned().unwrap_or_default();
    // What has another name or is of another kind has other parts, too.
    let kind = |of: &Value| [part(of, "name"), part(of, "kind")];
    match (found, expected) {
        (Value::Object(entries), Value::Object(others)) if kind(found) == kind(expected) => {
            let keys: BTreeSet<&String> = entries.keys().chain(others.keys()).collect();
            for key in keys {
                let path = format!("{path} {}", key.replace('_', " "));
                find_differences(path.trim_start(), &part(found, key), &part(expected, key), differences);
            }
        }
        _ if found != expected => differences.push(difference(path, &shown(found), &shown(expected))),
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    let kind = ["name", "kind"].into_iter().find_map(|key| value.get(key)?.as_str());
    match (value, kind) {
        (Value::String(text), _) => text.clone(),
        (Value::Null, _) => "none".into(),
        (_, Some(kind)) => kind.into(),
        _ => value.to_string(),
    }
}
