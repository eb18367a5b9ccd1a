//! What is minimised of a row's logits: softmax cross-entropy, or what some heads put in its place.

use super::{Objective, Reduction};
use crate::{Error, Real, Result};

/// What a head makes of the logits z of a row labelled y.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// Softmax cross-entropy, `ln Σ_j exp(z_j) - z_y`.
    #[default]
    Softmax,
    /// `ln Σ_{j≠y} exp(z_j) - z_y`: the labelled class is not in the sum (neighbourhood components, Goldberger et al. 2004; as in Movshovitz-Attias
    /// et al. 2017, arXiv 1703.07464, eq. 4). It can be negative, and has no end: every row keeps all of its gradient.
    Nca,
    /// A loss for each class by itself, and their sum: no class takes from another.
    EachClass(ClassLoss),
    /// `(1/|P⁺|) Σ_{p∈P⁺} ln(1 + Σ_{i: y_i = p} exp(-z_ip)) + (1/C) Σ_p ln(1 + Σ_{i: y_i ≠ p} exp(z_ip))`: each class vector an anchor to which the
    /// rows of the batch are compared, P⁺ the classes that have rows in it (Kim et al. 2020, arXiv 2003.13911, eq. 4). A class's loss is shared
    /// among its rows by their exponentials.
    Anchors,
}

/// The loss of each class by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassLoss {
    /// `λ₊ ln(1 + exp(t - z_y)) + λ₋ Σ_{j≠y} ln(1 + exp(z_j - t))`: a yes or no for each class, with a threshold t that is trained. The vector
    /// `threshold` (1,) of the head's [`Parameters`](crate::Parameters).
    Logistic {
        /// λ₊
        positive: f64,
        /// λ₋
        negative: f64,
    },
    /// `½ (1 - z_y)² + ½ Σ_{j≠y} z_j²`
    Squared,
}

impl Loss {
    /// Whether logits have a threshold that is trained.
    pub fn has_threshold(self) -> bool {
        matches!(self, Self::EachClass(ClassLoss::Logistic { .. }))
    }

    /// Checks that the loss of the head called `head` has what the objective speaks of: all is there of a softmax, weights and reduction of a loss of
    /// each class, nothing of anchors.
    ///
    /// # Errors
    /// [`Error::Head`].
    pub(crate) fn check_objective<F: Real>(self, head: &'static str, objective: &Objective<F>) -> Result<()> {
        let expected = match self {
            Self::Softmax | Self::Nca => return Ok(()),
            Self::EachClass(_) => "none: its loss is of each class by itself, without a softmax",
            Self::Anchors => "none: its loss is of classes over the rows of a batch",
        };
        let of_rows = self == Self::Anchors;
        let has = [
            (objective.label_smoothing != 0.0, "label smoothing"),
            (objective.focal != 0.0, "focal modulation"),
            (objective.z_loss != 0.0, "z-loss"),
            (objective.soft_targets.is_some(), "soft targets"),
            (of_rows && objective.class_weights.is_some(), "class weights"),
            (of_rows && objective.sample_weights.is_some(), "sample weights"),
            (of_rows && objective.reduction != Reduction::Mean, "a reduction"),
        ];
        match has.into_iter().find(|(is_there, _)| *is_there) {
            None => Ok(()),
            Some((_, found)) => Err(Error::Head { head, found, expected }),
        }
    }
}
