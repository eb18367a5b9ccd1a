//! An objective as the engines have it: checked once, then asked for each labelled row.

use super::Targets;
use super::objective::{Objective, Reduction, SoftTargets};
use super::softmax_cross_entropy::RowTerms;
use crate::optim::check_setting;
use crate::{Error, Real, Result};
use ndarray::ArrayView1;

/// How far probabilities of a row may be from a sum of 1: they are made to sum to 1 exactly.
const SUM_TOLERANCE: f64 = 1e-2;

/// The largest weight: two of them multiplied are far from what single precision holds.
const LARGEST_WEIGHT: f64 = 1e15;

/// An [`Objective`], checked against a batch.
#[derive(Clone, Debug)]
pub(crate) struct CheckedObjective<F> {
    pub targets: Targets,
    /// What the sum of the rows' losses is divided by: the number of labelled rows for a mean, of which weights are the shares; 1 for a sum.
    pub divisor: F,
    label_smoothing: F,
    focal: F,
    z_loss: F,
    /// ω by row; empty where all are 1. Their mean over labelled rows is 1 if the loss is a mean.
    weights: Vec<F>,
    /// Where targets are soft.
    soft: Option<CheckedSoftTargets<F>>,
}

#[derive(Clone, Debug)]
struct CheckedSoftTargets<F> {
    /// t of the labelled class, by row.
    of_labels: Vec<F>,
    /// Of other classes.
    others: Vec<SoftTarget<F>>,
}

/// The target of a class that is not the row's label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SoftTarget<F> {
    pub class: usize,
    pub row: usize,
    /// t
    pub probability: F,
}

/// What an objective makes of a row: its loss, and the derivative with respect to its logits as in the formula of [`objective`](super::objective).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowObjective<F> {
    pub loss: F,
    /// A
    pub of_probabilities: F,
    /// U
    pub uniform: F,
    /// `d_z_y`
    pub residual: F,
    /// `ω m (1 - ε)`: what a soft target takes from its class, times t.
    pub of_targets: F,
    /// No `|d_z_j|` of the row is larger, nor half their sum.
    pub bound: F,
}

impl<F: Real> CheckedObjective<F> {
    /// # Errors
    /// As [`Targets::new`]; [`Error::Shape`], [`Error::Setting`], [`Error::Weight`] for a weight or probability that is negative or not finite.
    pub fn new(objective: &Objective<F>, rows: usize, classes: usize) -> Result<Self> {
        let Objective {
            labels,
            label_smoothing,
            focal,
            z_loss,
            class_weights,
            sample_weights,
            soft_targets,
            reduction,
            ..
        } = objective;
        let targets = Targets::new(*labels, rows, classes)?;
        check_label_smoothing(*label_smoothing)?;
        check_focal(*focal)?;
        check_z_loss(*z_loss)?;
        class_weights.map_or(Ok(()), |weights| check_weights("class_weights", weights, classes, "class"))?;
        sample_weights.map_or(Ok(()), |weights| check_weights("sample_weights", weights, rows, "row of features"))?;
        let labelled = F::of(targets.labelled() as f64);
        let mut weights = Vec::new();
        if class_weights.is_some() || sample_weights.is_some() {
            weights.resize(rows, F::zero());
            for (row, class) in targets.iter() {
                let of = |weights: &Option<ArrayView1<F>>, index| weights.map_or(F::one(), |weights| weights[index]);
                weights[row] = of(class_weights, class) * of(sample_weights, row);
            }
            if *reduction == Reduction::Mean {
                let largest = weights.iter().fold(F::zero(), |largest, &weight| largest.max(weight));
                check_setting(
                    "the largest weight of a labelled row",
                    largest.to_double(),
                    largest > F::zero(),
                    "above 0",
                )?;
                // Relative to the largest first: sums of weights neither overflow nor vanish.
                let sum: F = weights.iter().map(|&weight| weight / largest).sum();
                weights.iter_mut().for_each(|weight| *weight = *weight / largest / sum * labelled);
            }
        }
        let soft = soft_targets.map(|soft| CheckedSoftTargets::new(&soft, &targets)).transpose()?;
        Ok(Self {
            divisor: if *reduction == Reduction::Mean { labelled } else { F::one() },
            label_smoothing: F::of(*label_smoothing),
            focal: F::of(*focal),
            z_loss: F::of(*z_loss),
            weights,
            soft,
            targets,
        })
    }

    /// ω of a row.
    pub fn weight(&self, row: usize) -> F {
        self.weights.get(row).copied().unwrap_or(F::one())
    }

    /// Targets of other classes than the label, in the order of rows.
    pub fn soft_targets(&self) -> &[SoftTarget<F>] {
        self.soft.as_ref().map_or(&[], |soft| &soft.others)
    }

    /// Whether it is the cross-entropy of the labels alone, and all rows weigh as much.
    pub fn is_plain(&self) -> bool {
        let terms = [self.label_smoothing, self.focal, self.z_loss];
        terms.into_iter().all(|term| term == F::zero()) && self.weights.is_empty() && self.soft.is_none()
    }

    /// Whether [`row`](Self::row) needs the sum of the others' logits.
    pub fn is_smoothed(&self) -> bool {
        self.label_smoothing > F::zero()
    }

    /// A labelled row, from its softmax terms, the logit of its class, the sum of all other logits, and its soft targets with their logits.
    pub fn row(
        &self,
        row: usize,
        terms: &RowTerms<F>,
        target_logit: F,
        sum_of_others: F,
        soft_targets: impl Iterator<Item = (F, F)>,
    ) -> RowObjective<F> {
        let Self { label_smoothing, focal, z_loss, .. } = *self;
        let (one, two, classes) = (F::one(), F::of(2.0), F::of(self.targets.classes() as f64));
        let of_label = self.soft.as_ref().map_or(one, |soft| soft.of_labels[row]);
        let &RowTerms { p_others, p_label, .. } = terms;
        let log_sum = target_logit + terms.loss;
        // A part for each target: none cancels.
        let of_soft_targets: F = soft_targets.map(|(probability, logit)| probability * (log_sum - logit)).sum();
        let mut cross_entropy = of_label * terms.loss + of_soft_targets;
        if self.is_smoothed() {
            let mean = (sum_of_others + target_logit) / classes;
            cross_entropy += label_smoothing * (log_sum - mean - cross_entropy);
        }
        let (modulation, focus) = match focal > F::zero() {
            // p_y f. The power may be infinite where p_y is 1; what it multiplies is 0 there.
            true => (
                p_others.powf(focal),
                focal * p_others.max(F::min_positive_value()).powf(focal - one) * cross_entropy * p_label,
            ),
            false => (one, F::zero()),
        };
        let of_log_sum = two * z_loss * log_sum;
        let weight = self.weight(row);
        // p_y - t_y. The nearer of 0 and 1 first: p_y may be far below the rounding of 1, and so may 1 - p_y.
        let unsmoothed = if of_label < F::of(0.5) { p_label - of_label } else { one - of_label - p_others };
        let smoothed = p_label - classes.recip();
        RowObjective {
            loss: weight * (modulation * cross_entropy + z_loss * log_sum * log_sum),
            of_probabilities: weight * (modulation + focus + of_log_sum),
            uniform: weight * modulation * label_smoothing / classes,
            residual: weight
                * (modulation * ((one - label_smoothing) * unsmoothed + label_smoothing * smoothed) - focus * p_others
                    + of_log_sum * p_label),
            of_targets: weight * modulation * (one - label_smoothing),
            bound: weight * (modulation + focus * p_others + of_log_sum.abs()),
        }
    }
}

impl<F: Real> CheckedSoftTargets<F> {
    fn new(soft: &SoftTargets<F>, targets: &Targets) -> Result<Self> {
        let (rows, classes) = (targets.class_of_row().len(), targets.classes());
        let &SoftTargets { classes: soft_classes, probabilities } = soft;
        let shape_error = |what, found: &[usize], expected| Err(Error::Shape { what, found: found.to_vec(), expected });
        if soft_classes.nrows() != rows || soft_classes.ncols() == 0 {
            let expected = format!("({rows}, k), some classes for each row of features");
            return shape_error("soft targets' classes", soft_classes.shape(), expected);
        }
        if probabilities.dim() != soft_classes.dim() {
            let expected = format!("{:?}, one for each of their classes", soft_classes.dim());
            return shape_error("soft targets' probabilities", probabilities.shape(), expected);
        }
        let (mut of_labels, mut others) = (vec![F::zero(); rows], Vec::new());
        for (row, label) in targets.iter() {
            let probabilities = probabilities.row(row);
            let refused = probabilities.iter().find(|probability| !is_weight(**probability));
            refused.map_or(Ok(()), |&probability| weight_error("soft targets' probabilities", row, probability))?;
            let sum: F = probabilities.sum();
            let is_one = (sum.to_double() - 1.0).abs() <= SUM_TOLERANCE;
            let expected = format!("1, the sum of the probabilities of row {row}");
            check_setting("soft targets' probability", sum.to_double(), is_one, &expected)?;
            for (&class, &probability) in soft_classes.row(row).iter().zip(probabilities) {
                let Some(class) = usize::try_from(class).ok().filter(|&class| class < classes) else {
                    let expected = format!("0 to {}, a class", classes - 1);
                    return Err(Error::Setting { name: "a class of soft targets", value: class.to_string(), expected });
                };
                let probability = probability / sum;
                match class == label {
                    true => of_labels[row] += probability,
                    false if probability > F::zero() => others.push(SoftTarget { class, row, probability }),
                    false => {}
                }
            }
        }
        Ok(Self { of_labels, others })
    }
}

/// # Errors
/// [`Error::Setting`] unless it is from 0 to below 1.
pub(crate) fn check_label_smoothing(value: f64) -> Result<()> {
    check_setting("label smoothing", value, (0.0..1.0).contains(&value), "a number from 0 to below 1")
}

/// # Errors
/// [`Error::Setting`] unless it is from 0 to 100: past that nothing but certain errors would count.
pub(crate) fn check_focal(value: f64) -> Result<()> {
    check_setting("focal", value, (0.0..=100.0).contains(&value), "a number from 0 to 100")
}

/// # Errors
/// [`Error::Setting`] unless it is from 0 to 1e6.
pub(crate) fn check_z_loss(value: f64) -> Result<()> {
    check_setting("z-loss", value, (0.0..=1e6).contains(&value), "a number from 0 to 1e6")
}

/// Checks weights, one `each`.
///
/// # Errors
/// [`Error::Shape`], [`Error::Weight`].
pub(crate) fn check_weights<F: Real>(
    what: &'static str,
    weights: ArrayView1<F>,
    length: usize,
    each: &str,
) -> Result<()> {
    if weights.len() != length {
        let expected = format!("({length},), one for each {each}");
        return Err(Error::Shape { what, found: weights.shape().to_vec(), expected });
    }
    match weights.iter().position(|&weight| !is_weight(weight)) {
        None => Ok(()),
        Some(index) => weight_error(what, index, weights[index]),
    }
}

fn is_weight<F: Real>(value: F) -> bool {
    value >= F::zero() && value.to_double() <= LARGEST_WEIGHT
}

fn weight_error<F: Real>(what: &'static str, index: usize, value: F) -> Result<()> {
    Err(Error::Weight { what, index, value: value.to_double(), largest: LARGEST_WEIGHT })
}
