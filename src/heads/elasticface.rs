//! ElasticFace (Boutros, Damer, Kirchbuchner, Kuijper 2021, arXiv 2109.09416, eq. 5 and 6): a margin drawn anew for each row of each batch.
//!
//! `ψ(θ) = cos(θ + m_i)` ([`ElasticForm::Arc`], with [`PastPi::Monotone`]) or `cosθ - m_i` ([`ElasticForm::Cos`]), with
//! `m_i` from a normal distribution of mean m and deviation σ, kept within [0, π] or [0, 2]. `dψ/dcosθ` is that of [`arcface`](super::arcface) or 1.
//!
//! The margin of a row follows from the seed, the state `step`, which counts batches, and the number of the row among the labelled ones: the same in both
//! engines, and a run that goes on where it stopped draws as one that did not stop.
//!
//! With `plus`, ElasticFace+ of its section 3.3, the margins of a batch are sorted: the nearer a row is to its class, the smaller its margin.
//!
//! Gradient: [`explicit`](super::explicit). Shapes: features (B, D), weights (C, D), labels (B,). Errors: a scale that is not positive, a
//! margin outside [0, 2], σ outside [0, 1], a seed where σ is 0, C < 2, shapes, labels, NaN or infinity, rows of norm zero.

use super::range::check_hyper_parameter;
use super::{Choice, Head, HeadOption, Logit, NamedHead, OptionRange, PastPi, Row, Scale, StateValue};
use crate::{Real, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;

/// The ElasticFace head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ElasticFace {
    /// The scale s of the logits.
    pub scale: Scale,
    /// What margins are put on.
    pub form: ElasticForm,
    /// The mean m of margins: an angle in radians, or a difference of cosines; in [0, 2].
    pub margin: f64,
    /// Their standard deviation σ, in [0, 1].
    pub std: f64,
    /// Whether the larger margins go to the rows that are further from their class: ElasticFace+.
    pub plus: bool,
    /// What margins are drawn from.
    pub margin_seed: u64,
}

/// Whose margin ElasticFace has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum ElasticForm {
    /// `cos(θ + m)`, ElasticFace-Arc.
    #[default]
    Arc,
    /// `cosθ - m`, ElasticFace-Cos.
    Cos,
}

impl Choice for ElasticForm {
    const ALL: &'static [(&'static str, Self)] = &[("arc", Self::Arc), ("cos", Self::Cos)];
}

impl Default for ElasticFace {
    /// s = 64, ElasticFace-Arc with m = 0.5 and σ = 0.05, the paper's.
    fn default() -> Self {
        Self {
            scale: Scale::Fixed(64.0),
            form: ElasticForm::default(),
            margin: 0.5,
            std: 0.05,
            plus: false,
            margin_seed: 0,
        }
    }
}

/// Words of the generator that a row may use. A draw takes two, and hardly ever more than a few.
const WORDS_A_ROW: u128 = 64;

impl ElasticFace {
    /// The margin of the row with this number in this step.
    fn margin_of(&self, number: usize, step: f64) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(self.margin_seed);
        rng.set_stream(step as u64);
        rng.set_word_pos(number as u128 * WORDS_A_ROW);
        let normal: f64 = StandardNormal.sample(&mut rng);
        let largest = if self.form == ElasticForm::Arc { PI } else { 2.0 };
        (self.margin + self.std * normal).clamp(0.0, largest)
    }
}

impl Head for ElasticFace {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _: usize) -> Result<()> {
        super::options::check_options(self)?;
        let draws = self.std > 0.0;
        let seed = self.margin_seed as f64;
        let expected = "0 where std is 0: nothing is drawn";
        check_hyper_parameter(Self::NAME, "margin-seed", seed, draws || seed == 0.0, expected)?;
        let plus = f64::from(u8::from(self.plus));
        check_hyper_parameter(
            Self::NAME,
            "plus",
            plus,
            draws || !self.plus,
            "0 (no) where std is 0: all margins are alike",
        )
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn bound_scale(&mut self, largest: f64) {
        self.scale.bound(largest);
    }

    fn state(&self) -> &'static [StateValue] {
        const {
            &[StateValue {
                help: "steps that were taken",
                range: OptionRange::STEPS,
                is_whole: true,
                ..StateValue::new("step", 0.0)
            }]
        }
    }

    fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
        state[0] += 1.0;
        if self.plus {
            let mut margins: Vec<_> =
                rows.iter().map(|row| (self.margin_of(row.number, state[0]), row.number)).collect();
            margins.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut nearest_first: Vec<_> = rows.iter_mut().collect();
            nearest_first
                .sort_by(|one, other| one.angle.theta().to_double().total_cmp(&other.angle.theta().to_double()));
            nearest_first.into_iter().zip(margins).for_each(|(row, (_, number))| row.number = number);
        }
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let margin = self.margin_of(row.number, state[0]);
        match self.form {
            ElasticForm::Arc => PastPi::Monotone.target(row, margin),
            ElasticForm::Cos => Logit::less(row, margin),
        }
    }
}

impl NamedHead for ElasticFace {
    const FORMULA: &'static str = "target s cos(θ + m) or s (cosθ - m), m drawn for each row";
    const OPTIONS: &'static [HeadOption<Self>] = &[
        HeadOption::scale(|head| &mut head.scale),
        HeadOption {
            name: "form",
            help: "the margin: arc, on the angle, or cos, on the cosine",
            range: None,
            field: |head| &mut head.form,
        },
        HeadOption {
            name: "margin",
            help: "mean m of the angles added, in radians, or of the cosines subtracted",
            range: Some(OptionRange {
                words: "an angle or a cosine difference, in [0, 2]",
                ..OptionRange::COSINE_DIFFERENCE
            }),
            field: |head| &mut head.margin,
        },
        HeadOption {
            name: "std",
            help: "standard deviation σ of margins",
            range: Some(OptionRange::SHARE),
            field: |head| &mut head.std,
        },
        HeadOption {
            name: "plus",
            help: "whether the larger margins go to the rows further from their class: ElasticFace+",
            range: None,
            field: |head| &mut head.plus,
        },
        HeadOption {
            name: "margin-seed",
            help: "what margins are drawn from",
            range: None,
            field: |head| &mut head.margin_seed,
        },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_have_their_mean_and_deviation_and_follow_from_seed_step_and_number() {
        let head = ElasticFace { margin: 0.5, std: 0.1, margin_seed: 7, ..ElasticFace::default() };
        let margins: Vec<_> =
            (1..=20).flat_map(|step| (0..500).map(move |number| head.margin_of(number, step.into()))).collect();
        let mean = margins.iter().sum::<f64>() / 1e4;
        let variance = margins.iter().map(|margin| (margin - mean).powi(2)).sum::<f64>() / 1e4;
        // Four standard errors.
        assert!((mean - 0.5).abs() < 4.0 * 0.1 / 100.0, "mean {mean}");
        assert!((variance.sqrt() - 0.1).abs() < 4.0 * 0.1 / (2e4f64).sqrt(), "deviation {}", variance.sqrt());
        let mut distinct = margins.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        assert_eq!(distinct.len(), margins.len());
        assert_eq!(head.margin_of(3, 5.0), head.margin_of(3, 5.0));
        assert_ne!(head.margin_of(3, 5.0), ElasticFace { margin_seed: 8, ..head }.margin_of(3, 5.0));
    }

    #[test]
    fn the_further_a_row_is_the_larger_its_margin_with_plus() {
        let head = ElasticFace { std: 0.1, plus: true, ..ElasticFace::default() };
        let thetas = [0.7, 2.1, 0.2, 1.4, 3.0, 0.9f64];
        let row = |(number, &theta): (usize, &f64)| {
            let angle = crate::ops::Angle { cos: theta.cos(), sin: theta.sin() };
            Row { angle, norm: 1.0, weight_norm: 1.0, class: 0, number }
        };
        let rows: Vec<_> = thetas.iter().enumerate().map(row).collect();
        let (mut observed, mut state) = (rows.clone(), [4.0]);
        head.observe(&mut observed, &mut state);
        assert_eq!(state, [5.0]);
        let margins =
            |rows: &[Row<f64>]| -> Vec<f64> { rows.iter().map(|row| head.margin_of(row.number, 5.0)).collect() };
        let (of_rows, mut drawn) = (margins(&observed), margins(&rows));
        drawn.sort_by(f64::total_cmp);
        let mut by_angle: Vec<_> = thetas.iter().zip(of_rows).collect();
        by_angle.sort_by(|one, other| one.0.total_cmp(other.0));
        assert_eq!(by_angle.into_iter().map(|(_, margin)| margin).collect::<Vec<_>>(), drawn);
        head.observe(&mut [Row::<f64> { ..rows[0] }], &mut state);
    }

    #[test]
    fn margins_stay_in_range() {
        let wide = |form| ElasticFace { form, margin: 0.0, std: 1.0, ..ElasticFace::default() };
        for number in 0..1000 {
            assert!((0.0..=PI).contains(&wide(ElasticForm::Arc).margin_of(number, 1.0)));
            assert!((0.0..=2.0).contains(&wide(ElasticForm::Cos).margin_of(number, 1.0)));
        }
    }
}
