//! A batch's own classes and a share of the others, and their rows of a head's tensors.

use crate::ops::checked_objective::check_weights;
use crate::ops::{IGNORE_LABEL, Objective, SoftTargets};
use crate::optim::check_setting;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2};
use rand::seq::index;
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Some of the classes, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledClasses {
    classes: Vec<usize>,
    of: usize,
}

impl SampledClasses {
    /// The classes that labels and soft targets of `objective` name, and others drawn alike until `rate` of all `of` are there; at least one other.
    ///
    /// # Errors
    /// [`Error::Setting`] unless the rate is above 0 and at most 1, [`Error::LabelOutOfRange`].
    pub fn draw<F>(objective: &Objective<F>, of: usize, rate: f64, rng: &mut impl Rng) -> Result<Self> {
        check_sample_rate(rate)?;
        let mut is_sampled = vec![false; of];
        for (row, &label) in objective.labels.iter().enumerate().filter(|&(_, &label)| label != IGNORE_LABEL) {
            let out_of_range = || Error::LabelOutOfRange { row, label, classes: of, ignore: IGNORE_LABEL };
            let class = usize::try_from(label).ok().filter(|&class| class < of).ok_or_else(out_of_range)?;
            is_sampled[class] = true;
        }
        let soft = objective.soft_targets.iter().flat_map(|soft| soft.classes);
        // Those that are no class are an error of the step.
        let soft = soft.filter_map(|&class| usize::try_from(class).ok()).filter(|&class| class < of);
        soft.for_each(|class| is_sampled[class] = true);
        let named = is_sampled.iter().filter(|&&is_sampled| is_sampled).count();
        let wanted = ((rate * of as f64).ceil() as usize).max(named + 1).min(of);
        let mut missing = wanted - named;
        if wanted > of / 2 {
            // Most are taken: those that are not are drawn.
            let others: Vec<usize> = (0..of).filter(|&class| !is_sampled[class]).collect();
            let drawn = index::sample(rng, others.len(), missing);
            drawn.into_iter().for_each(|place| is_sampled[others[place]] = true);
        } else {
            while missing > 0 {
                let class = rng.random_range(0..of);
                missing -= usize::from(!std::mem::replace(&mut is_sampled[class], true));
            }
        }
        Ok(Self { classes: (0..of).filter(|&class| is_sampled[class]).collect(), of })
    }

    /// The classes, from the lowest.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// How many they are drawn from.
    pub fn of(&self) -> usize {
        self.of
    }

    /// What an objective says of these classes.
    ///
    /// # Errors
    /// [`Error::Label`] for a label that is not among them, [`Error::Setting`] for such a soft target, and what is wrong with class weights.
    pub(super) fn objective<F: Real>(&self, objective: &Objective<F>) -> Result<SampledObjective<F>> {
        let place_of = |class: i64| {
            let place = usize::try_from(class).ok().and_then(|class| self.classes.binary_search(&class).ok());
            place.map(|place| place as i64)
        };
        let mut labels = objective.labels.to_owned();
        for (row, label) in labels.iter_mut().enumerate().filter(|(_, label)| **label != IGNORE_LABEL) {
            let expected = || format!("one of the {} sampled classes, or {IGNORE_LABEL}", self.classes.len());
            *label =
                place_of(*label).ok_or_else(|| Error::Label { row, label: label.to_string(), expected: expected() })?;
        }
        let class_weights = objective.class_weights.map(|weights| {
            check_weights("class_weights", weights, self.of, "class")?;
            Ok::<_, Error>(self.classes.iter().map(|&class| weights[class]).collect())
        });
        let mut soft_classes = objective.soft_targets.map(|soft| soft.classes.to_owned());
        for class in soft_classes.iter_mut().flatten() {
            let (name, expected) = ("a class of soft targets", "one of the sampled classes".into());
            *class = place_of(*class).ok_or_else(|| Error::Setting { name, value: class.to_string(), expected })?;
        }
        Ok(SampledObjective { labels, class_weights: class_weights.transpose()?, soft_classes })
    }

    /// `target` becomes the rows of these classes, of a tensor with `length` elements a class.
    pub(super) fn gather<T: Copy + Default + Send + Sync>(&self, tensor: &[T], length: usize, target: &mut Vec<T>) {
        target.resize(self.classes.len() * length, T::default());
        let rows = target.par_chunks_mut(length).zip(&self.classes).with_min_len(64);
        rows.for_each(|(row, &class)| row.copy_from_slice(&tensor[class * length..][..length]));
    }

    /// Puts rows of these classes back where they are from.
    pub(super) fn scatter<T: Copy + Send + Sync>(&self, rows: &[T], length: usize, tensor: &mut [T]) {
        let mut rest = tensor;
        let mut before = 0;
        let targets: Vec<&mut [T]> = self
            .classes
            .iter()
            .map(|&class| {
                let (_, from_class) = std::mem::take(&mut rest).split_at_mut((class - before) * length);
                let (target, after) = from_class.split_at_mut(length);
                (rest, before) = (after, class + 1);
                target
            })
            .collect();
        let pairs = targets.into_par_iter().zip(rows.par_chunks(length)).with_min_len(64);
        pairs.for_each(|(target, row)| target.copy_from_slice(row));
    }
}

/// # Errors
/// [`Error::Setting`] unless it is above 0 and at most 1.
pub(crate) fn check_sample_rate(rate: f64) -> Result<()> {
    check_setting("sample rate", rate, rate > 0.0 && rate <= 1.0, "a number above 0 and at most 1")
}

/// The arrays of an objective with classes counted as in the sample.
pub(super) struct SampledObjective<F> {
    labels: Array1<i64>,
    class_weights: Option<Array1<F>>,
    soft_classes: Option<Array2<i64>>,
}

impl<F: Real> SampledObjective<F> {
    /// `objective`, which these arrays are of, on a sample from `of` classes.
    pub fn of<'b, 'a: 'b>(&'b self, objective: &Objective<'a, F>, of: usize) -> Objective<'b, F> {
        let &Objective { label_smoothing, focal, z_loss, reduction, sample_weights, soft_targets, .. } = objective;
        let soft_targets = soft_targets.zip(self.soft_classes.as_ref());
        Objective {
            label_smoothing,
            focal,
            z_loss,
            reduction,
            class_weights: self.class_weights.as_ref().map(|weights| weights.view()),
            sample_weights: sample_weights.map(|weights| weights.reborrow()),
            soft_targets: soft_targets.map(|(soft, classes)| SoftTargets {
                classes: classes.view(),
                probabilities: soft.probabilities.reborrow(),
            }),
            sampled_from: Some(of),
            labels: self.labels.view(),
        }
    }
}
