//! L2-constrained softmax (Ranjan, Castillo, Chellappa 2017, arXiv 1703.09507): features on a sphere of radius α.
//!
//! `z = α x̂ wᵀ + b`, the constraint `‖f(x)‖₂ = α` of the paper built in as a layer.
//!
//! Gradient, with `g = (softmax(z) - onehot(y)) / n` (B, C), n the number of labelled rows and `d = g w` (B, D):
//!
//! `d_features = (α / ‖x‖) (d - (d·x̂) x̂)`, `d_weights = α gᵀ x̂`, `d_bias = Σ_i g_i`, `d_alpha = Σ_i d_i·x̂_i`.
//!
//! α is fixed, as the paper prefers, or learned (it tends to grow, which relaxes the constraint). The
//! paper's lower bound for a probability p at C classes is [`alpha_lower_bound`]. The norm is of each row: the
//! Keras project that this crate follows normalised the whole batch as one vector.
//!
//! Shapes: features (B, D), weights (C, D), bias (C,), labels (B,). Errors: those of [`softmax`](super::softmax), a
//! feature row of norm zero, α that is not positive.

use super::range::check_hyper_parameter;
use super::{Geometry, Head, HeadOption, NamedHead, OptionRange, Scale};
use crate::{Error, Result};

/// The L2-softmax head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct L2Softmax {
    /// The norm α given to every feature; where it starts, if it is learned.
    pub alpha: f64,
    /// Whether a trainer updates α by its gradient, which the backward pass gives in any case.
    pub learn_alpha: bool,
}

impl Default for L2Softmax {
    /// α = 16, fixed.
    fn default() -> Self {
        Self { alpha: 16.0, learn_alpha: false }
    }
}

impl Head for L2Softmax {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)
    }

    fn scale(&self) -> Scale {
        Scale::Alpha { start: self.alpha, learned: self.learn_alpha }
    }

    fn geometry(&self) -> Geometry {
        Geometry::UnitFeatures
    }
}

impl NamedHead for L2Softmax {
    const FORMULA: &'static str = "α x̂·w + b";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption {
            name: "alpha",
            help: "norm α given to features",
            range: Some(OptionRange::POSITIVE),
            field: |head| &mut head.alpha,
        },
        HeadOption {
            name: "learn-alpha",
            help: "whether α is trained by its gradient",
            range: None,
            field: |head| &mut head.learn_alpha,
        },
    ];
}

/// The smallest α with which a probability `p` can be reached for every one of `classes` classes:
/// `ln(p (C-2) / (1-p))` (arXiv 1703.09507), for class vectors of norm 1. It leaves out a term `e^-α`: at C = 3 it is 0.1 low.
///
/// # Errors
/// [`Error::TooFewClasses`] for less than 3, [`Error::HyperParameter`] unless `0 < p < 1`.
pub fn alpha_lower_bound(classes: usize, p: f64) -> Result<f64> {
    if classes < 3 {
        let reason = ", since ln(C - 2) must exist";
        return Err(Error::TooFewClasses { head: L2Softmax::NAME, found: classes, minimum: 3, reason });
    }
    check_hyper_parameter(L2Softmax::NAME, "p", p, p > 0.0 && p < 1.0, "a probability between 0 and 1")?;
    Ok((p * (classes - 2) as f64 / (1.0 - p)).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_bound_at_200_classes() {
        approx::assert_relative_eq!(alpha_lower_bound(200, 0.9).expect("C > 2"), 7.4855, epsilon = 5e-5);
        assert!(matches!(alpha_lower_bound(2, 0.9), Err(Error::TooFewClasses { .. })));
        approx::assert_relative_eq!(alpha_lower_bound(3, 0.9).expect("C > 2"), 9f64.ln(), max_relative = 1e-12);
        for p in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert!(matches!(alpha_lower_bound(200, p), Err(Error::HyperParameter { name: "p", .. })), "{p}");
        }
    }
}
