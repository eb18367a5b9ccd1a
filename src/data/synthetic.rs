//! Synthetic stand-ins for pooled network features of birds.
//!
//! Each class is a point in a latent space, near the point of its family, so that classes of one family are easily
//! confused. A row is its class plus variation within the class (pose, light); a few rows vary much more (bad photographs). As
//! in a network, features are rectified linear units of the latent point, averaged over a few positions which each
//! see it a little differently: all are ≥ 0, many are small, and rows share a large mean.
//!
//! Nothing here comes from photographs: figures obtained on these features say nothing about birds.

use crate::optim::check_setting;
use crate::{Error, Result, memory};
use ndarray::{Array1, Array2, Axis, s};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Sizes and spreads of the synthetic features; spreads are standard deviations in the latent space.
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticBirds {
    /// Classes C.
    pub classes: usize,
    /// Classes in a family.
    pub family_size: usize,
    /// Training rows; classes take turns.
    pub train_rows: usize,
    /// Test rows; classes take turns.
    pub test_rows: usize,
    /// Features D.
    pub dimension: usize,
    /// Spread of families.
    pub family_spread: f64,
    /// Spread of classes in their family.
    pub class_spread: f64,
    /// Spread of rows in their class.
    pub row_spread: f64,
    /// Share of rows whose spread is doubled.
    pub bad_rows: f64,
    /// Spread of rows in a few directions of the latent space that say nothing of the class, as pose and light do; the same directions for all
    /// classes, known and unknown. None where it is 0.
    pub nuisance_spread: f64,
    /// Seed of everything drawn.
    pub seed: u64,
}

impl Default for SyntheticBirds {
    /// The sizes of CUB-200-2011 through EfficientNet-B0.
    fn default() -> Self {
        Self {
            classes: 200,
            family_size: 5,
            train_rows: 5994,
            test_rows: 5794,
            dimension: 1280,
            family_spread: 1.0,
            class_spread: 0.6,
            row_spread: 1.5,
            bad_rows: 0.1,
            nuisance_spread: 0.0,
            seed: 0,
        }
    }
}

/// Features (N, D) and labels (N,).
pub type LabelledRows = (Array2<f32>, Array1<i64>);

/// Dimension of the latent space.
const LATENT: usize = 64;
/// Directions of it that say nothing of the class.
const NUISANCES: usize = 8;
/// Positions that features are averaged over.
const POSITIONS: usize = 4;
/// Spread of what a position sees around the row's latent point.
const POSITION_SPREAD: f64 = 0.5;
/// Mean and spread of the units' thresholds, in standard deviations of their input: most are off for most rows.
const THRESHOLD: (f64, f64) = (0.4, 0.9);
/// The largest spread: far past all use, and small enough that all squares are finite in single precision.
const LARGEST_SPREAD: f64 = 1e6;

impl SyntheticBirds {
    /// The training rows and the test rows.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, fewer rows than classes, more than memory can be had for, or a spread out of range.
    pub fn generate(&self) -> Result<(LabelledRows, LabelledRows)> {
        self.check()?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let families = gaussian(self.classes.div_ceil(self.family_size), LATENT, self.family_spread, &mut rng);
        let family_of_class: Vec<_> = (0..self.classes).map(|class| class / self.family_size).collect();
        let classes =
            families.select(Axis(0), &family_of_class) + gaussian(self.classes, LATENT, self.class_spread, &mut rng);
        let network = Network::draw(self.dimension, &mut rng);
        let nuisances = (self.nuisance_spread > 0.0)
            .then(|| gaussian(NUISANCES, LATENT, self.nuisance_spread / (LATENT as f64).sqrt(), &mut rng));
        let mut rows = |count| self.rows(count, &classes, &network, nuisances.as_ref(), &mut rng);
        Ok((rows(self.train_rows), rows(self.test_rows)))
    }

    fn check(&self) -> Result<()> {
        let at_least = |name, value: usize, minimum: usize| match value >= minimum {
            true => Ok(()),
            false => Err(Error::Setting { name, value: value.to_string(), expected: format!("at least {minimum}") }),
        };
        at_least("classes", self.classes, 2)?;
        at_least("family size", self.family_size, 1)?;
        at_least("dimension", self.dimension, 1)?;
        at_least("train rows", self.train_rows, self.classes)?;
        at_least("test rows", self.test_rows, 1)?;
        for (name, spread) in [
            ("family spread", self.family_spread),
            ("class spread", self.class_spread),
            ("row spread", self.row_spread),
            ("nuisance", self.nuisance_spread),
        ] {
            let in_range = (0.0..=LARGEST_SPREAD).contains(&spread);
            check_setting(name, spread, in_range, "a number from 0 to 1000000")?;
        }
        check_setting("bad rows", self.bad_rows, (0.0..=1.0).contains(&self.bad_rows), "a share, from 0 to 1")?;
        let rows = self.train_rows.checked_add(self.test_rows);
        let features = rows.and_then(|rows| rows.checked_mul(self.dimension));
        let latent = self.classes.checked_add(self.dimension).and_then(|columns| columns.checked_mul(LATENT));
        let numbers = features.zip(latent).and_then(|(features, latent)| features.checked_add(latent));
        let sizes = format!("({}, {}, {}, {})", self.classes, self.train_rows, self.test_rows, self.dimension);
        memory::check::<f32>("size (classes, train rows, test rows, dimension)", sizes, numbers)
    }

    fn rows(
        &self,
        count: usize,
        classes: &Array2<f32>,
        network: &Network,
        nuisances: Option<&Array2<f32>>,
        rng: &mut ChaCha8Rng,
    ) -> LabelledRows {
        let labels = Array1::from_shape_fn(count, |row| (row % self.classes) as i64);
        let mut features = Array2::zeros((count, self.dimension));
        for (row, mut features) in features.rows_mut().into_iter().enumerate() {
            let spread = if rng.random_bool(self.bad_rows) { 2.0 * self.row_spread } else { self.row_spread };
            let mut latent = &classes.row(row % self.classes) + &gaussian(1, LATENT, spread, rng).row(0);
            if let Some(nuisances) = nuisances {
                latent += &gaussian(1, NUISANCES, 1.0, rng).row(0).dot(nuisances);
            }
            let seen = gaussian(POSITIONS, LATENT, POSITION_SPREAD, rng) + &latent;
            features.assign(&network.pooled(&seen));
        }
        (features, labels)
    }
}

/// One layer of rectified linear units.
struct Network {
    /// (LATENT, D)
    weights: Array2<f32>,
    /// (D,)
    thresholds: Array1<f32>,
}

impl Network {
    fn draw(dimension: usize, rng: &mut impl Rng) -> Self {
        let weights = gaussian(LATENT, dimension, 1.0 / (LATENT as f64).sqrt(), rng);
        let (mean, spread) = THRESHOLD;
        let thresholds = gaussian(1, dimension, spread, rng).slice_move(s![0, ..]) + mean as f32;
        Self { weights, thresholds }
    }

    /// The units' outputs, averaged over positions (P, LATENT): (D,).
    fn pooled(&self, seen: &Array2<f32>) -> Array1<f32> {
        let outputs = (seen.dot(&self.weights) - &self.thresholds).mapv_into(|input| input.max(0.0));
        outputs.sum_axis(Axis(0)) / POSITIONS as f32
    }
}

fn gaussian(rows: usize, columns: usize, spread: f64, rng: &mut impl Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, columns), || {
        let value: f64 = StandardNormal.sample(rng);
        (spread * value) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::l2_normalize;
    use ndarray::ArrayView2;

    fn small() -> SyntheticBirds {
        SyntheticBirds { classes: 20, train_rows: 205, test_rows: 100, dimension: 256, ..SyntheticBirds::default() }
    }

    /// Of every pair of rows.
    fn cosines(rows: ArrayView2<f32>) -> Array2<f32> {
        let unit = l2_normalize::forward("features", rows).expect("no row is zero").unit;
        unit.dot(&unit.t())
    }

    #[test]
    fn sizes_and_labels_are_those_asked_for() {
        let (train, test) = small().generate().expect("sensible sizes");
        assert_eq!((train.0.dim(), train.1.len(), test.0.dim(), test.1.len()), ((205, 256), 205, (100, 256), 100));
        for class in 0..20 {
            let count = train.1.iter().filter(|&&label| label == class).count();
            assert!((10..=11).contains(&count), "class {class} has {count} rows");
        }
    }

    #[test]
    fn features_look_like_pooled_activations() {
        let ((features, _), _) = small().generate().expect("sensible sizes");
        assert!(features.iter().all(|&value| value >= 0.0));
        let cosine = cosines(features.view());
        let rows = features.nrows() as f32;
        let mean_of_pairs = (cosine.sum() - rows) / (rows * (rows - 1.0));
        assert!((0.35..0.65).contains(&mean_of_pairs), "mean pairwise cosine {mean_of_pairs}");
    }

    #[test]
    fn the_seed_decides() {
        let generate = |seed| SyntheticBirds { seed, ..small() }.generate().expect("sensible sizes");
        assert_eq!(generate(1), generate(1));
        assert_ne!(generate(1).0.0, generate(2).0.0);
    }

    #[test]
    fn nuisances_bring_rows_of_a_class_no_nearer_to_each_other() {
        let mean_cosine_of_class = |nuisance_spread| {
            let (train, _) = SyntheticBirds { nuisance_spread, ..small() }.generate().expect("sensible sizes");
            let of_class: Vec<usize> = (0..205).step_by(20).collect();
            let rows = train.0.select(Axis(0), &of_class);
            cosines(rows.view()).sum()
        };
        assert!(mean_cosine_of_class(8.0) < mean_cosine_of_class(0.0));
        let error = SyntheticBirds { nuisance_spread: -1.0, ..small() }.generate().expect_err("no spread").to_string();
        assert_eq!(error, "nuisance is -1; expected a number from 0 to 1000000");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error_before_anything_is() {
        for (birds, text) in [
            (SyntheticBirds { nuisance_spread: 1e300, ..small() }, "nuisance is 1e300; expected a number from 0 to"),
            (SyntheticBirds { row_spread: f64::NAN, ..small() }, "row spread is NaN; expected a number from 0 to"),
            (SyntheticBirds { bad_rows: 1.5, ..small() }, "bad rows is 1.5; expected a share"),
            (SyntheticBirds { dimension: usize::MAX, ..small() }, "dimension) is (20, 205, 100, 18446744073709551615)"),
            (SyntheticBirds { test_rows: usize::MAX / 2048, ..small() }, "there is no memory for so much"),
            (SyntheticBirds { classes: usize::MAX / 64, train_rows: usize::MAX / 64, ..small() }, "no memory"),
        ] {
            let error = birds.generate().expect_err("it cannot be drawn").to_string();
            assert!(error.contains(text), "{error}");
        }
        let largest = SyntheticBirds { nuisance_spread: LARGEST_SPREAD, row_spread: LARGEST_SPREAD, ..small() };
        let (train, _) = largest.generate().expect("it can be drawn");
        assert!(train.0.iter().all(|value| (value * value * 1e3).is_finite()));
    }

    #[test]
    fn too_few_rows_are_an_error() {
        let error = SyntheticBirds { train_rows: 10, ..small() }.generate().expect_err("fewer rows than classes");
        assert_eq!(error.to_string(), "train rows is 10; expected at least 20");
    }
}
