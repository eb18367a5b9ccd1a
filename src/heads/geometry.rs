//! Which vectors a head divides by their norms.

/// What the inner products of a head are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// `s x·w + b`: features and class vectors of any length, and a bias.
    Plain,
    /// `s x̂·w + b`: features of one length, class vectors of any, and a bias.
    UnitFeatures,
    /// `s x·w = s ‖x‖‖w‖ cosθ`: features and class vectors of any length, no bias. Margins may be on the labelled class.
    Linear,
    /// `s x̂·ŵ = s cosθ`, no bias. Rules on the other classes' cosines are of this geometry alone.
    Sphere,
}

impl Geometry {
    /// Whether features are divided by their norms.
    pub fn normalizes_features(self) -> bool {
        matches!(self, Self::UnitFeatures | Self::Sphere)
    }

    /// Whether class vectors are divided by their norms.
    pub fn normalizes_weights(self) -> bool {
        self == Self::Sphere
    }

    /// Whether logits have a bias (C,).
    pub fn has_bias(self) -> bool {
        !self.has_rules()
    }

    /// Whether a head's rules are asked: a bias leaves no angle to put a margin on.
    pub fn has_rules(self) -> bool {
        matches!(self, Self::Linear | Self::Sphere)
    }
}
