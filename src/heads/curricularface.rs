//! CurricularFace (Huang et al. 2020, arXiv 2004.00288, eq. 10 and 11): hard negatives weigh more as training comes along.
//!
//! `ψ(θ) = cos(θ + m)`, ArcFace's with [`PastPi::Monotone`]. Another class whose cosine c is above `cos(θ + m)` is hard, and
//!
//! `φ(c) = c (t + c)`, so `dφ/dc = t + 2 c`; `φ(c) = c` for the rest.
//!
//! t, the state `t`, is a running mean of the labelled classes' cosines: `t ← 0.01 mean_i cosθ_i + 0.99 t`, at the start 0, with this batch in
//! it already. It is a constant to the gradient, as in the authors' code, from which the 0.01 is, too: the
//! paper's text has 0.99 in its place, by mistake. While t + c < 1 a hard class counts for less than its cosine, past
//! that for more. φ jumps at the threshold by `c (t + c - 1)`.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a
//! margin outside [0, π], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, NamedHead, OptionRange, OthersRule, PastPi, Row, Scale, StateValue};
use crate::{Real, Result};

/// What each batch adds to the running mean.
const FRESH: f64 = 0.01;

/// The CurricularFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CurricularFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The angle m that is added, in radians, in [0, π].
    pub margin: f64,
}

impl Default for CurricularFace {
    /// s = 64, m = 0.5, the paper's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(64.0), margin: 0.5 }
    }
}

impl Head for CurricularFace {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn bound_scale(&mut self, largest: f64) {
        self.scale.bound(largest);
    }

    fn state(&self) -> &'static [StateValue] {
        const { &[StateValue { help: "a mean of cosines", range: OptionRange::COSINE, ..StateValue::new("t", 0.0) }] }
    }

    fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
        let mean = rows.iter().map(|row| row.angle.cos.to_double()).sum::<f64>() / rows.len() as f64;
        state[0] = FRESH * mean + (1.0 - FRESH) * state[0];
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        PastPi::Monotone.target(row, self.margin)
    }

    fn others<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Option<OthersRule<F>> {
        let t = F::of(state[0]);
        let threshold = PastPi::Plain.target(row, self.margin).value;
        let (value, slope) = ([F::zero(), t, F::one(), F::zero()], [t, F::of(2.0), F::zero()]);
        Some(OthersRule { threshold, zero_below: false, value, slope })
    }
}

impl NamedHead for CurricularFace {
    const FORMULA: &'static str = "target s cos(θ + m), hard others s cosθ (t + cosθ)";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "angle m added, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.margin,
        },
    ];
}
