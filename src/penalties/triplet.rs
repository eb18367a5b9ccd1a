//! Triplet loss on angles (Deng, Guo, Xue, Zafeiriou 2019, 1801.07698, section on other losses), of the hardest triplets of a batch (Hermans, Beyer, Leibe 2017,
//! 1703.07737, eq. 5).
//!
//! `loss = 1/A Σ_a max(θ_{a,p} + m - θ_{a,n}, 0)`, p the row of a's label at the largest angle from it, n the row of another label at the smallest, over the A rows that
//! have both: the anchors. The ArcFace paper says nothing of how triplets are chosen. Of all triplets of a batch most have no loss late in training, and
//! the mean over them fades; the hardest ones give each anchor one that counts, from B² angles in place of B³ triplets. Of equal angles the first row counts.
//!
//! Gradient: where an anchor's loss is above 0, `d_x̂_a = (-x̂_p / sinθ_{a,p} + x̂_n / sinθ_{a,n}) / A`, `d_x̂_p = -x̂_a / (A sinθ_{a,p})`,
//! `d_x̂_n = x̂_a / (A sinθ_{a,n})`; then the Jacobian of the normalisation.

use crate::ops::l2_normalize::{self, Normalized};
use crate::ops::{Angle, IGNORE_LABEL};
use crate::optim::check_setting;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::f64::consts::PI;

/// What [`backward`] needs.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// (B, D)
    features: Normalized<F>,
    /// A, the rows that have another of their label and one of another.
    pub anchors: usize,
    /// Those with a loss above 0.
    triplets: Vec<Triplet<F>>,
}

#[derive(Clone, Copy, Debug)]
struct Triplet<F> {
    anchor: usize,
    positive: (usize, Angle<F>),
    negative: (usize, Angle<F>),
}

/// The penalty of `features` (B, D) with `labels` (B,), whatever numbers they are, and the margin m in radians, in [0, π]; 0 for a batch without anchors.
///
/// # Errors
/// [`Error::Empty`], [`Error::Shape`], [`Error::Setting`] for the margin, [`Error::NotFinite`], [`Error::NormOverflow`], [`Error::ZeroNorm`].
pub fn forward<F: Real>(features: ArrayView2<F>, labels: ArrayView1<i64>, margin: f64) -> Result<(F, Cache<F>)> {
    check_setting("the margin of triplets", margin, (0.0..=PI).contains(&margin), "an angle in [0, π] radians")?;
    if features.is_empty() {
        return Err(Error::Empty { what: "features", found: features.shape().to_vec() });
    }
    if labels.len() != features.nrows() {
        let expected = format!("({},), one label for each row of features", features.nrows());
        return Err(Error::Shape { what: "labels", found: labels.shape().to_vec(), expected });
    }
    let features = l2_normalize::forward("features", features)?;
    let cosines = features.unit.dot(&features.unit.t());
    let labelled: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] != IGNORE_LABEL).collect();
    let (mut anchors, mut sum, mut triplets) = (0, 0.0, Vec::new());
    for &anchor in &labelled {
        let with_angle = |row: usize| (row, Angle::between(features.unit.row(anchor), features.unit.row(row)));
        let is_farther = |row: usize, than: usize| cosines[(anchor, row)] < cosines[(anchor, than)];
        let others = || labelled.iter().copied().filter(|&row| row != anchor);
        let farthest = others()
            .filter(|&row| labels[row] == labels[anchor])
            .reduce(|best, row| if is_farther(row, best) { row } else { best });
        let nearest = others()
            .filter(|&row| labels[row] != labels[anchor])
            .reduce(|best, row| if is_farther(best, row) { row } else { best });
        let (Some(positive), Some(negative)) = (farthest.map(with_angle), nearest.map(with_angle)) else { continue };
        anchors += 1;
        let loss = (positive.1.theta() + F::of(margin) - negative.1.theta()).to_double();
        if loss > 0.0 {
            sum += loss;
            triplets.push(Triplet { anchor, positive, negative });
        }
    }
    let loss = F::of(if anchors == 0 { 0.0 } else { sum / anchors as f64 });
    Ok((loss, Cache { features, anchors, triplets }))
}

/// (B, D) the gradient of that penalty.
pub fn backward<F: Real>(cache: &Cache<F>) -> Array2<F> {
    let unit = &cache.features.unit;
    let mut d_unit = Array2::zeros(unit.dim());
    for &Triplet { anchor, positive, negative } in &cache.triplets {
        let share = F::of(1.0 / cache.anchors as f64);
        for ((row, angle), d_theta) in [(positive, share), (negative, -share)] {
            let d_cosine = -d_theta / angle.sin_at_least_floor();
            d_unit.row_mut(anchor).scaled_add(d_cosine, &unit.row(row));
            d_unit.row_mut(row).scaled_add(d_cosine, &unit.row(anchor));
        }
    }
    l2_normalize::backward(d_unit, &cache.features)
}
