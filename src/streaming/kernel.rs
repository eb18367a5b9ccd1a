//! The kernel as callers see it: a step with gradients, or with the optimizer's update at once.

use super::StreamingOptions;
use super::batch::Batch;
use super::block_products::{Mixed, Operands};
use super::gradients::{
    ClassVectors, ScaleGradient, SecondPass, WeightUpdate, d_scale_from_products, d_threshold, merge_d_features,
};
use super::group::Group;
use super::merge::{RowState, merge};
use super::prepare::{Inputs, in_parallel, in_pool};
use super::scores::{Sums, correct, ln_b_avg};
use super::screening::Screening;
use super::targets::{by_column, labelled_rows, rows_of, slopes_of_own_centres};
use super::unit_block::matrix;
use crate::heads::checked::Checked;
use crate::heads::gradient_bound::{Lengths, Residuals, check_gradients};
use crate::heads::rules::{rules_of, steepest};
use crate::heads::{
    BatchStatistics, Gradients, Head, Parameters, ParametersMut, ParametersView, State, THRESHOLD, is_trained,
    make_standard,
};
use crate::ops::{Objective, rows};
use crate::optim::{Moments, Optimizer};
use crate::real::SingleThreaded;
use crate::real::int8::Codes;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView2};
use std::collections::BTreeMap;

/// The streaming kernel with its scratch memory, which serves from step to step: keep one for as long as you train.
#[derive(Debug, Default)]
pub struct Streaming<F> {
    pub(super) options: StreamingOptions,
    /// x̂ and ‖x‖.
    pub(super) unit_features: Vec<F>,
    pub(super) feature_norms: Vec<F>,
    /// x̂ for products in mixed precision.
    mixed_features: Operands,
    /// x̂ for products in 8 bits, and what a block must reach to count.
    coded_features: (Codes, Vec<F>),
    pub(super) groups: Vec<Group<F>>,
    pub(super) rows: RowState<F>,
}

/// What a step found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<F> {
    /// The loss in nats, by the objective.
    pub loss: F,
    /// (B,) the loss of each row in nats, its penalty with it; zero in rows without a label.
    pub row_losses: Array1<F>,
    /// Figures of the batch.
    pub statistics: BatchStatistics,
    /// What to put into [`Parameters::state`] once the step is taken.
    pub state: State,
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
    /// One for each tensor of [`Parameters::trained`], in its order.
    pub moments: &'a mut [Moments<F>],
    /// Steps are counted from 1.
    pub step: u64,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// Where the gradient of the features (B, D) goes if what gives them is trained, too; memory of that shape is used again. Without
    /// it, and unless the scale is learned, one of the three products is not needed.
    pub d_features: Option<&'a mut Array2<F>>,
}

/// What a step gives besides the gradients that it writes in place.
struct Outcome<F> {
    step: Step<F>,
    d_vectors: BTreeMap<String, Array1<F>>,
}

impl<F: Real> Streaming<F> {
    /// A kernel without scratch memory yet.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting).
    pub fn new(options: StreamingOptions) -> Result<Self> {
        options.check()?;
        options.precision.check_for::<F>()?;
        Ok(Self { options, ..Self::default() })
    }

    /// The options.
    pub fn options(&self) -> &StreamingOptions {
        &self.options
    }

    /// Loss and gradients of `features` (B, D) by `labels` (B,) or an [`Objective`]: what [`Head::forward`] and
    /// [`backward`](Head::backward) give.
    ///
    /// # Errors
    /// As [`Head::forward`].
    pub fn forward_backward<'a, 'p>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
        objective: impl Into<Objective<'a, F>>,
    ) -> Result<(Step<F>, Gradients<F>)> {
        let mut gradients = Gradients::default();
        let step = self.forward_backward_into(head, features, parameters, objective, &mut gradients)?;
        Ok((step, gradients))
    }

    /// [`forward_backward`](Self::forward_backward) into arrays of a step before: the memory of gradients is used again where
    /// shapes are the same.
    ///
    /// # Errors
    /// As [`Head::forward`]; `gradients` are then of no use.
    pub fn forward_backward_into<'a, 'p>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
        objective: impl Into<Objective<'a, F>>,
        gradients: &mut Gradients<F>,
    ) -> Result<Step<F>> {
        let (parameters, objective) = (parameters.into(), objective.into());
        let checked = Checked::new(head, features, &parameters, objective.sampled_from)?;
        let weights = parameters.weights.as_standard_layout();
        let bias = checked.bias.as_ref().map(|bias| bias.as_standard_layout());
        let d_features = zeros_unless_of_shape(&mut gradients.d_features, features.dim());
        let d_weights = zeros_unless_of_shape(&mut gradients.d_weights, weights.dim());
        let vectors = ClassVectors::Given { weights: weights.as_slice().expect("in standard layout"), d_weights };
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("in standard layout"));
        let inputs = Inputs { features, objective: &objective, checked: &checked, bias };
        let outcome = in_pool(|| self.run(head, &inputs, vectors, Some(d_features)))?;
        gradients.d_vectors = outcome.d_vectors;
        Ok(outcome.step)
    }

    /// A whole training step: each block of class vectors is updated as soon as its gradient is known, so that `d_weights` is never
    /// in memory. `parameters` get the new state, too.
    ///
    /// # Errors
    /// As [`Head::forward`]; [`Error::Shape`] where moments do not fit, [`Error::Setting`] as [`Optimizer::update`].
    /// `parameters` are then as they were.
    pub fn train_step<'a>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: &mut Parameters<F>,
        objective: impl Into<Objective<'a, F>>,
        update: Update<F>,
    ) -> Result<Step<F>> {
        make_standard(&mut parameters.weights);
        let Parameters { weights, vectors, state } = parameters;
        let parameters = ParametersMut { weights: weights.view_mut(), vectors, state };
        self.train_step_in_place(head, features, parameters, objective, update)
    }

    /// [`train_step`](Self::train_step) on class vectors in any memory.
    ///
    /// # Errors
    /// As there; [`Error::Shape`] unless the class vectors are in row-major order, without gaps.
    pub fn train_step_in_place<'a>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: ParametersMut<F>,
        objective: impl Into<Objective<'a, F>>,
        update: Update<F>,
    ) -> Result<Step<F>> {
        let lengths = parameters.trained_lengths(head);
        let ParametersMut { mut weights, vectors, state } = parameters;
        if !weights.is_standard_layout() {
            let expected = "this shape in row-major order, without gaps, to be updated in place".into();
            return Err(Error::Shape { what: "weights", found: weights.shape().to_vec(), expected });
        }
        vectors.values_mut().for_each(make_standard);
        let objective = objective.into();
        let checked = Checked::of_parts(head, features, weights.view(), vectors, state, objective.sampled_from)?;
        update.check(&lengths)?;
        let Update { optimizer, moments, step, learning_rate, d_features } = update;
        let (of_weights, of_vectors) = moments.split_first_mut().expect("checked above");

        let bias = checked.bias.as_ref().map(|bias| bias.to_slice().expect("made standard above"));
        let class_vectors = ClassVectors::Updated {
            weights: weights.as_slice_mut().expect("checked above"),
            moments: of_weights.view_mut(),
            by: WeightUpdate { optimizer: *optimizer, step, learning_rate },
        };
        let inputs = Inputs { features, objective: &objective, checked: &checked, bias };
        // Without rules the gradient of a scale is found from that of features.
        let mut for_scale = Array2::default((0, 0));
        let needs_features = head.scale().is_trained() && !checked.geometry.has_rules();
        let d_features = d_features.or(needs_features.then_some(&mut for_scale));
        let d_features = d_features.map(|d_features| zeros_unless_of_shape(d_features, features.dim()));
        let outcome = in_pool(|| self.run(head, &inputs, class_vectors, d_features))?;

        let optimizer = optimizer.without_weight_decay();
        let trained = vectors.iter_mut().filter(|(name, _)| is_trained(head, name));
        for ((name, vector), moments) in trained.zip(of_vectors) {
            let Some(gradient) = outcome.d_vectors.get(name).and_then(|gradient| gradient.as_slice()) else { continue };
            let values = vector.as_slice_mut().expect("made standard above");
            optimizer.apply(values, gradient, moments.view_mut(), step, learning_rate);
        }
        *state = outcome.step.state.clone();
        Ok(outcome.step)
    }

    fn run(
        &mut self,
        head: &impl Head,
        inputs: &Inputs<F>,
        vectors: ClassVectors<F>,
        d_features: Option<&mut [F]>,
    ) -> Result<Outcome<F>> {
        let (checked, scale_rule) = (inputs.checked, head.scale());
        let geometry = checked.geometry;
        let dimension = inputs.features.ncols();
        let weight_rows = checked.classes * checked.centres;
        let Self { options, unit_features, feature_norms, mixed_features, coded_features, groups, rows: row_state } =
            self;
        checked.loss.check_objective(head.name(), inputs.objective)?;
        let _single_threaded = SingleThreaded::begin();
        let prepared = inputs.prepare(unit_features, feature_norms)?;
        let (blocks, alpha) = (prepared.blocks, prepared.alpha);

        let labelled = labelled_rows(inputs, prepared.features.view(), vectors.weights(), &prepared.objective.targets)?;
        let mut rows_with_rules = rows_of(inputs, matrix(vectors.weights(), weight_rows), &labelled, feature_norms)?;
        let mut state = checked.state.clone();
        let rules = rules_of(head, &mut rows_with_rules, &mut state)?;
        let slopes = steepest(head, &rules);
        let mut rules_by_row = vec![None; inputs.features.nrows()];
        labelled.iter().zip(rules).for_each(|(labelled, rules)| rules_by_row[labelled.row] = Some(rules));
        let mut others: Vec<_> = rules_by_row.iter().map(|rules| rules.and_then(|rules| rules.others)).collect();
        if others.iter().all(Option::is_none) {
            others.clear();
        }
        let by_column = by_column(&labelled);
        let slopes_of_own_centres = slopes_of_own_centres(&labelled, inputs.features.nrows());
        let own_products;
        let mut batch = prepared.batch(inputs, &by_column, &others, &slopes_of_own_centres);
        if let Some(native) = options.precision.native() {
            own_products = batch.own_products(&labelled);
            let longest = batch.longest_feature;
            batch.mixed = Some(Mixed::new(native, batch.features, longest, mixed_features, &own_products)?);
        }
        let (codes, bars) = coded_features;
        if !scale_rule.follows_batch() && scale_rule.vector().is_none() {
            let for_screening = (codes, bars);
            batch.screening = Screening::new(&batch, options, prepared.scale, &labelled, &rules_by_row, for_screening);
        }
        let batch = batch;
        prepared.begin(groups, options.workspace, batch.mixed.is_some());

        let weights = blocks.split(vectors.weights(), dimension);
        let sums = if scale_rule.follows_batch() { Sums::OfProducts } else { Sums::OfLogits };
        let score = |group: &mut Group<F>, weights| group.score(&batch, weights, prepared.scale, sums, None);
        in_parallel(groups, weights.clone(), score).into_iter().collect::<Result<()>>()?;
        let mut scale = prepared.scale;
        if scale_rule.follows_batch() {
            let ln_b_avg = ln_b_avg(groups, &batch, scale) + F::of(checked.stands_for.ln());
            let angles = labelled.iter().filter_map(|labelled| labelled.angle);
            scale = scale_rule.after_batch(head.name(), scale, ln_b_avg, angles)?;
            in_parallel(groups, weights, |group, weights| group.sum_again(&batch, weights, scale));
        }
        let weight_lengths = groups.iter().map(|group| group.weight_length);
        let weight_length = weight_lengths.reduce(if geometry.normalizes_weights() { f64::min } else { f64::max });
        let lengths =
            Lengths { features: prepared.feature_length, weights: weight_length.expect("at least one group") };
        let check_bound = |largest_residual| {
            let residuals = Residuals::new(batch.objective, largest_residual);
            check_gradients(geometry, scale * alpha, slopes, residuals, lengths, d_features.is_some())
        };
        // Before logits that overflow, too, and once more with what the objective makes of them.
        check_bound(F::one())?;
        let loss = merge(groups, &batch, vectors.weights(), scale, &rules_by_row, row_state)?;
        check_bound(row_state.bound)?;
        let angles = labelled.iter().map(|labelled| labelled.angle);
        let correct = correct(groups, batch.rows());
        let statistics = BatchStatistics::new(&prepared.objective.targets, correct, angles, scale * alpha);

        let divisor = batch.objective.divisor;
        let d_scale = match scale_rule.vector() {
            None => ScaleGradient::NotWanted,
            Some(_) if geometry.has_rules() => ScaleGradient::FromProducts,
            Some(_) if d_features.is_some() => ScaleGradient::FromFeatures,
            Some(_) => ScaleGradient::NotWanted,
        };
        let pass = SecondPass {
            rows: row_state,
            factor: scale * alpha / divisor,
            negligible_mass: options.negligible_mass(blocks.count()),
            steepest_others: F::of(slopes.others),
            wants_d_features: d_features.is_some(),
            d_scale,
            uniform_features: uniform_features(&batch, row_state),
        };
        let vectors = vectors.split(&blocks, dimension);
        in_parallel(groups, vectors, |group, vectors| group.differentiate(&batch, &pass, vectors));

        let mut d_vectors = BTreeMap::new();
        let from_features = d_features
            .and_then(|d_features| merge_d_features(groups, &batch, &pass, scale * alpha, feature_norms, d_features));
        let d_scale = match d_scale {
            ScaleGradient::FromProducts => Some(d_scale_from_products(groups, pass.rows, divisor)),
            _ => from_features,
        };
        if let (Some(name), Some(d_scale)) = (scale_rule.vector(), d_scale) {
            d_vectors.insert(name.to_owned(), ndarray::array![scale_rule.d_vector(scale * alpha, d_scale)]);
        }
        if batch.loss.has_threshold() {
            d_vectors.insert(THRESHOLD.to_owned(), ndarray::array![d_threshold(groups, pass.rows, divisor)]);
        }
        if batch.bias.is_some() {
            let sums = groups.iter().flat_map(|group| &group.d_bias);
            d_vectors.insert("bias".to_owned(), sums.map(|&sum| sum / divisor).collect());
        }
        let trained = d_vectors.iter().filter(|(name, _)| is_trained(head, name));
        let of_vectors = trained.map(|(_, gradient): (_, &Array1<F>)| rows::norm(&gradient.to_vec()));
        let gradient_norm = groups.iter().map(|group| group.gradient_norm).chain(of_vectors).fold(0.0, f64::hypot);
        let filtered = groups.iter().map(|group| group.skipped).sum::<usize>() as f64 / blocks.count() as f64;
        let state = Checked::state_after(head, &state, scale);
        let row_losses = row_state.losses.iter().copied().collect();
        Ok(Outcome { step: Step { loss, row_losses, statistics, state, gradient_norm, filtered }, d_vectors })
    }
}

/// (D,) `Σ_i U_i x̃_i`, if labels are smoothed.
fn uniform_features<F: Real>(batch: &Batch<F>, state: &RowState<F>) -> Vec<F> {
    if !batch.objective.is_smoothed() {
        return Vec::new();
    }
    let mut sum = vec![F::zero(); batch.dimension()];
    for (x, &uniform) in batch.features.rows().into_iter().zip(&state.uniform) {
        rows::add_scaled(&mut sum, uniform, x.to_slice().expect("x̃ is in row-major order"));
    }
    sum
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
    pub(super) fn check(&self, lengths: &[usize]) -> Result<()> {
        self.optimizer.check_step::<F>(self.step, self.learning_rate)?;
        let mut pairs = self.moments.iter().zip(lengths);
        if self.moments.len() == lengths.len() && pairs.all(|(moments, &length)| self.optimizer.fits(moments, length)) {
            return Ok(());
        }
        let found = self.moments.iter().map(|moments| moments.first.len().max(moments.second.len())).collect();
        let expected = format!("{lengths:?}, the lengths of the trained tensors, as Optimizer::moments gives them");
        Err(Error::Shape { what: "moments", found, expected })
    }
}
