//! What is measured: a head with features, class vectors and labels.

use crate::npy;
use arcos::files::NewPlaces;
use arcos::{AnyHead, Head, Parameters, Real, Result, memory};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use ndarray_npy::WritableElement;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;

/// How features lie to the vectors of their classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Regime {
    /// Random, as at the start of training: every class has its share in the softmax
    Dense,
    /// At a cosine of 0.96 to the vector of the class, as late in training: few others have a visible share
    Concentrated,
    /// Concentrated, and each row with 5 to 50 classes like its own, spread over all: what training looks like at 80 to 95 % accuracy. One row in eight is nearer to
    /// another class than to its own
    Late,
}

/// The noise that makes a cosine of 0.96: its length relative to the class vector's.
const NOISE: f64 = 0.29;

/// Cosines of class vectors that are like that of a row's class to it.
const LIKENESS: RangeInclusive<f64> = 0.78..=0.88;

/// How much of another class, like its own, is in a row that is nearer to it, for one of its own.
const ASTRAY: f64 = 1.3;

/// How many classes are like a row's own, if there are so many.
const LIKE_IT: RangeInclusive<usize> = 5..=50;

/// The arrays of a case.
pub(super) const ARRAYS: [&str; 3] = ["features", "weights", "labels"];

pub(super) struct Case<F> {
    pub head: AnyHead,
    pub features: Array2<F>,
    pub labels: Array1<i64>,
    pub parameters: Parameters<F>,
}

impl<F: Real> Case<F> {
    pub fn new(head: AnyHead, batch: usize, dimension: usize, classes: usize, regime: Regime) -> Result<Self> {
        head.check(classes)?;
        let centres = head.centres();
        let arrays = |rows: usize| rows.checked_mul(dimension)?.checked_add(batch.checked_mul(classes)?);
        let numbers = classes.checked_mul(centres).and_then(|rows| arrays(rows.checked_add(batch)?));
        memory::check::<F>("size (batch, dim, classes)", format!("({batch}, {dimension}, {classes})"), numbers)?;
        let mut weights = uniform_rows(classes * centres, dimension, 0);
        let labels = Array1::from_shape_fn(batch, |row| (row * 7919 % classes) as i64);
        let mut features = uniform_rows(batch, dimension, 1);
        let own: Vec<_> = labels.iter().map(|&label| label as usize * centres).collect();
        let alike = if regime == Regime::Late { make_alike(&mut weights, &own, centres) } else { Vec::new() };
        if regime != Regime::Dense {
            features *= F::of(NOISE);
            for (mut row, &own) in features.axis_iter_mut(Axis(0)).zip(&own) {
                row += &weights.row(own);
            }
        }
        for (mut row, alike) in features.axis_iter_mut(Axis(0)).zip(&alike).step_by(8) {
            alike.first().into_iter().for_each(|&other| row.scaled_add(F::of(ASTRAY), &weights.row(other)));
        }
        let parameters = head.initial_parameters(weights)?;
        Ok(Self { head, features, labels, parameters })
    }

    /// Writes [`ARRAYS`].
    pub fn save(&self, directory: &Path) -> Result<()>
    where
        F: WritableElement,
    {
        let mut places = NewPlaces::default();
        places.directory(directory)?;
        ARRAYS.into_iter().for_each(|name| places.file(npy::path(directory, name)));
        let write_all = || {
            npy::write(directory, "features", &self.features)?;
            npy::write(directory, "weights", &self.parameters.weights)?;
            npy::write(directory, "labels", &self.labels)
        };
        write_all().inspect_err(|_| places.remove())
    }
}

/// Gives each of the class vectors `own`, one a row of the batch, others that are like it, as far as classes go that no row is labelled with. Returns which.
fn make_alike<F: Real>(weights: &mut Array2<F>, own: &[usize], centres: usize) -> Vec<Vec<usize>> {
    let classes = weights.nrows() / centres;
    let each = (classes.saturating_sub(own.len()) / own.len()).min(*LIKE_IT.end());
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    // Multiples of a number that is coprime to theirs go through all classes, of this one so that a few neighbours are spread evenly.
    let golden_section = (classes as f64 * 0.618) as usize;
    let stride = (golden_section.max(1)..).find(|&stride| is_coprime(stride, classes)).expect("a prime, at the latest");
    let is_labelled: HashSet<_> = own.iter().collect();
    let places = (0..classes).map(|number| number * stride % classes * centres);
    let mut free = places.filter(|place| !is_labelled.contains(place));
    let mut alike_to = |&own: &usize| {
        let count = rng.random_range(LIKE_IT).min(each);
        let alike: Vec<_> = free.by_ref().take(count).collect();
        for &other in &alike {
            let likeness: f64 = rng.random_range(LIKENESS);
            let own = weights.row(own).to_owned();
            let rest = F::of((1.0 - likeness * likeness).sqrt());
            weights.row_mut(other).zip_mut_with(&own, |other, &own| *other = F::of(likeness) * own + rest * *other);
        }
        alike
    };
    own.iter().map(&mut alike_to).collect()
}

fn is_coprime(a: usize, b: usize) -> bool {
    if b == 0 { a == 1 } else { is_coprime(b, a % b) }
}

/// Rows of about norm 1, each element uniform around 0. Every row has its own random stream, so that threads can share the work.
fn uniform_rows<F: Real>(rows: usize, dimension: usize, seed: u64) -> Array2<F> {
    let mut elements = vec![F::zero(); rows * dimension];
    elements.par_chunks_mut(dimension).enumerate().for_each(|(number, row)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        row.iter_mut().for_each(|value| *value = F::of(rng.random_range(-1.0..1.0)));
        let view = ArrayView1::from(&*row);
        let norm = view.dot(&view).sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
    });
    Array2::from_shape_vec((rows, dimension), elements).expect("as many elements as asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_in_training_each_row_has_a_few_visible_classes_and_most_rows_are_right() {
        let head = AnyHead::new("arcface", &[]).expect("a listed head");
        let case = Case::<f32>::new(head, 40, 512, 4000, Regime::Late).expect("a small case");
        let (_, cache) =
            case.head.forward(case.features.view(), &case.parameters, case.labels.view()).expect("a good case");
        for (probabilities, &label) in cache.cross_entropy.residual.rows().into_iter().zip(&case.labels) {
            let visible = probabilities.iter().enumerate().filter(|&(class, &p)| class != label as usize && p > 1e-7);
            let places: Vec<_> = visible.map(|(class, _)| class).collect();
            assert!(LIKE_IT.contains(&places.len()), "{} are visible", places.len());
            assert!(places.last() > Some(&2000) && places.first() < Some(&2000), "{places:?} are not spread");
        }
        let logits = case.head.logits(case.features.view(), &case.parameters).expect("a good case");
        let is_right =
            |(logits, &label): (ArrayView1<f32>, &i64)| logits.iter().all(|&logit| logit <= logits[label as usize]);
        let right = logits.rows().into_iter().zip(&case.labels).filter(|&pair| is_right(pair)).count();
        assert!((32..=38).contains(&right), "{right} of 40 rows are right");
    }
}
