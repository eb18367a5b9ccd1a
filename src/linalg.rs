//! The two decompositions that need LAPACK, or the word that this build lacks it.

use crate::Result;
#[cfg(feature = "train")]
use ndarray::Array1;
use ndarray::Array2;

/// What they are for.
pub(crate) const ORTHONORMAL: &str = "orthonormal initialisation";
#[cfg(feature = "train")]
pub(crate) const WHITENING: &str = "PCA whitening";

/// Q of the thin QR decomposition of `matrix` (N, K), N ≥ K, with signs that make R's diagonal positive.
#[cfg(feature = "blas")]
pub(crate) fn orthonormal_columns(matrix: Array2<f64>) -> Result<Array2<f64>> {
    use ndarray_linalg::QRInto;
    let (mut q, r) = matrix.qr_into().map_err(|error| lapack(ORTHONORMAL, &error))?;
    for (mut column, &diagonal) in q.columns_mut().into_iter().zip(r.diag()) {
        if diagonal < 0.0 {
            column.mapv_inplace(|value| -value);
        }
    }
    Ok(q)
}

/// Eigenvalues (N,) and eigenvectors (N, N, one a column) of a symmetric matrix (N, N), largest first.
#[cfg(all(feature = "blas", feature = "train"))]
pub(crate) fn symmetric_eigen(matrix: Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    use ndarray::s;
    use ndarray_linalg::{EighInto, UPLO};
    let (values, vectors) = matrix.eigh_into(UPLO::Lower).map_err(|error| lapack(WHITENING, &error))?;
    Ok((values.slice(s![..;-1]).to_owned(), vectors.slice(s![.., ..;-1]).to_owned()))
}

#[cfg(feature = "blas")]
fn lapack(what: &'static str, error: &ndarray_linalg::error::LinalgError) -> crate::Error {
    crate::Error::Lapack { what, reason: error.to_string() }
}

/// Says that this build lacks LAPACK.
#[cfg(not(feature = "blas"))]
pub(crate) fn orthonormal_columns(_: Array2<f64>) -> Result<Array2<f64>> {
    Err(needs_lapack(ORTHONORMAL))
}

/// Says that this build lacks LAPACK.
#[cfg(all(not(feature = "blas"), feature = "train"))]
pub(crate) fn symmetric_eigen(_: Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    Err(needs_lapack(WHITENING))
}

/// Checks that this build has LAPACK.
#[cfg(feature = "train")]
pub(crate) fn check(what: &'static str) -> Result<()> {
    if cfg!(feature = "blas") { Ok(()) } else { Err(needs_lapack(what)) }
}

#[cfg(any(not(feature = "blas"), feature = "train"))]
fn needs_lapack(what: &'static str) -> crate::Error {
    crate::Error::NeedsFeature { what, needs: "LAPACK", feature: "openblas-system" }
}
