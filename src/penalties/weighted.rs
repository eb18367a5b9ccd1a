//! Penalties by name, each times a weight: `intra:0.5`, `triplet:1:margin=0.3`.

use super::{center_loss, centre_distance, inter, intra, regularface, triplet};
use crate::wording::number;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

/// One of the penalties, with what it has to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Penalty {
    /// [`intra`]
    Intra,
    /// [`inter`]
    Inter,
    /// [`triplet`]
    Triplet {
        /// m in radians, from 0 to π.
        margin: f64,
    },
    /// [`center_loss`]
    CenterLoss {
        /// α, from 0 to 1.
        rate: f64,
    },
    /// [`regularface`]
    RegularFace,
    /// [`centre_distance`]
    CentreDistance,
}

/// A penalty and what it is multiplied by. As text `NAME`, `NAME:WEIGHT` or `NAME:WEIGHT:OPTION=VALUE`; the weight is 1 unless it is given.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct WeightedPenalty {
    /// Which one.
    pub penalty: Penalty,
    /// Above 0.
    pub weight: f64,
}

/// What a penalty is of.
#[derive(Clone, Copy, Debug)]
pub struct PenaltyBatch<'a, F> {
    /// (B, D) as the head takes them.
    pub features: ArrayView2<'a, F>,
    /// (C·K, D)
    pub weights: ArrayView2<'a, F>,
    /// (B,)
    pub labels: ArrayView1<'a, i64>,
    /// K, class vectors a class.
    pub centres: usize,
}

impl Penalty {
    /// Names in the order of [`EXPECTED`](WeightedPenalty::EXPECTED).
    fn name(self) -> &'static str {
        match self {
            Self::Intra => "intra",
            Self::Inter => "inter",
            Self::RegularFace => "regularface",
            Self::CentreDistance => "centre-distance",
            Self::Triplet { .. } => "triplet",
            Self::CenterLoss { .. } => "center-loss",
        }
    }

    /// Whether rows alone are moved by it.
    pub fn is_of_rows(self) -> bool {
        matches!(self, Self::Triplet { .. } | Self::CenterLoss { .. })
    }
}

impl WeightedPenalty {
    /// What may be written.
    pub const EXPECTED: &'static str = "NAME[:WEIGHT] with NAME one of intra, inter, regularface, centre-distance or center-loss, or \
                                        triplet:WEIGHT:margin=RADIANS";

    /// Checks that heads with so many class vectors a class can have it.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(self, centres: usize) -> Result<()> {
        let expected = match (self.penalty, centres) {
            (Penalty::Intra | Penalty::Inter, 2..) => {
                format!("a penalty of heads with {centres} centres a class: any but intra and inter")
            }
            (Penalty::CentreDistance, ..2) => "a penalty of heads with one centre a class: any other".into(),
            _ => return Ok(()),
        };
        Err(Error::Setting { name: "penalty", value: self.to_string(), expected })
    }

    /// Adds the gradients of the penalty, times its weight, to those of a head, and returns the penalty times its weight. Center loss moves its
    /// `centres` (C, D) as [`center_loss::updated_centres`] does; the others have none.
    ///
    /// # Errors
    /// Those of [`check`](Self::check) and of the penalty.
    pub fn add<F: Real>(
        self,
        batch: PenaltyBatch<F>,
        centres: &mut Array2<F>,
        d_features: &mut Array2<F>,
        d_weights: &mut Array2<F>,
    ) -> Result<F> {
        self.check(batch.centres)?;
        let PenaltyBatch { features, weights, labels, .. } = batch;
        let weight = F::of(self.weight);
        let penalty = match self.penalty {
            Penalty::Intra => {
                let (penalty, cache) = intra::forward(features, weights, labels)?;
                let gradients = intra::backward(&cache);
                d_features.scaled_add(weight, &gradients.d_features);
                d_weights.scaled_add(weight, &gradients.d_weights);
                penalty
            }
            Penalty::Inter => {
                let (penalty, cache) = inter::forward(weights, labels)?;
                d_weights.scaled_add(weight, &inter::backward(&cache));
                penalty
            }
            Penalty::Triplet { margin } => {
                let (penalty, cache) = triplet::forward(features, labels, margin)?;
                d_features.scaled_add(weight, &triplet::backward(&cache));
                penalty
            }
            Penalty::CenterLoss { rate } => {
                let (penalty, cache) = center_loss::forward(features, centres.view(), labels)?;
                d_features.scaled_add(weight, &center_loss::backward(&cache));
                *centres = center_loss::updated_centres(&cache, centres.view(), rate)?;
                penalty
            }
            Penalty::RegularFace => {
                let (penalty, cache) = regularface::forward(weights)?;
                d_weights.scaled_add(weight, &regularface::backward(&cache));
                penalty
            }
            Penalty::CentreDistance => {
                let (penalty, cache) = centre_distance::forward(weights, batch.centres)?;
                d_weights.scaled_add(weight, &centre_distance::backward(&cache));
                penalty
            }
        };
        Ok(weight * penalty)
    }
}

impl FromStr for WeightedPenalty {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |expected: &str| Error::Setting { name: "penalty", value: text.into(), expected: expected.into() };
        let unknown = || wrong(Self::EXPECTED);
        let mut parts = text.split(':');
        let (name, weight, option) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("1"), parts.next());
        let option = option.map(|option| option.split_once('=').ok_or_else(unknown)).transpose()?;
        let number_in = |value: &str, most: f64| value.parse().ok().filter(|value| (0.0..=most).contains(value));
        let penalty = match (name, option) {
            ("intra", None) => Penalty::Intra,
            ("inter", None) => Penalty::Inter,
            ("regularface", None) => Penalty::RegularFace,
            ("centre-distance", None) => Penalty::CentreDistance,
            ("center-loss", None) => Penalty::CenterLoss { rate: center_loss::RATE },
            ("center-loss", Some(("rate", rate))) => {
                Penalty::CenterLoss { rate: number_in(rate, 1.0).ok_or_else(|| wrong("a rate from 0 to 1"))? }
            }
            ("triplet", Some(("margin", margin))) => {
                let margin = number_in(margin, PI);
                Penalty::Triplet {
                    margin: margin.ok_or_else(|| wrong("a margin that is an angle in [0, π] radians"))?
                }
            }
            _ => return Err(unknown()),
        };
        let weight = weight.parse().ok().filter(|&weight| weight > 0.0 && f64::is_finite(weight));
        let weight = weight.ok_or_else(|| wrong("a weight that is a number above 0"))?;
        if parts.next().is_some() {
            return Err(unknown());
        }
        Ok(Self { penalty, weight })
    }
}

impl fmt::Display for WeightedPenalty {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}:{}", self.penalty.name(), number(self.weight))?;
        match self.penalty {
            Penalty::Triplet { margin } => write!(formatter, ":margin={}", number(margin)),
            Penalty::CenterLoss { rate } if rate != center_loss::RATE => write!(formatter, ":rate={}", number(rate)),
            _ => Ok(()),
        }
    }
}

impl From<WeightedPenalty> for String {
    fn from(penalty: WeightedPenalty) -> Self {
        penalty.to_string()
    }
}

impl TryFrom<String> for WeightedPenalty {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_read_as_they_are_written() {
        for text in [
            "intra:0.5",
            "inter:1",
            "regularface:1e-7",
            "centre-distance:0.2",
            "center-loss:0.003",
            "center-loss:1:rate=0.1",
            "triplet:2:margin=0.3",
        ] {
            let penalty: WeightedPenalty = text.parse().expect("a penalty");
            assert_eq!(penalty.to_string(), text);
        }
        let plain: WeightedPenalty = "intra".parse().expect("a penalty");
        assert_eq!(plain, WeightedPenalty { penalty: Penalty::Intra, weight: 1.0 });
        for text in ["intro", "triplet", "triplet:1", "intra:1:margin=0.3", "triplet:1:m=0.3", "center-loss:1:0.5", ""]
        {
            let message = text.parse::<WeightedPenalty>().expect_err("none").to_string();
            assert!(message.contains("expected NAME[:WEIGHT] with NAME one of intra"), "{message}");
        }
        for text in ["intra:1:", "triplet:1:margin=0.3:2", "intra:1:2:3"] {
            assert!(text.parse::<WeightedPenalty>().is_err(), "{text}");
        }
        for (text, expected) in [
            ("intra:0", "a weight that is a number above 0"),
            ("inter:inf", "a weight that is a number above 0"),
            ("triplet:1:margin=4", "an angle in [0, π] radians"),
            ("center-loss:1:rate=2", "a rate from 0 to 1"),
        ] {
            let message = text.parse::<WeightedPenalty>().expect_err("out of range").to_string();
            assert!(
                message.contains(&format!("penalty is {text}; expected ")) && message.contains(expected),
                "{message}"
            );
        }
    }
}
