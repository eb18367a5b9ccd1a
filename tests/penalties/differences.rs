//! Gradients against finite differences, with more class vectors than one block of them.

use arcos::penalties::{center_loss, centre_distance, inter, intra, regularface, triplet};
use arcos::{Result, init};
use ndarray::{Array1, Array2};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Far below the smallest angles between the rows here, whose inverse squares say how fast the differences' error grows.
const STEP: f64 = 1e-6;

/// Rows of lengths far apart, some near to another or opposite to it.
fn rows(count: usize, dimension: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    let mut rows: Array2<f64> = init::glorot_normal(count, dimension, rng);
    for row in 1..count {
        if rng.random_bool(0.2) {
            let sign = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let near = &rows.row(row - 1) * sign + 0.02 * &rows.row(row);
            rows.row_mut(row).assign(&near);
        }
        let length = 10f64.powf(rng.random_range(-1.0..1.0)) / rows.row(row).dot(&rows.row(row)).sqrt();
        rows.row_mut(row).mapv_inplace(|value| value * length);
    }
    rows
}

fn labels(count: usize, classes: usize, rng: &mut ChaCha8Rng) -> Array1<i64> {
    let label = |row: usize| if row % 5 == 3 { -100 } else { rng.random_range(0..classes as i64) };
    (0..count).map(label).collect()
}

/// The slope of `loss` in a random direction by central differences, against that of its `gradient`. Where the loss bends within the step, nothing is
/// compared.
fn check(
    at: &Array2<f64>,
    gradient: &Array2<f64>,
    rng: &mut ChaCha8Rng,
    loss: impl Fn(&Array2<f64>) -> Result<f64>,
) -> std::result::Result<bool, TestCaseError> {
    // In proportion to the length of each row, as the penalties bend.
    let mut direction: Array2<f64> = init::glorot_normal(at.nrows(), at.ncols(), rng);
    for (mut direction, row) in direction.rows_mut().into_iter().zip(at.rows()) {
        let length = (row.dot(&row) / direction.dot(&direction)).sqrt();
        direction.mapv_inplace(|value| value * length);
    }
    let along = |step: f64| loss(&(at + &(step * &direction)));
    let [far_back, back, here, ahead, far_ahead] =
        [along(-2.0 * STEP)?, along(-STEP)?, along(0.0)?, along(STEP)?, along(2.0 * STEP)?];
    let slope = |ahead: f64, back: f64, width: f64| (ahead - back) / (width * STEP);
    let slopes = [slope(here, far_back, 2.0), slope(far_ahead, here, 2.0), slope(ahead, back, 2.0)];
    let expected = (&direction * gradient).sum();
    let scale = slopes.iter().fold(1e-2, |most: f64, slope| most.max(slope.abs()));
    // A bend parts the slopes on both sides or, where it is slight, those of two widths.
    let bends = (slopes[0] - slopes[1]).abs() > 1e-2 * scale
        || (slopes[2] - slope(far_ahead, far_back, 4.0)).abs() > 1e-6 * scale;
    if bends {
        return Ok(false);
    }
    prop_assert!((slopes[2] - expected).abs() < 1e-5 * scale, "{} and {expected}", slopes[2]);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn of_rows(count in 1usize..24, classes in 2usize..9, dimension in 2usize..12, margin in 0.0..1.5, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (x, w) = (rows(count, dimension, &mut rng), rows(classes, dimension, &mut rng));
        let y = labels(count, classes, &mut rng);
        let y = y.view();

        let gradients = intra::backward(&intra::forward(x.view(), w.view(), y)?.1);
        check(&x, &gradients.d_features, &mut rng, |x| Ok(intra::forward(x.view(), w.view(), y)?.0))?;
        check(&w, &gradients.d_weights, &mut rng, |w| Ok(intra::forward(x.view(), w.view(), y)?.0))?;
        let gradient = triplet::backward(&triplet::forward(x.view(), y, margin)?.1);
        check(&x, &gradient, &mut rng, |x| Ok(triplet::forward(x.view(), y, margin)?.0))?;
        let gradient = center_loss::backward(&center_loss::forward(x.view(), w.view(), y)?.1);
        check(&x, &gradient, &mut rng, |x| Ok(center_loss::forward(x.view(), w.view(), y)?.0))?;
    }

    #[test]
    fn of_class_vectors(count in 1usize..24, classes in 2usize..40, dimension in 2usize..12, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        of_class_vectors_alone(count, classes, dimension, &mut rng)?;
    }
}

/// Whether anything was compared, of each.
fn of_class_vectors_alone(
    count: usize,
    classes: usize,
    dimension: usize,
    rng: &mut ChaCha8Rng,
) -> std::result::Result<[bool; 3], TestCaseError> {
    let w = rows(classes, dimension, rng);
    let y = labels(count, classes, rng);
    let gradient = inter::backward(&inter::forward(w.view(), y.view())?.1);
    let of_inter = check(&w, &gradient, rng, |w| Ok(inter::forward(w.view(), y.view())?.0))?;
    let gradient = regularface::backward(&regularface::forward(w.view())?.1);
    let of_regularface = check(&w, &gradient, rng, |w| Ok(regularface::forward(w.view())?.0))?;
    let of_class = rows(3 * classes, dimension, rng);
    let gradient = centre_distance::backward(&centre_distance::forward(of_class.view(), 3)?.1);
    let of_distance = check(&of_class, &gradient, rng, |w| Ok(centre_distance::forward(w.view(), 3)?.0))?;
    Ok([of_inter, of_regularface, of_distance])
}

/// A check that compares nothing cannot fail: here most do.
#[test]
fn most_cases_are_compared() -> std::result::Result<(), TestCaseError> {
    let mut compared = [0; 4];
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let of_classes = of_class_vectors_alone(20, 30, 8, &mut rng)?;
        let (x, y) = (rows(20, 8, &mut rng), labels(20, 4, &mut rng));
        let gradient = triplet::backward(&triplet::forward(x.view(), y.view(), 0.5)?.1);
        let of_triplets = check(&x, &gradient, &mut rng, |x| Ok(triplet::forward(x.view(), y.view(), 0.5)?.0))?;
        for (count, was_compared) in compared.iter_mut().zip(of_classes.into_iter().chain([of_triplets])) {
            *count += usize::from(was_compared);
        }
    }
    assert!(compared.iter().all(|&count| count >= 15), "{compared:?} of 20");
    Ok(())
}

#[test]
fn more_class_vectors_than_a_block() -> std::result::Result<(), TestCaseError> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    assert!(of_class_vectors_alone(1100, 1100, 16, &mut rng)?[0]);
    // The nearest of all, by hand: also where it is in another block.
    let w = rows(1100, 4, &mut rng);
    let unit = arcos::ops::l2_normalize::forward("w", w.view())?.unit;
    let cosines = unit.dot(&unit.t());
    let largest = |class: usize| (0..1100).filter(|&j| j != class).map(|j| cosines[(class, j)]).fold(-1.0, f64::max);
    let expected = (0..1100).map(largest).sum::<f64>() / 1100.0;
    approx::assert_relative_eq!(regularface::forward(w.view())?.0, expected, max_relative = 1e-12);
    Ok(())
}
