//! Nearest training rows by angle (Cover and Hart 1967, *Nearest neighbor pattern classification*): the class that most of the k rows
//! of largest cosine have; among equals the class whose row is nearest.

use crate::metrics::neighbours::{Neighbour, map_nearest, map_nearest_among};
use crate::metrics::similarity::check_dimensions;
use crate::ops::{Targets, l2_normalize};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use std::collections::HashMap;

/// Labelled rows that others are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestRows<F> {
    /// (M, D), M the labelled rows.
    unit: Array2<F>,
    /// (M,)
    classes: Vec<usize>,
}

impl<F: Real> NearestRows<F> {
    /// Keeps the labelled rows of `features` (N, D); labels (N,).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`], [`Error::LabelOutOfRange`], [`Error::NothingLabelled`].
    pub fn new(features: ArrayView2<F>, labels: ArrayView1<i64>, classes: usize) -> Result<Self> {
        let targets = Targets::new(labels, features.nrows(), classes)?;
        let (rows, classes): (Vec<usize>, Vec<usize>) = targets.iter().unzip();
        let unit = l2_normalize::forward("features", features)?.unit;
        let unit = if rows.len() == unit.nrows() { unit } else { unit.select(Axis(0), &rows) };
        Ok(Self { unit, classes })
    }

    /// That of `counts` with which most of the kept rows are given their own class by the others; of equals the first. With one row the first.
    ///
    /// # Errors
    /// [`Error::Setting`] if one is 0 or there is none.
    pub fn best_count(&self, counts: &[usize]) -> Result<usize> {
        let largest = counts.iter().copied().max().unwrap_or(0);
        counts.iter().copied().chain([largest]).try_for_each(check_count)?;
        let right = map_nearest(self.unit.view(), &vec![largest; self.classes.len()], |row, nearest| {
            counts.iter().map(|&count| self.vote(nearest, count) == Some(self.classes[row])).collect::<Vec<_>>()
        });
        let rows_right = |number: usize| right.iter().filter(|right| right[number]).count();
        let best =
            (1..counts.len()).fold(0, |best, next| if rows_right(next) > rows_right(best) { next } else { best });
        Ok(counts[best])
    }

    /// (N,) the class of each row of `features` (N, D) by its `count` nearest rows.
    ///
    /// # Errors
    /// [`Error::Setting`] for a count of 0, [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`].
    pub fn predict(&self, features: ArrayView2<F>, count: usize) -> Result<Vec<usize>> {
        check_count(count)?;
        check_dimensions("features", features, self.unit.ncols())?;
        let unit = l2_normalize::forward("features", features)?.unit;
        let vote = |_, nearest: &[Neighbour<F>]| self.vote(nearest, count).expect("at least one row is kept");
        Ok(map_nearest_among(unit.view(), self.unit.view(), count, vote))
    }

    /// The class that most of the first `count` of `nearest` have.
    fn vote(&self, nearest: &[Neighbour<F>], count: usize) -> Option<usize> {
        let classes = || nearest.iter().take(count).map(|&(_, row)| self.classes[row as usize]);
        let mut votes: HashMap<usize, usize> = HashMap::new();
        classes().for_each(|class| *votes.entry(class).or_default() += 1);
        let most = votes.values().copied().max()?;
        classes().find(|class| votes[class] == most)
    }
}

fn check_count(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::Setting { name: "nearest rows", value: "0".into(), expected: "at least 1".into() }),
        _ => Ok(()),
    }
}
