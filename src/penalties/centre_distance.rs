//! SoftTriple's penalty on centres (Qian et al. 2019, ICCV, arXiv 1909.05235, section 3): the centres of a class are drawn together, so that those that a class does not need
//! become one.
//!
//! `loss = 1/(C K (K-1)) Σ_j Σ_{s<t} ‖ŵ_js - ŵ_jt‖`, with `‖ŵ_s - ŵ_t‖ = √(2 - 2 ŵ_s·ŵ_t)`. As an L2,1 norm it makes distances exactly 0, not merely small.
//!
//! Gradient: `d_ŵ_js = 1/(C K (K-1)) Σ_t (ŵ_js - ŵ_jt) / ‖ŵ_js - ŵ_jt‖`, 0 for centres that are one, then the Jacobian of the normalisation. The authors' code adds 1e-5 under the root.

use crate::ops::l2_normalize::{self, Normalized};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// What [`backward`] needs.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// (C·K, D)
    weights: Normalized<F>,
    /// (C·K, D) the gradient of the unit vectors.
    d_unit: Array2<F>,
}

/// The penalty of `weights` (C·K, D), those of a class next to each other, with K `centres`, from 0 to 1.
///
/// # Errors
/// [`Error::Shape`] for fewer than two centres, or class vectors that do not come in whole classes; [`Error::NotFinite`], [`Error::NormOverflow`],
/// [`Error::ZeroNorm`].
pub fn forward<F: Real>(weights: ArrayView2<F>, centres: usize) -> Result<(F, Cache<F>)> {
    if centres < 2 || weights.is_empty() || !weights.nrows().is_multiple_of(centres) {
        let expected = format!("rows of whole classes, with {centres} centres each, at least two");
        return Err(Error::Shape { what: "weights", found: weights.shape().to_vec(), expected });
    }
    let weights = l2_normalize::forward("weights", weights)?;
    let mut d_unit = Array2::zeros(weights.unit.dim());
    let mut sum = 0.0;
    let share = F::of(1.0 / (weights.unit.nrows() * (centres - 1)) as f64);
    let of_classes = d_unit.axis_chunks_iter_mut(Axis(0), centres);
    for (mut d_unit, unit) in of_classes.zip(weights.unit.axis_chunks_iter(Axis(0), centres)) {
        for first in 0..centres {
            for second in first + 1..centres {
                let difference: Array1<F> = &unit.row(first) - &unit.row(second);
                let distance = difference.dot(&difference).sqrt();
                if distance > F::zero() {
                    sum += distance.to_double();
                    d_unit.row_mut(first).scaled_add(share / distance, &difference);
                    d_unit.row_mut(second).scaled_add(-share / distance, &difference);
                }
            }
        }
    }
    Ok((F::of(sum) * share, Cache { weights, d_unit }))
}

/// (C·K, D) the gradient of that penalty.
pub fn backward<F: Real>(cache: &Cache<F>) -> Array2<F> {
    l2_normalize::backward(cache.d_unit.clone(), &cache.weights)
}
