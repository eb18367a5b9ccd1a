//! Rectified linear units with a learned slope (He et al. 2015, arXiv 1502.01852, equation 1): `y = x` where `x > 0`, else `a x`, a
//! slope a column.

use crate::{Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};

/// Gradients of both inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct PreluGradients<F> {
    /// (B, D)
    pub d_features: Array2<F>,
    /// (D,)
    pub d_slope: Array1<F>,
}

/// `features` (B, D) with `slope` (D,) → (B, D).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape).
pub fn forward<F: Real>(features: ArrayView2<F>, slope: ArrayView1<F>) -> Result<Array2<F>> {
    super::check_per_column("slope", slope, features)?;
    Ok(Zip::from(&features).and_broadcast(&slope).map_collect(|&x, &slope| if x > F::zero() { x } else { slope * x }))
}

/// `d_x = d_y` where `x > 0`, else `a d_y`; `d_a = Σ_i d_y x` over the rows where `x ≤ 0`. `features` are those of the forward pass.
pub fn backward<F: Real>(d_output: ArrayView2<F>, features: ArrayView2<F>, slope: ArrayView1<F>) -> PreluGradients<F> {
    let inputs = Zip::from(&d_output).and(&features);
    let d_slope = inputs.map_collect(|&d_output, &x| if x > F::zero() { F::zero() } else { d_output * x });
    let inputs = Zip::from(&d_output).and(&features).and_broadcast(&slope);
    PreluGradients {
        d_features: inputs.map_collect(|&d_output, &x, &slope| if x > F::zero() { d_output } else { slope * d_output }),
        d_slope: d_slope.sum_axis(Axis(0)),
    }
}
