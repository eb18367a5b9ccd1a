//! LDAM, label-distribution-aware margin (Cao, Wei, Gaidon, Arechiga, Ma 2019, arXiv 1906.07413, eq. 12 and 13): CosFace with a larger margin for
//! smaller classes.
//!
//! `ψ(θ) = cosθ - m_j`, j the labelled class, with `m_j = K / n_j^(1/4)`, n_j the number of its training rows, K such that the smallest class has
//! the largest margin; `dψ/dcosθ = 1`.
//!
//! [`count_classes`](Head::count_classes) tells the head n; classes without rows have the largest margin, as all have until then.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a margin
//! outside [0, 2], sizes of another number of classes, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::class_margins::{check_number, smallest_and_largest};
use super::{Head, HeadOption, Logit, NamedHead, OptionRange, Row, Scale};
use crate::{Real, Result};

/// The LDAM head.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ldam {
    /// The scale s of the logits.
    pub scale: Scale,
    /// The margin of the smallest class, a difference of cosines, in [0, 2].
    pub largest_margin: f64,
    /// m_j of each class, which [`count_classes`](Head::count_classes) sets; empty before.
    pub class_margins: Vec<f64>,
}

impl Default for Ldam {
    /// s = 30 and margins up to 0.5, the authors' code's.
    fn default() -> Self {
        Self { scale: Scale::Fixed(30.0), largest_margin: 0.5, class_margins: Vec::new() }
    }
}

impl Head for Ldam {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<()> {
        super::options::check_options(self)?;
        check_number(Self::NAME, &self.class_margins, classes)
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn bound_scale(&mut self, largest: f64) {
        self.scale.bound(largest);
    }

    fn count_classes(&mut self, sizes: &[usize]) {
        let (smallest, _) = smallest_and_largest(sizes);
        let margin = |&size: &usize| match size {
            0 => self.largest_margin,
            _ => self.largest_margin * (smallest as f64 / size as f64).powf(0.25),
        };
        self.class_margins = sizes.iter().map(margin).collect();
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        let margin = self.class_margins.get(row.class).copied().unwrap_or(self.largest_margin);
        Logit::less(row, margin)
    }
}

impl NamedHead for Ldam {
    const FORMULA: &'static str = "target s (cosθ - m), m larger for smaller classes";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "largest-margin",
            help: "cosine subtracted for the smallest class",
            range: Some(OptionRange::COSINE_DIFFERENCE),
            field: |head| &mut head.largest_margin,
        },
    ];
}
