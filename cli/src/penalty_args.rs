//! Penalties as arguments.

use arcos::penalties::{centre_distance, inter, intra, regularface, triplet};
use arcos::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::f64::consts::PI;

/// What follows --penalty.
pub(super) const EXPECTED: &str =
    "NAME[:WEIGHT] with NAME one of intra, inter, regularface, centre-distance, or triplet:WEIGHT:margin=RADIANS";

/// A penalty and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WeightedPenalty {
    penalty: Penalty,
    weight: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Penalty {
    Intra,
    Inter,
    Triplet { margin: f64 },
    RegularFace,
    CentreDistance,
}

/// The penalty that `text` stands for.
pub(super) fn weighted_penalty(text: &str) -> std::result::Result<WeightedPenalty, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (name, weight, margin) = match parts[..] {
        [name] => (name, "1", None),
        [name, weight] => (name, weight, None),
        [name, weight, option] => {
            (name, weight, Some(option.strip_prefix("margin=").ok_or(format!("expected {EXPECTED}"))?))
        }
        _ => return Err(format!("expected {EXPECTED}")),
    };
    let weight = match weight.parse() {
        Ok(weight) if weight > 0.0 && f64::is_finite(weight) => weight,
        _ => return Err(format!("the weight is {weight}; expected a number above 0")),
    };
    let penalty = match (name, margin) {
        ("intra", None) => Penalty::Intra,
        ("inter", None) => Penalty::Inter,
        ("regularface", None) => Penalty::RegularFace,
        ("centre-distance", None) => Penalty::CentreDistance,
        ("triplet", Some(margin)) => match margin.parse() {
            Ok(radians) if (0.0..=PI).contains(&radians) => Penalty::Triplet { margin: radians },
            _ => return Err(format!("the margin is {margin}; expected an angle in [0, π] radians")),
        },
        _ => return Err(format!("expected {EXPECTED}")),
    };
    Ok(WeightedPenalty { penalty, weight })
}

impl WeightedPenalty {
    /// Adds the gradients of the penalty, times its weight, to those of a head with so many `centres` a class; the penalty times its weight.
    ///
    /// # Errors
    /// [`Error::Setting`] for angles to class vectors where a class has several; those of the penalty.
    pub fn add<F: Real>(
        self,
        features: ArrayView2<F>,
        weights: ArrayView2<F>,
        labels: ArrayView1<i64>,
        centres: usize,
        (d_features, d_weights): (&mut Array2<F>, &mut Array2<F>),
    ) -> Result<F> {
        let name = match self.penalty {
            Penalty::Intra => Some("intra"),
            Penalty::Inter => Some("inter"),
            Penalty::Triplet { .. } | Penalty::RegularFace | Penalty::CentreDistance => None,
        };
        if let (Some(name), true) = (name, centres > 1) {
            let expected =
                format!("a penalty of heads with {centres} centres a class: triplet, regularface or centre-distance");
            return Err(Error::Setting { name: "--penalty", value: name.into(), expected });
        }
        if self.penalty == Penalty::CentreDistance && centres == 1 {
            let expected = "a penalty of heads with one centre a class: any other".into();
            return Err(Error::Setting { name: "--penalty", value: "centre-distance".into(), expected });
        }
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
            Penalty::CentreDistance => {
                let (penalty, cache) = centre_distance::forward(weights, centres)?;
                d_weights.scaled_add(weight, &centre_distance::backward(&cache));
                penalty
            }
            Penalty::RegularFace => {
                let (penalty, cache) = regularface::forward(weights)?;
                d_weights.scaled_add(weight, &regularface::backward(&cache));
                penalty
            }
        };
        Ok(weight * penalty)
    }
}
