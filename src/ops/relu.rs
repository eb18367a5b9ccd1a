//! Rectified linear units: `y = max(x, 0)`.

use crate::Real;
use ndarray::{Array2, ArrayView2, Zip};

/// `features` (B, D) → (B, D). NaN stays NaN.
pub fn forward<F: Real>(features: ArrayView2<F>) -> Array2<F> {
    features.map(|&x| if x < F::zero() { F::zero() } else { x })
}

/// `d_x = d_y` where `x > 0`, else 0; `features` are those of the forward pass.
pub fn backward<F: Real>(d_output: ArrayView2<F>, features: ArrayView2<F>) -> Array2<F> {
    Zip::from(&d_output).and(&features).map_collect(|&d_output, &x| if x > F::zero() { d_output } else { F::zero() })
}
