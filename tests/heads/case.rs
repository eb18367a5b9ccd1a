//! Random heads on random batches, described so that a failing one can be read and made again.

use super::objective_case::{Owned, Settings};
use super::rules::Rules;
use arcos::heads::{Geometry, Gradients, Loss, OptionInfo, StateValue};
use arcos::ops::{Angle, IGNORE_LABEL, l2_normalize};
use arcos::optim::{Moments, Optimizer};
use arcos::{AnyHead, Error, Head, Parameters, Real};
use ndarray::{Array1, Array2};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Whether features and class vectors are divided by their norms.
pub fn is_on_sphere(head: &impl Head) -> bool {
    head.geometry() == Geometry::Sphere
}

/// A head and a batch. `Debug` is all there is to know: `build` makes the arrays from it.
#[derive(Clone, Debug)]
pub struct Case {
    /// `name:option=value:...`; `previous` is the scale of AdaCos's step before.
    pub spec: String,
    pub batch: usize,
    pub dimension: usize,
    pub classes: usize,
    /// Rows that turn out ignored, but never all.
    pub ignored: usize,
    pub last_row: LastRow,
    pub objective: Settings,
    pub seed: u64,
}

/// Where the last row of features points; it always has a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LastRow {
    Anywhere,
    /// At this angle from its class vector, in radians.
    Near(f64),
    /// At this angle from the opposite of its class vector, in radians.
    Opposite(f64),
}

/// A case's arrays.
#[derive(Clone, Debug)]
pub struct Arrays {
    pub head: AnyHead,
    pub features: Array2<f64>,
    pub parameters: Parameters<f64>,
    pub labels: Array1<i64>,
}

/// Numbers with few digits, for counterexamples that can be read; now and then an end of the range.
fn rounded(range: std::ops::RangeInclusive<f64>) -> impl Strategy<Value = f64> {
    let (start, end) = range.clone().into_inner();
    let inside = range.prop_map(move |value| ((value * 1e3).round() / 1e3).clamp(start, end));
    prop_oneof![12 => inside, 1 => Just(start), 1 => Just(end)]
}

/// [`scale`], and now and then a rule, as part of a spec.
fn scale_or_rule() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => scale().prop_map(|scale| format!("scale={scale}")),
        1 => Just("scale=fixed-adacos".to_owned()),
        1 => Just("scale=learned".to_owned()),
        1 => scale().prop_map(|previous| format!("scale=adacos:previous={previous}")),
    ]
}

/// Scales from 0.25 to 128, as many small as large.
fn scale() -> impl Strategy<Value = f64> {
    rounded(-2.0..=7.0).prop_map(f64::exp2)
}

/// Whether an option of the head called `name` takes whole numbers alone.
pub fn is_whole(name: &str, option: &OptionInfo) -> bool {
    matches!(AnyHead::new(name, &[(option.name, "1.5")]), Err(Error::Setting { .. }))
}

/// The head called `name` with options over their whole range, as far as rounding leaves something to compare, and any state.
pub fn spec(name: &'static str) -> BoxedStrategy<String> {
    let options = AnyHead::options_of(name).expect("a listed head");
    let remembered = head(name).0.state().iter().map(|&StateValue { name, first, .. }| {
        // By as much as it is, or by 1.
        let value = if first == 0.0 { rounded(-1.0..=1.0).boxed() } else { rounded(first / 32.0..=first).boxed() };
        value.prop_map(move |value| format!(":state.{name}={value}")).boxed()
    });
    let previous = (name == "adacos").then(|| scale().prop_map(|previous| format!(":previous={previous}")).boxed());
    let values = options.into_iter().filter(|option| !["max-scale", "learn-alpha"].contains(&option.name));
    let values = values.map(|option| match (option.name, option.range) {
        ("scale", _) => scale_or_rule().prop_map(|scale| format!(":{scale}")).boxed(),
        ("alpha", _) => scale().prop_map(|alpha| format!(":alpha={alpha}")).boxed(),
        (_, Some(range)) if is_whole(name, &option) => (range.from as usize..=range.to.min(4.0) as usize)
            .prop_map(move |value| format!(":{}={value}", option.name))
            .boxed(),
        (_, Some(range)) => rounded(range.from.max(1e-3).min(range.to)..=range.to.min(8.0))
            .prop_map(move |value| format!(":{}={value}", option.name))
            .boxed(),
        (_, None) if option.words.is_empty() => Just(String::new()).boxed(),
        (_, None) => {
            prop::sample::select(option.words).prop_map(move |word| format!(":{}={word}", option.name)).boxed()
        }
    });
    let parts: Vec<_> = values.chain(remembered).chain(previous).collect();
    let spec = parts.prop_map(move |parts| format!("{name}{}", parts.concat()));
    spec.prop_filter("options that go together", |spec| made(spec).is_ok()).boxed()
}

/// Any head, on any small batch.
pub fn case() -> impl Strategy<Value = Case> {
    case_of(|_| true)
}

/// Any of the heads that are `wanted`, on any small batch.
pub fn case_of(wanted: impl Fn(&AnyHead) -> bool) -> impl Strategy<Value = Case> {
    let names: Vec<_> = AnyHead::names().filter(|name| wanted(&head(name).0)).collect();
    let last_row = prop_oneof![
        2 => Just(LastRow::Anywhere),
        1 => rounded(-4.0..=-1.0).prop_map(|exponent| LastRow::Near(10f64.powf(exponent))),
        1 => rounded(-4.0..=-1.0).prop_map(|exponent| LastRow::Opposite(10f64.powf(exponent))),
    ];
    let sizes = (1usize..=6, 1usize..=7, 2usize..=8, 0usize..=2);
    (prop::sample::select(names).prop_flat_map(spec), sizes, last_row, 0..10_000u64).prop_map(
        |(spec, (batch, dimension, classes, ignored), last_row, seed)| {
            // √2 ln(C - 1) must be positive.
            let classes = if spec.contains("adacos") { classes.max(3) } else { classes };
            let ignored = ignored.min(batch - 1);
            let objective = Settings::default();
            Case { spec, batch, dimension, classes, ignored, last_row, objective, seed }
        },
    )
}

/// [`made`], of a spec that is known to be good.
pub fn head(spec: &str) -> (AnyHead, Option<f64>) {
    made(spec).expect("options in range")
}

/// The head of a spec and the scale of the step before, if it says so.
pub fn made(spec: &str) -> arcos::Result<(AnyHead, Option<f64>)> {
    let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
    let options = options.split(':').filter_map(|option| option.split_once('='));
    let options = options.filter(|(option, _)| !option.starts_with("state."));
    let (previous, options): (Vec<_>, Vec<_>) = options.partition(|&(option, _)| option == "previous");
    let previous = previous.first().map(|(_, value)| value.parse().expect("a number"));
    Ok((AnyHead::new(name, &options)?, previous))
}

/// What the rounding of a loss is relative to. Without the labelled class in its sum it is a difference, which may cancel to anything.
pub fn loss_size(head: &impl Head, loss: f64) -> f64 {
    if head.loss() == Loss::Nca { 1.0 + loss.abs() } else { loss.abs() }
}

/// How much a choice among centres may multiply the rounding of a cosine: 1/γ where it is soft.
pub fn choice_factor(head: &impl Head) -> f64 {
    head.centre_temperature().map_or(1.0, |gamma| gamma.recip().max(1.0))
}

/// What a spec says of the state of the step before, `state.NAME=VALUE`.
fn state_of(spec: &str) -> impl Iterator<Item = (String, f64)> {
    let options = spec.split(':').filter_map(|option| option.strip_prefix("state.")?.split_once('='));
    options.map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
}

/// Class vectors (C·K, D) of which every other one of a class is that of `weights` (C, D), and the rest are opposite.
pub fn with_centres<F: Real>(weights: &Array2<F>, centres: usize) -> Array2<F> {
    let sign = |row: usize| if (row % centres).is_multiple_of(2) { F::one() } else { -F::one() };
    let shape = (weights.nrows() * centres, weights.ncols());
    Array2::from_shape_fn(shape, |(row, column)| sign(row) * weights[[row / centres, column]])
}

/// `parameters` with `vector` by this name.
pub fn with_vector<F>(mut parameters: Parameters<F>, name: &str, vector: Array1<F>) -> Parameters<F> {
    parameters.vectors.insert(name.into(), vector);
    parameters
}

/// `parameters` with this scale of the step before.
pub fn with_scale<F>(mut parameters: Parameters<F>, scale: f64) -> Parameters<F> {
    parameters.state.insert("scale".into(), scale);
    parameters
}

/// `parameters` in another precision.
pub fn converted<F: Real>(parameters: &Parameters<f64>) -> Parameters<F> {
    let vectors = parameters.vectors.iter().map(|(name, vector)| (name.clone(), vector.mapv(F::of)));
    // What is remembered is of the precision that it was computed in.
    let state = parameters.state.iter().map(|(name, &value)| (name.clone(), F::of(value).to_double()));
    Parameters { weights: parameters.weights.mapv(F::of), vectors: vectors.collect(), state: state.collect() }
}

/// The moments that training needs.
pub fn moments<F: Real>(optimizer: &Optimizer, head: &impl Head, parameters: &Parameters<F>) -> Vec<Moments<F>> {
    parameters.trained(head).into_iter().map(|(_, length)| optimizer.moments(length)).collect()
}

/// Every gradient but those of features and weights, as rows by their names.
pub fn rows_by_name<F: Real>(gradients: &Gradients<F>) -> Vec<(&str, Array2<F>)> {
    let rows = gradients.d_vectors.iter();
    rows.map(|(name, vector)| (name.as_str(), vector.clone().insert_axis(ndarray::Axis(0)))).collect()
}

impl Case {
    /// How many training rows each class has.
    pub fn class_sizes(&self) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed + 1);
        (0..self.classes).map(|_| rng.random_range(0..50)).collect()
    }

    pub fn build(&self) -> Arrays {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut gaussian = |rows, columns| -> Array2<f64> {
            Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
        };
        let (mut head, previous) = head(&self.spec);
        head.count_classes(&self.class_sizes());
        let mut weights = gaussian(self.classes * head.centres(), self.dimension);
        let mut features = gaussian(self.batch, self.dimension);
        let bias = gaussian(1, self.classes).remove_axis(ndarray::Axis(0));
        let (mut labels, mut norms) = (Vec::new(), Vec::new());
        for _ in 0..self.batch {
            labels.push(rng.random_range(0..self.classes) as i64);
            norms.push(10f64.powf(rng.random_range(-1.0..1.0)));
        }
        if let LastRow::Near(angle) | LastRow::Opposite(angle) = self.last_row {
            let last = self.batch - 1;
            let unit = l2_normalize::forward("weights", weights.view()).expect("rows are not zero").unit;
            let toward = unit.row(labels[last] as usize * head.centres());
            let aside = &features.row(last) - &(&toward * features.row(last).dot(&toward));
            let length = aside.dot(&aside).sqrt();
            // In one dimension there is no aside.
            let aside = if length > 1e-9 { aside / length } else { aside * 0.0 };
            let sign = if matches!(self.last_row, LastRow::Near(_)) { 1.0 } else { -1.0 };
            features.row_mut(last).assign(&(&toward * (sign * angle.cos()) + aside * angle.sin()));
        }
        for (mut row, norm) in features.rows_mut().into_iter().zip(norms) {
            row *= norm;
        }
        labels[..self.ignored].fill(IGNORE_LABEL);

        // Class vectors of different lengths too, where it is their direction that counts.
        if is_on_sphere(&head) {
            for mut row in weights.rows_mut() {
                row *= 10f64.powf(rng.random_range(-1.0..1.0));
            }
        }
        let mut parameters = head.initial_parameters(weights).expect("enough classes for the head");
        if parameters.vectors.contains_key("bias") {
            parameters = with_vector(parameters, "bias", bias);
        }
        if let Some(previous) = previous {
            parameters = with_scale(parameters, previous);
        }
        parameters.state.extend(state_of(&self.spec));
        Arrays { head, features, parameters, labels: labels.into() }
    }
}

impl Case {
    /// Those parts of the objective that the head's loss has.
    pub fn settings(&self) -> Settings {
        match head(&self.spec).0.loss() {
            Loss::Softmax | Loss::Nca => self.objective,
            Loss::EachClass(_) => self.objective.weights_alone(),
            Loss::Anchors => Settings::default(),
        }
    }

    /// What its step minimises.
    pub fn owned_objective(&self, labels: &Array1<i64>) -> Owned<f64> {
        Owned::new(self.settings(), labels.clone(), self.classes, self.seed)
    }
}

impl Arrays {
    /// The head's rules on this batch.
    pub fn rules(&self) -> Rules<'_, AnyHead> {
        Rules::new(&self.head, &self.features, &self.parameters, &self.labels)
    }

    /// The angle of each labelled row to its class vector, of several to the nearest.
    pub fn angles(&self) -> Vec<f64> {
        let unit = |x: &Array2<f64>| l2_normalize::forward("x", x.view()).expect("rows are not zero").unit;
        let (x, w) = (unit(&self.features), unit(&self.parameters.weights));
        let labelled = self.labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_LABEL);
        let centres = self.head.centres();
        let nearest = |(row, &label): (usize, &i64)| {
            let of_class = label as usize * centres..(label as usize + 1) * centres;
            let angles = of_class.map(|vector| Angle::between(x.row(row), w.row(vector)).theta());
            angles.fold(f64::INFINITY, f64::min)
        };
        labelled.map(nearest).collect()
    }

    /// How much a cone of the margin function multiplies the rounding of an angle: 1/sinθ at the row nearest to a pole.
    pub fn pole_factor(&self) -> f64 {
        self.angles().into_iter().map(|theta| 1.0 / theta.sin().max(f64::EPSILON)).fold(1.0, f64::max)
    }
}
