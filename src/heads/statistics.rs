//! Figures of a batch for logs.

use crate::Real;
use crate::metrics::angles::AngleHistogram;
use crate::ops::angle::median;
use crate::ops::{Angle, Targets};

/// Figures of one training batch for logs. Means are over labelled rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Rows with a label.
    pub labelled: usize,
    /// Labelled rows whose class has the largest inference logit.
    pub correct: usize,
    /// Mean cosine between a feature and its class vector; `None` if some row has no direction.
    pub target_cosine: Option<f64>,
    /// Mean angle between a feature and its class vector, in radians.
    pub target_angle: Option<f64>,
    /// The median of these angles; AdaCos's scale follows it.
    pub median_target_angle: Option<f64>,
    /// How many of these angles fall in each degree; rows without a direction are left out.
    pub target_angles: AngleHistogram,
    /// The scale of the logits: s, α, or 1 for softmax.
    pub scale: f64,
}

impl BatchStatistics {
    pub(crate) fn new<F: Real>(
        targets: &Targets,
        correct: usize,
        angles: impl Iterator<Item = Option<Angle<F>>>,
        scale: F,
    ) -> Self {
        let labelled = targets.labelled();
        let mut target_angles = AngleHistogram::default();
        let (mut cosine, mut thetas) = (0.0, Vec::with_capacity(labelled));
        for angle in angles.flatten() {
            let theta = angle.theta().to_double();
            target_angles.add(theta);
            cosine += angle.cos.to_double();
            thetas.push(theta);
        }
        let all = (labelled > 0 && thetas.len() == labelled).then_some(labelled as f64);
        Self {
            labelled,
            correct,
            target_cosine: all.map(|rows| cosine / rows),
            target_angle: all.map(|rows| thetas.iter().sum::<f64>() / rows),
            median_target_angle: all.map(|_| median(thetas)),
            target_angles,
            scale: scale.to_double(),
        }
    }
}
