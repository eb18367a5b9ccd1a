//! Orthonormal class vectors.

use arcos::init;
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn orthonormal(classes: usize, dimension: usize) -> arcos::Result<Array2<f64>> {
    init::orthonormal(classes, dimension, &mut ChaCha8Rng::seed_from_u64(5))
}

#[cfg(feature = "blas")]
#[test]
fn class_vectors_are_at_right_angles() {
    for (classes, dimension) in [(4, 10), (10, 10), (1, 3)] {
        let weights = orthonormal(classes, dimension).expect("LAPACK");
        assert_eq!(weights.dim(), (classes, dimension));
        let difference = weights.dot(&weights.t()) - Array2::<f64>::eye(classes);
        assert!(difference.iter().all(|difference| difference.abs() < 1e-13), "{difference}");
    }
}

#[cfg(feature = "blas")]
#[test]
fn with_more_classes_than_dimensions_columns_are_at_right_angles() {
    let weights = orthonormal(10, 4).expect("LAPACK");
    let difference = weights.t().dot(&weights) - Array2::<f64>::eye(4);
    assert!(difference.iter().all(|difference| difference.abs() < 1e-13), "{difference}");
}

#[cfg(not(feature = "blas"))]
#[test]
fn without_lapack_the_error_names_the_feature() {
    let error = orthonormal(4, 10).expect_err("no LAPACK").to_string();
    let expected =
        "orthonormal initialisation needs LAPACK, which this build lacks; build with `--features openblas-system`";
    assert_eq!(error, expected);
}
