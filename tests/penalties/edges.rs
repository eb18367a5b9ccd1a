//! Poles, batches without what a penalty is of, and what is refused.

use arcos::Error;
use arcos::penalties::{center_loss, centre_distance, inter, intra, regularface, triplet};
use ndarray::{Array1, Array2, array};
use std::f64::consts::PI;

fn is_finite<F: arcos::Real>(gradient: &Array2<F>) -> bool {
    gradient.iter().all(|value| value.is_finite())
}

/// Rows on their class vector, opposite to it, and as near to either as single precision can say.
#[test]
fn gradients_are_finite_at_the_poles_and_of_the_right_length_beside_them() -> arcos::Result<()> {
    let w = array![[1.0f32, 0.0], [-1.0, 0.0], [1.0, 1e-7], [-1.0, -1e-20], [0.0, 1.0]];
    let x = array![[3.0f32, 0.0], [3.0, 0.0], [1.0, 0.0], [5.0, 0.0], [-2.0, 1e-30]];
    let labels = array![0i64, 1, 2, 3, 0];
    let (loss, cache) = intra::forward(x.view(), w.view(), labels.view())?;
    assert!((loss - 0.6).abs() < 1e-6, "{loss}");
    let gradients = intra::backward(&cache);
    assert!(is_finite(&gradients.d_features) && is_finite(&gradients.d_weights));
    let length = |row: usize| gradients.d_features.row(row).iter().map(|value| value * value).sum::<f32>().sqrt();
    let full = 1.0 / (5.0 * std::f32::consts::PI);
    assert!((0..5).all(|row| length(row) <= 1.01 * full), "no longer than anywhere else");

    let (loss, cache) = inter::forward(w.view(), labels.view())?;
    assert!((-1.0..=0.0).contains(&loss) && is_finite(&inter::backward(&cache)), "{loss}");
    let (_, cache) = triplet::forward(x.view(), labels.view(), 0.5)?;
    assert!(is_finite(&triplet::backward(&cache)));
    let (loss, cache) = regularface::forward(w.view())?;
    assert!(loss <= 1.0 && is_finite(&regularface::backward(&cache)), "{loss}");

    // Beside a pole the gradient is as long as anywhere: 1/(π n ‖x‖), and so it is at 1e-5 rad, where arccos in single precision has no digit.
    for theta in [1e-5f32, 1e-3, 1.0, 3.1] {
        let (x, w) = (array![[2.0 * theta.cos(), 2.0 * theta.sin()]], array![[1.0f32, 0.0]]);
        let (loss, cache) = intra::forward(x.view(), w.view(), array![0].view())?;
        approx::assert_relative_eq!(loss, theta / std::f32::consts::PI, max_relative = 1e-3);
        let d_x = intra::backward(&cache).d_features;
        approx::assert_relative_eq!(
            d_x.iter().map(|value| value * value).sum::<f32>().sqrt(),
            0.5 / std::f32::consts::PI,
            max_relative = 0.02
        );
    }
    // As far apart as can be, and no nearer to each other than two opposite vectors.
    let opposite = array![[2.0f64, 0.0], [-3.0, 0.0]];
    let [of_inter, of_regularface] =
        [inter::forward(opposite.view(), array![0, 1].view())?.0, regularface::forward(opposite.view())?.0];
    assert_eq!((of_inter, of_regularface), (-1.0, -1.0));
    Ok(())
}

/// Centres that are one have no direction from each other, and opposite ones are as far as can be.
#[test]
fn centres_that_are_one_pull_at_nothing() -> arcos::Result<()> {
    let w = array![[1.0f32, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, -3.0]];
    let (loss, cache) = centre_distance::forward(w.view(), 2)?;
    assert_eq!(loss, 0.5);
    let gradient = centre_distance::backward(&cache);
    assert!(gradient.iter().all(|&value| value == 0.0), "{gradient}");
    for centres in [0, 1, 3] {
        let error = centre_distance::forward(w.view(), centres).expect_err("no pairs, or no whole classes").to_string();
        assert!(error.starts_with("weights has shape [4, 2]; expected rows of whole classes"), "{error}");
    }
    Ok(())
}

#[test]
fn a_batch_without_triplets_has_none() -> arcos::Result<()> {
    let x = array![[1.0f64, 0.0], [0.0, 1.0], [1.0, 1.0]];
    for labels in [array![5i64, 5, 5], array![1, 2, 3], array![-100, -100, -100], array![1, -100, 1]] {
        let (loss, cache) = triplet::forward(x.view(), labels.view(), 0.5)?;
        assert_eq!((loss, cache.anchors), (0.0, 0), "{labels}");
        assert!(triplet::backward(&cache).iter().all(|&value| value == 0.0));
    }
    // Of rows 0 and 2 with row 1 between them: π/4 + m - π/4 for row 2, π/4 + m - π/2 for row 0; row 1 has nobody of its label.
    let (loss, cache) = triplet::forward(x.view(), array![0, 1, 0].view(), 0.5)?;
    assert_eq!(cache.anchors, 2);
    approx::assert_relative_eq!(loss, 0.25, max_relative = 1e-12);
    let (loss, _) = triplet::forward(x.view(), array![0, 1, 0].view(), 1.0)?;
    approx::assert_relative_eq!(loss, (1.0 + 1.0 - PI / 4.0) / 2.0, max_relative = 1e-12);
    Ok(())
}

/// One row moves its centre half of α of the way, and centres without rows stay.
#[test]
fn centres_move_by_the_papers_rule() -> arcos::Result<()> {
    let (x, centres) = (array![[2.0f64, 0.0], [4.0, 0.0], [0.0, 1.0]], array![[0.0f64, 0.0], [0.0, 3.0], [7.0, 7.0]]);
    let (loss, cache) = center_loss::forward(x.view(), centres.view(), array![0, 0, 1].view())?;
    assert_eq!(loss, (4.0 + 16.0 + 4.0) / 6.0);
    let updated = center_loss::updated_centres(&cache, centres.view(), 0.5)?;
    assert_eq!(updated, array![[1.0, 0.0], [0.0, 2.5], [7.0, 7.0]]);
    assert_eq!(center_loss::updated_centres(&cache, centres.view(), 0.0)?, centres);
    Ok(())
}

#[test]
fn what_is_wrong_is_named() {
    let (x, w): (Array2<f64>, Array2<f64>) = (array![[1.0, 0.0], [0.0, 1.0]], array![[1.0, 2.0], [2.0, 1.0]]);
    let y: Array1<i64> = array![0, 1];
    let of = |result: arcos::Result<f64>| result.expect_err("refused").to_string();
    let intra = |x: &Array2<f64>, w: &Array2<f64>, y: &Array1<i64>| {
        of(intra::forward(x.view(), w.view(), y.view()).map(|(loss, _)| loss))
    };
    assert!(intra(&x, &array![[1.0], [2.0]], &y).starts_with("weights has shape [2, 1]; expected (classes, 2)"));
    assert!(intra(&x, &w, &array![0, 2]).starts_with("labels[1] is 2; expected 0 to 1"));
    assert!(intra(&x, &w, &array![0]).starts_with("labels has shape [1]"));
    assert!(intra(&array![[1.0, 0.0], [0.0, f64::NAN]], &w, &y).starts_with("features[1, 1] is NaN"));
    assert!(intra(&x, &(0.0 * &w), &y).starts_with("weights row 0 has norm 0"));
    assert!(intra(&Array2::zeros((0, 2)), &w, &array![]).starts_with("features is empty"));
    let one = array![[1.0f64, 2.0]];
    let at_least_two = "weights has shape [1, 2]; expected at least two class vectors of one column";
    assert_eq!(of(inter::forward(one.view(), array![0].view()).map(|(loss, _)| loss)), at_least_two);
    assert_eq!(of(regularface::forward(one.view()).map(|(loss, _)| loss)), at_least_two);
    assert!(
        of(inter::forward(w.view(), array![-100].view()).map(|(loss, _)| loss)).contains("at least one labelled row")
    );
    for margin in [-0.1, 4.0, f64::NAN] {
        let message = of(triplet::forward(x.view(), y.view(), margin).map(|(loss, _)| loss));
        assert!(message.contains("the margin of triplets is") && message.contains("an angle in [0, π] radians"));
    }
    assert!(
        of(triplet::forward(x.view(), array![0].view(), 0.1).map(|(loss, _)| loss)).starts_with("labels has shape")
    );
    assert!(
        of(center_loss::forward(x.view(), array![[1.0]].view(), y.view()).map(|(loss, _)| loss)).starts_with("centres")
    );
    let far = array![[1e30f32, 0.0], [0.0, 1.0]];
    let result = center_loss::forward(far.view(), array![[0.0f32, 0.0]].view(), array![0, 0].view());
    assert!(matches!(result, Err(Error::LossNotFinite { .. })));
    let (_, cache) = center_loss::forward(x.view(), w.view(), y.view()).expect("well-formed");
    assert!(center_loss::updated_centres(&cache, w.view(), 1.5).is_err());
    assert!(center_loss::updated_centres(&cache, one.view(), 0.5).is_err());
}
