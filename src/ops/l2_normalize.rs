//! `x̂ = x / ‖x‖`, row by row.

use super::rows::{self, is_in_range};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Zip};

/// Unit rows and the norms they were divided by.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized<F> {
    /// (N, D) rows of Euclidean norm 1.
    pub unit: Array2<F>,
    /// (N,) Euclidean norms of the rows before.
    pub norms: Array1<F>,
}

/// Divides each row of `x` (N, D) by its Euclidean norm. `what` names `x` in errors.
///
/// # Errors
/// [`Error::NotFinite`] for NaN or infinity, [`Error::NormOverflow`] for a norm that is infinite, [`Error::ZeroNorm`] for a row whose norm is zero or below [`smallest_norm`].
pub fn forward<F: Real>(what: &'static str, x: ArrayView2<F>) -> Result<Normalized<F>> {
    let (mut unit, mut norms) = (vec![F::zero(); x.len()], vec![F::zero(); x.nrows()]);
    normalize_rows(what, 0, x, &mut unit, &mut norms)?;
    let unit = Array2::from_shape_vec(x.raw_dim(), unit).expect("as many elements as x has");
    Ok(Normalized { unit, norms: norms.into() })
}

/// [`forward`] into `unit` (N·D elements, row by row) and `norms` (N,), for rows `first_row..` of what errors call `what`.
pub(crate) fn normalize_rows<F: Real>(
    what: &'static str,
    first_row: usize,
    x: ArrayView2<F>,
    unit: &mut [F],
    norms: &mut [F],
) -> Result<()> {
    for (row, (unit, norm)) in unit.chunks_exact_mut(x.ncols()).zip(norms).enumerate() {
        let x = x.row(row);
        *norm = match x.to_slice() {
            Some(x) => normalize_row(x, unit),
            None => normalize_row(&x.to_vec(), unit),
        };
        if !norm.is_finite() {
            return Err(not_finite(what, first_row + row, x));
        }
        if *norm < smallest_norm() {
            let (norm, minimum) = (norm.to_double(), smallest_norm::<F>().to_double());
            return Err(Error::ZeroNorm { what, row: first_row + row, norm, minimum });
        }
    }
    Ok(())
}

/// Makes `unit` of `x` and returns the norm; it is not finite if `x` is not.
fn normalize_row<F: Real>(x: &[F], unit: &mut [F]) -> F {
    let squared = rows::dot(x, x);
    if is_in_range(squared) {
        let norm = squared.sqrt();
        rows::divide_into(x, norm, unit);
        return norm;
    }
    let factor = range_factor(x);
    unit.iter_mut().zip(x).for_each(|(unit, &value)| *unit = value * factor);
    let scaled_norm = rows::dot(unit, unit).sqrt();
    unit.iter_mut().for_each(|value| *value /= scaled_norm);
    scaled_norm / factor
}

/// The unit rows of `x`, whose norms are known, the same bits as [`normalize_rows`] makes.
pub(crate) fn normalize_rows_again<F: Real>(x: &[F], norms: &[F], unit: &mut [F]) {
    let dimension = unit.len() / norms.len();
    let rows_of_x = x.chunks_exact(dimension).zip(unit.chunks_exact_mut(dimension));
    for ((x, unit), &norm) in rows_of_x.zip(norms) {
        if is_in_range(norm * norm) {
            rows::divide_into(x, norm, unit);
        } else {
            normalize_row(x, unit);
        }
    }
}

/// The smallest norm that a row may have: the smallest normal number over ε, 1e-31 in `f32` and 1e-292 in `f64`.
///
/// The gradient is divided by the norm. At the smallest normal number itself the quotient overflows at any scale above 4.
pub fn smallest_norm<F: Real>() -> F {
    rows::smallest_in_range()
}

/// `d_x = (d_x̂ - (d_x̂·x̂) x̂) / ‖x‖`: the part of the gradient along the row is lost, since moving along it
/// does not change the direction.
pub fn backward<F: Real>(d_unit: Array2<F>, normalized: &Normalized<F>) -> Array2<F> {
    let mut d_x = d_unit.as_standard_layout().into_owned();
    let unit = normalized.unit.as_standard_layout();
    Zip::from(d_x.rows_mut()).and(unit.rows()).and(&normalized.norms).for_each(|mut d, unit, &norm| {
        let (d, unit) = (d.as_slice_mut(), unit.to_slice());
        let (d, unit) = d.zip(unit).expect("both arrays are in standard layout since the lines above");
        rows::normalization_backward(d, unit, norm);
    });
    d_x
}

/// One over the largest magnitude: multiplying by it first keeps rows of 1e30 or 1e-30 from overflowing or vanishing in single
/// precision.
fn range_factor<F: Real>(row: &[F]) -> F {
    let largest = row.iter().fold(F::zero(), |largest, value| largest.max(value.abs()));
    // The inverse of the largest numbers is subnormal; that of subnormal numbers is infinite, but such a row is refused.
    let factor = (F::one() / largest).max(F::min_positive_value());
    if factor.is_finite() { factor } else { F::one() }
}

/// Checks that every element of `x` (N, D) is finite. `what` names `x` in errors.
///
/// # Errors
/// [`Error::NotFinite`] with the first element that is not.
pub fn check_finite<F: Real>(what: &'static str, x: ArrayView2<F>) -> Result<()> {
    for (row, values) in x.rows().into_iter().enumerate() {
        if !is_finite(values) {
            return Err(not_finite(what, row, values));
        }
    }
    Ok(())
}

/// The norm of the longest of the rows `first_row..` of what errors call `what`; infinite where `f64` does not hold it.
///
/// # Errors
/// [`Error::NotFinite`] with the first element that is not finite.
pub(crate) fn longest_row<F: Real>(what: &'static str, first_row: usize, x: ArrayView2<F>) -> Result<f64> {
    let mut longest = 0.0f64;
    for (row, values) in x.rows().into_iter().enumerate() {
        let norm = values.to_slice().map_or_else(|| rows::norm(&values.to_vec()), rows::norm);
        if !norm.is_finite() && !is_finite(values) {
            return Err(not_finite(what, first_row + row, values));
        }
        longest = longest.max(norm);
    }
    Ok(longest)
}

fn is_finite<F: Real>(row: ArrayView1<F>) -> bool {
    row.to_slice().map_or_else(|| row.iter().all(|value| value.is_finite()), rows::all_finite)
}

/// What is wrong with a row of which something, its norm at least, is not finite.
fn not_finite<F: Real>(what: &'static str, row: usize, values: ArrayView1<F>) -> Error {
    match values.iter().position(|value| !value.is_finite()) {
        Some(column) => Error::NotFinite { what, row, column, value: values[column].to_double() },
        None => Error::NormOverflow { what, row, largest: F::max_value().to_double() },
    }
}
