//! Loss and accuracy without gradients: the first pass alone.

use super::Streaming;
use super::batch::Batch;
use super::group::{Group, Target};
use super::prepare::{Inputs, in_parallel, in_pool};
use super::scores::{OwnClass, correct, merge, targets};
use crate::heads::{ClassificationHead, Parameters};
use crate::ops::{l2_normalize, linear, rows};
use crate::real::SingleThreaded;
use crate::{Real, Result};
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// How well a head does on a batch, without margins. Rows labelled [`IGNORE_LABEL`](crate::ops::IGNORE_LABEL) take no part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluated<F> {
    /// Rows with a label.
    pub labelled: usize,
    /// The mean loss in nats.
    pub loss: F,
    /// Labelled rows whose class has the largest logit.
    pub correct: usize,
    /// Labelled rows whose class is among the five largest logits.
    pub correct_top5: usize,
}

impl<F: Real> Streaming<F> {
    /// Loss and accuracy of [`logits`](ClassificationHead::logits), which are never all in memory.
    ///
    /// # Errors
    /// As [`ClassificationHead::forward`].
    pub fn evaluate(
        &mut self,
        head: &impl ClassificationHead,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<Evaluated<F>> {
        linear::check_shapes(features, parameters.weights.view())?;
        let form = head.logit_form(parameters)?;
        let weights = parameters.weights.as_standard_layout();
        let bias = parameters.bias.as_ref().map(|bias| bias.as_standard_layout());
        let weights_in_order = weights.as_slice().expect("in standard layout");
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("in standard layout"));
        let inputs = Inputs { features, labels, classes: weights.nrows(), bias, form };

        in_pool(|| self.run_evaluation(&inputs, weights_in_order))
    }

    fn run_evaluation(&mut self, inputs: &Inputs<F>, weights: &[F]) -> Result<Evaluated<F>> {
        let Self { unit_features, feature_norms, groups, rows: state, .. } = self;
        let _single_threaded = SingleThreaded::new();
        let prepared = inputs.prepare(unit_features, feature_norms)?;
        let batch = prepared.batch(inputs);
        prepared.begin(groups, 0);
        let own = own_classes(&batch, weights);
        let score = |group: &mut Group<F>, weights| group.score(&batch, weights, prepared.scale, Some(&own));
        let parts = prepared.blocks.split(weights, batch.dimension());
        in_parallel(groups, parts, score).into_iter().collect::<Result<()>>()?;

        let loss = merge(groups, &batch, weights, prepared.scale, Target::without_margin, state)?;
        let rank = |target: &Target<F>| {
            target.rank_in_block + groups.iter().map(|group| group.before[target.row]).sum::<usize>()
        };
        Ok(Evaluated {
            labelled: prepared.targets.labelled(),
            loss,
            correct: correct(groups, batch.rows()),
            correct_top5: targets(groups).filter(|target| rank(target) < 5).count(),
        })
    }
}

/// The class of each row and its inner product, before any block is computed.
fn own_classes<F: Real>(batch: &Batch<F>, weights: &[F]) -> Vec<OwnClass<F>> {
    let mut own = vec![OwnClass { block: 0, score: F::infinity() }; batch.rows()];
    let dimension = batch.dimension();
    let scores = batch.targets.par_iter().with_min_len(16).map(|&(class, row)| {
        let vector = &weights[class * dimension..(class + 1) * dimension];
        let x = batch.operand.row(row).to_slice().expect("x̃ is in row-major order");
        let product = match batch.normalizes.weights() {
            true => {
                let (mut unit, mut norm) = (vec![F::zero(); dimension], [F::zero()]);
                let view = ArrayView2::from_shape((1, dimension), vector).expect("one row");
                // A class vector without direction is reported by the pass over all of them.
                let _ = l2_normalize::normalize_rows("weights", class, view, &mut unit, &mut norm);
                rows::dot(x, &unit)
            }
            false => rows::dot(x, vector),
        };
        let bias = batch.bias.map_or(F::zero(), |bias| bias[class]);
        (row, OwnClass { block: batch.blocks.block_of(class), score: batch.factor * product + bias })
    });
    for (row, class) in scores.collect::<Vec<_>>() {
        own[row] = class;
    }
    own
}
