//! The largest logits of each row among the classes of a group.

use super::batch::{Batch, grow};
use super::group::Group;
use crate::heads::Geometry;
use crate::ops::l2_normalize::longest_row;
use crate::ops::rows;
use crate::real::int8::{Codes, Native, Panels};
use crate::{Real, Result};
use ndarray::ArrayView2;
use std::cmp::Ordering;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Search<F> {
    /// How many classes of each row.
    pub wanted: usize,
    /// What inner products are multiplied by.
    pub scale: F,
    /// T: the sum is that of `exp(z / T)`.
    pub temperature: f64,
}

/// A class and its logit.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedClass<F> {
    pub logit: F,
    pub class: usize,
    /// The logit, by another order of additions, that the sum of exponentials has; -∞ if it has none.
    pub in_sum: F,
}

/// What is found of a row.
#[derive(Clone, Debug)]
pub(super) struct FoundRow<F> {
    /// The wanted classes among others, at most twice as many.
    pub largest: Vec<ListedClass<F>>,
    /// No smaller logit is wanted.
    threshold: F,
    /// The largest logit m of all, and `Σ exp((z - m) / T)`.
    pub sum: (f64, f64),
}

impl<F: Real> ListedClass<F> {
    /// Of equal logits that of the class with the lower index comes first.
    pub fn larger_first(&self, other: &Self) -> Ordering {
        larger_first(&(self.logit, self.class), &(other.logit, other.class))
    }
}

fn larger_first<F: Real>(a: &(F, usize), b: &(F, usize)) -> Ordering {
    b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

impl<F: Real> FoundRow<F> {
    fn new() -> Self {
        Self { largest: Vec::new(), threshold: F::neg_infinity(), sum: (f64::NEG_INFINITY, 0.0) }
    }

    fn offer(&mut self, wanted: usize, listed: ListedClass<F>) {
        if listed.logit < self.threshold {
            return;
        }
        self.largest.push(listed);
        if self.largest.len() >= 2 * wanted {
            let (_, last, _) = self.largest.select_nth_unstable_by(wanted - 1, ListedClass::larger_first);
            self.threshold = last.logit;
            self.largest.truncate(wanted);
        }
    }

    /// Adds what a block adds to the sum of exponentials.
    fn add(&mut self, maximum: F, sum: F, temperature: f64) {
        let (maximum, sum) = (maximum.to_double(), sum.to_double());
        let (before, sum_before) = self.sum;
        let largest = before.max(maximum);
        let relative = |logit: f64| ((logit - largest) / temperature).exp();
        self.sum = (largest, sum_before * relative(before) + sum * relative(maximum));
    }
}

/// Classes of a row that may be among those with the largest logits, by inner products that are off by a little.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates<F> {
    /// Inner products with their classes.
    pub near: Vec<(F, usize)>,
    /// The inner product that the last of the wanted ones has at least, once there are so many.
    last: Option<F>,
    /// How many there are before they are looked through.
    room: usize,
}

impl<F: Real> Candidates<F> {
    /// A class with this inner product, off by `off_by` at most, one of so many that are `wanted`.
    fn offer(&mut self, wanted: usize, product: F, off_by: F, class: usize) {
        self.near.push((product, class));
        if self.near.len() >= self.room.max(2 * wanted) {
            self.look_through(wanted, off_by);
        }
    }

    /// Leaves those that may be among the `wanted`.
    pub fn look_through(&mut self, wanted: usize, off_by: F) {
        if self.near.len() >= wanted {
            let (_, &mut (last, _), _) = self.near.select_nth_unstable_by(wanted - 1, larger_first);
            let last = last - off_by;
            self.near.retain(|&(product, _)| product + off_by >= last);
            self.last = Some(last);
        }
        self.room = 2 * self.near.len();
    }

    /// What a product that is off by `off_by` must reach.
    fn threshold(&self, off_by: F) -> F {
        self.last.map_or(F::neg_infinity(), |last| last - off_by)
    }
}

/// More candidates of a row leave it open.
pub(super) fn most_candidates(wanted: usize) -> usize {
    1024.max(16 * wanted)
}

/// The class vectors of a block.
struct Vectors<'a, F> {
    /// w̃ (columns, D)
    class_vectors: ArrayView2<'a, F>,
    first_column: usize,
    /// None is longer.
    longest: f64,
}

impl<F: Real> Group<F> {
    /// Looks through all classes of the group, whose vectors are `weights`, for each row.
    ///
    /// # Errors
    /// NaN, infinity, a class vector without direction. A row with an inner product too large for the precision is in `overflowed`.
    pub fn search(&mut self, batch: &Batch<F>, weights: &[F], search: Search<F>) -> Result<Vec<FoundRow<F>>> {
        self.overflowed = None;
        let mut found = vec![FoundRow::new(); batch.rows()];
        for block in self.blocks(&batch.blocks) {
            let weights = &weights[self.vectors_of(batch, block)];
            let columns = batch.blocks.columns_of(block);
            let longest = self.multiply(batch, weights, block)?;
            let class_vectors = self.unit.class_vectors(batch, weights, block)?;
            let products = self.products.of(batch, block);
            let vectors = Vectors { class_vectors, first_column: columns.start, longest };
            for (row, (found, products)) in found.iter_mut().zip(products.chunks_exact(columns.len())).enumerate() {
                batch.take_largest(search, row, products, &vectors, &mut self.changed, found);
            }
        }
        Ok(found)
    }

    /// Computes the products of `block`, whose class vectors are `weights`; of each class's centres the nearest or their mixture, and -∞. Returns what no class vector is longer than.
    ///
    /// # Errors
    /// NaN, infinity, a class vector without direction. The first row with an inner product too large for the precision is in `overflowed`.
    pub fn multiply(&mut self, batch: &Batch<F>, weights: &[F], block: usize) -> Result<f64> {
        let columns = batch.blocks.columns_of(block);
        let class_vectors = self.unit.class_vectors(batch, weights, block)?;
        let longest = match batch.geometry.normalizes_weights() {
            true => 1.0,
            false => longest_row("weights", columns.start, class_vectors)?,
        };
        let products = self.products.compute(batch, block, class_vectors, &mut self.operands);
        if !batch.holds_products(longest) {
            let overflowed = products.chunks_exact(columns.len()).position(|row| !rows::all_finite(row));
            self.overflowed = [self.overflowed, overflowed].into_iter().flatten().min();
        }
        self.products.choose_centres(batch, block);
        Ok(longest)
    }

    /// Leaves in `maxima` the largest inner product of each row in each block, by products of rows in 8 bits, `features` those of the batch. Returns by how much the class vector that is rounded
    /// most is rounded, and for each row which of the classes may be among the `wanted`.
    ///
    /// # Errors
    /// NaN, infinity, a class vector without direction.
    pub fn screen(
        &mut self,
        batch: &Batch<F>,
        weights: &[F],
        wanted: usize,
        native: Native,
        features: &Codes,
    ) -> Result<(f32, Vec<Candidates<F>>)> {
        self.maxima.clear();
        let mut candidates = vec![Candidates::default(); batch.rows()];
        let mut thresholds = Vec::new();
        let (mut codes, mut panels, mut largest_error) = (Codes::default(), Panels::default(), 0.0f32);
        for block in self.blocks(&batch.blocks) {
            let columns = batch.blocks.columns_of(block);
            let class_vectors = self.unit.class_vectors(batch, &weights[self.vectors_of(batch, block)], block)?;
            let singles = F::singles(class_vectors.to_slice().expect("w̃ is in row-major order"));
            codes.assign(singles.expect("screened in f32 alone"), batch.dimension());
            panels.assign(&codes, 0..columns.len());
            // What was found before is off by no more than this either.
            largest_error = largest_error.max(codes.largest_error(0..columns.len()));
            grow(&mut self.changed, batch.rows() * columns.len());
            let products = &mut self.changed[..batch.rows() * columns.len()];
            let singles = F::singles_mut(products).expect("screened in f32 alone");
            native.product(features, 0..batch.rows(), &panels, singles);
            let centres = batch.blocks.centres();
            rows::keep_largest(products, centres);
            thresholds.resize(columns.len(), F::zero());
            for (row, products) in products.chunks_exact(columns.len()).enumerate() {
                self.maxima.push(rows::maximum(products));
                let (candidates, off_by) = (&mut candidates[row], F::of(features.bound_of(row, largest_error).into()));
                if candidates.near.len() > most_candidates(wanted) {
                    continue;
                }
                thresholds.fill(candidates.threshold(off_by));
                rows::for_each_reaching(products, &thresholds, |place| {
                    if products[place] > F::neg_infinity() && products[place] >= candidates.threshold(off_by) {
                        candidates.offer(wanted, products[place], off_by, (columns.start + place) / centres);
                    }
                });
            }
        }
        Ok((largest_error, candidates))
    }

    /// After [`screen`](Self::screen), looks through the classes of those blocks in which a row has a maximum of at least `bars` (B,), and through its `candidates`, by an inner product
    /// with each by itself.
    pub fn search_screened(
        &mut self,
        batch: &Batch<F>,
        weights: &[F],
        search: Search<F>,
        bars: &[F],
        candidates: Vec<Candidates<F>>,
    ) -> Vec<FoundRow<F>> {
        let mut found = vec![FoundRow::new(); batch.rows()];
        let of_row =
            |(row, candidates): (usize, Candidates<F>)| candidates.near.into_iter().map(move |(_, class)| (class, row));
        let is_open = |row: usize| bars[row] == F::infinity();
        let mut candidates: Vec<_> =
            candidates.into_iter().enumerate().filter(|&(row, _)| !is_open(row)).flat_map(of_row).collect();
        candidates.sort_unstable();
        for block in self.blocks(&batch.blocks) {
            let maxima = &self.maxima[self.rows_of(batch, block)];
            let reaching = maxima.iter().zip(bars).enumerate().filter(|(_, (maximum, bar))| maximum >= bar);
            let reaching: Vec<_> = reaching.map(|(row, _)| row).collect();
            let classes = batch.blocks.classes_of(block);
            let position = |class| candidates.partition_point(|&(other, _)| other < class);
            let candidates = &candidates[position(classes.start)..position(classes.end)];
            if reaching.is_empty() && candidates.is_empty() {
                continue;
            }
            let columns = batch.blocks.columns_of(block);
            let weights = &weights[self.vectors_of(batch, block)];
            let class_vectors = self.unit.class_vectors(batch, weights, block).expect("checked when it was screened");
            let vectors = Vectors { class_vectors, first_column: columns.start, longest: 1.0 };
            let mut products = vec![F::zero(); columns.len()];
            let of_others = candidates.iter().filter(|(_, row)| reaching.binary_search(row).is_err());
            for &(class, row) in of_others {
                let logit = search.scale * batch.product_by_itself(row, class, &vectors);
                found[row].offer(search.wanted, ListedClass { logit, class, in_sum: F::neg_infinity() });
            }
            for row in reaching {
                let x = batch.row(row);
                for (product, vector) in products.iter_mut().zip(class_vectors.rows()) {
                    *product = rows::dot(x, vector.to_slice().expect("w̃ is in row-major order"));
                }
                rows::keep_largest(&mut products, batch.blocks.centres());
                batch.take_largest(search, row, &products, &vectors, &mut self.changed, &mut found[row]);
            }
        }
        found
    }
}

impl<F: Real> Batch<'_, F> {
    /// Adds a row's products with the classes of a block to what is found of it.
    fn take_largest(
        &self,
        search: Search<F>,
        row: usize,
        products: &[F],
        vectors: &Vectors<F>,
        thresholds: &mut Vec<F>,
        found: &mut FoundRow<F>,
    ) {
        let Search { wanted, scale, temperature } = search;
        let largest = scale * rows::maximum(products);
        let sum = rows::sum_of_powers(products, scale, largest, F::of(1.0 / temperature));
        found.add(largest, sum, temperature);
        let off_by = self.rounding(vectors.longest);
        grow(thresholds, products.len());
        let thresholds = &mut thresholds[..products.len()];
        thresholds.fill(found.threshold / scale - off_by);
        rows::for_each_reaching(products, thresholds, |place| {
            // The threshold may have risen since, and not the nearest of a class's centres is at -∞.
            let is_above = scale * (products[place] + off_by) >= found.threshold;
            if is_above && products[place] > F::neg_infinity() {
                let class = (vectors.first_column + place) / self.blocks.centres();
                let logit = scale * self.product_by_itself(row, class, vectors);
                found.offer(wanted, ListedClass { logit, class, in_sum: scale * products[place] });
            }
        });
    }

    /// What two inner products of the same rows, with bias, differ by at most, whatever the order of additions; of class vectors that are not longer than `longest`.
    fn rounding(&self, longest: f64) -> F {
        // Two sums, and what comes after them.
        let units = 2.0 * (self.dimension() + 8) as f64;
        let product = units * self.alpha.to_double().abs() * self.longest_feature * longest;
        // The derivatives of a mixture by its centres have no larger sum.
        let slopes = self.centre_temperature.map_or(1.0, |temperature| 1.0 + 2.0 / temperature.to_double());
        F::of((product * slopes + 8.0 * self.largest_bias) * F::epsilon().to_double())
    }

    /// The inner product of a row with a class by itself, with bias: that of its nearest centre, or their mixture. The order of additions is always the same.
    fn product_by_itself(&self, row: usize, class: usize, vectors: &Vectors<F>) -> F {
        let (x, centres) = (self.row(row), self.blocks.centres());
        let product = |centre: usize| {
            let vector = vectors.class_vectors.row(class * centres + centre - vectors.first_column);
            let product = rows::dot(x, vector.to_slice().expect("w̃ is in row-major order"));
            match self.geometry {
                Geometry::Sphere => product.max(-F::one()).min(F::one()),
                _ => product,
            }
        };
        let product = match self.centre_temperature {
            None => (0..centres).map(product).fold(F::neg_infinity(), F::max),
            Some(temperature) => {
                let mut products: Vec<_> = (0..centres).map(product).collect();
                rows::mix_centres(&mut products, &mut vec![F::zero(); centres], centres, temperature);
                products[0]
            }
        };
        self.alpha * product + self.bias.map_or(F::zero(), |bias| bias[class])
    }

    fn row(&self, row: usize) -> &[F] {
        self.features.row(row).to_slice().expect("x̃ is in row-major order")
    }
}
