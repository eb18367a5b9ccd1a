//! The inputs of a step, checked and put in the form that the tasks take.

use super::batch::{Batch, grow};
use super::blocks::Blocks;
use super::group::Group;
use super::unit_block::matrix;
use crate::heads::{LogitForm, Scale};
use crate::ops::{Targets, l2_normalize, linear};
use crate::{Real, Result};
use ndarray::{ArrayView1, ArrayView2, CowArray, Ix2, s};
use rayon::prelude::*;

/// Rows of features below which another thread costs more than it brings.
const FEWEST_ROWS: usize = 16;

/// The inputs of a step but for class vectors.
pub(super) struct Inputs<'a, F> {
    pub features: ArrayView2<'a, F>,
    pub labels: ArrayView1<'a, i64>,
    pub classes: usize,
    /// In use where the head has one.
    pub bias: Option<&'a [F]>,
    pub form: LogitForm<F>,
}

/// What follows from the inputs.
pub(super) struct Prepared<'a, F> {
    pub blocks: Blocks,
    pub targets: Targets,
    /// (class, row) of the labelled rows, by class.
    by_class: Vec<(usize, usize)>,
    /// x̃
    operand: CowArray<'a, F, Ix2>,
    bias: Option<&'a [F]>,
    /// The shortest ‖x‖ where the head normalises features, the longest where not.
    pub feature_length: f64,
    /// What inner products are multiplied by before they are kept.
    pub factor: F,
    /// The scale of the first pass: what inner products are multiplied by after that.
    pub scale: F,
}

impl<F: Real> Inputs<'_, F> {
    /// Checks the inputs. Normalised features go into the memory of `unit`, their norms into `norms`.
    ///
    /// # Errors
    /// Whatever is wrong with features, labels or bias.
    pub fn prepare<'a>(&'a self, unit: &'a mut Vec<F>, norms: &mut Vec<F>) -> Result<Prepared<'a, F>> {
        let (operand, feature_length) = match self.form.normalizes.features() {
            true => {
                let operand = normalized(self.features, unit, norms)?;
                let norms = &norms[..self.features.nrows()];
                let shortest = norms.iter().fold(F::infinity(), |shortest, &norm| shortest.min(norm));
                (operand, shortest.to_double())
            }
            false => {
                let longest = l2_normalize::longest_row("features", 0, self.features)?;
                (self.features.as_standard_layout(), longest)
            }
        };
        let targets = Targets::new(self.labels, self.features.nrows(), self.classes)?;
        let mut by_class: Vec<_> = targets.iter().map(|(row, class)| (class, row)).collect();
        by_class.sort_unstable();
        let bias = self.bias.filter(|_| !self.form.normalizes.weights());
        if let Some(bias) = bias {
            linear::check_bias(bias.into(), self.classes)?;
        }
        // Cosines are kept without their scale, since AdaCos's is not known yet.
        let (factor, scale) = match self.form.scale {
            Scale::Fixed(scale) if self.form.normalizes.weights() => (F::one(), scale),
            Scale::Fixed(scale) => (scale, F::one()),
            Scale::AdaCos { previous, .. } => (F::one(), previous),
        };
        let blocks = Blocks::new(self.classes, rayon::current_num_threads());
        Ok(Prepared { blocks, targets, by_class, operand, bias, feature_length, factor, scale })
    }
}

impl<F: Real> Prepared<'_, F> {
    /// What all tasks see.
    pub fn batch<'b>(&'b self, inputs: &'b Inputs<F>) -> Batch<'b, F> {
        Batch {
            blocks: self.blocks,
            features: inputs.features,
            operand: self.operand.view(),
            normalizes: inputs.form.normalizes,
            factor: self.factor,
            bias: self.bias,
            longest_operand: if inputs.form.normalizes.features() { 1.0 } else { self.feature_length },
            largest_bias: self
                .bias
                .unwrap_or_default()
                .iter()
                .fold(F::zero(), |largest, bias| largest.max(bias.abs()))
                .to_double(),
            targets: &self.by_class,
        }
    }

    /// Makes as many groups as there are tasks, ready for a step whose inner products may take `workspace` bytes.
    pub fn begin(&self, groups: &mut Vec<Group<F>>, workspace: usize) {
        let block = self.operand.nrows() * self.blocks.width() * size_of::<F>();
        let kept = (workspace / block / self.blocks.groups()).min(self.blocks.in_group());
        groups.resize_with(self.blocks.groups(), Group::default);
        for (number, group) in groups.iter_mut().enumerate() {
            group.number = number;
            group.unit.clear();
            group.products.clear(kept);
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
