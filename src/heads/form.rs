//! What the streaming kernel has to know of a head.

use super::AdaCos;

/// The logits of a head as the streaming kernel computes them: `z_ij = s x̃_i·w̃_j + b_j`, with a margin on the labelled class.
///
/// Not covered: logits of other classes that depend on more than their own cosine, margins that depend on the row's
/// norm, several vectors a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitForm<F> {
    /// What x̃ and w̃ are.
    pub normalizes: Normalizes,
    /// s.
    pub scale: Scale<F>,
}

/// Which operands of the inner products are divided by their norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalizes {
    /// `x·w + b`: softmax.
    Nothing,
    /// `α x̂·w + b`: L2-softmax.
    Features,
    /// `s x̂·ŵ`, no bias: every cosine head.
    Both,
}

impl Normalizes {
    /// Whether x̃ is x̂.
    pub fn features(self) -> bool {
        self != Self::Nothing
    }

    /// Whether w̃ is ŵ; if not, there is a bias.
    pub fn weights(self) -> bool {
        self == Self::Both
    }
}

/// The factor s of the inner products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale<F> {
    /// Known before the step: s, α, or 1.
    Fixed(F),
    /// Follows from the cosines of the batch.
    AdaCos {
        /// Its bound, if there is one.
        head: AdaCos,
        /// The scale of the step before.
        previous: F,
    },
}
