//! Hyper-parameters by name, for callers that choose the head at run time.

use super::arcface::PastPi;

/// The hyper-parameters of all heads; what is left out takes the head's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadOptions {
    /// Scale s of the logits. For AdaCos: none; its scale is in [`Parameters`](super::Parameters).
    pub scale: Option<f64>,
    /// Margin m: radians (ArcFace), a cosine (CosFace), a factor of the angle (SphereFace).
    pub margin: Option<f64>,
    /// Factor m1 of the angle (combined margin).
    pub m1: Option<f64>,
    /// Angle m2 added, in radians (combined margin).
    pub m2: Option<f64>,
    /// Cosine m3 subtracted (combined margin).
    pub m3: Option<f64>,
    /// Norm α of the features (L2-softmax); where it starts, if it is learned.
    pub alpha: Option<f64>,
    /// Whether α is learned (L2-softmax).
    pub learn_alpha: Option<bool>,
    /// What ArcFace does past θ = π - m.
    pub past_pi: Option<PastPi>,
    /// Largest scale AdaCos may reach.
    pub max_scale: Option<f64>,
}

impl HeadOptions {
    fn by_name(&self) -> [(&'static str, bool); 9] {
        [
            ("scale", self.scale.is_some()),
            ("margin", self.margin.is_some()),
            ("m1", self.m1.is_some()),
            ("m2", self.m2.is_some()),
            ("m3", self.m3.is_some()),
            ("alpha", self.alpha.is_some()),
            ("learn-alpha", self.learn_alpha.is_some()),
            ("past-pi", self.past_pi.is_some()),
            ("max-scale", self.max_scale.is_some()),
        ]
    }

    /// The names of the options that are set.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        self.by_name().into_iter().filter_map(|(name, given)| given.then_some(name))
    }

    /// These options without those that a head with the options `takes` does not have: several heads can
    /// share one set.
    pub fn only(&self, takes: &[&str]) -> Self {
        let keep = |name| takes.contains(&name);
        Self {
            scale: self.scale.filter(|_| keep("scale")),
            margin: self.margin.filter(|_| keep("margin")),
            m1: self.m1.filter(|_| keep("m1")),
            m2: self.m2.filter(|_| keep("m2")),
            m3: self.m3.filter(|_| keep("m3")),
            alpha: self.alpha.filter(|_| keep("alpha")),
            learn_alpha: self.learn_alpha.filter(|_| keep("learn-alpha")),
            past_pi: self.past_pi.filter(|_| keep("past-pi")),
            max_scale: self.max_scale.filter(|_| keep("max-scale")),
        }
    }
}
