//! What is minimised, as arguments.

use arcos::data::read_vector;
use arcos::penalties::WeightedPenalty;
use arcos::train::{ClassWeightRule, ClassWeights, TrainObjective};
use arcos::{Error, Result};
use std::path::{Path, PathBuf};

/// Numbers of the objective, and weights of classes.
#[derive(clap::Args)]
#[command(next_help_heading = "Objective")]
pub(super) struct ObjectiveArgs {
    /// Share of each label that is spread over all classes, from 0 to below 1
    #[arg(long, value_name = "E", default_value_t = 0.0, allow_negative_numbers = true)]
    pub label_smoothing: f64,
    /// Focal modulation: losses are multiplied by (1 - p)^G, p the label's probability; 0 for none
    #[arg(long, value_name = "G", default_value_t = 0.0, allow_negative_numbers = true)]
    pub focal: f64,
    /// Add Z times the squared logarithm of the softmax denominator
    #[arg(long, value_name = "Z", default_value_t = 0.0, allow_negative_numbers = true)]
    pub z_loss: f64,
    /// How much classes count: inverse (to their rows), effective (number of rows, at beta 0.999), effective:BETA, or a file of weights (C,)
    /// in the order of classes [default: all alike]
    #[arg(long, value_name = "RULE|FILE")]
    pub class_weights: Option<String>,
    /// Add penalties, separated by commas, times a weight: intra, inter, regularface, centre-distance or center-loss, as NAME or NAME:WEIGHT, or
    /// triplet:WEIGHT:margin=RADIANS. Those of rows alone, triplet and center-loss, train an embedding
    #[arg(long, value_name = "NAME[:WEIGHT]", value_delimiter = ',')]
    pub penalty: Vec<WeightedPenalty>,
}

impl ObjectiveArgs {
    pub fn objective(&self) -> Result<TrainObjective> {
        let &Self { label_smoothing, focal, z_loss, .. } = self;
        let class_weights = self.class_weights.as_deref().map(class_weights).transpose()?;
        let objective = TrainObjective { label_smoothing, focal, z_loss, class_weights };
        objective.check()?;
        Ok(objective)
    }

    /// An error about the class weights with their file, if they are of one.
    pub fn located(&self, error: Error) -> Error {
        let file = self.file().filter(|_| error.subject() == Some("class_weights"));
        file.into_iter().fold(error, |error, file| error.in_file(&file))
    }

    /// The file of class weights, if that is what was given.
    pub fn file(&self) -> Option<PathBuf> {
        let given = self.class_weights.as_deref()?;
        given.parse::<ClassWeightRule>().is_err().then(|| given.into())
    }
}

/// A rule by its name, or the weights in a file.
fn class_weights(given: &str) -> Result<ClassWeights> {
    let unknown = match given.parse() {
        Ok(rule) => return Ok(ClassWeights::Rule(rule)),
        Err(unknown) => unknown,
    };
    // What is neither a rule nor a file may be either, misspelt.
    match given.split(':').next() {
        Some("inverse" | "effective") => Err(unknown),
        _ => read_vector(Path::new(given)).map(|weights| ClassWeights::Given(weights.to_vec())).map_err(|error| {
            match error {
                Error::Io { .. } => {
                    let expected = format!("{}, or a file of weights", ClassWeightRule::EXPECTED);
                    Error::Setting { name: "--class-weights", value: given.into(), expected }
                }
                error => error,
            }
        }),
    }
}

/// Whether both are names of one rule.
pub(super) fn is_same_rule(given: &str, of_run: &str) -> bool {
    let rules = (given.parse::<ClassWeightRule>(), of_run.parse::<ClassWeightRule>());
    matches!(rules, (Ok(given), Ok(of_run)) if given == of_run)
}

/// Whether `given` stands for these weights.
pub(super) fn are_class_weights(given: &str, of_run: &[f64]) -> bool {
    let Ok(ClassWeights::Given(weights)) = class_weights(given) else { return false };
    weights == of_run
}
