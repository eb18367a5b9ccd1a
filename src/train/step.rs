//! One step of training: forward, backward and update on some rows.

use super::{Checkpoint, Kernel, Model, StoredHead, TrainedEmbedder, Trainer};
use crate::Result;
use crate::heads::{BatchStatistics, Gradients};
use crate::ops::Objective;
use crate::optim::{Moments, Optimizer, Trained};
use crate::penalties::PenaltyBatch;
use crate::streaming::{SampledClasses, Update};
use ndarray::{ArrayView2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Classes are sampled from streams of the seed's generator past those of dropout, one a step.
const SAMPLING_STREAM: u64 = 1 << 33;

impl<H: StoredHead> Trainer<H> {
    /// Forward, backward and update on the `features` of some training rows: the loss, figures of the batch, the norm of all gradients.
    pub(super) fn step(
        &mut self,
        rows: &[usize],
        features: ArrayView2<f32>,
        step: usize,
        learning_rate: f64,
        dropout_rng: &mut ChaCha8Rng,
    ) -> Result<(f64, BatchStatistics, f64)> {
        let labels = self.train.data.labels.select(Axis(0), rows);
        let sample_weights = self.train.data.sample_weights().map(|weights| weights.select(Axis(0), rows));
        let class_weights = self.class_weights.clone();
        let objective = Objective {
            class_weights: class_weights.as_ref().map(|weights| weights.view()),
            sample_weights: sample_weights.as_ref().map(|weights| weights.view()),
            ..self.state.config.objective.of_labels(labels.view())
        };
        let step = Step { number: step as u64 + 1, learning_rate };
        let head_input = self.state.model.head_input();
        let Some(TrainedEmbedder { embedder, parameters }) = &self.state.model.embedder else {
            let stepped = self.head_step(features, objective, step, false);
            return stepped.map_err(|error| self.train.located(error, head_input, rows));
        };
        let embedder = *embedder;
        let (embeddings, cache) = embedder.forward(features, parameters, dropout_rng)?;
        let stepped = self.head_step(embeddings.view(), objective, step, true);
        let (loss, statistics, head_norm) = stepped.map_err(|error| self.train.located(error, head_input, rows))?;
        let Checkpoint { config, model, moments, .. } = &mut self.state;
        let TrainedEmbedder { parameters, .. } = model.embedder.as_mut().expect("there is one, as above");
        let gradients = embedder.backward_to_parameters(self.gradients.d_features.view(), parameters, &cache);
        parameters.update_running_statistics(&cache);
        let of_head = model.parameters.trained(&model.head).len();
        let norm = update(parameters.trained_mut(&gradients), &mut moments[of_head..], &config.optimizer, step)?;
        Ok((loss, statistics, head_norm.hypot(norm)))
    }

    /// [`step`](Self::step) of the head alone, on what it takes. The gradient of that goes into `gradients` if it is wanted.
    fn head_step(
        &mut self,
        embeddings: ArrayView2<f32>,
        objective: Objective<f32>,
        step: Step,
        wants_d_embeddings: bool,
    ) -> Result<(f64, BatchStatistics, f64)> {
        let (head, state, gradients) = (&self.head, &mut self.state, &mut self.gradients);
        let Checkpoint { config, model: Model { parameters, .. }, moments, centres, .. } = state;
        let (of_head, _) = moments.split_at_mut(parameters.trained(head).len());
        let labels = objective.labels;
        let (loss, statistics, state) = match config.kernel {
            Kernel::Streaming(_) if config.penalties.is_empty() => {
                let update = Update {
                    optimizer: &config.optimizer,
                    moments: of_head,
                    step: step.number,
                    learning_rate: step.learning_rate,
                    d_features: wants_d_embeddings.then_some(&mut gradients.d_features),
                };
                let step = match (&mut self.partial_fc, config.sample_rate) {
                    (Some(partial_fc), Some(rate)) => {
                        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
                        rng.set_stream(SAMPLING_STREAM + step.number);
                        let classes = SampledClasses::draw(&objective, parameters.classes(head), rate, &mut rng)?;
                        partial_fc.train_step(head, embeddings, parameters, objective, &classes, update)?
                    }
                    _ => self.kernel.train_step(head, embeddings, parameters, objective, update)?,
                };
                return Ok((step.loss.into(), step.statistics, step.gradient_norm));
            }
            Kernel::Streaming(_) => {
                let kernel = &mut self.kernel;
                let step = kernel.forward_backward_into(head, embeddings, &*parameters, objective, gradients)?;
                (step.loss, step.statistics, step.state)
            }
            Kernel::Explicit => {
                let (loss, cache) = head.forward(embeddings, &*parameters, objective)?;
                let (statistics, state) = (cache.statistics, cache.state.clone());
                *gradients = head.backward(cache);
                (loss, statistics, state)
            }
        };
        let mut loss = f64::from(loss);
        for penalty in &config.penalties {
            let weights = parameters.weights.view();
            let batch = PenaltyBatch { features: embeddings, weights, labels, centres: head.centres() };
            let Gradients { d_features, d_weights, .. } = &mut *gradients;
            loss += f64::from(penalty.add(batch, centres, d_features, d_weights)?);
        }
        parameters.state = state;
        let norm = update(parameters.trained_mut(head, gradients), of_head, &config.optimizer, step)?;
        Ok((loss, statistics, norm))
    }
}

/// A step's number, counted from 1, and its learning rate.
#[derive(Clone, Copy)]
struct Step {
    number: u64,
    learning_rate: f64,
}

/// Updates each tensor; the Euclidean norm of all gradients.
fn update(trained: Vec<Trained<f32>>, moments: &mut [Moments<f32>], optimizer: &Optimizer, step: Step) -> Result<f64> {
    let pairs = trained.into_iter().zip(moments);
    let mut norms =
        pairs.map(|(tensor, moments)| tensor.update(*optimizer, moments.view_mut(), step.number, step.learning_rate));
    norms.try_fold(0.0, |all, norm| Ok(f64::hypot(all, norm?)))
}
