//! Random objectives, described so that a failing one can be read and made again.

use arcos::Real;
use arcos::ops::{IGNORE_LABEL, Objective, Reduction, SoftTargets};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An objective but for its arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    pub label_smoothing: f64,
    pub focal: f64,
    pub z_loss: f64,
    pub class_weights: bool,
    pub sample_weights: bool,
    /// Soft targets a row.
    pub soft_targets: usize,
    pub is_sum: bool,
}

/// All of them at once.
pub const EVERYTHING: Settings = Settings {
    label_smoothing: 0.1,
    focal: 2.0,
    z_loss: 0.01,
    class_weights: true,
    sample_weights: true,
    soft_targets: 2,
    is_sum: false,
};

impl Settings {
    /// Without what is of a softmax.
    pub fn weights_alone(self) -> Self {
        Self { label_smoothing: 0.0, focal: 0.0, z_loss: 0.0, soft_targets: 0, ..self }
    }
}

/// The mean cross-entropy as often as anything else.
pub fn settings() -> impl Strategy<Value = Settings> {
    let number = |range: std::ops::Range<f64>| prop_oneof![1 => Just(0.0), 1 => range];
    let numbers = (number(0.01..0.9), number(0.25..5.0), number(1e-4..0.1));
    let arrays = (any::<bool>(), any::<bool>(), prop_oneof![Just(0), 1usize..=4], any::<bool>());
    let any = (numbers, arrays).prop_map(
        |((label_smoothing, focal, z_loss), (class_weights, sample_weights, soft_targets, is_sum))| Settings {
            label_smoothing,
            focal,
            z_loss,
            class_weights,
            sample_weights,
            soft_targets,
            is_sum,
        },
    );
    prop_oneof![1 => Just(Settings::default()), 1 => any]
}

/// An objective with its arrays.
#[derive(Clone, Debug)]
pub struct Owned<F> {
    pub settings: Settings,
    pub labels: Array1<i64>,
    class_weights: Option<Array1<F>>,
    sample_weights: Option<Array1<F>>,
    soft_targets: Option<(Array2<i64>, Array2<F>)>,
}

impl Owned<f64> {
    pub fn new(settings: Settings, labels: Array1<i64>, classes: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = |length| Array1::from_shape_simple_fn(length, || rng.random_range(0.1..3.0));
        let class_weights = settings.class_weights.then(|| weights(classes));
        let sample_weights = settings.sample_weights.then(|| weights(labels.len()));
        let soft_targets = (settings.soft_targets > 0).then(|| {
            let shape = (labels.len(), settings.soft_targets);
            let mut chosen = Array2::from_shape_simple_fn(shape, || rng.random_range(0..classes) as i64);
            for (row, &label) in labels.iter().enumerate().filter(|&(_, &label)| label != IGNORE_LABEL) {
                // The label is among them, as in mixup, but in every third row where there are two others for that: p - t of a class with
                // all of t has only the digits of 1 where it fits.
                match row % 3 == 2 && settings.soft_targets > 1 && classes > 2 {
                    true => {
                        chosen[[row, 0]] = (label + 1) % classes as i64;
                        chosen[[row, 1]] = (label + 2) % classes as i64;
                    }
                    false => chosen[[row, 0]] = label,
                }
            }
            let mut probabilities = Array2::from_shape_simple_fn(shape, || rng.random_range(0.05..1.0));
            probabilities.axis_iter_mut(Axis(0)).for_each(|mut row| row /= row.sum());
            (chosen, probabilities)
        });
        Self { settings, labels, class_weights, sample_weights, soft_targets }
    }

    pub fn converted<F: Real>(&self) -> Owned<F> {
        let convert = |weights: &Array1<f64>| weights.mapv(F::of);
        let soft_targets = self.soft_targets.as_ref();
        Owned {
            settings: self.settings,
            labels: self.labels.clone(),
            class_weights: self.class_weights.as_ref().map(convert),
            sample_weights: self.sample_weights.as_ref().map(convert),
            soft_targets: soft_targets.map(|(classes, probabilities)| (classes.clone(), probabilities.mapv(F::of))),
        }
    }
}

impl<F: Real> Owned<F> {
    pub fn view(&self) -> Objective<'_, F> {
        let Self { settings, labels, class_weights, sample_weights, soft_targets } = self;
        Objective {
            label_smoothing: settings.label_smoothing,
            focal: settings.focal,
            z_loss: settings.z_loss,
            class_weights: class_weights.as_ref().map(|weights| weights.view()),
            sample_weights: sample_weights.as_ref().map(|weights| weights.view()),
            soft_targets: soft_targets.as_ref().map(|(classes, probabilities)| SoftTargets {
                classes: classes.view(),
                probabilities: probabilities.view(),
            }),
            reduction: if settings.is_sum { Reduction::Sum } else { Reduction::Mean },
            ..labels.view().into()
        }
    }

    /// The loss of a row as the formula has it, from its logits: no care for digits.
    pub fn row_loss(&self, row: usize, logits: ArrayView1<f64>) -> f64 {
        let settings = &self.settings;
        let label = self.labels[row] as usize;
        let largest = logits.fold(f64::NEG_INFINITY, |largest, &z| largest.max(z));
        let log_sum = largest + logits.mapv(|z| (z - largest).exp()).sum().ln();
        let mut targets = Array1::<f64>::zeros(logits.len());
        match &self.soft_targets {
            Some((classes, probabilities)) => {
                for (&class, probability) in classes.row(row).iter().zip(probabilities.row(row)) {
                    targets[class as usize] += probability.to_double();
                }
            }
            None => targets[label] = 1.0,
        }
        let p_label = (logits[label] - log_sum).exp();
        let smoothing = settings.label_smoothing;
        let smoothed = targets.mapv(|target| (1.0 - smoothing) * target + smoothing / logits.len() as f64);
        let cross_entropy = log_sum - smoothed.dot(&logits);
        (1.0 - p_label).powf(settings.focal) * cross_entropy + settings.z_loss * log_sum * log_sum
    }

    /// ω of a row.
    pub fn weight(&self, row: usize) -> f64 {
        let of = |weights: &Option<Array1<F>>, place: usize| {
            weights.as_ref().map_or(1.0, |weights| weights[place].to_double())
        };
        of(&self.class_weights, self.labels[row] as usize) * of(&self.sample_weights, row)
    }
}
