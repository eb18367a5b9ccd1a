//! `x̂ = x / ‖x‖`, row by row.

use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

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
/// [`Error::NotFinite`] for NaN or infinity, [`Error::ZeroNorm`] for a row whose norm is zero or below [`smallest_norm`].
pub fn forward<F: Real>(what: &'static str, x: ArrayView2<F>) -> Result<Normalized<F>> {
    let mut unit = x.to_owned();
    let mut norms = Array1::zeros(x.nrows());
    for (row, (mut unit, norm)) in unit.rows_mut().into_iter().zip(&mut norms).enumerate() {
        let factor = range_factor(unit.view());
        if factor != F::one() {
            unit.mapv_inplace(|value| value * factor);
        }
        let scaled_norm = unit.dot(&unit).sqrt();
        *norm = scaled_norm / factor;
        if !scaled_norm.is_finite() {
            return Err(not_finite(what, row, x.row(row)));
        }
        if *norm < smallest_norm() {
            return Err(Error::ZeroNorm {
                what,
                row,
                norm: norm.to_double(),
                minimum: smallest_norm::<F>().to_double(),
            });
        }
        unit.mapv_inplace(|value| value / scaled_norm);
    }
    Ok(Normalized { unit, norms })
}

/// The smallest norm that a row may have: the smallest normal number over ε, 1e-31 in `f32` and 1e-292 in `f64`.
///
/// The gradient is divided by the norm. At the smallest normal number itself the quotient overflows at any scale above 4.
pub fn smallest_norm<F: Real>() -> F {
    F::min_positive_value() / F::epsilon()
}

/// `d_x = (d_x̂ - (d_x̂·x̂) x̂) / ‖x‖`: the part of the gradient along the row is lost, since moving along it
/// does not change the direction.
pub fn backward<F: Real>(d_unit: Array2<F>, normalized: &Normalized<F>) -> Array2<F> {
    let mut d_x = d_unit;
    Zip::from(d_x.rows_mut()).and(normalized.unit.rows()).and(&normalized.norms).for_each(|mut d, unit, &norm| {
        let along = d.dot(&unit);
        Zip::from(&mut d).and(&unit).for_each(|d, &unit| *d = (*d - along * unit) / norm);
    });
    d_x
}

/// One where the sum of squares is in range, else one over the largest magnitude: multiplying by it first
/// keeps rows of 1e30 or 1e-30 from overflowing or vanishing in single precision.
fn range_factor<F: Real>(row: ArrayView1<F>) -> F {
    let squared = row.dot(&row);
    if squared.is_finite() && squared >= F::min_positive_value() / F::epsilon() {
        return F::one();
    }
    let largest = row.fold(F::zero(), |largest, value| largest.max(value.abs()));
    // The inverse of the largest numbers is subnormal; that of subnormal numbers is infinite, but such a row is refused.
    let factor = (F::one() / largest).max(F::min_positive_value());
    if factor.is_finite() { factor } else { F::one() }
}

/// Checks that every element of `x` (N, D) is finite. `what` names `x` in errors.
///
/// # Errors
/// [`Error::NotFinite`] with the first element that is not.
pub fn check_finite<F: Real>(what: &'static str, x: ArrayView2<F>) -> Result<()> {
    for (row, values) in x.axis_iter(Axis(0)).enumerate() {
        // x · 0 is zero for finite x and NaN otherwise, and sums without overflow.
        if values.iter().map(|&value| value * F::zero()).sum::<F>() != F::zero() {
            return Err(not_finite(what, row, values));
        }
    }
    Ok(())
}

fn not_finite<F: Real>(what: &'static str, row: usize, values: ArrayView1<F>) -> Error {
    let column = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    Error::NotFinite { what, row, column, value: values[column].to_double() }
}
