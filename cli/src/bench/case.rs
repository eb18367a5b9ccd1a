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
use std::path::Path;

/// How features lie to the vectors of their classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Regime {
    /// Random, as at the start of training: every class has its share in the softmax
    Dense,
    /// At a cosine of 0.96 to the vector of the class, as late in training: few others have a visible share
    Concentrated,
}

/// The noise that makes a cosine of 0.96: its length relative to the class vector's.
const NOISE: f64 = 0.29;

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
        let weights = uniform_rows(classes * centres, dimension, 0);
        let labels = Array1::from_shape_fn(batch, |row| (row * 7919 % classes) as i64);
        let mut features = uniform_rows(batch, dimension, 1);
        if regime == Regime::Concentrated {
            features *= F::of(NOISE);
            for (mut row, &label) in features.axis_iter_mut(Axis(0)).zip(&labels) {
                row += &weights.row(label as usize * centres);
            }
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
