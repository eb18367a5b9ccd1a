//! Intra-loss (Deng, Guo, Xue, Zafeiriou 2019, 1801.07698, section on other losses): the mean angle between rows and their class vectors, over π.
//!
//! `loss = 1/(π n) Σ_i θ_i`, θ_i the angle between x_i and w_{y_i}, n the labelled rows.
//!
//! Gradient: `d_x̂_i = -ŵ_{y_i} / (π n sinθ_i)` and `d_ŵ_{y_i} = -x̂_i / (π n sinθ_i)`, then the Jacobian of the normalisation. Behind it each row has a
//! gradient of the length `1/(π n ‖x‖)`, but at the poles, where it has no direction.

use super::check_dimensions;
use crate::ops::l2_normalize::{self, Normalized};
use crate::ops::{Angle, Targets};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::f64::consts::PI;

/// What [`backward`] needs.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// (B, D)
    features: Normalized<F>,
    /// (C, D)
    weights: Normalized<F>,
    /// Labelled rows: row, class, angle.
    angles: Vec<(usize, usize, Angle<F>)>,
}

/// Gradients of [`forward`]'s inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<F> {
    /// (B, D)
    pub d_features: Array2<F>,
    /// (C, D)
    pub d_weights: Array2<F>,
}

/// The penalty of `features` (B, D), class vectors `weights` (C, D) and `labels` (B,), from 0 to 1.
///
/// # Errors
/// [`Error::Empty`](crate::Error::Empty), [`Error::Shape`](crate::Error::Shape), what is wrong with labels, NaN or infinity, rows of norm zero.
pub fn forward<F: Real>(
    features: ArrayView2<F>,
    weights: ArrayView2<F>,
    labels: ArrayView1<i64>,
) -> Result<(F, Cache<F>)> {
    check_dimensions(features, "weights", weights)?;
    let targets = Targets::new(labels, features.nrows(), weights.nrows())?;
    let features = l2_normalize::forward("features", features)?;
    let weights = l2_normalize::forward("weights", weights)?;
    let angle = |(row, class)| (row, class, Angle::between(features.unit.row(row), weights.unit.row(class)));
    let angles: Vec<_> = targets.iter().map(angle).collect();
    let sum: f64 = angles.iter().map(|(_, _, angle)| angle.theta().to_double()).sum();
    let loss = F::of(sum / (PI * angles.len() as f64));
    Ok((loss, Cache { features, weights, angles }))
}

/// The gradients of that penalty.
pub fn backward<F: Real>(cache: &Cache<F>) -> Gradients<F> {
    let Cache { features, weights, angles } = cache;
    let (mut d_x, mut d_w) = (Array2::zeros(features.unit.dim()), Array2::zeros(weights.unit.dim()));
    let share = F::of(1.0 / (PI * angles.len() as f64));
    for &(row, class, angle) in angles {
        let slope = -share / angle.sin_at_least_floor();
        d_x.row_mut(row).scaled_add(slope, &weights.unit.row(class));
        d_w.row_mut(class).scaled_add(slope, &features.unit.row(row));
    }
    Gradients { d_features: l2_normalize::backward(d_x, features), d_weights: l2_normalize::backward(d_w, weights) }
}
