//! The kernel as callers see it: a step with gradients, or with the optimizer's update at once.

use super::blocks::Blocks;
use super::gradients::{ClassVectors, Task, WeightUpdate, merge_d_features};
use super::group::{Batch, Group, Target, grow};
use super::scores::{RowState, correct, merge, next_scale, targets};
use super::unit_block::matrix;
use super::{SingleThreaded, StreamingOptions};
use crate::heads::{BatchStatistics, ClassificationHead, Gradients, LogitForm, Margin, Normalizes, Parameters, Scale};
use crate::ops::{Targets, l2_normalize, linear};
use crate::optim::{Moments, Optimizer};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, CowArray, Ix2, s};
use rayon::prelude::*;
use std::slice::from_mut;

/// Rows of features below which another thread costs more than it brings.
const FEWEST_ROWS: usize = 16;

/// The streaming kernel with its scratch memory, which serves from step to step: keep one for as long as you train.
#[derive(Debug, Default)]
pub struct Streaming<F> {
    options: StreamingOptions,
    /// x̂ and ‖x‖.
    unit_features: Vec<F>,
    feature_norms: Vec<F>,
    groups: Vec<Group<F>>,
    rows: RowState<F>,
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
}

/// The inputs of a step but for class vectors.
struct Inputs<'a, F> {
    features: ArrayView2<'a, F>,
    labels: ArrayView1<'a, i64>,
    classes: usize,
    /// In use where the head has one.
    bias: Option<&'a [F]>,
    form: LogitForm<F>,
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
        let outcome = self.run(head, &inputs, vectors, Some(d_features))?;
        (gradients.d_bias, gradients.d_alpha) = (outcome.d_bias, outcome.d_alpha);
        Ok(outcome.step)
    }

    /// A whole training step: each block of class vectors is updated as soon as its gradient is known, so that `d_weights` and
    /// `d_features` are never in memory. `parameters` get AdaCos's new scale, too.
    ///
    /// # Errors
    /// As [`ClassificationHead::forward`]; [`Error::Shape`] where moments do not fit. `parameters` are then as they were.
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
        update.check_moments(parameters)?;
        parameters.make_standard();
        let Parameters { weights, bias, alpha, scale } = parameters;
        let (classes, learns_alpha) = (weights.nrows(), update.learn_alpha && alpha.is_some());
        let Update { optimizer, moments, step, learning_rate, .. } = update;
        let (of_weights, of_others) = moments.split_first_mut().expect("checked above");

        let vectors = ClassVectors::Updated {
            weights: weights.as_slice_mut().expect("made standard above"),
            moments: of_weights.view_mut(),
            by: WeightUpdate { optimizer: *optimizer, step, learning_rate },
        };
        let inputs = Inputs { features, labels, classes, bias: bias.as_ref().and_then(|bias| bias.as_slice()), form };
        // α's gradient is found along with that of features.
        let mut d_features = if learns_alpha { vec![F::zero(); features.len()] } else { Vec::new() };
        let outcome = self.run(head, &inputs, vectors, learns_alpha.then_some(&mut d_features))?;

        let optimizer = optimizer.without_weight_decay();
        let mut of_others = of_others.iter_mut();
        let mut squared_norm = outcome.step.gradient_norm.powi(2);
        if let (Some(bias), Some(d_bias)) = (bias, &outcome.d_bias) {
            let (bias, d_bias) = (bias.as_slice_mut(), d_bias.as_slice());
            let (bias, d_bias) = bias.zip(d_bias).expect("both are in standard layout");
            let moments = of_others.next().expect("checked above");
            optimizer.update(bias, d_bias, moments.view_mut(), step, learning_rate);
        }
        if let (Some(alpha), Some(d_alpha), true) = (alpha, outcome.d_alpha, learns_alpha) {
            let moments = of_others.next().expect("checked above");
            optimizer.update(from_mut(alpha), &[d_alpha], moments.view_mut(), step, learning_rate);
            squared_norm += d_alpha.to_double().powi(2);
        }
        if let Scale::AdaCos { .. } = form.scale {
            *scale = Some(F::of(outcome.step.statistics.scale));
        }
        Ok(Step { gradient_norm: squared_norm.sqrt(), ..outcome.step })
    }

    fn run(
        &mut self,
        head: &impl ClassificationHead,
        inputs: &Inputs<F>,
        vectors: ClassVectors<F>,
        d_features: Option<&mut [F]>,
    ) -> Result<Outcome<F>> {
        let &Inputs { features, labels, classes, bias, form } = inputs;
        let (rows, dimension) = features.dim();
        let Self { options, unit_features, feature_norms, groups, rows: state } = self;
        let _single_threaded = SingleThreaded::new();

        let operand = match form.normalizes.features() {
            true => normalized(features, unit_features, feature_norms)?,
            false => {
                l2_normalize::check_finite("features", features)?;
                features.as_standard_layout()
            }
        };
        let targets_of_rows = Targets::new(labels, rows, classes)?;
        let mut by_class: Vec<_> = targets_of_rows.iter().map(|(row, class)| (class, row)).collect();
        by_class.sort_unstable();
        let blocks = Blocks::new(classes, rayon::current_num_threads());
        let bias = bias.filter(|_| !form.normalizes.weights());
        if let Some(bias) = bias {
            linear::check_bias(bias.into(), classes)?;
        }
        // Cosines are kept without their scale, since AdaCos's is not known yet.
        let (factor, first_scale) = match form.scale {
            Scale::Fixed(scale) if form.normalizes.weights() => (F::one(), scale),
            Scale::Fixed(scale) => (scale, F::one()),
            Scale::AdaCos { previous, .. } => (F::one(), previous),
        };
        let batch = Batch {
            blocks,
            features,
            operand: operand.view(),
            normalizes: form.normalizes,
            factor,
            bias,
            targets: &by_class,
        };

        let slot = rows * blocks.width() * size_of::<F>();
        let kept = (options.workspace / slot / blocks.groups()).min(blocks.in_group());
        groups.resize_with(blocks.groups(), Group::default);
        for (number, group) in groups.iter_mut().enumerate() {
            group.number = number;
            group.unit.clear();
            group.products.clear(kept);
        }

        let weights = blocks.split(vectors.weights(), dimension);
        let scored = in_parallel(groups, weights.clone(), |group, weights| group.score(&batch, weights, first_scale));
        scored.into_iter().collect::<Result<()>>()?;
        let scale = match form.scale {
            Scale::Fixed(_) => first_scale,
            Scale::AdaCos { head, previous } => {
                let scale = next_scale(groups, &batch, head, previous)?;
                in_parallel(groups, weights, |group, weights| group.sum_again(&batch, weights, scale));
                scale
            }
        };
        let margin = |target: &Target<F>| match target.angle {
            Some(angle) if form.normalizes.weights() => head.target_margin(angle),
            _ => Margin { value: target.score, slope: F::one() },
        };
        let loss = merge(groups, &batch, vectors.weights(), scale, margin, state)?;
        let statistics = statistics(groups, &targets_of_rows, rows, scale * factor);

        let task = Task {
            rows: state,
            factor: scale * factor / F::of(by_class.len() as f64),
            negligible_mass: options.negligible_mass(blocks.count()),
            wants_d_features: d_features.is_some(),
        };
        let vectors = vectors.split(&blocks, dimension);
        in_parallel(groups, vectors, |group, vectors| group.differentiate(&batch, &task, vectors));

        let along =
            d_features.map(|d_features| merge_d_features(groups, &batch, task.factor, feature_norms, d_features));
        let labelled = F::of(by_class.len() as f64);
        let d_bias = bias.map(|_| groups.iter().flat_map(|group| &group.d_bias).map(|&sum| sum / labelled).collect());
        let d_alpha = along.filter(|_| form.normalizes == Normalizes::Features).map(|along| along / factor);
        let squared_norm = groups.iter().map(|group| group.squared_norm).sum::<f64>()
            + d_bias.iter().flatten().map(|d: &F| d.to_double().powi(2)).sum::<f64>();
        let filtered = groups.iter().map(|group| group.skipped).sum::<usize>() as f64 / blocks.count() as f64;
        let step = Step { loss, statistics, gradient_norm: squared_norm.sqrt(), filtered };
        Ok(Outcome { step, d_bias, d_alpha })
    }
}

/// x̂ of `features` in `unit`, and their norms.
fn normalized<'a, F: Real>(
    features: ArrayView2<F>,
    unit: &'a mut Vec<F>,
    norms: &mut Vec<F>,
) -> Result<CowArray<'a, F, Ix2>> {
    let (rows, dimension) = features.dim();
    grow(unit, rows * dimension);
    grow(norms, rows);
    let at_a_time = rows.div_ceil(rayon::current_num_threads()).max(FEWEST_ROWS);
    let parts =
        unit[..rows * dimension].par_chunks_mut(at_a_time * dimension).zip(norms[..rows].par_chunks_mut(at_a_time));
    let normalized: Vec<_> = parts
        .enumerate()
        .map(|(part, (unit, norms))| {
            let first = part * at_a_time;
            let features = features.slice(s![first..first + norms.len(), ..]);
            l2_normalize::normalize_rows("features", first, features, unit, norms)
        })
        .collect();
    normalized.into_iter().collect::<Result<()>>()?;
    Ok(matrix(&unit[..rows * dimension], rows).into())
}

fn statistics<F: Real>(groups: &[Group<F>], targets_of_rows: &Targets, rows: usize, scale: F) -> BatchStatistics {
    let mut angles: Vec<_> = targets(groups).map(|target| (target.row, target.angle)).collect();
    angles.sort_unstable_by_key(|&(row, _)| row);
    let angles = angles.into_iter().map(|(_, angle)| angle);
    BatchStatistics::new(targets_of_rows, correct(groups, rows), angles, scale)
}

/// `work` on each group with its own `inputs`; the results in the order of groups.
fn in_parallel<F: Real, I: Send, R: Send>(
    groups: &mut [Group<F>],
    inputs: Vec<I>,
    work: impl Fn(&mut Group<F>, I) -> R + Sync,
) -> Vec<R> {
    groups.par_iter_mut().zip(inputs).with_max_len(1).map(|(group, input)| work(group, input)).collect()
}

/// The elements of `array`, which becomes a zero array of `shape` unless it has that shape already.
fn zeros_unless_of_shape<F: Real>(array: &mut Array2<F>, shape: (usize, usize)) -> &mut [F] {
    if array.dim() != shape || !array.is_standard_layout() {
        *array = Array2::zeros(shape);
    }
    array.as_slice_mut().expect("in standard layout")
}

impl<F: Real> Update<'_, F> {
    /// Checks that there are moments for every element.
    fn check_moments(&self, parameters: &Parameters<F>) -> Result<()> {
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
