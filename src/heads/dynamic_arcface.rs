//! Dynamic-margin ArcFace (Ha, Liu, Liu, Liao 2020, arXiv 2010.05350, section 2.2): ArcFace with a larger margin for smaller classes.
//!
//! `ψ(θ) = cos(θ + m_j)`, j the labelled class, as in [`arcface`](super::arcface) with its own margin `m_j = a n_j^-λ + b`, n_j the number of its
//! training rows; a and b are such that the largest class has the smallest margin, and the smallest class the largest.
//!
//! [`count_classes`](Head::count_classes) tells the head n; classes without rows have the largest margin, as all have until then, or where all
//! are of one size.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive,
//! margins outside [0, π] or the smallest above the largest, λ that is not positive, sizes of another number of classes, C < 2, shapes,
//! labels, NaN or infinity, rows of norm zero.

use super::class_margins::{check_number, smallest_and_largest};
use super::range::check_hyper_parameter;
use super::{Head, HeadOption, Logit, NamedHead, OptionRange, PastPi, Row, Scale};
use crate::{Real, Result};

/// The dynamic-margin ArcFace head.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DynamicArcFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The margin of the largest class, in radians, in [0, π].
    pub smallest_margin: f64,
    /// The margin of the smallest class, in radians, in [0, π].
    pub largest_margin: f64,
    /// The exponent λ, positive.
    pub lambda: f64,
    /// What happens past θ = π - m.
    pub past_pi: PastPi,
    /// m_j of each class, which [`count_classes`](Head::count_classes) sets; empty before.
    pub class_margins: Vec<f64>,
}

impl Default for DynamicArcFace {
    /// s = 80, margins 0.05 to 0.5, λ = 0.25, the authors' code's.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(80.0),
            smallest_margin: 0.05,
            largest_margin: 0.5,
            lambda: 0.25,
            past_pi: PastPi::default(),
            class_margins: Vec::new(),
        }
    }
}

impl Head for DynamicArcFace {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<()> {
        super::options::check_options(self)?;
        let in_order = self.smallest_margin <= self.largest_margin;
        let expected = "an angle of at least the smallest margin";
        check_hyper_parameter(Self::NAME, "largest-margin", self.largest_margin, in_order, expected)?;
        check_number(Self::NAME, &self.class_margins, classes)
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn bound_scale(&mut self, largest: f64) {
        self.scale.bound(largest);
    }

    fn count_classes(&mut self, sizes: &[usize]) {
        let power = |size: usize| (size as f64).powf(-self.lambda);
        let (smallest, largest) = smallest_and_largest(sizes);
        let (of_largest, of_smallest) = (power(largest), power(smallest));
        let margin = |&size: &usize| match size {
            0 => self.largest_margin,
            _ if of_smallest == of_largest => self.largest_margin,
            _ => {
                let share = (power(size) - of_largest) / (of_smallest - of_largest);
                self.smallest_margin + (self.largest_margin - self.smallest_margin) * share
            }
        };
        self.class_margins = sizes.iter().map(margin).collect();
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        let margin = self.class_margins.get(row.class).copied().unwrap_or(self.largest_margin);
        self.past_pi.target(row, margin)
    }
}

impl NamedHead for DynamicArcFace {
    const FORMULA: &'static str = "target s cos(θ + m), m larger for smaller classes";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "smallest-margin",
            help: "margin of the largest class, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.smallest_margin,
        },
        HeadOption {
            name: "largest-margin",
            help: "margin of the smallest class, in radians",
            range: Some(OptionRange::ANGLE),
            field: |head| &mut head.largest_margin,
        },
        HeadOption {
            name: "lambda",
            help: "exponent λ: margins go with n^-λ, n the rows of the class",
            range: Some(OptionRange { from: 1e-3, to: 10.0, words: "an exponent from 0.001 to 10" }),
            field: |head| &mut head.lambda,
        },
        PastPi::option(|head| &mut head.past_pi),
    ];
}
