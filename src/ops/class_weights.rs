//! Weights of classes from how many rows they have, for [`Objective::class_weights`](super::Objective::class_weights).

use crate::Real;
use crate::optim::check_setting;
use ndarray::Array1;

/// `w_c = n / (C n_c)`, n the number of all rows, over the C classes that have any; 0 for a class without rows.
pub fn inverse_frequency<F: Real>(sizes: &[usize]) -> Array1<F> {
    relative_to_mean(sizes, |size| 1.0 / size as f64)
}

/// `w_c ∝ (1 - β) / (1 - β^n_c)`, the inverse of the effective number of samples (Cui et al. 2019, arXiv 1901.05555, eq. 2 and 3). β = 0 weighs all
/// classes alike, β → 1 by inverse frequency.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) unless β is from 0 to below 1.
pub fn effective_number<F: Real>(sizes: &[usize], beta: f64) -> crate::Result<Array1<F>> {
    check_setting("beta", beta, (0.0..1.0).contains(&beta), "a number from 0 to below 1")?;
    // β^n is 1 but for rounding where β is near 1 and n small.
    let missing = |size: usize| -(size as f64 * beta.ln()).exp_m1();
    Ok(relative_to_mean(sizes, |size| (1.0 - beta) / missing(size)))
}

/// Weights whose mean over all rows is 1, so that the size of the loss stays; 0 for classes without rows.
fn relative_to_mean<F: Real>(sizes: &[usize], weight: impl Fn(usize) -> f64) -> Array1<F> {
    let weights: Array1<f64> = sizes.iter().map(|&size| if size == 0 { 0.0 } else { weight(size) }).collect();
    let rows: usize = sizes.iter().sum();
    let sum: f64 = weights.iter().zip(sizes).map(|(weight, &size)| weight * size as f64).sum();
    weights.mapv(|weight| if rows == 0 { F::zero() } else { F::of(weight * rows as f64 / sum) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_a_long_tail() -> crate::Result<()> {
        let sizes = [100, 10, 0, 1];
        let inverse = inverse_frequency::<f64>(&sizes);
        // n / (C n_c) with n = 111, C = 3.
        for (found, expected) in inverse.iter().zip([0.37, 3.7, 0.0, 37.0]) {
            approx::assert_relative_eq!(*found, expected, max_relative = 1e-12);
        }
        assert_eq!(effective_number::<f64>(&sizes, 0.0)?.to_vec(), [1.0, 1.0, 0.0, 1.0]);
        let nearly_inverse = effective_number::<f64>(&sizes, 1.0 - 1e-9)?;
        for (found, expected) in nearly_inverse.iter().zip(&inverse) {
            approx::assert_relative_eq!(*found, *expected, max_relative = 1e-6);
        }
        // (1 - β) / (1 - β^n): 1/1.9 for two rows of β = 0.9, 1 for one.
        let two_and_one = effective_number::<f64>(&[2, 1], 0.9)?;
        approx::assert_relative_eq!(two_and_one[1] / two_and_one[0], 1.9, max_relative = 1e-12);
        assert!(effective_number::<f64>(&sizes, 1.0).is_err());
        Ok(())
    }
}
