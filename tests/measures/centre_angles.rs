//! Angles to the centres of classes: by hand, against plain loops, and on planted noise.

use arcos::Error;
use arcos::metrics::centre_angles::{RowAngles, centre_angles};
use arcos::ops::IGNORE_LABEL;
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;

/// A vector of this length at this angle, in degrees.
fn at(degrees: f64, length: f64) -> [f64; 2] {
    let theta = degrees.to_radians();
    [length * theta.cos(), length * theta.sin()]
}

#[test]
fn a_case_by_hand() {
    // Class 0 at 0° and 100°, class 1 at 180° and 200°, class 2 has no rows.
    let weights: Array2<f64> =
        vec![at(100.0, 2.0), at(0.0, 0.5), at(180.0, 1.0), at(200.0, 3.0), at(-60.0, 1.0), at(90.0, 1.0)].into();
    let features: Array2<f64> =
        vec![at(10.0, 1.0), at(-5.0, 7.0), at(80.0, 0.1), at(33.0, 1.0), at(170.0, 1.0), at(195.0, 2.0)].into();
    let labels = array![0, 0, 0, IGNORE_LABEL, 1, 1];
    let found = centre_angles(features.view(), labels.view(), weights.view(), 2).expect("defined");
    // Of as many rows at both centres of class 1 the first counts.
    assert_eq!(found.dominant, [1, 0, 0]);
    let expected = [
        (0, 0, 1, 10.0, 10.0, 2, 70.0),
        (1, 0, 1, 5.0, 5.0, 2, 55.0),
        (2, 0, 0, 80.0, 20.0, 1, 100.0),
        (4, 1, 0, 10.0, 10.0, 2, 130.0),
        (5, 1, 1, 15.0, 5.0, 2, 105.0),
    ];
    assert_eq!(found.rows.len(), expected.len());
    for (row, expected) in found.rows.iter().zip(expected) {
        let RowAngles { row, class, nearest, to_dominant, to_nearest, other, to_other } = *row;
        assert_eq!((row, class, nearest, other), (expected.0, expected.1, expected.2, expected.5));
        for (found, expected) in [(to_dominant, expected.3), (to_nearest, expected.4), (to_other, expected.6)] {
            approx::assert_abs_diff_eq!(found.to_degrees(), expected, epsilon = 1e-12);
        }
    }
    let suspects = |degrees: f64| found.suspects(degrees.to_radians()).map(|row| row.row).collect::<Vec<_>>();
    assert_eq!((suspects(75.0), suspects(12.0), suspects(180.0)), (vec![2], vec![2, 5], vec![]));
    assert_eq!(found.suspects(found.rows[0].to_dominant).map(|row| row.row).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(
        found.kept(weights.view()).expect("fits"),
        ndarray::stack![ndarray::Axis(0), weights.row(1), weights.row(2), weights.row(4)]
    );
    assert!(matches!(found.kept(weights.slice(ndarray::s![1.., ..])), Err(Error::Shape { what: "weights", .. })));
}

#[test]
fn what_is_wrong_is_named() {
    let (features, weights) = (array![[1.0, 0.0], [0.0, 1.0]], array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 2.0]]);
    let message = |features: &Array2<f64>, labels: [i64; 2], weights: &Array2<f64>, centres| {
        let labels = Array1::from(labels.to_vec());
        centre_angles(features.view(), labels.view(), weights.view(), centres).expect_err("refused").to_string()
    };
    assert_eq!(message(&features, [0, 1], &weights, 0), "centres is 0; expected at least 1");
    assert_eq!(
        message(&features, [0, 1], &weights, 3),
        "weights has shape [4, 2]; expected a multiple of 3 rows, the centres of a class"
    );
    assert_eq!(
        message(&features, [0, 0], &weights, 4),
        "the nearest other class of 1 class is not defined; expected at least two"
    );
    assert!(message(&features, [0, 2], &weights, 2).starts_with("labels[1] is 2; expected 0 to 1"));
    assert!(message(&features, [-100, -100], &weights, 2).contains("at least one labelled row"));
    assert!(
        message(&array![[1.0], [2.0]], [0, 1], &weights, 2)
            .starts_with("features has shape [2, 1]; expected (rows, 2)")
    );
    assert!(message(&array![[1.0, 0.0], [f64::NAN, 0.0]], [0, 1], &weights, 2).starts_with("features[1, 0] is NaN"));
    assert!(message(&(&features * 0.0), [0, 1], &weights, 2).starts_with("features row 0 has norm 0"));
    assert!(message(&features, [0, 1], &(&weights * 0.0), 2).starts_with("weights row 0 has norm 0"));
    let labels = array![0];
    let error = centre_angles(features.view(), labels.view(), weights.view(), 2).expect_err("one label for two rows");
    assert!(matches!(error, Error::Shape { what: "labels", .. }));
}

fn normal(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    arcos::init::glorot_normal(rows, columns, rng)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// With more rows and classes than fit one block of products, and centres of no class that any row has.
    #[test]
    fn angles_of_plain_loops(rows in 1usize..1100, classes in 2usize..600, centres in 1usize..4, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (features, weights) = (normal(rows, 5, &mut rng), normal(classes * centres, 5, &mut rng));
        let mut labels: Array1<i64> =
            (0..rows).map(|row| if row % 7 == 3 { IGNORE_LABEL } else { rng.random_range(0..classes as i64) }).collect();
        labels[0] = 0;
        let found = centre_angles(features.view(), labels.view(), weights.view(), centres)?;
        let theta = |row: usize, centre: usize| {
            let (x, w) = (features.row(row), weights.row(centre));
            (x.dot(&w) / (x.dot(&x) * w.dot(&w)).sqrt()).acos()
        };
        let argmin = |angles: Vec<(usize, f64)>| {
            angles.into_iter().reduce(|best, next| if next.1 < best.1 { next } else { best }).expect("some")
        };
        let labelled: Vec<(usize, usize)> =
            (0..rows).filter(|&row| labels[row] != IGNORE_LABEL).map(|row| (row, labels[row] as usize)).collect();
        let nearest = |&(row, class): &(usize, usize)| {
            argmin((0..centres).map(|centre| (centre, theta(row, class * centres + centre))).collect())
        };
        let mut counts = Array2::<usize>::zeros((classes, centres));
        labelled.iter().for_each(|row| counts[(row.1, nearest(row).0)] += 1);
        for (counts, &dominant) in counts.rows().into_iter().zip(&found.dominant) {
            prop_assert!(counts.iter().all(|&count| count <= counts[dominant]));
            prop_assert!(counts.iter().take(dominant).all(|&count| count < counts[dominant]));
        }
        prop_assert_eq!(found.rows.len(), labelled.len());
        for (angles, labelled) in found.rows.iter().zip(&labelled) {
            let &(row, class) = labelled;
            let dominant = |class: usize| class * centres + found.dominant[class];
            let others = (0..classes).filter(|&other| other != class).map(|other| (other, theta(row, dominant(other))));
            let (other, to_other) = argmin(others.collect());
            let (of_own, to_nearest) = nearest(labelled);
            prop_assert_eq!((angles.row, angles.class, angles.nearest, angles.other), (row, class, of_own, other));
            for (found, expected) in
                [(angles.to_dominant, theta(row, dominant(class))), (angles.to_nearest, to_nearest), (angles.to_other, to_other)]
            {
                prop_assert!((found - expected).abs() < 1e-7, "{found} {expected}");
            }
        }
    }
}

/// Classes in tight clusters, a known share of whose rows have the label of another class: these rows, and no others, are suspects.
#[test]
fn planted_noise_is_found() {
    const CLASSES: usize = 20;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let centres = normal(CLASSES, 64, &mut rng);
    let (mut labels, mut planted) = (Vec::new(), Vec::new());
    let noise = normal(2000, 64, &mut rng);
    let mut features = Array2::<f32>::zeros((2000, 64));
    for row in 0..2000 {
        let class = row % CLASSES;
        features.row_mut(row).assign(&(&centres.row(class) + &(&noise.row(row) * 4.0)).mapv(|value| value as f32));
        let is_wrong = rng.random_bool(0.1);
        labels.push(if is_wrong { (class + rng.random_range(1..CLASSES)) % CLASSES } else { class } as i64);
        if is_wrong {
            planted.push(row);
        }
    }
    // A second centre of each class, where a wrong label's rows might have gathered: among other classes.
    let weights = Array2::from_shape_fn((2 * CLASSES, 64), |(row, column)| {
        let class = if row % 2 == 0 { row / 2 + 1 } else { row / 2 };
        centres[(class % CLASSES, column)] as f32
    });
    let labels = Array1::from(labels);
    let found = centre_angles(features.view(), labels.view(), weights.view(), 2).expect("defined");
    assert_eq!(found.dominant, [1; CLASSES]);
    let suspects: Vec<usize> = found.suspects(60f32.to_radians()).map(|row| row.row).collect();
    assert_eq!(suspects, planted);
    let right = found.suspects(60f32.to_radians()).filter(|row| row.other == row.row % CLASSES).count();
    assert_eq!(right, planted.len(), "the nearest other class is the true one");
    assert!((150..250).contains(&planted.len()), "{}", planted.len());
    assert!(found.rows.iter().all(|row| f64::from(row.to_dominant) <= PI + 1e-6));
}
