//! The training loop.

use super::model::{Evaluation, evaluate_transformed};
use super::{Checkpoint, EpochRecord, Model, TrainConfig};
use crate::data::{Dataset, Transform};
use crate::heads::{BatchStatistics, Gradients};
use crate::ops::IGNORE_LABEL;
use crate::optim::Moments;
use crate::{ClassificationHead, Error, Result};
use ndarray::Axis;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// Labels that reach past this many classes a training row are not numbers of classes; class vectors for all of them could
/// exceed any memory.
const MOST_CLASSES_A_ROW: usize = 1000;

/// Trains one head on one data set.
#[derive(Debug)]
pub struct Trainer {
    config: TrainConfig,
    /// Transformed.
    train: Dataset,
    /// Transformed.
    test: Option<Dataset>,
    /// The training rows with a label.
    labelled_rows: Vec<usize>,
    model: Model,
    /// Of each trained tensor, in the order of [`Parameters::trained_mut`](crate::Parameters::trained_mut).
    moments: Vec<Moments<f32>>,
    history: Vec<EpochRecord>,
}

/// How far an epoch has come, and its means so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Counted from 1.
    pub epoch: usize,
    /// Batches done.
    pub batch: usize,
    /// Batches in an epoch.
    pub batches: usize,
    /// Mean training loss in nats.
    pub loss: f64,
    /// Share of training rows predicted right.
    pub accuracy: f64,
    /// Scale of the last batch.
    pub scale: f64,
}

impl Trainer {
    /// Fits the transform on `train`, transforms both sets, and draws the first weights. The classes are those of the
    /// training labels, from 0 to the largest.
    ///
    /// # Errors
    /// What is wrong with the configuration or the data.
    pub fn new(config: TrainConfig, train: Dataset, test: Option<Dataset>) -> Result<Self> {
        let classes = train.classes();
        if classes > MOST_CLASSES_A_ROW.saturating_mul(train.rows()) {
            let row = train.labels.iter().position(|&label| label as usize == classes - 1).unwrap_or_default();
            return Err(Error::Label {
                row,
                label: train.labels[row],
                expected: format!("classes numbered from 0 without gaps, in a training set of {} rows", train.rows()),
            });
        }
        config.check(classes)?;
        let transform = Transform::fit(config.transform, train.features.view())?;
        let dimension = transform.dimension(train.dimension());
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let parameters = config.head.initial_parameters(config.init.weights(classes, dimension, &mut rng)?)?;
        let lengths = parameters.trained_lengths(config.head.learns_alpha());
        let moments = lengths.into_iter().map(|length| config.optimizer.moments(length)).collect();
        let model = Model { head: config.head.clone(), parameters, transform };
        Self::assemble(config, train, test, model, moments, Vec::new())
    }

    /// Goes on from a checkpoint, with the data it was trained on.
    ///
    /// # Errors
    /// [`Error::Setting`] where `config` is not the checkpoint's but for the number of epochs;
    /// what is wrong with the configuration or the data.
    pub fn resume(checkpoint: Checkpoint, config: TrainConfig, train: Dataset, test: Option<Dataset>) -> Result<Self> {
        checkpoint.check_same_run(&config, &train)?;
        let Checkpoint { model, moments, history, .. } = checkpoint;
        Self::assemble(config, train, test, model, moments, history)
    }

    fn assemble(
        config: TrainConfig,
        train: Dataset,
        test: Option<Dataset>,
        model: Model,
        moments: Vec<Moments<f32>>,
        history: Vec<EpochRecord>,
    ) -> Result<Self> {
        let is_labelled = |&(_, &label): &(usize, &i64)| label != IGNORE_LABEL;
        let labelled_rows: Vec<_> = train.labels.iter().enumerate().filter(is_labelled).map(|(row, _)| row).collect();
        if labelled_rows.is_empty() {
            return Err(Error::NothingLabelled { rows: train.rows(), ignore: IGNORE_LABEL });
        }
        let train = train.transformed(&model.transform)?;
        let test = test.map(|test| test.transformed(&model.transform)).transpose()?;
        Ok(Self { config, train, test, labelled_rows, model, moments, history })
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The model as it stands.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The epochs done.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.history.len() >= self.config.epochs
    }

    /// Everything needed to go on from here.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            model: self.model.clone(),
            moments: self.moments.clone(),
            history: self.history.clone(),
            train_rows: self.train.rows(),
        }
    }

    /// One pass over the training rows, in an order that depends on seed and epoch alone, then the test rows.
    /// `on_batch` is called after each batch.
    ///
    /// # Errors
    /// [`Error::Training`] if a step fails, as it does once training has diverged.
    pub fn run_epoch(&mut self, mut on_batch: impl FnMut(&Progress)) -> Result<&EpochRecord> {
        let epoch = self.history.len() + 1;
        let mut rows = self.labelled_rows.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(epoch as u64);
        rows.shuffle(&mut rng);

        let start = Instant::now();
        let batches = rows.len().div_ceil(self.config.batch_size);
        let mut means = Means::default();
        for (batch, rows) in rows.chunks(self.config.batch_size).enumerate() {
            let in_epoch = |source| Error::Training { epoch, batch: batch + 1, source: Box::new(source) };
            let step = (epoch - 1) * batches + batch;
            let learning_rate =
                self.config.learning_rate * self.config.schedule.factor(step, batches, self.config.epochs);
            let (loss, statistics, gradient_norm) = self.step(rows, step, learning_rate).map_err(in_epoch)?;
            means.add(loss, &statistics, gradient_norm, learning_rate);
            on_batch(&Progress {
                epoch,
                batch: batch + 1,
                batches,
                loss: means.loss / means.rows as f64,
                accuracy: means.correct as f64 / means.rows as f64,
                scale: statistics.scale,
            });
        }
        let elapsed = start.elapsed();
        let evaluation = self.evaluate_test()?;
        self.history.push(means.record(epoch, elapsed, evaluation));
        Ok(&self.history[epoch - 1])
    }

    /// Forward, backward and update on some training rows.
    fn step(&mut self, rows: &[usize], step: usize, learning_rate: f64) -> Result<(f64, BatchStatistics, f64)> {
        let features = self.train.features.view().select(Axis(0), rows);
        let labels = self.train.labels.select(Axis(0), rows);
        let Model { head, parameters, .. } = &mut self.model;
        let (loss, cache) = head.forward(features.view(), parameters, labels.view())?;
        let statistics = *cache.statistics();
        // AdaCos's scale is state: the scale of this step is where the next begins.
        if let Some(scale) = &mut parameters.scale {
            *scale = statistics.scale as f32;
        }
        let gradients = head.backward(cache);
        let gradient_norm = self.update(&gradients, step, learning_rate);
        Ok((f64::from(loss), statistics, gradient_norm))
    }

    /// Updates the parameters and returns the norm of all their gradients.
    fn update(&mut self, gradients: &Gradients<f32>, step: usize, learning_rate: f64) -> f64 {
        let Model { head, parameters, .. } = &mut self.model;
        let mut squared_norm = 0.0;
        let trained = parameters.trained_mut(gradients, head.learns_alpha());
        for (tensor, moments) in trained.into_iter().zip(&mut self.moments) {
            let optimizer = self.config.optimizer;
            let optimizer = if tensor.decays { optimizer } else { optimizer.without_weight_decay() };
            optimizer.update(tensor.values, &tensor.gradient, moments.view_mut(), step as u64 + 1, learning_rate);
            squared_norm += tensor.gradient.iter().map(|&gradient| f64::from(gradient).powi(2)).sum::<f64>();
        }
        squared_norm.sqrt()
    }

    fn evaluate_test(&self) -> Result<Option<Evaluation>> {
        let Model { head, parameters, .. } = &self.model;
        self.test.as_ref().map(|test| evaluate_transformed(head, parameters, test)).transpose()
    }
}

/// Sums over an epoch.
#[derive(Default)]
struct Means {
    rows: usize,
    steps: usize,
    correct: usize,
    loss: f64,
    scale: f64,
    gradient_norm: f64,
    learning_rate: f64,
    /// Sums of cosine and angle, and the rows that have them.
    target_cosine: f64,
    target_angle: f64,
    target_rows: usize,
}

impl Means {
    fn add(&mut self, loss: f64, statistics: &BatchStatistics, gradient_norm: f64, learning_rate: f64) {
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

    fn record(&self, epoch: usize, elapsed: Duration, test: Option<Evaluation>) -> EpochRecord {
        let over_rows = |sum: f64| sum / self.rows as f64;
        let over_targets = |sum: f64| (self.target_rows > 0).then(|| sum / self.target_rows as f64);
        EpochRecord {
            epoch,
            learning_rate: self.learning_rate,
            train_loss: over_rows(self.loss),
            train_accuracy: over_rows(self.correct as f64),
            test_loss: test.map(|test| test.loss),
            test_accuracy: test.map(|test| test.accuracy),
            test_top5_accuracy: test.map(|test| test.top5_accuracy),
            scale: self.scale / self.steps as f64,
            target_cosine: over_targets(self.target_cosine),
            target_angle: over_targets(self.target_angle),
            gradient_norm: self.gradient_norm / self.steps as f64,
            images_per_second: self.rows as f64 / elapsed.as_secs_f64(),
        }
    }
}
