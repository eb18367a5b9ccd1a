//! The training loop.

use super::held_out::TransformedHeldOut;
use super::initial_model::{drawn, taken_over};
use super::means::Means;
use super::model::ROWS_AT_A_TIME;
use super::transformed_dataset::TransformedDataset;
use super::{
    Checkpoint, EpochLog, EpochRecord, HeldOut, Kernel, Model, PausedEpoch, RunPosition, StoredHead, TrainConfig,
    best_epoch,
};
use crate::data::Dataset;
use crate::heads::Gradients;
use crate::ops::{IGNORE_LABEL, Objective};
use crate::streaming::{PartialFc, Streaming, StreamingOptions};
use crate::wording::counted;
use crate::{AnyHead, Error, Result};
use ndarray::{ArcArray1, Array2};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;
use std::time::Instant;

/// Labels that reach past this many classes a training row are not numbers of classes; class vectors for all of them could
/// exceed any memory.
const MOST_CLASSES_A_ROW: usize = 1000;

/// Dropout draws from streams of the seed's generator past those of the orders of rows, one an epoch.
const DROPOUT_STREAM: u64 = 1 << 32;

/// Trains one head on one data set.
#[derive(Debug)]
pub struct Trainer<H = AnyHead> {
    pub(super) state: Checkpoint<H>,
    /// That of the model, told how many rows its classes have.
    pub(super) head: H,
    pub(super) train: TransformedDataset,
    held_out: TransformedHeldOut,
    /// The training rows with a label, and with a weight above 0 where there are any.
    labelled_rows: Vec<usize>,
    /// (C,) where classes count differently.
    pub(super) class_weights: Option<ArcArray1<f32>>,
    pub(super) kernel: Streaming<f32>,
    /// Where a step takes a sample of the classes.
    pub(super) partial_fc: Option<PartialFc<f32>>,
    /// The last epoch, step by step.
    log: EpochLog,
    /// Whether every row has been found to be one that the head can take.
    rows_are_checked: bool,
    /// Of the last batch, as far as the step did not use them at once.
    pub(super) gradients: Gradients<f32>,
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

impl<H: StoredHead> Trainer<H> {
    /// Fits the transform on `train`, transforms all sets, and draws the first weights. The classes are those of
    /// [`Dataset::class_table`] of `train`; rows that are held out, test rows if nothing more is said, belong to the class of their label there.
    ///
    /// # Errors
    /// What is wrong with the configuration or the data; [`Error::Setting`] for patience without validation rows.
    pub fn new(config: TrainConfig<H>, train: Dataset, held_out: impl Into<HeldOut>) -> Result<Self> {
        let held_out = held_out.into();
        let classes = train.classes();
        if classes > MOST_CLASSES_A_ROW.saturating_mul(train.rows()) {
            let row = train.labels.iter().position(|&label| label as usize == classes - 1).unwrap_or_default();
            let error = Error::Label {
                row,
                label: train.class_table().label(classes - 1).to_string(),
                expected: format!(
                    "classes numbered from {} without gaps, in a training set of {}",
                    train.class_table().label(0),
                    counted(train.rows(), "row")
                ),
            };
            return Err(train.located(error, "features", |row| row));
        }
        config.check(classes)?;
        let model = drawn(&config, &train)?;
        Self::begin(config, model, train, held_out)
    }

    /// Trains a model further, with moments and an order of rows of its own: one that was trained before under this head or another, or brought in from elsewhere.
    /// Transform, embedder and classes are the model's, whatever the configuration says of the first two; labels of all rows are those of its classes. What
    /// the head of the configuration remembers or trains beside class vectors begins as the model has it, if that has the name and the length.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Label`] for a label that the model has no class for; [`Error::Shape`] for a head with other class vectors.
    pub fn from_model(
        config: TrainConfig<H>,
        model: Model<H>,
        train: Dataset,
        held_out: impl Into<HeldOut>,
    ) -> Result<Self> {
        let embedder = model.embedder.as_ref().map(|embedder| embedder.embedder);
        let config = TrainConfig { transform: model.transform.kind(), embedder, ..config };
        config.check(model.class_table.len())?;
        let train = train.with_classes_of(&model.class_table)?;
        model
            .check_shape(&train.features.rows().shape())
            .map_err(|error| train.located(error, "features", |row| row))?;
        let model = taken_over(&config, model)?;
        Self::begin(config, model, train, held_out.into())
    }

    fn begin(config: TrainConfig<H>, model: Model<H>, train: Dataset, held_out: HeldOut) -> Result<Self> {
        let moments = model.trained().into_iter().map(|(_, length)| config.optimizer.moments(length)).collect();
        let (train_rows, data) = (train.rows(), Some(held_out.run_data(&train)?));
        let dimension = model.parameters.weights.ncols();
        let centres = if config.has_center_loss() { (train.classes(), dimension) } else { (0, 0) };
        let (centres, history) = (Array2::zeros(centres), Vec::new());
        let state = Checkpoint { config, model, best: None, moments, centres, history, paused: None, train_rows, data };
        Self::assemble(state, train, held_out)
    }

    /// Goes on from a checkpoint, with the data it was trained on. Epochs and patience may be others. With more epochs than before a cosine schedule ends later: the learning rate
    /// jumps from near 0 to where the longer cosine is; see [`next_learning_rate`](Self::next_learning_rate).
    ///
    /// # Errors
    /// [`Error::OtherSettings`] where `config` is not the checkpoint's but for these two; [`Error::OtherData`] or [`Error::Shape`]
    /// where the data are not, as far as the checkpoint has check sums of them; [`Error::Setting`] for fewer epochs than are done; what is wrong
    /// with the configuration or the data.
    pub fn resume(
        checkpoint: Checkpoint<H>,
        config: TrainConfig<H>,
        train: Dataset,
        held_out: impl Into<HeldOut>,
    ) -> Result<Self> {
        let held_out = held_out.into();
        let train = checkpoint.with_classes_of_run(train)?;
        config.check(train.classes())?;
        let data = held_out.run_data(&train)?;
        checkpoint.check_same_run(&config, &train, &data)?;
        checkpoint.check_epochs(config.epochs)?;
        let (found, kept) = (train.class_table(), checkpoint.model.class_table);
        let class_table = if found.same_labels(&kept) && !found.has_names() { kept } else { found.clone() };
        let best = checkpoint.best.map(|best| Model { class_table: class_table.clone(), ..best });
        let model = Model { class_table, ..checkpoint.model };
        // A checkpoint that says nothing of its data is believed to be of these.
        Self::assemble(Checkpoint { config, model, best, data: Some(data), ..checkpoint }, train, held_out)
    }

    fn assemble(state: Checkpoint<H>, train: Dataset, held_out: HeldOut) -> Result<Self> {
        if let (Some(patience), None) = (state.config.patience, &held_out.validation) {
            let expected = "none without validation rows, by which an epoch is better than another".into();
            return Err(Error::Setting { name: "patience", value: patience.to_string(), expected });
        }
        let held_out = held_out.transformed(&train, &state.model.transform)?;
        let is_labelled = |&(_, &label): &(usize, &i64)| label != IGNORE_LABEL;
        let labelled_rows: Vec<_> = train.labels.iter().enumerate().filter(is_labelled).map(|(row, _)| row).collect();
        if labelled_rows.is_empty() {
            return Err(Error::NothingLabelled { rows: train.rows(), ignore: IGNORE_LABEL });
        }
        let of_row = |row: usize| train.sample_weights().map_or(1.0, |weights| weights[row]);
        let labelled_rows = rows_that_count(labelled_rows, of_row)?;
        let mut sizes = vec![0; train.classes()];
        labelled_rows.iter().for_each(|&row| sizes[train.labels[row] as usize] += 1);
        let mut head = state.model.head.clone();
        head.count_classes(&sizes);
        let class_weights = state.config.objective.class_weights(&sizes)?.map(ArcArray1::from);
        let objective = Objective {
            class_weights: class_weights.as_ref().map(|weights| weights.view()),
            sample_weights: train.sample_weights().map(|weights| weights.view()),
            ..state.config.objective.of_labels(train.labels.view())
        };
        head.loss().check_objective(head.name(), &objective)?;
        let of_class = |row: usize| class_weights.as_ref().map_or(1.0, |weights| weights[train.labels[row] as usize]);
        let labelled_rows = rows_that_count(labelled_rows, of_class)?;
        if let Some(paused) = &state.paused {
            paused.check(batches(&labelled_rows, &state.config).len(), labelled_rows.len())?;
        }
        let train = TransformedDataset::new(train, &state.model.transform)?;
        let options = match state.config.kernel {
            Kernel::Streaming(options) => options,
            Kernel::Explicit => StreamingOptions::default(),
        };
        let partial_fc = state.config.sample_rate.map(|_| PartialFc::new(options)).transpose()?;
        Ok(Self {
            state,
            head,
            train,
            held_out,
            labelled_rows,
            class_weights,
            kernel: Streaming::new(options)?,
            partial_fc,
            log: EpochLog::default(),
            rows_are_checked: false,
            gradients: Gradients::default(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig<H> {
        &self.state.config
    }

    /// The model as it stands.
    pub fn model(&self) -> &Model<H> {
        &self.state.model
    }

    /// The model after the [best epoch](best_epoch) of those that are done; without validation rows the model as it stands.
    pub fn best_model(&self) -> &Model<H> {
        self.state.best_model()
    }

    /// Fits the [temperature](Model::temperature) of the [best model](Self::best_model) on the validation rows, and returns it; `None` where there are no such rows. It stays until
    /// another epoch is the best.
    ///
    /// # Errors
    /// As [`Model::fit_temperature`].
    pub fn fit_temperature(&mut self) -> Result<Option<f64>> {
        let best = self.state.best_model_mut();
        best.temperature = self.held_out.fit_temperature(best, &mut self.kernel)?;
        Ok(best.temperature)
    }

    /// The epochs done.
    pub fn history(&self) -> &[EpochRecord] {
        &self.state.history
    }

    /// The last epoch that was run here, step by step.
    pub fn epoch_log(&self) -> &EpochLog {
        &self.log
    }

    /// The learning rate of the next step.
    ///
    /// # Errors
    /// Those of [`Schedule::multiplier`](crate::optim::Schedule::multiplier).
    pub fn next_learning_rate(&self) -> Result<f64> {
        let config = &self.state.config;
        let batches = batches(&self.labelled_rows, config).len();
        let RunPosition { epochs, batches: done } = self.state.position();
        Ok(config.learning_rate * config.schedule.multiplier(epochs * batches + done, batches, config.epochs)?)
    }

    /// Whether all epochs are done, or patience is at its end.
    pub fn is_done(&self) -> bool {
        let done = self.state.history.len();
        let TrainConfig { epochs, patience, .. } = self.state.config;
        let since_best = best_epoch(&self.state.history).map_or(0, |best| done - best);
        done >= epochs || patience.is_some_and(|patience| since_best >= patience)
    }

    /// Everything needed to go on from here, unless a step has failed.
    pub fn checkpoint(&self) -> &Checkpoint<H> {
        &self.state
    }

    /// One pass over the training rows, in an order that depends on seed and epoch alone, then those that are held out; of an epoch that was
    /// paused, what is left. `on_batch` is called after each batch.
    ///
    /// # Errors
    /// [`Error::Training`] if a step fails, or leaves what is trained not finite, as it does once training has diverged. Where its cause is
    /// [`Error::File`] or [`Error::Io`], of data that have changed or cannot be read, the trainer is between two steps, and its
    /// [checkpoint](Self::checkpoint) is one to go on from.
    pub fn run_epoch(&mut self, mut on_batch: impl FnMut(&Progress) + Send) -> Result<&EpochRecord> {
        self.run_epoch_or_pause(|progress| {
            on_batch(progress);
            ControlFlow::Continue(())
        })?;
        Ok(self.history().last().expect("an epoch that is not paused has a record"))
    }

    /// [`run_epoch`](Self::run_epoch) that pauses after the batch at which `on_batch` breaks: there is no record then, and the
    /// [checkpoint](Self::checkpoint) is one inside the epoch.
    ///
    /// # Errors
    /// As [`run_epoch`](Self::run_epoch).
    pub fn run_epoch_or_pause(
        &mut self,
        mut on_batch: impl FnMut(&Progress) -> ControlFlow<()> + Send,
    ) -> Result<Option<&EpochRecord>> {
        // On a thread of the pool: from any other, each parallel part of a step would be handed over and waited for.
        let paused = rayon::scope(|_| self.run_epoch_in_pool(&mut on_batch))?.is_break();
        Ok(self.history().last().filter(|_| !paused))
    }

    fn run_epoch_in_pool(
        &mut self,
        on_batch: &mut impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        self.check_rows()?;
        let config = self.state.config.clone();
        let epoch = self.state.history.len() + 1;
        let mut rows = self.labelled_rows.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(epoch as u64);
        rows.shuffle(&mut rng);
        let batches_of_rows = batches(&rows, &config);
        let batches = batches_of_rows.len();

        let PausedEpoch { batches: done, dropout_position, seconds, mut means, log } =
            self.state.paused.take().unwrap_or_default();
        self.log = log;
        let mut dropout_rng = ChaCha8Rng::seed_from_u64(config.seed);
        dropout_rng.set_stream(DROPOUT_STREAM + epoch as u64);
        dropout_rng.set_word_pos(dropout_position.into());
        let start = Instant::now();
        let elapsed = || start.elapsed().as_secs_f64() + seconds;
        for (batch, rows) in batches_of_rows.into_iter().enumerate().skip(done) {
            let of_data = config.embedder.is_none();
            let in_epoch = |source| match source {
                // A row of the file that the head cannot take: no rate or scale would help.
                cause @ Error::InFile { .. } if of_data => cause,
                cause => Error::Training { epoch, batch: Some(batch + 1), cause: Box::new(cause) },
            };
            let features = match self.train.batch(rows, &self.state.model.transform) {
                Ok(features) => features,
                Err(error) => {
                    self.pause(batch, &dropout_rng, elapsed(), means);
                    return Err(in_epoch(error));
                }
            };
            if batch == 0 && best_epoch(&self.state.history) == Some(epoch - 1) {
                self.state.best = Some(self.state.model.clone());
            }
            // That of the model before this step.
            self.state.model.temperature = None;
            let step = (epoch - 1) * batches + batch;
            let learning_rate = config.learning_rate * config.schedule.multiplier(step, batches, config.epochs)?;
            let (loss, statistics, gradient_norm) =
                self.step(rows, features.view(), step, learning_rate, &mut dropout_rng).map_err(in_epoch)?;
            means.add(loss, &statistics, gradient_norm, learning_rate);
            self.log.add(epoch, batch + 1, loss, &statistics);
            let progress = Progress {
                epoch,
                batch: batch + 1,
                batches,
                loss: means.loss / means.rows as f64,
                accuracy: means.correct as f64 / means.rows as f64,
                scale: statistics.scale,
            };
            let breaks = on_batch(&progress).is_break();
            if breaks || batch + 1 == batches {
                self.state.check_finite().map_err(in_epoch)?;
            }
            if breaks && batch + 1 < batches {
                self.pause(batch + 1, &dropout_rng, elapsed(), means);
                return Ok(ControlFlow::Break(()));
            }
        }
        let seconds = elapsed();
        match self.held_out.evaluate(&self.state.model, &mut self.kernel) {
            Ok(evaluation) => self.state.history.push(means.record(epoch, seconds, &evaluation)),
            Err(cause) => {
                self.pause(batches, &dropout_rng, seconds, means);
                return Err(Error::Training { epoch, batch: None, cause: Box::new(cause) });
            }
        }
        if best_epoch(&self.state.history) == Some(epoch) {
            self.state.best = None;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Keeps what is done of an epoch, if it is anything.
    fn pause(&mut self, batches: usize, dropout_rng: &ChaCha8Rng, seconds: f64, means: Means) {
        let dropout_position = dropout_rng.get_word_pos() as u64;
        let log = self.log.clone();
        self.state.paused = (batches > 0).then_some(PausedEpoch { batches, dropout_position, seconds, means, log });
    }

    /// Checks once that the head can take every row that it will be given: rows that are held out would else be found wrong after an epoch. What
    /// an embedder makes of rows changes as it is trained.
    fn check_rows(&mut self) -> Result<()> {
        let model = &self.state.model;
        if self.rows_are_checked || model.embedder.is_some() {
            return Ok(());
        }
        let check = |data: &TransformedDataset, rows: &[usize]| {
            let checked = data.batch(rows, &model.transform).and_then(|rows| model.check_head_input(rows.view()));
            checked.map_err(|error| data.located(error, model.head_input(), rows))
        };
        self.labelled_rows.chunks(ROWS_AT_A_TIME).try_for_each(|rows| check(&self.train, rows))?;
        self.held_out.check_rows(check)?;
        self.rows_are_checked = true;
        Ok(())
    }
}

/// The rows whose weight is above 0.
///
/// # Errors
/// [`Error::Setting`] if there is none.
fn rows_that_count(labelled: Vec<usize>, weight: impl Fn(usize) -> f32) -> Result<Vec<usize>> {
    let count: Vec<_> = labelled.into_iter().filter(|&row| weight(row) > 0.0).collect();
    match count.is_empty() {
        false => Ok(count),
        true => {
            let expected = "above 0, or nothing would be learned".into();
            Err(Error::Setting { name: "the weight of every labelled row", value: "0".into(), expected })
        }
    }
}

/// The rows of each batch; a last one that is too small for a step joins the one before.
fn batches<'a, H: StoredHead>(rows: &'a [usize], config: &TrainConfig<H>) -> Vec<&'a [usize]> {
    let (size, smallest) = (config.batch_size, config.smallest_batch());
    let mut batches: Vec<_> = rows.chunks(size).collect();
    if batches.len() > 1 && batches.last().is_some_and(|last| last.len() < smallest) {
        batches.pop();
        let start = (batches.len() - 1) * size;
        batches.pop();
        batches.push(&rows[start..]);
    }
    batches
}
