//! The figures of an epoch, from those of its batches.

use super::EpochRecord;
use super::held_out::HeldOutEvaluation;
use crate::heads::BatchStatistics;
use serde::{Deserialize, Serialize};

/// Sums over an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Means {
    pub rows: usize,
    pub steps: usize,
    pub correct: usize,
    pub loss: f64,
    scale: f64,
    gradient_norm: f64,
    learning_rate: f64,
    /// Sums of cosine and angle, and the rows that have them.
    target_cosine: f64,
    target_angle: f64,
    pub target_rows: usize,
}

impl Means {
    pub fn add(&mut self, loss: f64, statistics: &BatchStatistics, gradient_norm: f64, learning_rate: f64) {
        let rows = statistics.labelled;
        self.rows += rows;
        self.steps += 1;
        self.correct += statistics.correct;
        self.loss += loss * rows as f64;
        self.scale += statistics.scale;
        self.gradient_norm += gradient_norm;
        self.learning_rate = learning_rate;
        if let (Some(cosine), Some(angle)) = (statistics.target_cosine, statistics.target_angle) {
            self.target_cosine += cosine * rows as f64;
            self.target_angle += angle * rows as f64;
            self.target_rows += rows;
        }
    }

    pub fn record(&self, epoch: usize, seconds: f64, held_out: &HeldOutEvaluation) -> EpochRecord {
        let HeldOutEvaluation { validation, test } = held_out;
        let over_rows = |sum: f64| sum / self.rows as f64;
        let over_targets = |sum: f64| (self.target_rows > 0).then(|| sum / self.target_rows as f64);
        EpochRecord {
            epoch,
            learning_rate: self.learning_rate,
            train_loss: over_rows(self.loss),
            train_accuracy: over_rows(self.correct as f64),
            validation_loss: validation.map(|validation| validation.loss),
            validation_accuracy: validation.map(|validation| validation.accuracy),
            test_loss: test.map(|test| test.loss),
            test_accuracy: test.map(|test| test.accuracy),
            test_top5_accuracy: test.map(|test| test.top5_accuracy),
            scale: self.scale / self.steps as f64,
            target_cosine: over_targets(self.target_cosine),
            target_angle: over_targets(self.target_angle),
            gradient_norm: self.gradient_norm / self.steps as f64,
            rows_per_second: self.rows as f64 / seconds,
        }
    }
}
