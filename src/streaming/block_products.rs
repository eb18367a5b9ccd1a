//! The three matrix products of a block, in the precision that is asked for.

use super::batch::Batch;
use super::targets::LabelledRow;
use super::unit_block::matrix;
use crate::ops::rows;
use crate::real::bf16::{Native, Panels, Rows};
use crate::{Error, Real, Result};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The largest bf16 number.
const LARGEST: f64 = 3.389_531_389_251_535_5e38;

/// The two operands of a product in bf16.
#[derive(Debug, Default)]
pub(super) struct Operands {
    rows: Rows,
    panels: Panels,
}

/// Mixed precision, and what it needs of a step.
#[derive(Clone, Copy)]
pub(super) struct Mixed<'a, F> {
    native: Native,
    /// x̃: for the scores as rows, for `d_weights` as panels.
    features: &'a Operands,
    /// (B,) the exact inner products of labelled rows with their own class vectors, with bias.
    own_products: &'a [F],
}

impl<'a, F: Real> Mixed<'a, F> {
    /// Puts x̃ in `features`.
    ///
    /// # Errors
    /// [`Error::NormOverflow`] for a row that bf16 may not hold.
    pub fn new(
        native: Native,
        x: ArrayView2<F>,
        longest: f64,
        features: &'a mut Operands,
        own_products: &'a [F],
    ) -> Result<Self> {
        check_length("features", 0, x, longest)?;
        let elements = singles(x.to_slice().expect("x̃ is in row-major order"));
        let Operands { rows, panels } = &mut *features;
        rayon::join(|| native.rows(elements, x.ncols(), rows), || native.panels(elements, x.ncols(), panels));
        Ok(Self { native, features, own_products })
    }
}

impl<F: Real> Batch<'_, F> {
    /// (B,) the inner products of labelled rows with their own class vectors, with bias; zero in rows without a label.
    pub fn own_products(&self, labelled: &[LabelledRow<F>]) -> Vec<F> {
        let mut products = vec![F::zero(); self.rows()];
        labelled.iter().for_each(|labelled| products[labelled.row] = self.own_product(labelled));
        products
    }

    /// The inner product of a labelled row with its own class vector, with bias.
    pub fn own_product(&self, labelled: &LabelledRow<F>) -> F {
        let bias = self.bias.map_or(F::zero(), |bias| bias[labelled.class]);
        self.alpha * labelled.product + bias
    }

    /// Checks that the precision holds class vectors, of which `first_row` is the first and the longest has the length `longest`.
    ///
    /// # Errors
    /// [`Error::NormOverflow`].
    pub fn check_vectors(&self, first_row: usize, vectors: ArrayView2<F>, longest: f64) -> Result<()> {
        self.mixed.map_or(Ok(()), |_| check_length("weights", first_row, vectors, longest))
    }

    /// That of a labelled row in mixed precision.
    pub fn exact_own_product(&self, row: usize) -> F {
        self.mixed.as_ref().expect("precision is mixed").own_products[row]
    }

    /// Puts the exact inner products of labelled rows in the place of those in mixed precision, the nearest of a class's centres alone.
    pub fn put_own_products(&self, block: usize, products: &mut [F]) {
        let Some(mixed) = &self.mixed else { return };
        let (columns, centres) = (self.blocks.columns_of(block), self.blocks.centres());
        for &(column, row) in self.targets_in(&columns) {
            let products = &mut products[row * columns.len()..][..columns.len()];
            let place = column - columns.start;
            products[place - column % centres..][..centres].fill(F::neg_infinity());
            products[place] = mixed.own_products[row];
        }
    }

    /// `scores ← α x̃ w̃ᵀ`, (B, columns).
    pub fn multiply_scores(&self, operands: &mut Operands, w: ArrayView2<F>, scores: &mut [F]) {
        let Some(mixed) = &self.mixed else {
            let scores = ArrayViewMut2::from_shape((self.rows(), w.nrows()), scores).expect("the size of the block");
            return F::product(self.alpha, self.features, w.t(), false, scores);
        };
        let elements = singles(w.to_slice().expect("w̃ is in row-major order"));
        mixed.native.panels_of_transpose(elements, w.ncols(), &mut operands.panels);
        let alpha = self.alpha.to_double() as f32;
        mixed.native.product(alpha, &mixed.features.rows, &operands.panels, false, singles_mut(scores));
    }

    /// `d_features ← residual w̃`, (B, D), or what was there plus that if `accumulate`.
    pub fn multiply_d_features(
        &self,
        operands: &mut Operands,
        residual: &[F],
        w: ArrayView2<F>,
        accumulate: bool,
        d_features: &mut [F],
    ) {
        let Some(mixed) = &self.mixed else {
            let d_features = ArrayViewMut2::from_shape((self.rows(), w.ncols()), d_features);
            let d_features = d_features.expect("as many elements as features");
            return F::product(F::one(), matrix(residual, self.rows()), w, accumulate, d_features);
        };
        let elements = singles(w.to_slice().expect("w̃ is in row-major order"));
        mixed.native.rows(singles(residual), w.nrows(), &mut operands.rows);
        mixed.native.panels(elements, w.ncols(), &mut operands.panels);
        mixed.native.product(1.0, &operands.rows, &operands.panels, accumulate, singles_mut(d_features));
    }

    /// `d_weights ← factor residualᵀ x̃`, (columns, D).
    pub fn multiply_d_weights(&self, operands: &mut Operands, factor: F, residual: &[F], d_weights: &mut [F]) {
        let columns = residual.len() / self.rows();
        let Some(mixed) = &self.mixed else {
            let d_weights = ArrayViewMut2::from_shape((columns, self.dimension()), d_weights);
            let d_weights = d_weights.expect("as many elements as the block's weights");
            return F::product(factor, matrix(residual, self.rows()).t(), self.features, false, d_weights);
        };
        mixed.native.rows_of_transpose(singles(residual), columns, &mut operands.rows);
        let (rows, panels) = (&operands.rows, &mixed.features.panels);
        mixed.native.product(factor.to_double() as f32, rows, panels, false, singles_mut(d_weights));
    }
}

/// Checks that bf16 holds rows of what errors call `what`, of which the longest has the length `longest`.
fn check_length<F: Real>(what: &'static str, first_row: usize, x: ArrayView2<F>, longest: f64) -> Result<()> {
    let is_too_long = |row: &[F]| rows::norm(row) > LARGEST;
    let rows = || x.rows().into_iter().map(|row| row.to_slice().expect("in row-major order"));
    match longest > LARGEST {
        true => {
            let row = first_row + rows().position(is_too_long).expect("one is the longest");
            Err(Error::NormOverflow { what, row, largest: LARGEST })
        }
        false => Ok(()),
    }
}

fn singles<F: Real>(numbers: &[F]) -> &[f32] {
    F::singles(numbers).expect("precision is mixed for f32 alone")
}

fn singles_mut<F: Real>(numbers: &mut [F]) -> &mut [f32] {
    F::singles_mut(numbers).expect("precision is mixed for f32 alone")
}
