//! What the measures of probabilities are made of, a block of classes at a time.

use super::Streaming;
use super::batch::Batch;
use super::group::Group;
use super::merge::logit_not_finite;
use super::prepare::{Inputs, in_parallel, in_pool};
use crate::heads::checked::Checked;
use crate::heads::{Head, ParametersView};
use crate::ops::{SoftmaxSums, Targets};
use crate::real::SingleThreaded;
use crate::{Real, Result};
use ndarray::{ArrayView1, ArrayView2};

impl<F: Real> Streaming<F> {
    /// [`SoftmaxSums`] at `beta` of the labelled rows' [`logits`](Head::logits), which are never all in memory, in the order of the rows. A threshold, which a
    /// softmax does not depend on, is not subtracted from logits.
    ///
    /// # Errors
    /// As [`Head::forward`].
    pub fn softmax_sums<'p>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
        labels: ArrayView1<i64>,
        beta: f64,
    ) -> Result<Vec<SoftmaxSums>> {
        let parameters = parameters.into();
        let checked = Checked::new(head, features, &parameters, None)?;
        let weights = parameters.weights.as_standard_layout();
        let weights = weights.as_slice().expect("in standard layout");
        let bias = checked.bias.as_ref().map(|bias| bias.as_standard_layout());
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("in standard layout"));
        let objective = labels.into();
        let inputs = Inputs { features, objective: &objective, checked: &checked, bias };
        in_pool(|| {
            let Self { unit_features, feature_norms, groups, .. } = self;
            let _single_threaded = SingleThreaded::begin();
            let prepared = inputs.prepare(unit_features, feature_norms)?;
            let batch = prepared.batch(&inputs, &[], &[], &[]);
            prepared.begin(groups, 0, false);
            let (scale, parts) = (prepared.scale, prepared.blocks.split(weights, batch.dimension()));
            let targets = &prepared.objective.targets;
            let sums = |group: &mut Group<F>, part| group.softmax_sums(&batch, part, scale, targets, beta);
            let of_groups = in_parallel(groups, parts, sums).into_iter().collect::<Result<Vec<_>>>()?;
            if let Some(row) = groups.iter().filter_map(|group| group.overflowed).min() {
                return Err(logit_not_finite(&batch, weights, scale, row, None));
            }
            let merged = of_groups.into_iter().reduce(|mut merged, next| {
                merged.iter_mut().zip(next).for_each(|(merged, next)| *merged = merged.merge(next));
                merged
            });
            Ok(merged.expect("at least one group"))
        })
    }
}

impl<F: Real> Group<F> {
    /// The sums over the classes of the group, whose vectors are `weights`.
    ///
    /// # Errors
    /// As [`multiply`](Self::multiply).
    fn softmax_sums(
        &mut self,
        batch: &Batch<F>,
        weights: &[F],
        scale: F,
        targets: &Targets,
        beta: f64,
    ) -> Result<Vec<SoftmaxSums>> {
        self.overflowed = None;
        let mut sums: Vec<_> = targets.iter().map(|(_, class)| SoftmaxSums::none(class, beta)).collect();
        for block in self.blocks(&batch.blocks) {
            let columns = batch.blocks.columns_of(block);
            let weights = &weights[self.vectors_of(batch, block)];
            self.multiply(batch, weights, block)?;
            let products = self.products.of(batch, block);
            for ((row, class), sums) in targets.iter().zip(&mut sums) {
                let products = &products[row * columns.len()..][..columns.len()];
                // Multiplied in the precision of the logits, so that equal ones stay equal.
                let logits = columns
                    .clone()
                    .zip(products)
                    .map(|(column, &product)| (column / batch.blocks.centres(), (scale * product).to_double()));
                *sums = sums.merge(SoftmaxSums::of_classes(logits, class, beta));
            }
        }
        Ok(sums)
    }
}
