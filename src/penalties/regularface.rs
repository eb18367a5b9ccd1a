//! RegularFace's exclusive regularisation (Zhao, Xu, Cheng 2019, *RegularFace: Deep Face Recognition via Exclusive Regularization*, CVPR): each class vector is pushed from the one nearest to it.
//!
//! `loss = 1/C Σ_i max_{j≠i} ŵ_i·ŵ_j`; of equal cosines the first counts.
//!
//! Gradient: with j the nearest to i, `d_ŵ_i += ŵ_j / C` and `d_ŵ_j += ŵ_i / C`, then the Jacobian of the normalisation. Cosines are of a block of classes to a block at a
//! time. The cosine's slope needs no floor: there is no angle.

use super::{BLOCK, check_others};
use crate::ops::l2_normalize::{self, Normalized};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView2, Axis};

/// What [`backward`] needs.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// (C, D)
    weights: Normalized<F>,
    /// (C,) the nearest other class of each.
    nearest: Vec<usize>,
}

/// The penalty of class vectors `weights` (C, D), from -1 to 1.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) for fewer than two, [`Error::NotFinite`](crate::Error::NotFinite), [`Error::NormOverflow`](crate::Error::NormOverflow),
/// [`Error::ZeroNorm`](crate::Error::ZeroNorm).
pub fn forward<F: Real>(weights: ArrayView2<F>) -> Result<(F, Cache<F>)> {
    check_others("weights", weights)?;
    let weights = l2_normalize::forward("weights", weights)?;
    let mut nearest = vec![(0, F::neg_infinity()); weights.unit.nrows()];
    let blocks = || weights.unit.axis_chunks_iter(Axis(0), BLOCK).enumerate();
    for ((rows, block), nearest) in blocks().zip(nearest.chunks_mut(BLOCK)) {
        for (columns, others) in blocks() {
            let cosines = block.dot(&others.t());
            for ((row, column), &cosine) in cosines.indexed_iter() {
                let other = columns * BLOCK + column;
                if other != rows * BLOCK + row && cosine > nearest[row].1 {
                    nearest[row] = (other, cosine);
                }
            }
        }
    }
    let sum: f64 = nearest.iter().map(|(_, cosine)| cosine.to_double()).sum();
    let loss = F::of(sum / nearest.len() as f64);
    Ok((loss, Cache { weights, nearest: nearest.into_iter().map(|(other, _)| other).collect() }))
}

/// (C, D) the gradient of that penalty.
pub fn backward<F: Real>(cache: &Cache<F>) -> Array2<F> {
    let unit = &cache.weights.unit;
    let mut d_unit = Array2::zeros(unit.dim());
    let share = F::of(1.0 / cache.nearest.len() as f64);
    for (class, &other) in cache.nearest.iter().enumerate() {
        d_unit.row_mut(class).scaled_add(share, &unit.row(other));
        d_unit.row_mut(other).scaled_add(share, &unit.row(class));
    }
    l2_normalize::backward(d_unit, &cache.weights)
}
