//! The heads: one file each, and the list of them all.
//!
//! | name | logits in training (θ: angle to the labelled class) | inference | trained |
//! |---|---|---|---|
//! | `softmax` | `x·w + b` | same | `weights`, `bias` |
//! | `l2-softmax` | `α x̂·w + b` | same | `weights`, `bias`, `alpha` if learned |
//! | `norm-softmax` | `s cosθ` | same | `weights` |
//! | `fixed-adacos` | `√2 ln(C-1) cosθ` | same | `weights` |
//! | `adacos` | `s cosθ`, s follows the batch | last s | `weights` |
//! | `l-softmax` | target `‖w‖‖x‖ ((-1)^k cos(mθ) - 2k)`, others `x·w` | `x·w` | `weights` |
//! | `sphereface` | target `s ((-1)^k cos(mθ) - 2k)` | `s cosθ` | `weights` |
//! | `cosface` | target `s (cosθ - m)` | `s cosθ` | `weights` |
//! | `arcface` | target `s cos(θ + m)` | `s cosθ` | `weights` |
//! | `combined-margin` | target `s (cos(m1 θ + m2) - m3)` | `s cosθ` | `weights` |
//! | `curricularface` | target `s cos(θ + m)`, hard others `s cosθ (t + cosθ)` | `s cosθ` | `weights` |
//! | `mv-softmax` | target `s (cosθ - m)` or `s cos(θ + m)`, mis-classified others `s ((t + 1) cosθ + t)` | `s cosθ` | `weights` |
//! | `magface` | target `s cos(θ + m(‖x‖))`, and `λ (‖x‖/u² + 1/‖x‖)` | `s cosθ` | `weights` |
//! | `adaface` | target `s (cos(θ - m ẑ) - m ẑ - m)` | `s cosθ` | `weights` |
//! | `sub-center-arcface` | target `s cos(θ + m)`, θ to the nearest of K centres | `s cosθ` | `weights` |
//! | `sphereface-r` | target `s cos(min(m θ, π))` | `s cosθ` | `weights` |
//! | `elasticface` | target `s cos(θ + m)` or `s (cosθ - m)`, m drawn for each row | `s cosθ` | `weights` |
//! | `dynamic-arcface` | target `s cos(θ + m)`, m larger for smaller classes | `s cosθ` | `weights` |
//! | `ldam` | target `s (cosθ - m)`, m larger for smaller classes | `s cosθ` | `weights` |
//! | `circle` | target `s (1 + m - cosθ) (cosθ - 1 + m)`, others `s max(cosθ + m, 0) (cosθ - m)` | `s cosθ` | `weights` |
//! | `proxy-nca` | `s cosθ`, the labelled class not in the denominator | `s cosθ` | `weights` |
//! | `proxy-anchor` | target `s (cosθ - δ)`, others `s (cosθ + δ)`, compared over the rows of the batch | `s cosθ` | `weights` |
//! | `soft-triple` | target `s (S - δ)`, others `s S`, S the K centres' cosines weighed by their softmax over γ | `s S` | `weights` |
//! | `sphereface2` | target `s (g(cosθ) - m) - t`, others `s (g(cosθ) + m) - t`, each a yes or no | `s cosθ - t` | `weights`, `threshold` |
//! | `uniface` | target `s (cosθ - m) - t`, others `s cosθ - t`, each a yes or no | `s cosθ - t` | `weights`, `threshold` |
//! | `p2sgrad` | `cosθ`, its squared distance from 1 or 0 | `cosθ` | `weights` |
//!
//! Every head is a [`Head`]: hyper-parameters, and rules on one row. s is a number or any other [`Scale`] where a head has the option.

pub mod adacos;
pub mod adaface;
pub mod arcface;
pub mod circle;
pub mod combined_margin;
pub mod cosface;
pub mod curricularface;
pub mod dynamic_arcface;
pub mod elasticface;
pub mod explicit;
pub mod fixed_adacos;
pub mod l2_softmax;
pub mod l_softmax;
pub mod ldam;
pub mod magface;
pub mod mv_softmax;
pub mod norm_softmax;
pub mod options;
pub mod p2sgrad;
pub mod proxy_anchor;
pub mod proxy_nca;
pub mod soft_triple;
pub mod softmax;
pub mod sphereface;
pub mod sphereface2;
pub mod sphereface_r;
pub mod sub_center_arcface;
pub mod uniface;

pub(crate) mod checked;
pub(crate) mod gradient_bound;
pub(crate) mod row;
pub(crate) mod rules;
pub(crate) mod scale;

mod class_margins;
mod geometry;
mod head;
mod list;
mod margin_gradient;
mod parameters;
mod range;
mod state_value;
mod statistics;

pub use crate::ops::{ClassLoss, Loss, OthersRule};
pub use arcface::PastPi;
pub use explicit::{Cache, LabelledRow};
pub use geometry::Geometry;
pub use head::Head;
pub use margin_gradient::MarginGradient;
pub use mv_softmax::{MvForm, Reweighting};
pub use options::{Choice, HeadOption, NamedHead, OptionInfo, OptionRange, OptionValue};
pub use parameters::{Gradients, Parameters, ParametersMut, ParametersView, State};
pub use row::{Logit, Penalty, Row};
pub use scale::Scale;
pub use sphereface_r::SphereFaceForm;
pub use sphereface2::SphereFace2Form;
pub use state_value::StateValue;
pub use statistics::BatchStatistics;

pub(crate) use parameters::{THRESHOLD, is_trained, make_standard};

use crate::{Error, Real, Result};

list::any_head! {
    "softmax" => softmax::Softmax,
    "l2-softmax" => l2_softmax::L2Softmax,
    "norm-softmax" => norm_softmax::NormSoftmax,
    "fixed-adacos" => fixed_adacos::FixedAdaCos,
    "adacos" => adacos::AdaCos,
    "l-softmax" => l_softmax::LSoftmax,
    "sphereface" => sphereface::SphereFace,
    "cosface" => cosface::CosFace,
    "arcface" => arcface::ArcFace,
    "combined-margin" => combined_margin::CombinedMargin,
    "curricularface" => curricularface::CurricularFace,
    "mv-softmax" => mv_softmax::MvSoftmax,
    "magface" => magface::MagFace,
    "adaface" => adaface::AdaFace,
    "sub-center-arcface" => sub_center_arcface::SubCenterArcFace,
    "sphereface-r" => sphereface_r::SphereFaceR,
    "elasticface" => elasticface::ElasticFace,
    "dynamic-arcface" => dynamic_arcface::DynamicArcFace,
    "ldam" => ldam::Ldam,
    "circle" => circle::Circle,
    "proxy-nca" => proxy_nca::ProxyNca,
    "proxy-anchor" => proxy_anchor::ProxyAnchor,
    "soft-triple" => soft_triple::SoftTriple,
    "sphereface2" => sphereface2::SphereFace2,
    "uniface" => uniface::UniFace,
    "p2sgrad" => p2sgrad::P2SGrad,
}

impl AnyHead {
    /// The names of all heads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::LIST.iter().map(|&(name, _)| name)
    }

    /// Whether there is a head called `name` that takes `option`.
    pub fn takes(name: &str, option: &str) -> bool {
        Self::options_of(name).is_some_and(|options| options.iter().any(|of_head| of_head.name == option))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_set_by_its_name_and_default() -> Result<()> {
        for name in AnyHead::names() {
            let options = AnyHead::options_of(name).expect("a listed head");
            for option in &options {
                let head = AnyHead::new(name, &[(option.name, &option.default)])?;
                assert_eq!(head, AnyHead::new(name, &[])?, "{name} {}", option.name);
            }
        }
        Ok(())
    }

    #[test]
    fn a_misspelt_option_or_value_says_what_is_expected() {
        let error = |name, option, value| AnyHead::new(name, &[(option, value)]).expect_err("refused").to_string();
        assert_eq!(
            error("arcface", "margn", "0.5"),
            "arcface has no margn; it takes scale, margin, past-pi, gradient, interclass-filter"
        );
        assert_eq!(error("softmax", "scale", "5"), "softmax has no scale; it takes no options");
        assert_eq!(error("arcface", "past-pi", "soft"), "past-pi is soft; expected monotone, continuous, easy, plain");
        assert_eq!(
            error("arcface", "scale", "big"),
            "scale is big; expected a number, or one of fixed-adacos, adacos, learned"
        );
        assert_eq!(error("arcface", "margin", "4"), "arcface: margin is 4; expected an angle in [0, π] radians");
    }
}
