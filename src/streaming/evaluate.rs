//! Loss and accuracy without gradients: the first pass alone.

use super::Streaming;
use super::batch::Batch;
use super::group::{Group, Target};
use super::merge::merge;
use super::prepare::{Inputs, in_parallel, in_pool};
use super::scores::{OwnClass, Sums, correct, targets};
use super::targets::{LabelledRow, by_column, labelled_rows};
use crate::heads::checked::Checked;
use crate::heads::{Head, ParametersView};
use crate::real::SingleThreaded;
use crate::{Real, Result};
use ndarray::{ArrayView1, ArrayView2};

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
    /// Loss and accuracy of [`logits`](Head::logits), which are never all in memory.
    ///
    /// # Errors
    /// As [`Head::forward`].
    pub fn evaluate<'p>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
        labels: ArrayView1<i64>,
    ) -> Result<Evaluated<F>> {
        let parameters = parameters.into();
        let checked = Checked::new(head, features, &parameters, None)?;
        let weights = parameters.weights.as_standard_layout();
        let bias = checked.bias.as_ref().map(|bias| bias.as_standard_layout());
        let weights_in_order = weights.as_slice().expect("in standard layout");
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("in standard layout"));
        let objective = labels.into();
        let inputs = Inputs { features, objective: &objective, checked: &checked, bias };

        in_pool(|| self.run_evaluation(&inputs, weights_in_order))
    }

    fn run_evaluation(&mut self, inputs: &Inputs<F>, weights: &[F]) -> Result<Evaluated<F>> {
        let Self { unit_features, feature_norms, groups, rows: state, .. } = self;
        let _single_threaded = SingleThreaded::begin();
        let prepared = inputs.prepare(unit_features, feature_norms)?;
        let labelled = labelled_rows(inputs, prepared.features.view(), weights, &prepared.objective.targets)?;
        let by_column = by_column(&labelled);
        let batch = prepared.batch(inputs, &by_column, &[], &[]);
        prepared.begin(groups, 0, false);
        let own = own_classes(&batch, &labelled);
        let score =
            |group: &mut Group<F>, weights| group.score(&batch, weights, prepared.scale, Sums::OfLogits, Some(&own));
        let parts = prepared.blocks.split(weights, batch.dimension());
        in_parallel(groups, parts, score).into_iter().collect::<Result<()>>()?;

        let loss = merge(groups, &batch, weights, prepared.scale, &[], state)?;
        let rank = |target: &Target<F>| {
            target.rank_in_block + groups.iter().map(|group| group.before[target.row]).sum::<usize>()
        };
        Ok(Evaluated {
            labelled: prepared.objective.targets.labelled(),
            loss,
            correct: correct(groups, batch.rows()),
            correct_top5: targets(groups).filter(|target| rank(target) < 5).count(),
        })
    }
}

/// The class of each row and its inner product, before any block is computed.
fn own_classes<F: Real>(batch: &Batch<F>, labelled: &[LabelledRow<F>]) -> Vec<OwnClass<F>> {
    let mut own = vec![OwnClass { block: 0, score: F::infinity() }; batch.rows()];
    for labelled in labelled {
        own[labelled.row] =
            OwnClass { block: batch.blocks.block_of(labelled.column), score: batch.own_product(labelled) };
    }
    own
}
