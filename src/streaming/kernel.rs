//! The kernel as callers see it: a step with gradients, or with the optimizer's update at once.

use super::StreamingOptions;
use super::gradients::{ClassVectors, Task, WeightUpdate, merge_d_features};
use super::group::{Group, Target};
use super::prepare::{Inputs, in_parallel, in_pool};
use super::scores::{RowState, correct, merge, next_scale, targets};
use crate::heads::gradient_bound::{Lengths, check_gradients};
use crate::heads::normalized::steepest;
use crate::heads::{BatchStatistics, ClassificationHead, Gradients, Parameters, Scale};
use crate::ops::{Targets, linear, rows};
use crate::optim::{Moments, Optimizer};
use crate::real::SingleThreaded;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use std::slice::from_mut;

/// The streaming kernel with its scratch memory, which serves from step to step: keep one for as long as you train.
#[derive(Debug, Default)]
pub struct Streaming<F> {
    pub(super) options: StreamingOptions,
    /// x̂ and ‖x‖.
    pub(super) unit_features: Vec<F>,
    pub(super) feature_norms: Vec<F>,
    pub(super) groups: Vec<Group<F>>,
    pub(super) rows: RowState<F>,
}

/// What a step found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<F> {
    /// The mean loss in nats.
    pub loss: F,
    /// Figures of the batch; [`scale`](BatchStatistics::scale) is AdaCos's new state.
    pub statistics: BatchStatistics,
    /// The Euclidean norm of the gradients of what is trained.
    pub gradient_norm: f64,
    /// The share of blocks that the filter left out of the gradients.
    pub filtered: f64,
}

/// An optimizer's step, to be taken as soon as a gradient is known.
#[derive(Debug)]
pub struct Update<'a, F> {
    /// The optimizer.
    pub optimizer: &'a Optimizer,
    /// One for each tensor of [`Parameters::trained_mut`], in its order.
    pub moments: &'a mut [Moments<F>],
    /// Steps are counted from 1.
    pub step: u64,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// Whether α is updated, where there is one.
    pub learn_alpha: bool,
    /// Where the gradient of the features (B, D) goes if what gives them is trained, too; memory of that shape is used again. Without
    /// it, and unless α learns, one of the three products is not needed.
    pub d_features: Option<&'a mut Array2<F>>,
}

/// What a step gives besides the gradients that it writes in place.
struct Outcome<F> {
    step: Step<F>,
    d_bias: Option<Array1<F>>,
    d_alpha: Option<F>,
}

impl<F: Real> Streaming<F> {
    /// A kernel without scratch memory yet.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting).
    pub fn new(options: StreamingOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options, ..Self::default() })
    }

    /// The options.
    pub fn options(&self) -> &StreamingOptions {
        &self.options
    }

    /// Loss and gradients of `features` (B, D) with `labels` (B,): what [`ClassificationHead::forward`] and
    /// [`backward`](ClassificationHead::backward) give.
    ///
    /// # Errors
    /// As [`ClassificationHead::forward`].
    pub fn forward_backward(
        &mut self,
        head: &impl ClassificationHead,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<(Step<F>, Gradients<F>)> {
        let mut gradients = Gradients::default();
        let step = self.forward_backward_into(head, features, parameters, labels, &mut gradients)?;
        Ok((step, gradients))
    }

    /// [`forward_backward`](Self::forward_backward) into arrays of a step before: the memory of gradients is used again where
    /// shapes are the same.
    ///
    /// # Errors
    /// As [`ClassificationHead::forward`]; `gradients` are then of no use.
    pub fn forward_backward_into(
        &mut self,
        head: &impl ClassificationHead,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
        gradients: &mut Gradients<F>,
    ) -> Result<Step<F>> {
        linear::check_shapes(features, parameters.weights.view())?;
        let form = head.logit_form(parameters)?;
        let weights = parameters.weights.as_standard_layout();
        let bias = parameters.bias.as_ref().map(|bias| bias.as_standard_layout());
        let d_features = zeros_unless_of_shape(&mut gradients.d_features, features.dim());
        let d_weights = zeros_unless_of_shape(&mut gradients.d_weights, weights.dim());
        let vectors = ClassVectors::Given { weights: weights.as_slice().expect("in standard layout"), d_weights };
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("in standard layout"));
        let inputs = Inputs { features, labels, classes: weights.nrows(), bias, form };
        let outcome = in_pool(|| self.run(head, &inputs, vectors, Some(d_features)))?;
        (gradients.d_bias, gradients.d_alpha) = (outcome.d_bias, outcome.d_alpha);
        Ok(outcome.step)
    }

    /// A whole training step: each block of class vectors is updated as soon as its gradient is known, so that `d_weights` is never
    /// in memory. `parameters` get AdaCos's new scale, too.
    ///
    /// # Errors
    /// As [`ClassificationHead::forward`]; [`Error::Shape`] where moments do not fit, [`Error::Setting`] as [`Optimizer::update`].
    /// `parameters` are then as they were.
    pub fn train_step(
        &mut self,
        head: &impl ClassificationHead,
        features: ArrayView2<F>,
        parameters: &mut Parameters<F>,
        labels: ArrayView1<i64>,
        update: Update<F>,
    ) -> Result<Step<F>> {
        linear::check_shapes(features, parameters.weights.view())?;
        let form = head.logit_form(parameters)?;
        update.check(parameters)?;
        parameters.make_standard();
        let Parameters { weights, bias, alpha, scale } = parameters;
        let (classes, learns_alpha) = (weights.nrows(), update.learn_alpha && alpha.is_some());
        let Update { optimizer, moments, step, learning_rate, d_features, .. } = update;
        let (of_weights, of_others) = moments.split_first_mut().expect("checked above");

        let vectors = ClassVectors::Updated {
            weights: weights.as_slice_mut().expect("made standard above"),
            moments: of_weights.view_mut(),
            by: WeightUpdate { optimizer: *optimizer, step, learning_rate },
        };
        let inputs = Inputs { features, labels, classes, bias: bias.as_ref().and_then(|bias| bias.as_slice()), form };
        // α's gradient is found along with that of features.
        let mut for_alpha = Array2::default((0, 0));
        let d_features = d_features.or(learns_alpha.then_some(&mut for_alpha));
        let d_features = d_features.map(|d_features| zeros_unless_of_shape(d_features, features.dim()));
        let outcome = in_pool(|| self.run(head, &inputs, vectors, d_features))?;

        let optimizer = optimizer.without_weight_decay();
        let mut of_others = of_others.iter_mut();
        let mut gradient_norm = outcome.step.gradient_norm;
        if let (Some(bias), Some(d_bias)) = (bias, &outcome.d_bias) {
            let (bias, d_bias) = (bias.as_slice_mut(), d_bias.as_slice());
            let (bias, d_bias) = bias.zip(d_bias).expect("both are in standard layout");
            let moments = of_others.next().expect("checked above");
            optimizer.apply(bias, d_bias, moments.view_mut(), step, learning_rate);
        }
        if let (Some(alpha), Some(d_alpha), true) = (alpha, outcome.d_alpha, learns_alpha) {
            let moments = of_others.next().expect("checked above");
            optimizer.apply(from_mut(alpha), &[d_alpha], moments.view_mut(), step, learning_rate);
            gradient_norm = gradient_norm.hypot(d_alpha.to_double());
        }
        if let Scale::AdaCos { .. } = form.scale {
            *scale = Some(F::of(outcome.step.statistics.scale));
        }
        Ok(Step { gradient_norm, ..outcome.step })
    }

    fn run(
        &mut self,
        head: &impl ClassificationHead,
        inputs: &Inputs<F>,
        vectors: ClassVectors<F>,
        d_features: Option<&mut [F]>,
    ) -> Result<Outcome<F>> {
        let form = inputs.form;
        let dimension = inputs.features.ncols();
        let Self { options, unit_features, feature_norms, groups, rows: state } = self;
        let _single_threaded = SingleThreaded::new();
        let prepared = inputs.prepare(unit_features, feature_norms)?;
        let (blocks, factor) = (prepared.blocks, prepared.factor);
        let batch = prepared.batch(inputs);
        prepared.begin(groups, options.workspace);

        let weights = blocks.split(vectors.weights(), dimension);
        let score = |group: &mut Group<F>, weights| group.score(&batch, weights, prepared.scale, None);
        in_parallel(groups, weights.clone(), score).into_iter().collect::<Result<()>>()?;
        let scale = match form.scale {
            Scale::Fixed(_) => prepared.scale,
            Scale::AdaCos { head, previous } => {
                let scale = next_scale(groups, &batch, head, previous)?;
                in_parallel(groups, weights, |group, weights| group.sum_again(&batch, weights, scale));
                scale
            }
        };
        let margin = |target: &Target<F>| match target.angle {
            Some(angle) if form.normalizes.weights() => head.target_margin(angle),
            _ => target.without_margin(),
        };
        let weight_lengths = groups.iter().map(|group| group.weight_length);
        let weight_length = weight_lengths.reduce(if form.normalizes.weights() { f64::min } else { f64::max });
        let lengths =
            Lengths { features: prepared.feature_length, weights: weight_length.expect("at least one group") };
        let steepest = steepest(targets(groups).map(|target| margin(target).slope));
        check_gradients(form.normalizes, scale * factor, steepest, batch.rows(), lengths, d_features.is_some())?;
        let loss = merge(groups, &batch, vectors.weights(), scale, margin, state)?;
        let statistics = statistics(groups, &prepared.targets, batch.rows(), scale * factor);

        let labelled = F::of(prepared.targets.labelled() as f64);
        let task = Task {
            rows: state,
            factor: scale * factor / labelled,
            negligible_mass: options.negligible_mass(blocks.count()),
            wants_d_features: d_features.is_some(),
        };
        let vectors = vectors.split(&blocks, dimension);
        in_parallel(groups, vectors, |group, vectors| group.differentiate(&batch, &task, vectors));

        let d_alpha = d_features.and_then(|d_features| {
            merge_d_features(groups, &batch, scale * factor, labelled, feature_norms, d_features)
        });
        let d_bias =
            batch.bias.map(|_| groups.iter().flat_map(|group| &group.d_bias).map(|&sum| sum / labelled).collect());
        let of_bias = d_bias.iter().map(|d_bias: &Array1<F>| rows::norm(d_bias.as_slice().expect("made above")));
        let gradient_norm = groups.iter().map(|group| group.gradient_norm).chain(of_bias).fold(0.0, f64::hypot);
        let filtered = groups.iter().map(|group| group.skipped).sum::<usize>() as f64 / blocks.count() as f64;
        let step = Step { loss, statistics, gradient_norm, filtered };
        Ok(Outcome { step, d_bias, d_alpha })
    }
}

fn statistics<F: Real>(groups: &[Group<F>], targets_of_rows: &Targets, rows: usize, scale: F) -> BatchStatistics {
    let mut angles: Vec<_> = targets(groups).map(|target| (target.row, target.angle)).collect();
    angles.sort_unstable_by_key(|&(row, _)| row);
    let angles = angles.into_iter().map(|(_, angle)| angle);
    BatchStatistics::new(targets_of_rows, correct(groups, rows), angles, scale)
}

/// The elements of `array`, which becomes a zero array of `shape` unless it has that shape already.
fn zeros_unless_of_shape<F: Real>(array: &mut Array2<F>, shape: (usize, usize)) -> &mut [F] {
    if array.dim() != shape || !array.is_standard_layout() {
        *array = Array2::zeros(shape);
    }
    array.as_slice_mut().expect("in standard layout")
}

impl<F: Real> Update<'_, F> {
    /// Checks step and settings, and that there are moments for every element.
    fn check(&self, parameters: &Parameters<F>) -> Result<()> {
        self.optimizer.check_step::<F>(self.step, self.learning_rate)?;
        let lengths = parameters.trained_lengths(self.learn_alpha);
        let mut pairs = self.moments.iter().zip(&lengths);
        if self.moments.len() == lengths.len() && pairs.all(|(moments, &length)| self.optimizer.fits(moments, length)) {
            return Ok(());
        }
        let found = self.moments.iter().map(|moments| moments.first.len().max(moments.second.len())).collect();
        let expected = format!("{lengths:?}, the lengths of the trained tensors, as Optimizer::moments gives them");
        Err(Error::Shape { what: "moments", found, expected })
    }
}
