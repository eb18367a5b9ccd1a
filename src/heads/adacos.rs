//! AdaCos (Zhang et al. 2019, arXiv 1905.00292, section 4.2): the scale follows the batch.
//!
//! `z_ij = s cosθ_ij`, no margin. With s' the scale of the step before, at the start `√2 ln(C-1)`:
//!
//! `B_avg = mean_i Σ_{j≠y_i} exp(s' cosθ_ij)`, `θ_med = median_i θ_{i,y_i}`, `s = ln(B_avg) / cos(min(π/4, θ_med))`.
//!
//! s is the scale of this step's logits and the s' of the next. It is a constant to the gradient, which is therefore
//! that of the normalised softmax at s. The median of an even batch is the midpoint of the two middle angles. `ln B_avg`
//! is a log-sum-exp: the bare `exp` overflows `f32` at s' > 88. Outside training s stays as it is. Any margin
//! goes with this scale, too: [`Scale::AdaCos`].
//!
//! The recursion diverges where other classes' cosines stay above `cos(min(π/4, θ_med))`, as they do once class vectors share
//! the large common mean of pooled features: centre the features, or set [`max_scale`](AdaCos::max_scale).
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: C < 3,
//! where `ln(C-1) ≤ 0`; a scale that is not positive, given or computed; shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, NamedHead, OptionRange, Scale};
use crate::Result;

/// The AdaCos head. Its scale is the state `scale` in [`Parameters::state`](super::Parameters::state).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaCos {
    /// The scale is never set above this; `None` leaves it free, as in the paper.
    pub max_scale: Option<f64>,
}

impl Head for AdaCos {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)
    }

    fn scale(&self) -> Scale {
        Scale::AdaCos { max: self.max_scale }
    }

    fn bound_scale(&mut self, largest: f64) {
        self.max_scale.get_or_insert(largest);
    }
}

impl NamedHead for AdaCos {
    const FORMULA: &'static str = "s cosθ, s = ln(B_avg) / cos(min(π/4, θ_med))";
    const OPTIONS: &'static [HeadOption<Self>] = &[HeadOption {
        name: "max-scale",
        help: "largest scale that s may reach, in training 64 unless given",
        range: Some(OptionRange::POSITIVE),
        field: |head| &mut head.max_scale,
    }];
}
