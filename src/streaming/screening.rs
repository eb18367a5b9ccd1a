//! Blocks without a visible probability, told by products of rows in 8 bits before any in higher precision.

use super::StreamingOptions;
use super::batch::{Batch, grow};
use super::scores::mask_targets;
use super::targets::LabelledRow;
use crate::Real;
use crate::heads::Geometry;
use crate::heads::rules::RowRules;
use crate::ops::{Loss, rows};
use crate::real::int8::{Codes, MOST_DIMENSIONS, Native, Panels};
use ndarray::ArrayView2;

/// Blocks after which a pass that has found more with a visible probability than without looks no further.
const FIRST_BLOCKS: usize = 4;

/// What it takes of a step.
#[derive(Clone, Copy)]
pub(super) struct Screening<'a, F> {
    native: Native,
    features: &'a Codes,
    /// (B,) a block in which no inner product of another class can be larger has no visible share in the row's softmax, nor a class before its own.
    bars: &'a [F],
}

/// A block's class vectors in 8 bits.
#[derive(Debug, Default)]
pub(super) struct CodedBlock {
    codes: Codes,
    panels: Panels,
}

/// How it has gone in a pass so far.
#[derive(Default)]
pub(super) struct Tried {
    blocks: usize,
    negligible: usize,
}

impl<'a, F: Real> Screening<'a, F> {
    /// Rounds x̃ into `codes`, and finds the `bars`; `None` where a block may count for more than its softmax.
    pub fn new(
        batch: &Batch<F>,
        options: &StreamingOptions,
        scale: F,
        labelled: &[LabelledRow<F>],
        rules: &[Option<RowRules<F>>],
        (codes, bars): (&'a mut Codes, &'a mut Vec<F>),
    ) -> Option<Self> {
        let native = batch.mixed.as_ref().and(Native::detect())?;
        let negligible = options.negligible_mass::<f64>(batch.blocks.count())?;
        let has_cosines = batch.geometry == Geometry::Sphere && batch.centre_temperature.is_none();
        let is_plain = batch.loss == Loss::Softmax && batch.others.is_empty() && batch.objective.is_plain();
        if !(has_cosines && is_plain && batch.dimension() <= MOST_DIMENSIONS) {
            return None;
        }
        let unit = batch.features.to_slice().expect("x̃ is in row-major order");
        codes.assign(F::singles(unit).expect("precision is mixed for f32 alone"), batch.dimension());
        // p_j is at most exp(z_j - z_y).
        let reach = F::of((negligible / batch.blocks.width() as f64).ln()) / scale;
        bars.clear();
        bars.resize(batch.rows(), F::infinity());
        for labelled in labelled {
            let target = rules[labelled.row].map_or(labelled.product, |rules| rules.target.value);
            bars[labelled.row] = (target + reach).min(labelled.product - F::epsilon());
        }
        Some(Self { native, features: codes, bars })
    }

    /// The largest inner product of another class in the block, about, of each row, if none of them counts.
    pub fn maxima_if_negligible(
        &self,
        batch: &Batch<F>,
        block: usize,
        class_vectors: ArrayView2<F>,
        coded: &mut CodedBlock,
        scratch: &mut Vec<F>,
        tried: &mut Tried,
    ) -> Option<impl Iterator<Item = F>> {
        if tried.blocks >= FIRST_BLOCKS && 2 * tried.negligible < tried.blocks {
            return None;
        }
        let columns = class_vectors.nrows();
        let CodedBlock { codes, panels } = coded;
        let vectors = class_vectors.to_slice().expect("w̃ is in row-major order");
        codes.assign(F::singles(vectors).expect("precision is mixed for f32 alone"), batch.dimension());
        panels.assign(codes, 0..columns);
        grow(scratch, batch.rows() * columns);
        let products = &mut scratch[..batch.rows() * columns];
        let singles = F::singles_mut(products).expect("precision is mixed for f32 alone");
        self.native.product(self.features, 0..batch.rows(), panels, singles);
        mask_targets(batch, block, products);
        let error = codes.largest_error(0..columns);
        let maxima: Vec<_> = products.chunks_exact(columns).map(|row| rows::maximum(row)).collect();
        let may_reach =
            |(row, &maximum): (usize, &F)| maximum + F::of(self.features.bound_of(row, error).into()) > self.bars[row];
        let is_negligible = !maxima.iter().enumerate().any(may_reach);
        tried.blocks += 1;
        tried.negligible += usize::from(is_negligible);
        is_negligible.then(|| maxima.into_iter())
    }
}
