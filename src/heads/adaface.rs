//! AdaFace (Kim et al. 2022, arXiv 2204.00964, eq. 13 to 15): a margin whose shape follows the norm of the feature, for images of all qualities.
//!
//! `ψ = cos(θ - m ẑ) - (m ẑ + m)`, with the norm, seen from the norms of late, `ẑ = (a - μ) h / (σ + 0.001)`, kept within [-1, 1];
//! `a = ‖x‖`, kept within [0.001, 100]. `θ - m ẑ` is kept within [0, π], so that ψ falls with θ throughout.
//!
//! `dψ/dcosθ = sin(θ - m ẑ) / sinθ`, 0 where `θ - m ẑ` is held at 0 or π; the floor on `sinθ` is that of
//! [`sin_floor`](crate::ops::angle::sin_floor). Norms, μ and σ are constants to the gradient, as in the authors' code.
//!
//! μ and σ, the states `norm_mean` and `norm_std`, are running means of those of the batches' labelled rows, this batch's with the weight
//! `t_alpha`; they begin at 20 and 100. σ of a batch has the divisor n - 1, and one row has none: it leaves the state as it is.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a
//! margin outside [0, π], h below 0, t_alpha outside [0, 1], C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::{Head, HeadOption, Logit, NamedHead, OptionRange, Row, Scale, StateValue};
use crate::{Real, Result};

/// The AdaFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The margin m, in [0, π]: an angle in radians, and a difference of cosines.
    pub margin: f64,
    /// h: a norm that is 1/h deviations from the mean has the margin furthest from the mean's. At least 0.
    pub h: f64,
    /// What the batch adds to the running mean and deviation, in [0, 1].
    pub t_alpha: f64,
}

impl Default for AdaFace {
    /// s = 64, m = 0.4, h = 0.333, the paper's, and t_alpha = 0.01, that of the authors' code.
    fn default() -> Self {
        Self { scale: Scale::Fixed(64.0), margin: 0.4, h: 0.333, t_alpha: 0.01 }
    }
}

/// Norms are kept within these.
const NORMS: (f64, f64) = (1e-3, 100.0);

/// Keeps the deviation from being divided by when it is zero.
const EPSILON: f64 = 1e-3;

fn kept_norm<F: Real>(row: &Row<F>) -> f64 {
    row.norm.to_double().clamp(NORMS.0, NORMS.1)
}

impl Head for AdaFace {
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
        const {
            &[
                StateValue {
                    help: "a mean of norms",
                    range: OptionRange::NOT_NEGATIVE,
                    ..StateValue::new("norm_mean", 20.0)
                },
                StateValue {
                    help: "a standard deviation of norms",
                    range: OptionRange::NOT_NEGATIVE,
                    ..StateValue::new("norm_std", 100.0)
                },
            ]
        }
    }

    fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
        let number = rows.len() as f64;
        let mean = rows.iter().map(kept_norm).sum::<f64>() / number;
        state[0] = self.t_alpha * mean + (1.0 - self.t_alpha) * state[0];
        if rows.len() > 1 {
            let squares = rows.iter().map(|row| (kept_norm(row) - mean).powi(2)).sum::<f64>();
            state[1] = self.t_alpha * (squares / (number - 1.0)).sqrt() + (1.0 - self.t_alpha) * state[1];
        }
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let (mean, deviation) = (state[0], state[1]);
        let z = ((kept_norm(row) - mean) * self.h / (deviation + EPSILON)).clamp(-1.0, 1.0);
        let (added, subtracted) = (-self.margin * z, F::of(self.margin * z + self.margin));
        let (sin, cos, angle) = (F::of(added.sin()), F::of(added.cos()), row.angle);
        // sin(θ - m ẑ) < 0: below 0 or past π. Cosines would do, but near the poles they cannot tell angles apart.
        let is_held = angle.sin * cos + angle.cos * sin < F::zero();
        let (value, slope) = match is_held {
            true if added > 0.0 => (-F::one(), F::zero()),
            true => (F::one(), F::zero()),
            false => (angle.cos * cos - angle.sin * sin, cos + angle.cos * sin / angle.sin_at_least_floor()),
        };
        Logit { value: value - subtracted, slope, ..Logit::default() }
    }
}

impl NamedHead for AdaFace {
    const FORMULA: &'static str = "target s (cos(θ - m ẑ) - m ẑ - m), ẑ the norm among those of late";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "margin",
            help: "margin m, an angle in radians and a cosine",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "h",
            help: "concentration h of the norms: 1/h deviations count as the most",
            range: Some(OptionRange::NOT_NEGATIVE),
            field: |head| &mut head.h,
        },
        HeadOption {
            name: "t-alpha",
            help: "weight of the batch in the running mean and deviation of norms",
            range: Some(OptionRange::SHARE),
            field: |head| &mut head.t_alpha,
        },
    ];
}
