//! Which vectors a head divides by their norms.

/// What the inner products of a head are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// `s x·w + b`: features and class vectors of any length, and a bias.
    Plain,
    /// `s x̂·w + b`: features of one length, class vectors of any, and a bias.
    UnitFeatures,
    /// `s x̂·ŵ = s cosθ`, no bias. Margins and rules on cosines are of this geometry alone.
    Sphere,
}

impl Geometry {
    /// Whether features are divided by their norms.
    pub fn normalizes_features(self) -> bool {
        self != Self::Plain
    }

    /// Whether class vectors are divided by their norms.
    pub fn normalizes_weights(self) -> bool {
        self == Self::Sphere
    }

    /// Whether logits have a bias (C,).
    pub fn has_bias(self) -> bool {
        self != Self::Sphere
    }
}
