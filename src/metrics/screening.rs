//! Inner products of unit rows in 8 bits first, in full precision where those leave too much open.

use super::similarity::{BLOCK, Block, row};
use crate::Real;
use crate::real::SingleThreaded;
use crate::real::int8::{Codes, MOST_DIMENSIONS, Native, Panels};
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;
use std::ops::Range;

/// Unit rows (N, D), in 8 bits, too.
pub(super) struct Coded<'a, F> {
    native: Native,
    unit: ArrayView2<'a, F>,
    codes: Codes,
}

impl<'a, F: Real> Coded<'a, F> {
    /// `None` where products in 8 bits are not faster: in double precision, and without the instruction.
    pub fn new(unit: ArrayView2<'a, F>) -> Option<Self> {
        let native = Native::detect().filter(|_| unit.ncols() <= MOST_DIMENSIONS)?;
        let mut codes = Codes::default();
        codes.assign(F::singles(unit.to_slice()?)?, unit.ncols());
        Some(Self { native, unit, codes })
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.unit.nrows()
    }

    /// One as it is.
    pub fn row(&self, number: usize) -> &'a [F] {
        row(self.unit, number)
    }
}

/// A block of queries to references.
pub(super) struct Screened<'a, F> {
    pub block: Block<'a, F>,
    /// What no similarity is further from the inner product of both rows than.
    pub off_by: F,
    /// Whether they are of rows in 8 bits.
    pub in_bytes: bool,
}

/// Calls `each`, in parallel and in any order, with the blocks `pairs` of `queries` to `references`: in 8 bits, and if it says `false`, since
/// these leave too much open, in full precision.
pub(super) fn screen<F: Real>(
    queries: &Coded<F>,
    references: &Coded<F>,
    pairs: Vec<(Range<usize>, Range<usize>)>,
    each: impl Fn(Screened<F>) -> bool + Sync,
) {
    let _single_threaded = SingleThreaded::begin();
    let scratch = || (vec![F::zero(); BLOCK * BLOCK], Panels::default());
    pairs.into_par_iter().for_each_init(scratch, |(scratch, panels), (query, other)| {
        let shape = (query.len(), other.len());
        let similarities = &mut scratch[..shape.0 * shape.1];
        panels.assign(&references.codes, other.clone());
        let singles = F::singles_mut(similarities).expect("rows are coded in f32 alone");
        queries.native.product(&queries.codes, query.clone(), panels, singles);
        let errors = [queries.codes.largest_error(query.clone()), references.codes.largest_error(other.clone())];
        let off_by = F::of(queries.codes.bound(errors[0], errors[1]).into());
        let block = Block { queries: query.clone(), references: other.clone(), similarities: &*similarities };
        if each(Screened { block, off_by, in_bytes: true }) {
            return;
        }
        let product = ArrayViewMut2::from_shape(shape, &mut *similarities).expect("the slice has this length");
        let (a, b) = (queries.unit.slice(s![query.clone(), ..]), references.unit.slice(s![other.clone(), ..]));
        F::product(F::one(), a, b.t(), false, product);
        // Twice the rounding of a sum in any order: that of the inner product with which it is compared, too.
        let off_by = F::of(2.0 * a.ncols() as f64) * F::epsilon();
        let block = Block { queries: query, references: other, similarities };
        each(Screened { block, off_by, in_bytes: false });
    });
}
