//! The inputs of a step, checked and put in the form that the tasks take.

use super::batch::{Batch, grow};
use super::blocks::Blocks;
use super::group::Group;
use super::unit_block::matrix;
use crate::heads::checked::Checked;
use crate::ops::checked_objective::{CheckedObjective, SoftTarget};
use crate::ops::{Objective, OthersRule, l2_normalize};
use crate::{Real, Result};
use ndarray::{ArrayView2, CowArray, Ix2, s};
use rayon::prelude::*;

/// Rows of features below which another thread costs more than it brings.
const FEWEST_ROWS: usize = 16;

/// The inputs of a step but for class vectors.
pub(super) struct Inputs<'a, 'objective, F> {
    pub features: ArrayView2<'a, F>,
    pub objective: &'a Objective<'objective, F>,
    /// The head with its parameters.
    pub checked: &'a Checked<'a, F>,
    /// That of `checked`, contiguous.
    pub bias: Option<&'a [F]>,
}

/// What follows from the inputs.
pub(super) struct PreparedInputs<'a, F> {
    pub blocks: Blocks,
    centre_temperature: Option<F>,
    pub objective: CheckedObjective<F>,
    /// By class.
    soft_targets: Vec<SoftTarget<F>>,
    /// x̃
    pub features: CowArray<'a, F, Ix2>,
    /// The shortest ‖x‖ where the head normalises features, the longest where not.
    pub feature_length: f64,
    /// What inner products are multiplied by before they are kept.
    pub alpha: F,
    /// The scale of the first pass: what inner products are multiplied by after that.
    pub scale: F,
}

impl<F: Real> Inputs<'_, '_, F> {
    /// Checks features and labels. Normalised features go into the memory of `unit`, their norms into `norms`.
    ///
    /// # Errors
    /// Whatever is wrong with them.
    pub fn prepare<'a>(&'a self, unit: &'a mut Vec<F>, norms: &mut Vec<F>) -> Result<PreparedInputs<'a, F>> {
        let &Checked { geometry, classes, centres, centre_temperature, scale, .. } = self.checked;
        let (features, feature_length) = match geometry.normalizes_features() {
            true => {
                let features = normalized(self.features, unit, norms)?;
                let norms = &norms[..self.features.nrows()];
                let shortest = norms.iter().fold(F::infinity(), |shortest, &norm| shortest.min(norm));
                (features, shortest.to_double())
            }
            false => {
                let longest = l2_normalize::longest_row("features", 0, self.features)?;
                (self.features.as_standard_layout(), longest)
            }
        };
        let objective = CheckedObjective::new(self.objective, self.features.nrows(), classes)?;
        let mut soft_targets = objective.soft_targets().to_vec();
        soft_targets.sort_by_key(|soft| soft.class);
        // Cosines are kept without their scale, since one that follows the batch is not known yet.
        let (alpha, scale) = if geometry.has_bias() { (scale, F::one()) } else { (F::one(), scale) };
        let blocks = Blocks::new(classes, centres, rayon::current_num_threads());
        Ok(PreparedInputs {
            blocks,
            centre_temperature,
            objective,
            soft_targets,
            features,
            feature_length,
            alpha,
            scale,
        })
    }
}

impl<F: Real> PreparedInputs<'_, F> {
    /// What all tasks see. The arguments as in [`Batch`].
    pub fn batch<'b>(
        &'b self,
        inputs: &'b Inputs<'_, '_, F>,
        targets: &'b [(usize, usize)],
        others: &'b [Option<OthersRule<F>>],
        slopes_of_own_centres: &'b [F],
    ) -> Batch<'b, F> {
        let geometry = inputs.checked.geometry;
        let largest_bias =
            inputs.bias.unwrap_or_default().iter().fold(F::zero(), |largest, bias| largest.max(bias.abs()));
        Batch {
            blocks: self.blocks,
            centre_temperature: self.centre_temperature,
            features: self.features.view(),
            geometry,
            loss: inputs.checked.loss,
            threshold: inputs.checked.threshold,
            alpha: self.alpha,
            bias: inputs.bias,
            longest_feature: if geometry.normalizes_features() { 1.0 } else { self.feature_length },
            largest_bias: largest_bias.to_double(),
            targets,
            slopes_of_own_centres,
            others,
            objective: &self.objective,
            soft_targets: &self.soft_targets,
            mixed: None,
            screening: None,
        }
    }

    /// Makes as many groups as there are tasks, ready for a step whose inner products may take `workspace` bytes, in mixed precision or not.
    pub fn begin(&self, groups: &mut Vec<Group<F>>, workspace: usize, is_mixed: bool) {
        let (rows, width) = (self.features.nrows(), self.blocks.width());
        // Where centres are mixed, as many slopes are kept.
        let arrays = if self.centre_temperature.is_some() { 2 } else { 1 };
        let (bytes, are_rounded) = (workspace / self.blocks.groups() / arrays, is_mixed && arrays == 1);
        groups.resize_with(self.blocks.groups(), Group::default);
        for (number, group) in groups.iter_mut().enumerate() {
            group.number = number;
            group.unit.clear();
            group.products.clear(bytes, rows, width, are_rounded);
        }
    }
}

/// `work` on one of the pool's threads: from any other, each parallel part of it would be handed over and waited for.
pub(super) fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// `work` on each group with its own `inputs`; the results in the order of groups.
pub(super) fn in_parallel<F: Real, I: Send, R: Send>(
    groups: &mut [Group<F>],
    inputs: Vec<I>,
    work: impl Fn(&mut Group<F>, I) -> R + Sync,
) -> Vec<R> {
    groups.par_iter_mut().zip(inputs).with_max_len(1).map(|(group, input)| work(group, input)).collect()
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
