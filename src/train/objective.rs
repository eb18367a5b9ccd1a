//! What training minimises, but for arrays that go with the data.

use crate::ops::checked_objective::{check_focal, check_label_smoothing, check_weights, check_z_loss};
use crate::ops::{Objective, class_weights};
use crate::wording::number;
use crate::{Error, Real, Result};
use ndarray::{Array1, ArrayView1};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Numbers of an [`Objective`](crate::ops::Objective), and where its class weights come from. The default is the mean cross-entropy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainObjective {
    /// ε
    pub label_smoothing: f64,
    /// γ
    pub focal: f64,
    /// ζ
    pub z_loss: f64,
    /// None: all classes weigh alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

/// Where class weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// The training rows of each class.
    Rule(ClassWeightRule),
    /// (C,)
    Given(Vec<f64>),
}

/// Weights from the number of rows of each class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClassWeightRule {
    /// [`inverse_frequency`](class_weights::inverse_frequency): `inverse`.
    InverseFrequency,
    /// [`effective_number`](class_weights::effective_number): `effective` at [`DEFAULT_BETA`](Self::DEFAULT_BETA), or `effective:0.99`.
    EffectiveNumber {
        /// β
        beta: f64,
    },
}

impl ClassWeightRule {
    /// Of the values that Cui et al. 2019 (arXiv 1901.05555) try, 0.9 to 0.9999, the one that tells classes of ten rows from those of a thousand.
    pub const DEFAULT_BETA: f64 = 0.999;

    /// What a rule may be called.
    pub const EXPECTED: &'static str = "inverse, effective, or effective:B with B from 0 to below 1";
}

impl fmt::Display for ClassWeightRule {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::InverseFrequency => formatter.write_str("inverse"),
            Self::EffectiveNumber { beta } if beta == Self::DEFAULT_BETA => formatter.write_str("effective"),
            Self::EffectiveNumber { beta } => write!(formatter, "effective:{}", number(beta)),
        }
    }
}

impl FromStr for ClassWeightRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let beta = match text.split_once(':') {
            Some(("effective", beta)) => beta.parse().ok(),
            None if text == "effective" => Some(Self::DEFAULT_BETA),
            None if text == "inverse" => return Ok(Self::InverseFrequency),
            _ => None,
        };
        let in_range = beta.filter(|beta| (0.0..1.0).contains(beta));
        let error = || Error::Setting { name: "class weights", value: text.into(), expected: Self::EXPECTED.into() };
        in_range.map(|beta| Self::EffectiveNumber { beta }).ok_or_else(error)
    }
}

impl From<ClassWeightRule> for String {
    fn from(rule: ClassWeightRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for ClassWeightRule {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl TrainObjective {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<()> {
        check_label_smoothing(self.label_smoothing)?;
        check_focal(self.focal)?;
        check_z_loss(self.z_loss)
    }

    /// The objective of rows with these labels, all of the same weight.
    pub fn of_labels<'a, F>(&self, labels: ArrayView1<'a, i64>) -> Objective<'a, F> {
        let &Self { label_smoothing, focal, z_loss, .. } = self;
        Objective { label_smoothing, focal, z_loss, ..labels.into() }
    }

    /// (C,) the weights of classes of so many training rows each.
    ///
    /// # Errors
    /// [`Error::Shape`] where they are given for another number of classes.
    pub fn class_weights<F: Real>(&self, sizes: &[usize]) -> Result<Option<Array1<F>>> {
        let Some(weights) = &self.class_weights else { return Ok(None) };
        let weights = match weights {
            ClassWeights::Rule(ClassWeightRule::InverseFrequency) => class_weights::inverse_frequency(sizes),
            ClassWeights::Rule(ClassWeightRule::EffectiveNumber { beta }) => {
                class_weights::effective_number(sizes, *beta)?
            }
            ClassWeights::Given(weights) => weights.iter().map(|&weight| F::of(weight)).collect(),
        };
        check_weights("class_weights", weights.view(), sizes.len(), "class")?;
        Ok(Some(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() -> Result<(), Box<dyn std::error::Error>> {
        for text in ["inverse", "effective", "effective:0.99", "effective:0"] {
            assert_eq!(text.parse::<ClassWeightRule>()?.to_string(), text);
        }
        for text in ["Inverse", "effective:1", "effective:", "effective:x", ""] {
            let message = text.parse::<ClassWeightRule>().expect_err("no rule").to_string();
            assert!(message.starts_with(&format!("class weights is {text}; expected inverse, effective")), "{message}");
        }
        let objective = TrainObjective {
            class_weights: Some(ClassWeights::Rule(ClassWeightRule::EffectiveNumber { beta: 0.5 })),
            ..TrainObjective::default()
        };
        let json = serde_json::to_string(&objective)?;
        assert_eq!(serde_json::from_str::<TrainObjective>(&json)?, objective);
        let given = TrainObjective { class_weights: Some(ClassWeights::Given(vec![1.0, 0.25])), ..objective };
        assert_eq!(serde_json::from_str::<TrainObjective>(&serde_json::to_string(&given)?)?, given);
        Ok(())
    }
}
