//! Feature transforms.

use arcos::data::{Transform, TransformKind};
use arcos::{Error, init};
use ndarray::{Array2, ArrayView2, Axis, array};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Positive features with a large common mean, each dimension of its own spread, two of them correlated.
fn features(rows: usize) -> Array2<f32> {
    let mut features: Array2<f32> = init::glorot_normal(rows, 5, &mut ChaCha8Rng::seed_from_u64(3));
    features.mapv_inplace(|value| value * 4.0);
    for mut row in features.rows_mut() {
        row[4] = 0.5 * row[0] + 0.1 * row[4];
        row.iter_mut().enumerate().for_each(|(column, value)| *value = *value * (column + 1) as f32 + 3.0);
    }
    features
}

fn moments(rows: ArrayView2<f32>) -> (Vec<f64>, Array2<f64>) {
    let rows = rows.mapv(f64::from);
    let mean = rows.mean_axis(Axis(0)).expect("rows");
    let centred = &rows - &mean;
    (mean.to_vec(), centred.t().dot(&centred) / rows.nrows() as f64)
}

fn fit(kind: TransformKind, rows: &Array2<f32>) -> Transform {
    Transform::fit(kind, rows.view()).expect("well-formed rows")
}

#[test]
fn none_changes_nothing() {
    let rows = features(40);
    assert_eq!(fit(TransformKind::None, &rows).apply(rows.view()).expect("any rows"), rows);
}

#[test]
fn centring_takes_the_mean_of_the_training_rows_away() {
    let (train, test) = (features(3000), array![[1f32, 2.0, 3.0, 4.0, 5.0]]);
    let transform = fit(TransformKind::Centre, &train);
    let (mean, covariance) = moments(transform.apply(train.view()).expect("fitted rows").view());
    assert!(mean.iter().all(|mean| mean.abs() < 1e-5), "{mean:?}");
    let difference = &covariance - &moments(train.view()).1;
    assert!(difference.iter().all(|difference| difference.abs() < 1e-4), "{difference}");
    // Test rows are shifted by the training mean, not by their own.
    let (train_mean, _) = moments(train.view());
    let shifted = transform.apply(test.view()).expect("as many columns");
    approx::assert_relative_eq!(f64::from(shifted[[0, 4]]), 5.0 - train_mean[4], max_relative = 1e-5);
}

#[test]
fn standardising_gives_unit_variance_and_zero_for_constants() {
    let mut train = features(3000);
    train.column_mut(2).fill(0.1);
    let transformed = fit(TransformKind::Standardise, &train).apply(train.view()).expect("fitted rows");
    let (mean, covariance) = moments(transformed.view());
    for column in 0..5 {
        assert!(mean[column].abs() < 1e-5, "{mean:?}");
        let expected = if column == 2 { 0.0 } else { 1.0 };
        approx::assert_relative_eq!(covariance[[column, column]], expected, epsilon = 1e-4);
    }
    assert!(transformed.column(2).iter().all(|&value| value == 0.0));
}

#[cfg(feature = "blas")]
#[test]
fn whitening_gives_the_identity_as_covariance() {
    let train = features(3000);
    let transform = fit(TransformKind::Whiten { dimensions: Some(3), ridge: 0.0 }, &train);
    let whitened = transform.apply(train.view()).expect("fitted rows");
    assert_eq!((whitened.ncols(), transform.dimension(5)), (3, 3));
    let (mean, covariance) = moments(whitened.view());
    assert!(mean.iter().all(|mean| mean.abs() < 1e-4), "{mean:?}");
    let difference = covariance - Array2::<f64>::eye(3);
    assert!(difference.iter().all(|difference| difference.abs() < 1e-4), "{difference}");
}

#[cfg(feature = "blas")]
#[test]
fn whitening_to_more_dimensions_than_there_are_is_refused() {
    let mut train = features(100);
    let copy = train.column(0).to_owned();
    train.column_mut(1).assign(&copy);
    for (dimensions, expected) in [(0, "at least 1"), (5, "1 to 4"), (6, "1 to 4")] {
        let error = Transform::fit(TransformKind::Whiten { dimensions: Some(dimensions), ridge: 0.0 }, train.view())
            .expect_err("refused")
            .to_string();
        assert!(error.contains(&format!("to whiten to is {dimensions}; expected {expected}")), "{error}");
    }
    // A ridge makes a component usable, not a dimension that the rows have.
    for ridge in [0.0, 0.5] {
        assert_eq!(fit(TransformKind::Whiten { dimensions: None, ridge }, &train).dimension(5), 4);
    }
}

#[cfg(feature = "blas")]
#[test]
fn rows_that_are_all_equal_cannot_be_whitened() {
    let equal = Array2::from_elem((6, 5), 0.5);
    for ridge in [0.0, 0.5] {
        let error =
            Transform::fit(TransformKind::Whiten { dimensions: None, ridge }, equal.view()).expect_err("refused");
        let expected = "whitening of features without a variance is not defined; expected rows that differ";
        assert_eq!(error.to_string(), expected);
    }
}

#[cfg(feature = "blas")]
#[test]
fn a_ridge_leaves_each_component_its_share_of_variance() {
    let train = features(3000);
    let (_, covariance) = moments(train.view());
    let mean_variance = covariance.diag().mean().expect("five of them");
    let whitened = fit(TransformKind::Whiten { dimensions: Some(5), ridge: 0.5 }, &train);
    let (_, found) = moments(whitened.apply(train.view()).expect("fitted rows").view());
    let share = |component: usize| found[[component, component]];
    // A share is v / (v + r) with r half the mean variance; solved for v, they must add up to the trace again.
    let variances = (0..5).map(|component| 0.5 * mean_variance * share(component) / (1.0 - share(component)));
    approx::assert_relative_eq!(variances.sum::<f64>(), 5.0 * mean_variance, max_relative = 1e-4);
    assert!((1..5).all(|component| share(component) < share(component - 1)), "{found}");

    for ridge in [-1.0, f64::NAN, f64::INFINITY] {
        let refused = Transform::fit(TransformKind::Whiten { dimensions: Some(2), ridge }, train.view());
        assert!(matches!(refused, Err(Error::Setting { name: "the ridge of whitening", .. })));
    }
}

#[cfg(not(feature = "blas"))]
#[test]
fn whitening_without_lapack_names_the_feature() {
    let error = Transform::fit(TransformKind::Whiten { dimensions: Some(2), ridge: 0.0 }, features(40).view())
        .expect_err("no LAPACK");
    assert!(matches!(error, Error::NeedsFeature { .. }));
    assert!(error.to_string().contains("--features openblas-system"), "{error}");
}

#[test]
fn rows_of_another_dimension_are_refused() {
    let error = fit(TransformKind::Centre, &features(40)).apply(array![[1.0, 2.0]].view()).expect_err("two columns");
    assert!(matches!(error, Error::Shape { what: "features", .. }), "{error}");
    let empty = Array2::zeros((0, 3));
    assert!(matches!(Transform::fit(TransformKind::Centre, empty.view()), Err(Error::Empty { .. })));
}

#[test]
fn transforms_come_back_from_their_tensors() {
    let mut kinds = vec![TransformKind::None, TransformKind::Centre, TransformKind::Standardise];
    if cfg!(feature = "blas") {
        kinds.push(TransformKind::Whiten { dimensions: Some(2), ridge: 0.5 });
    }
    for kind in kinds {
        let transform = fit(kind, &features(40));
        let mut tensors = transform.tensors();
        assert_eq!(Transform::from_tensors(kind, &tensors).expect("its own tensors"), transform);
        tensors.insert("more".into(), array![1.0].into_dyn());
        assert!(Transform::from_tensors(kind, &tensors).is_err(), "{kind:?} with a tensor too many");
    }
    assert!(Transform::from_tensors(TransformKind::Centre, &Default::default()).is_err(), "centring without a mean");
}
