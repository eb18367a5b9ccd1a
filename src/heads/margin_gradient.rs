//! What counts as the derivative of a margin.

use super::{Choice, HeadOption, Logit, OptionValue};
use crate::Real;

/// What a labelled class's `dψ/dcosθ` is in the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum MarginGradient {
    /// The derivative of ψ.
    #[default]
    True,
    /// 1: the margin changes the probabilities, and nothing else. So InsightFace's code has it since December 2022, and SphereFace-R's. It bounds
    /// the gradient at the poles, where ψ may have a cone, and is not the derivative of the loss that is reported.
    StraightThrough,
}

impl Choice for MarginGradient {
    const ALL: &'static [(&'static str, Self)] = &[("true", Self::True), ("straight-through", Self::StraightThrough)];
}

impl MarginGradient {
    /// The option of heads that have it.
    pub(super) const fn option<H>(field: fn(&mut H) -> &mut dyn OptionValue) -> HeadOption<H> {
        let help = "derivative of the margin: true, or straight-through, which takes it as 1";
        HeadOption { name: "gradient", help, range: None, field }
    }

    /// ψ with this derivative.
    pub(super) fn of<F: Real>(self, logit: Logit<F>) -> Logit<F> {
        match self {
            Self::True => logit,
            Self::StraightThrough => Logit { slope: F::one(), ..logit },
        }
    }
}
