//! Random heads on random batches, described so that a failing one can be read and made again.

use arcos::heads::{ArcFace, CombinedMargin, CurricularFace, Gradients, PastPi, Row, SphereFace};
use arcos::ops::{Angle, IGNORE_LABEL, l2_normalize};
use arcos::optim::{Moments, Optimizer};
use arcos::{AnyHead, Head, Parameters, Real};
use ndarray::{Array1, Array2};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::{FRAC_PI_2, PI};

/// The heads whose loss does not depend on directions alone.
pub const NOT_NORMALISED: &[&str] = &["softmax", "l2-softmax"];

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

/// The head called `name` with options over their whole range.
pub fn spec(name: &'static str) -> BoxedStrategy<String> {
    match name {
        "softmax" | "fixed-adacos" => Just(name.to_owned()).boxed(),
        "l2-softmax" => scale().prop_map(|alpha| format!("l2-softmax:alpha={alpha}")).boxed(),
        "norm-softmax" => scale_or_rule().prop_map(|scale| format!("norm-softmax:{scale}")).boxed(),
        "adacos" => scale().prop_map(|previous| format!("adacos:previous={previous}")).boxed(),
        "sphereface" => {
            (scale_or_rule(), rounded(1.0..=8.0)).prop_map(|(s, m)| format!("sphereface:{s}:margin={m}")).boxed()
        }
        "cosface" => (scale_or_rule(), rounded(0.0..=2.0)).prop_map(|(s, m)| format!("cosface:{s}:margin={m}")).boxed(),
        "arcface" => (scale_or_rule(), rounded(0.0..=PI), prop::sample::select(PastPi::ALL.to_vec()))
            .prop_map(|(s, m, past_pi)| format!("arcface:{s}:margin={m}:past-pi={}", past_pi.name()))
            .boxed(),
        "combined-margin" => (scale_or_rule(), rounded(0.001..=4.0), rounded(0.0..=PI), rounded(0.0..=2.0))
            .prop_map(|(s, m1, m2, m3)| format!("combined-margin:{s}:m1={m1}:m2={m2}:m3={m3}"))
            .boxed(),
        "curricularface" => (scale_or_rule(), rounded(0.0..=PI), rounded(-1.0..=1.0))
            .prop_map(|(s, m, t)| format!("curricularface:{s}:margin={m}:state.t={t}"))
            .boxed(),
        other => panic!("no strategy for the options of {other}: add one"),
    }
}

/// Any head but those of `without`, on any small batch.
pub fn case(without: &'static [&'static str]) -> impl Strategy<Value = Case> {
    let names: Vec<_> = AnyHead::names().filter(|name| !without.contains(name)).collect();
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
            Case { spec, batch, dimension, classes, ignored, last_row, seed }
        },
    )
}

/// The head of a spec and the scale of the step before, if it says so.
pub fn head(spec: &str) -> (AnyHead, Option<f64>) {
    let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
    let options = options.split(':').filter_map(|option| option.split_once('='));
    let options = options.filter(|(option, _)| !option.starts_with("state."));
    let (previous, options): (Vec<_>, Vec<_>) = options.partition(|&(option, _)| option == "previous");
    let previous = previous.first().map(|(_, value)| value.parse().expect("a number"));
    (AnyHead::new(name, &options).expect("options in range"), previous)
}

/// What a spec says of the state of the step before, `state.NAME=VALUE`.
fn state_of(spec: &str) -> impl Iterator<Item = (String, f64)> {
    let options = spec.split(':').filter_map(|option| option.strip_prefix("state.")?.split_once('='));
    options.map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
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
    pub fn build(&self) -> Arrays {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut gaussian = |rows, columns| -> Array2<f64> {
            Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
        };
        let mut weights = gaussian(self.classes, self.dimension);
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
            let toward = unit.row(labels[last] as usize);
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

        let (head, previous) = head(&self.spec);
        // Class vectors of different lengths too, where it is their direction that counts.
        if !NOT_NORMALISED.contains(&head.name()) {
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

impl Arrays {
    /// How fast the margin function may change with the angle.
    pub fn steepest_margin(&self) -> f64 {
        match self.head {
            AnyHead::SphereFace(SphereFace { margin, .. }) => margin,
            AnyHead::CombinedMargin(CombinedMargin { m1, .. }) => m1.max(1.0),
            _ => 1.0,
        }
    }

    /// Angles where the margin function jumps, or its second derivative does: no difference across one is a derivative.
    fn kinks(&self) -> Vec<f64> {
        match self.head {
            AnyHead::ArcFace(ArcFace { past_pi: PastPi::Plain, .. }) => vec![],
            AnyHead::ArcFace(ArcFace { past_pi: PastPi::Easy, .. }) => vec![FRAC_PI_2],
            AnyHead::ArcFace(ArcFace { margin, .. }) | AnyHead::CurricularFace(CurricularFace { margin, .. }) => {
                vec![PI - margin]
            }
            AnyHead::SphereFace(SphereFace { margin, .. }) => {
                (1..=margin as usize).map(|k| k as f64 * PI / margin).collect()
            }
            _ => vec![],
        }
    }

    /// Whether a labelled row is within `distance`, in radians, of an angle where the margin function has a kink.
    pub fn is_near_kink(&self, distance: f64) -> bool {
        let kinks = self.kinks();
        self.angles().into_iter().any(|theta| kinks.iter().any(|kink| (theta - kink).abs() < distance))
            || self.is_near_threshold(2.0 * distance)
    }

    /// Whether another class is within `distance`, in radians, of where the head begins to change it.
    pub fn is_near_threshold(&self, distance: f64) -> bool {
        let unit = |x: &Array2<f64>| l2_normalize::forward("x", x.view()).expect("rows are not zero").unit;
        let (x, w) = (unit(&self.features), unit(&self.parameters.weights));
        let state: Vec<_> = self.head.state().iter().map(|(name, _)| self.parameters.state[*name]).collect();
        let mut labelled = self.labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_LABEL);
        labelled.any(|(row, &label)| {
            let angle = |class| Angle::between(x.row(row), w.row(class));
            let class = label as usize;
            let rule = self.head.others(&Row { angle: angle(class), norm: 1.0, class }, &state);
            let mut others = (0..w.nrows()).filter(|&other| other != class);
            rule.is_some_and(|rule| {
                let threshold = rule.threshold.clamp(-1.0, 1.0).acos();
                others.any(|other| (angle(other).theta() - threshold).abs() < distance)
            })
        })
    }

    /// The angle of each labelled row to its class vector.
    pub fn angles(&self) -> Vec<f64> {
        let unit = |x: &Array2<f64>| l2_normalize::forward("x", x.view()).expect("rows are not zero").unit;
        let (x, w) = (unit(&self.features), unit(&self.parameters.weights));
        let labelled = self.labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_LABEL);
        labelled.map(|(row, &label)| Angle::between(x.row(row), w.row(label as usize)).theta()).collect()
    }

    /// How much a cone of the margin function multiplies the rounding of an angle: 1/sinθ at the row nearest to a pole.
    pub fn pole_factor(&self) -> f64 {
        self.angles().into_iter().map(|theta| 1.0 / theta.sin().max(f64::EPSILON)).fold(1.0, f64::max)
    }
}
