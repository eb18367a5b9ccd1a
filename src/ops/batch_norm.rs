//! Batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithms 1 and 2): `y = γ x̂ + β` with
//! `x̂ = (x - mean) / √(variance + ε)`, column by column.

use crate::wording::counted;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Mean and variance of each column, over many batches.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RunningStatistics<F> {
    /// (D,)
    pub mean: Array1<F>,
    /// (D,) with N - 1 in the denominator.
    pub variance: Array1<F>,
}

impl<F: Real> RunningStatistics<F> {
    /// Mean 0 and variance 1, as before the first batch.
    pub fn new(dimension: usize) -> Self {
        Self { mean: Array1::zeros(dimension), variance: Array1::ones(dimension) }
    }

    /// `running ← (1 - momentum) running + momentum batch`.
    pub fn update(&mut self, batch: &Self, momentum: f64) {
        let momentum = F::of(momentum);
        let towards = |running: &mut F, &batch: &F| *running += momentum * (batch - *running);
        self.mean.zip_mut_with(&batch.mean, towards);
        self.variance.zip_mut_with(&batch.variance, towards);
    }
}

/// What [`backward`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormCache<F> {
    /// (B, D) x̂.
    pub normalized: Array2<F>,
    /// (D,) `1 / √(variance + ε)`.
    pub inverse_deviation: Array1<F>,
    /// The batch's own statistics, for [`RunningStatistics::update`]; `None` where running statistics took their place.
    pub batch: Option<RunningStatistics<F>>,
}

/// Gradients of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormGradients<F> {
    /// (B, D)
    pub d_features: Array2<F>,
    /// (D,)
    pub d_gamma: Array1<F>,
    /// (D,)
    pub d_beta: Array1<F>,
}

/// Training mode: mean and (biased) variance are those of the batch. `features` (B, D), B ≥ 2, with γ and β (D,) → (B, D).
///
/// # Errors
/// [`Error::Shape`], [`Error::Empty`], [`Error::NotDefined`].
pub fn forward<F: Real>(
    features: ArrayView2<F>,
    gamma: ArrayView1<F>,
    beta: ArrayView1<F>,
    epsilon: f64,
) -> Result<(Array2<F>, BatchNormCache<F>)> {
    check_shapes(features, &[("gamma", gamma), ("beta", beta)])?;
    let rows = features.nrows();
    if rows < 2 {
        return Err(Error::NotDefined {
            what: "batch normalisation",
            found: counted(rows, "row"),
            expected: "at least 2",
        });
    }
    let count = F::of(rows as f64);
    let mean = features.sum_axis(Axis(0)) / count;
    let centred = &features - &mean;
    let squares = centred.map(|&value| value * value).sum_axis(Axis(0));
    let inverse_deviation = squares.map(|&sum| (sum / count + F::of(epsilon)).sqrt().recip());
    let normalized = centred * &inverse_deviation;
    let batch = Some(RunningStatistics { mean, variance: squares / (count - F::one()) });
    Ok((&normalized * &gamma + beta, BatchNormCache { normalized, inverse_deviation, batch }))
}

/// Inference mode: mean and variance are the running ones, constants to the gradient. (B, D) → (B, D).
///
/// # Errors
/// [`Error::Shape`], [`Error::Empty`].
pub fn forward_inference<F: Real>(
    features: ArrayView2<F>,
    running: &RunningStatistics<F>,
    gamma: ArrayView1<F>,
    beta: ArrayView1<F>,
    epsilon: f64,
) -> Result<(Array2<F>, BatchNormCache<F>)> {
    let (mean, variance) = (running.mean.view(), running.variance.view());
    check_shapes(
        features,
        &[("gamma", gamma), ("beta", beta), ("the running mean", mean), ("the running variance", variance)],
    )?;
    let inverse_deviation = variance.map(|&variance| (variance + F::of(epsilon)).sqrt().recip());
    let normalized = (&features - &mean) * &inverse_deviation;
    Ok((&normalized * &gamma + beta, BatchNormCache { normalized, inverse_deviation, batch: None }))
}

/// Of [`forward`]: `d_x = γ / √(variance + ε) · (d_y - mean(d_y) - x̂ mean(d_y x̂))`; of [`forward_inference`] without the two
/// means, which come from the batch's statistics. In both `d_γ = Σ_i d_y x̂`, `d_β = Σ_i d_y`.
pub fn backward<F: Real>(
    d_output: ArrayView2<F>,
    gamma: ArrayView1<F>,
    cache: &BatchNormCache<F>,
) -> BatchNormGradients<F> {
    let BatchNormCache { normalized, inverse_deviation, batch } = cache;
    let d_gamma = (normalized * &d_output).sum_axis(Axis(0));
    let d_beta = d_output.sum_axis(Axis(0));
    let slope = inverse_deviation * &gamma;
    let d_features = match batch {
        Some(_) => {
            let count = F::of(d_output.nrows() as f64);
            (&d_output - &(&d_beta / count) - normalized * &(&d_gamma / count)) * slope
        }
        None => &d_output * &slope,
    };
    BatchNormGradients { d_features, d_gamma, d_beta }
}

fn check_shapes<F: Real>(features: ArrayView2<F>, columns: &[(&'static str, ArrayView1<F>)]) -> Result<()> {
    if features.is_empty() {
        return Err(Error::Empty { what: "features", found: features.shape().to_vec() });
    }
    columns.iter().try_for_each(|&(what, values)| super::check_per_column(what, values, features))
}
