//! Values and gradients of an independent framework, reproduced: `tests/reference/make_penalties.py` made them.

use super::archive::Archive;
use arcos::penalties::{center_loss, centre_distance, inter, intra, regularface, triplet};
use ndarray::{Array0, Array1, Array2};

const TOLERANCE: f64 = 1e-12;

#[test]
fn every_penalty_agrees_with_automatic_differentiation() -> arcos::Result<()> {
    let mut archive = Archive::open("penalties.npz");
    for case in ["0", "1", "2"] {
        let (x, w): (Array2<f64>, Array2<f64>) = (archive.read(case, "features"), archive.read(case, "weights"));
        let labels: Array1<i64> = archive.read(case, "labels");
        let (x, w, y) = (x.view(), w.view(), labels.view());
        let mut check = |name: &str, loss: f64, d_features: Option<Array2<f64>>, d_weights: Option<Array2<f64>>| {
            let expected: Array0<f64> = archive.read(case, &format!("{name}.loss"));
            approx::assert_relative_eq!(loss, expected[()], max_relative = TOLERANCE);
            let found = [("d_features", d_features, x.dim()), ("d_weights", d_weights, w.dim())];
            for (of, gradient, shape) in found {
                let expected: Array2<f64> = archive.read(case, &format!("{name}.{of}"));
                let gradient = gradient.unwrap_or_else(|| Array2::zeros(shape));
                let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
                let difference = (&gradient - &expected).iter().fold(0.0, |most: f64, value| most.max(value.abs()));
                assert!(difference <= TOLERANCE * largest, "{case} {name} {of}: {difference:e} of {largest:e}");
            }
        };
        let (loss, cache) = intra::forward(x, w, y)?;
        let gradients = intra::backward(&cache);
        check("intra", loss, Some(gradients.d_features), Some(gradients.d_weights));
        let (loss, cache) = inter::forward(w, y)?;
        check("inter", loss, None, Some(inter::backward(&cache)));
        let (loss, cache) = triplet::forward(x, y, 0.3)?;
        check("triplet", loss, Some(triplet::backward(&cache)), None);
        let (loss, cache) = regularface::forward(w)?;
        check("regularface", loss, None, Some(regularface::backward(&cache)));
        let centres = if x.nrows() == 16 { 4 } else { 3 };
        let (loss, cache) = centre_distance::forward(x, centres)?;
        check("centre_distance", loss, Some(centre_distance::backward(&cache)), None);
        let (loss, cache) = center_loss::forward(x, w, y)?;
        // Centres move by the paper's rule; the framework's gradient of them is that of the same loss.
        let mut d_centres = Array2::zeros(w.dim());
        let d_features = center_loss::backward(&cache);
        for (row, &class) in y.iter().enumerate().filter(|(_, class)| **class >= 0) {
            let mut d_centre = d_centres.row_mut(class as usize);
            d_centre -= &d_features.row(row);
        }
        check("center_loss", loss, Some(d_features), Some(d_centres));
        let updated: Array2<f64> = archive.read(case, "center_loss.updated");
        let found = center_loss::updated_centres(&cache, w, 0.5)?;
        assert!((&found - &updated).iter().all(|difference| difference.abs() < TOLERANCE), "{case}: centres");
    }
    Ok(())
}
