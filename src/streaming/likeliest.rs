//! The classes with the largest inference logits, of any number of classes.

use super::Streaming;
use super::batch::Batch;
use super::group::Group;
use super::merge::logit_not_finite;
use super::prepare::{Inputs, in_parallel, in_pool};
use super::search::{Candidates, FoundRow, ListedClass, Search, most_candidates};
use crate::heads::checked::Checked;
use crate::heads::{Geometry, Head, ParametersView};
use crate::metrics::temperature::check_temperature;
use crate::ops::Objective;
use crate::real::SingleThreaded;
use crate::real::int8::{Codes, MOST_DIMENSIONS, Native};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Classes below which products of all in full precision are as fast.
const MANY: usize = 8192;

/// What may be left out of a sum of exponentials, relative to it.
const NEGLIGIBLE: f64 = 1e-7;

/// With one block in so many, an inner product with each by itself takes as long as those with all in full precision.
const DENSE: usize = 8;

/// The classes with the largest inference logits of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Likeliest<F> {
    /// (B, k) the classes, that of the largest logit first; of equal logits the class with the lower index. Logits are compared before a threshold is subtracted, which can round two of
    /// them to one.
    pub classes: Array2<usize>,
    /// (B, k) their logits z.
    pub logits: Array2<F>,
    /// (B, k) their probabilities, `exp(z / T) / Σ_j exp(z_j / T)` over all classes; from 0 to 1.
    pub probabilities: Array2<f64>,
}

/// A class of one row, with its logit and its probability.
type LikelyClass<F> = (usize, F, f64);

impl<F: Real> Streaming<F> {
    /// The `count` classes with the largest [`logits`](Head::logits) of each row of `features` (B, D), which are never all in memory, with their probabilities at `temperature`, T: 1, or
    /// what a [calibration](crate::metrics::temperature) has found.
    ///
    /// Each of the listed logits is that of an inner product of its own, the same bits and the same order for any number of threads, on any processor and at any temperature. Probabilities are
    /// off by rounding. Where the processor has AVX512-VNNI and there are many classes on the sphere, inner products of rows in 8 bits, with a bound on what they are off by, tell
    /// first which classes can be among the `count` or have a visible probability; what the others would add to `Σ_j exp(z_j / T)` is left out, a 10⁻⁷ of it at most.
    ///
    /// # Errors
    /// As [`Head::logits`]; [`Error::Setting`] unless `count` is from 1 to C, and for a temperature that is none.
    pub fn likeliest<'p>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: impl Into<ParametersView<'p, F>>,
        count: usize,
        temperature: f64,
    ) -> Result<Likeliest<F>> {
        let parameters = parameters.into();
        let checked = Checked::new(head, features, &parameters, None)?;
        check_temperature(temperature)?;
        if count == 0 || count > checked.classes {
            let expected = format!("1 to {}, the classes", checked.classes);
            return Err(Error::Setting { name: "the number of classes", value: count.to_string(), expected });
        }
        let weights = parameters.weights.as_standard_layout();
        let weights = weights.as_slice().expect("in standard layout");
        let native = screens::<F>(&checked, features.ncols(), temperature);
        let rows = in_pool(|| {
            let _single_threaded = SingleThreaded::begin();
            let mut found = match native {
                Some(_) => self.search(head, features, &parameters, weights, (count, temperature), native)?,
                None => vec![None; features.nrows()],
            };
            let open: Vec<_> = (0..found.len()).filter(|&row| found[row].is_none()).collect();
            if !open.is_empty() {
                let features = features.select(Axis(0), &open);
                let of_open = self.search(head, features.view(), &parameters, weights, (count, temperature), None);
                // Rows are counted as they came.
                let of_open = of_open.map_err(|error| error.of_row("features", |row| open[row]))?;
                open.into_iter().zip(of_open).for_each(|(row, of_row)| found[row] = of_row);
            }
            Ok::<_, Error>(found)
        })?;
        let rows = rows.into_iter().flat_map(|row| row.expect("found in full precision, at the latest"));
        let rows: Vec<_> = rows.collect();
        let shape = (features.nrows(), count);
        fn column<F, T>(
            shape: (usize, usize),
            rows: &[LikelyClass<F>],
            part: impl Fn(&LikelyClass<F>) -> T,
        ) -> Array2<T> {
            Array2::from_shape_vec(shape, rows.iter().map(part).collect()).expect("as many of each row as are wanted")
        }
        Ok(Likeliest {
            classes: column(shape, &rows, |&(class, ..)| class),
            logits: column(shape, &rows, |&(_, logit, _)| logit),
            probabilities: column(shape, &rows, |&(.., probability)| probability),
        })
    }

    /// The likeliest classes of each row, `weights` those of `parameters` in row-major order; with `native` of those alone that products in 8 bits do not leave open.
    fn search(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: &ParametersView<F>,
        weights: &[F],
        (count, temperature): (usize, f64),
        native: Option<Native>,
    ) -> Result<Vec<Option<Vec<LikelyClass<F>>>>> {
        let Self { unit_features, feature_norms, groups, .. } = self;
        let checked = Checked::new(head, features, parameters, None)?;
        let bias = checked.bias.as_ref().map(|bias| bias.as_standard_layout());
        let bias = bias.as_ref().map(|bias| bias.as_slice().expect("in standard layout"));
        // No label has a part in it.
        let labels = Array1::zeros(features.nrows());
        let objective = Objective::from(labels.view());
        let inputs = Inputs { features, objective: &objective, checked: &checked, bias };
        let prepared = inputs.prepare(unit_features, feature_norms)?;
        let batch = prepared.batch(&inputs, &[], &[], &[]);
        prepared.begin(groups, 0, false);
        let (scale, parts) = (prepared.scale, prepared.blocks.split(weights, batch.dimension()));
        let search = Search { wanted: count, scale, temperature };
        let (of_groups, is_open) = match native {
            None => {
                let search = |group: &mut Group<F>, part| group.search(&batch, part, search);
                let of_groups = in_parallel(groups, parts, search).into_iter().collect::<Result<Vec<_>>>()?;
                if let Some(row) = groups.iter().filter_map(|group| group.overflowed).min() {
                    return Err(logit_not_finite(&batch, weights, scale, row, None));
                }
                (of_groups, vec![false; batch.rows()])
            }
            Some(native) => {
                let mut codes = Codes::default();
                let unit = batch.features.to_slice().expect("x̃ is in row-major order");
                codes.assign(F::singles(unit).expect("screened in f32 alone"), batch.dimension());
                let screen = |group: &mut Group<F>, part| group.screen(&batch, part, count, native, &codes);
                let screened = in_parallel(groups, parts.clone(), screen).into_iter().collect::<Result<Vec<_>>>()?;
                let error = screened.iter().fold(0.0, |largest: f32, &(error, _)| largest.max(error));
                let off_by = |row| F::of(codes.bound_of(row, error).into());
                let mut candidates: Vec<_> = screened.into_iter().map(|(_, candidates)| candidates).collect();
                candidates.iter_mut().for_each(|rows| {
                    rows.iter_mut().enumerate().for_each(|(row, near)| near.look_through(count, off_by(row)));
                });
                let bar = |row: usize| {
                    let are_few = candidates
                        .iter()
                        .all(|rows: &Vec<Candidates<F>>| rows[row].near.len() <= most_candidates(count));
                    if are_few { visible(groups, &batch, search, row, off_by(row)) } else { F::infinity() }
                };
                let bars: Vec<_> = (0..batch.rows()).map(bar).collect();
                let parts = parts.into_iter().zip(candidates).collect();
                let search = |group: &mut Group<F>, (part, candidates)| {
                    group.search_screened(&batch, part, search, &bars, candidates)
                };
                let of_groups = in_parallel(groups, parts, search);
                (of_groups, bars.into_iter().map(|bar| bar == F::infinity()).collect())
            }
        };
        let mut of_groups: Vec<_> = of_groups.into_iter().map(Vec::into_iter).collect();
        let of_row = |is_open: bool| {
            let parts = of_groups.iter_mut().map(|rows| rows.next().expect("each group has every row"));
            let parts: Vec<_> = parts.collect();
            (!is_open).then(|| likeliest_of_row(parts, search, checked.threshold))
        };
        Ok(is_open.into_iter().map(of_row).collect())
    }
}

/// What the screened maximum of a block must reach for a class in it to have a visible probability; infinite if that is so in too many blocks. Screened products of the row are off by
/// `off_by` at most.
fn visible<F: Real>(groups: &[Group<F>], batch: &Batch<F>, search: Search<F>, row: usize, off_by: F) -> F {
    let maxima = || groups.iter().flat_map(|group| group.maxima.iter().skip(row).step_by(batch.rows()));
    let largest = maxima().fold(F::neg_infinity(), |largest, &maximum| largest.max(maximum));
    let classes = batch.blocks.columns_of(batch.blocks.count() - 1).end;
    let reach = F::of(reach(classes, search.temperature)) / search.scale;
    let bar = largest - off_by - reach - off_by;
    let reaching = maxima().filter(|&&maximum| maximum >= bar).count();
    if reaching * DENSE <= batch.blocks.count() { bar } else { F::infinity() }
}

/// How far below the largest logit m those are that `classes` of together have no visible part in a sum of exponentials, each `exp((z - m) / T)`.
fn reach(classes: usize, temperature: f64) -> f64 {
    temperature * (classes as f64 / NEGLIGIBLE).ln()
}

/// Whether products of rows in 8 bits may tell which classes count.
fn screens<F: Real>(checked: &Checked<F>, dimension: usize, temperature: f64) -> Option<Native> {
    let has_cosines = checked.geometry == Geometry::Sphere && checked.centre_temperature.is_none();
    let fits = F::singles(&[]).is_some() && dimension <= MOST_DIMENSIONS && checked.classes >= MANY;
    // As many cosines lie below 0 as above, where there are many classes.
    let is_narrow = reach(checked.classes, temperature) < checked.scale.to_double();
    if has_cosines && fits && is_narrow { Native::detect() } else { None }
}

/// What all groups have found of a row.
fn likeliest_of_row<F: Real>(parts: Vec<FoundRow<F>>, search: Search<F>, threshold: F) -> Vec<LikelyClass<F>> {
    let mut listed: Vec<_> = parts.iter().flat_map(|part| part.largest.iter().copied()).collect();
    listed.sort_unstable_by(ListedClass::larger_first);
    listed.truncate(search.wanted);
    let largest = parts.iter().fold(listed[0].logit.to_double(), |largest, part| largest.max(part.sum.0));
    let exp = |logit: f64| ((logit - largest) / search.temperature).exp();
    let of_listed: f64 = listed.iter().map(|listed| exp(listed.logit.to_double())).sum();
    // With the logits that are listed, or a probability might be above 1.
    let as_summed: f64 = listed.iter().map(|listed| exp(listed.in_sum.to_double())).sum();
    let all: f64 = parts.iter().map(|part| part.sum.1 * exp(part.sum.0)).sum();
    let sum = of_listed + (all - as_summed).max(0.0);
    // Before the threshold is subtracted, on which probabilities do not depend: rounding would.
    let likely = |listed: ListedClass<F>| (listed.class, listed.logit - threshold, exp(listed.logit.to_double()) / sum);
    listed.into_iter().map(likely).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::{NormSoftmax, Scale};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn rows_near_a_class_are_decided_in_8_bits_and_others_left_open() {
        let Some(native) = Native::detect() else { return };
        let (classes, dimension) = (MANY, 128);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut random = |rows| Array2::from_shape_simple_fn((rows, dimension), || rng.random_range(-1.0f32..1.0));
        let (weights, mut features) = (random(classes), random(20));
        for (row, mut feature) in features.rows_mut().into_iter().enumerate().filter(|(row, _)| row % 2 == 0) {
            feature *= 0.5;
            feature += &weights.row(100 * row);
        }
        let head = NormSoftmax { scale: Scale::Fixed(64.0) };
        let parameters = head.initial_parameters(weights).expect("enough classes");
        let parameters = ParametersView::from(&parameters);
        let checked = Checked::new(&head, features.view(), &parameters, None).expect("a good case");
        // ln(10⁷ C) is 25.1.
        let is_screened = |temperature| screens::<f32>(&checked, dimension, temperature).is_some();
        assert_eq!([0.3, 1.0, 2.5, 2.6, 5.0].map(is_screened), [true, true, true, false, false]);
        let weights = parameters.weights.as_slice().expect("in standard layout");
        let search = |native| {
            let found = Streaming::default().search(&head, features.view(), &parameters, weights, (1, 1.0), native);
            found.expect("a good case")
        };
        for (row, (screened, full)) in search(Some(native)).into_iter().zip(search(None)).enumerate() {
            let (class, logit, probability) = full.expect("full precision leaves nothing open")[0];
            assert_eq!(screened.is_some(), row % 2 == 0, "row {row}");
            if let Some(of_screened) = screened {
                assert_eq!((of_screened[0].0, of_screened[0].1), (class, logit));
                // A cosine's rounding, times the scale.
                approx::assert_relative_eq!(
                    of_screened[0].2,
                    probability,
                    max_relative = 64.0 * 16.0 * f64::from(f32::EPSILON)
                );
            }
        }
    }
}
