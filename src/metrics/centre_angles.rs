//! How far rows are from the centres of their classes: rows past an angle are likely to be labelled wrongly.
//!
//! Of classes with K centres (Deng, Guo, Liu, Gong, Zafeiriou 2020, *Sub-center ArcFace*, ECCV, section 3.3): the dominant centre of a class is the
//! one that is nearest to most of its rows, and rows with a wrong label gather at the others. After training the others are dropped, rows at more
//! than 75° from the dominant centre of their class are taken as noise, and training begins anew with what is left. With one centre a class that is
//! the dominant one, and the rule is the angle alone.

use super::similarity::{BLOCK, Block, check_dimensions, for_each_block, lock, row, unit, unlocked};
use crate::ops::{Angle, Targets, l2_normalize};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use std::sync::Mutex;

/// The angles between rows and centres.
#[derive(Clone, Debug, PartialEq)]
pub struct CentreAngles<F> {
    /// K
    pub centres: usize,
    /// (C,) the dominant centre of each class, from 0 to K - 1: the first of those that are nearest to most rows, and of a class without rows the
    /// first of all.
    pub dominant: Vec<usize>,
    /// The labelled rows, in their order.
    pub rows: Vec<RowAngles<F>>,
}

/// The angles between one row and centres, in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowAngles<F> {
    /// Its number.
    pub row: usize,
    /// Its class.
    pub class: usize,
    /// That of its class's centres, from 0 to K - 1, which is nearest to it; the first of equals.
    pub nearest: usize,
    /// To the dominant centre of its class.
    pub to_dominant: F,
    /// To the nearest centre of its class.
    pub to_nearest: F,
    /// The other class whose dominant centre is nearest; the first of equals.
    pub other: usize,
    /// To that centre.
    pub to_other: F,
}

impl<F: Real> CentreAngles<F> {
    /// The rows at more than `angle`, in radians, from the dominant centre of their class.
    pub fn suspects(&self, angle: F) -> impl Iterator<Item = &RowAngles<F>> {
        self.rows.iter().filter(move |row| row.to_dominant > angle)
    }

    /// (C, D) the dominant centres among `weights` (C·K, D), as they are there.
    ///
    /// # Errors
    /// [`Error::Shape`] unless these are K for each class.
    pub fn kept(&self, weights: ArrayView2<F>) -> Result<Array2<F>> {
        let expected = self.dominant.len() * self.centres;
        if weights.nrows() != expected {
            let expected = format!("({expected}, D), {} for each of {} classes", self.centres, self.dominant.len());
            return Err(Error::Shape { what: "weights", found: weights.shape().to_vec(), expected });
        }
        Ok(weights.select(Axis(0), &self.dominant_rows()))
    }

    /// The rows of the weights that dominant centres are.
    fn dominant_rows(&self) -> Vec<usize> {
        self.dominant.iter().enumerate().map(|(class, centre)| class * self.centres + centre).collect()
    }
}

/// The angles between `features` (N, D) and the centres of their classes: `weights` (C·K, D), those of a class next to each other, K `centres` each.
/// Rows labelled [`IGNORE_LABEL`](crate::ops::IGNORE_LABEL) are left out.
///
/// # Errors
/// [`Error::Setting`] for K of 0, [`Error::NotDefined`] of one class, [`Error::Empty`], [`Error::Shape`], [`Error::NotFinite`],
/// [`Error::NormOverflow`], [`Error::ZeroNorm`], [`Error::LabelOutOfRange`], [`Error::NothingLabelled`].
pub fn centre_angles<F: Real>(
    features: ArrayView2<F>,
    labels: ArrayView1<i64>,
    weights: ArrayView2<F>,
    centres: usize,
) -> Result<CentreAngles<F>> {
    if centres == 0 {
        return Err(Error::Setting { name: "centres", value: "0".into(), expected: "at least 1".into() });
    }
    if !weights.nrows().is_multiple_of(centres) {
        let expected = format!("a multiple of {centres} rows, the centres of a class");
        return Err(Error::Shape { what: "weights", found: weights.shape().to_vec(), expected });
    }
    check_dimensions("features", features, weights.ncols())?;
    let classes = weights.nrows() / centres;
    let targets = Targets::new(labels, features.nrows(), classes)?;
    if classes == 1 {
        let (what, found) = ("the nearest other class", "1 class".into());
        return Err(Error::NotDefined { what, found, expected: "at least two" });
    }
    let (features, weights) = (unit("features", features)?, l2_normalize::forward("weights", weights)?.unit);
    let angle =
        |number: usize, centre: usize| Angle::between_rows(row(features.view(), number), row(weights.view(), centre));

    let labelled: Vec<(usize, usize)> = targets.iter().collect();
    let nearest = |&(number, class): &(usize, usize)| {
        let angles = (0..centres).map(|centre| (centre, angle(number, class * centres + centre)));
        angles.reduce(|best, next| if next.1.cos > best.1.cos { next } else { best }).expect("at least one centre")
    };
    let nearest: Vec<(usize, Angle<F>)> = labelled.par_iter().map(nearest).collect();

    let mut rows_at = vec![0usize; classes * centres];
    for (&(_, class), &(centre, _)) in labelled.iter().zip(&nearest) {
        rows_at[class * centres + centre] += 1;
    }
    let most =
        |rows_at: &[usize]| (1..centres).fold(0, |best, next| if rows_at[next] > rows_at[best] { next } else { best });
    let dominant = rows_at.chunks_exact(centres).map(most).collect();
    let mut found = CentreAngles { centres, dominant, rows: Vec::new() };

    let dominant_rows = found.dominant_rows();
    let others = nearest_others(features.view(), weights.select(Axis(0), &dominant_rows).view(), &targets);
    let of_row = |(&(row, class), &(nearest, to_nearest)): (&(usize, usize), &(usize, Angle<F>))| {
        let other = others[row];
        RowAngles {
            row,
            class,
            nearest,
            to_dominant: angle(row, dominant_rows[class]).theta(),
            to_nearest: to_nearest.theta(),
            other,
            to_other: angle(row, dominant_rows[other]).theta(),
        }
    };
    found.rows = labelled.iter().zip(&nearest).map(of_row).collect();
    Ok(found)
}

/// (N,) for each of the `features` (N, D) the class of the most similar row of `dominant` (C, D) that is not its own, the first of equals; unit rows.
fn nearest_others<F: Real>(features: ArrayView2<F>, dominant: ArrayView2<F>, targets: &Targets) -> Vec<usize> {
    let class_of_row = targets.class_of_row();
    // Blocks come in any order, and the first of equals does not depend on it.
    let none = (F::neg_infinity(), usize::MAX);
    let best: Vec<Mutex<Vec<(F, usize)>>> =
        class_of_row.chunks(BLOCK).map(|rows| Mutex::new(vec![none; rows.len()])).collect();
    for_each_block(features, dominant, |Block { queries, references, similarities }| {
        let mut best = lock(&best[queries.start / BLOCK]);
        for ((row, similarities), best) in queries.zip(similarities.chunks_exact(references.len())).zip(best.iter_mut())
        {
            for (class, &similarity) in references.clone().zip(similarities) {
                let is_better = similarity > best.0 || similarity == best.0 && class < best.1;
                if is_better && class_of_row[row] != Some(class) {
                    *best = (similarity, class);
                }
            }
        }
    });
    best.into_iter().flat_map(unlocked).map(|(_, class)| class).collect()
}
