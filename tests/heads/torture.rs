//! Inputs at the ends of what floats hold: every head gives finite numbers or an error, never a NaN passed on.

use super::case::{head, is_whole, made, moments, with_centres, with_scale};
use super::objective_case::{EVERYTHING, Owned, Settings};
use arcos::heads::{BatchStatistics, Geometry, Gradients, Loss, OptionInfo, OptionRange, Scale};
use arcos::ops::IGNORE_LABEL;
use arcos::optim::{AdamW, Optimizer, RmsProp, Sgd};
use arcos::streaming::{GradientFilter, Streaming, StreamingOptions, Update};
use arcos::{AnyHead, Error, Head, Parameters, Real, Result};
use ndarray::{Array1, Array2, ArrayView1};
use std::{collections::BTreeMap, sync::LazyLock};

/// The head called `name` with its numbers at the ends of their ranges, one at a time, and all at once with each of its words; a scale is left to the
/// caller.
fn over_ranges(name: &str) -> Vec<String> {
    let options = AnyHead::options_of(name).expect("a listed head");
    let own = |option: &&OptionInfo| !["scale", "alpha", "max-scale"].contains(&option.name);
    let at = |option: &OptionInfo, end: fn(OptionRange) -> f64| {
        let of = |range| {
            let value = end(range);
            format!(":{}={}", option.name, if is_whole(name, option) { value.max(1.0).floor() } else { value })
        };
        option.range.map_or(String::new(), of)
    };
    let ends: [fn(OptionRange) -> f64; 2] = [|range| range.from.max(1e-3).min(range.to), |range| range.to.min(4.0)];
    let all_at = |end| options.iter().filter(own).map(|option| at(option, end)).collect();
    let mut specs: Vec<String> = [String::new()].into_iter().chain(ends.map(all_at)).collect();
    for option in options.iter().filter(own).filter(|option| !option.words.is_empty()) {
        let words = option.words.iter();
        let with = |word: &&str| specs.iter().map(|spec| format!("{spec}:{}={word}", option.name)).collect::<Vec<_>>();
        specs = words.flat_map(with).collect();
    }
    specs.extend(ends.into_iter().flat_map(|end| options.iter().filter(own).map(move |option| at(option, end))));
    specs.sort();
    specs.dedup();
    specs.iter().map(|spec| format!("{name}{spec}")).filter(|spec| made(spec).is_ok()).collect()
}

/// Heads over their ranges.
fn specs(scales: &[f64]) -> Vec<String> {
    let mut specs = vec!["l2-softmax:alpha=1e-30".to_owned(), "adacos:max-scale=16".into()];
    for name in AnyHead::names() {
        let scale = if AnyHead::takes(name, "scale") {
            "scale"
        } else if name == "adacos" {
            "previous"
        } else {
            "alpha"
        };
        for spec in over_ranges(name) {
            match scale {
                "alpha" if !AnyHead::takes(name, "alpha") => specs.push(spec),
                _ => specs.extend(scales.iter().map(|s| format!("{spec}:{scale}={s}"))),
            }
        }
    }
    specs
}

/// Where features point, seen from their class vectors.
#[derive(Clone, Copy, Debug)]
enum Relation {
    Parallel,
    Antiparallel,
    Orthogonal,
}

const RELATIONS: [Relation; 3] = [Relation::Parallel, Relation::Antiparallel, Relation::Orthogonal];

impl Relation {
    fn feature<F: Real>(self, w: ArrayView1<F>, ulps: f64) -> [F; 4] {
        // The first component is ±1.25, whose unit in the last place is ε.
        let first = w[0] + w[0].signum() * F::of(ulps) * F::epsilon();
        match self {
            Self::Parallel => [first, w[1], w[2], w[3]],
            Self::Antiparallel => [-first, -w[1], -w[2], -w[3]],
            Self::Orthogonal => [-w[1], first, -w[3], w[2]],
        }
    }
}

/// Exact in both precisions. Some are acute to each other and some obtuse, so that AdaCos's `ln B_avg` is positive.
fn class_vectors<F: Real>(classes: usize) -> Array2<F> {
    Array2::from_shape_fn((classes, 4), |(class, column)| match column {
        0 if class % 4 < 2 => F::of(1.25),
        0 => F::of(-1.25),
        _ => F::of(((class * 5 + column * 3) % 7) as f64 / 8.0 - 0.375),
    })
}

/// A batch that a failure can be traced back to.
struct Case<F> {
    name: String,
    features: Array2<F>,
    weights: Array2<F>,
    labels: Array1<i64>,
    /// The sizes of features and class vectors as powers of ten; `None` where nothing is demanded of the outcome.
    sizes: Option<(i32, i32)>,
}

impl<F: Real> Case<F> {
    fn new(name: &str, weights: Array2<F>, labels: Vec<i64>, relation: Relation, ulps: f64) -> Self {
        let class_of = |row: usize| usize::try_from(labels[row]).unwrap_or(0);
        let features = Array2::from_shape_fn((labels.len(), 4), |(row, column)| {
            relation.feature(weights.row(class_of(row)), ulps)[column]
        });
        let name = format!("{name}, {relation:?} and {ulps} ulps");
        Self { name, features, weights, labels: labels.into(), sizes: Some((0, 0)) }
    }

    fn times(self, x: F, w: F, sizes: Option<(i32, i32)>) -> Self {
        let name = format!("{}, features times {x:e}, class vectors times {w:e}", self.name);
        Self { name, features: self.features * x, weights: self.weights * w, sizes, ..self }
    }
}

fn six<F: Real>(relation: Relation, ulps: f64) -> Case<F> {
    Case::new("six classes", class_vectors(6), (0..6).collect(), relation, ulps)
}

/// Batches of all shapes, ignored rows, class vectors that coincide, subnormal numbers, sums that overflow.
fn directions<F: Real>(relation: Relation) -> Vec<Case<F>> {
    let (skip, tiny, huge) = (IGNORE_LABEL, F::min_positive_value() / F::of(8.0), F::max_value() / F::of(4.0));
    let six_classes: Array2<F> = class_vectors(6);
    let twice = Array2::from_shape_fn((6, 4), |(class, column)| six_classes[[class / 2 * 2, column]]);
    let mut subnormal_entries = six_classes.clone();
    subnormal_entries.column_mut(2).fill(tiny);
    let batches = [
        ("one row", six_classes.clone(), vec![0]),
        ("equal labels", six_classes.clone(), vec![2; 6]),
        ("duplicated class vectors", twice, (0..6).collect()),
        ("subnormal entries", subnormal_entries, (0..6).collect()),
        ("two classes", class_vectors(2), vec![0, 1]),
        ("three classes", class_vectors(3), vec![0, 1, 2]),
        ("one row ignored", six_classes.clone(), vec![0, skip, 2, 3, 4, 5]),
        ("all rows but one ignored", six_classes.clone(), vec![skip, skip, skip, 3, skip, skip]),
    ];
    let factors = [(tiny, F::one()), (F::one(), tiny), (huge, F::of(1e-3)), (F::of(1e-3), huge)];
    let equal_labels = || Case::new("equal labels", six_classes.clone(), vec![2; 6], relation, 0.0);
    let mut cases: Vec<Case<F>> = factors.map(|(x, w)| equal_labels().times(x, w, None)).into();
    cases.extend([0.0, 1.0, 2.0, 4.0, 16.0, 1024.0].map(|ulps| six(relation, ulps)));
    cases.extend(batches.map(|(name, weights, labels)| Case::new(name, weights, labels, relation, 0.0)));
    cases
}

fn sizes<F: Real>(relation: Relation) -> Vec<Case<F>> {
    let exponents: &[i32] = match size_of::<F>() {
        4 => &[-30, -20, -10, 10, 20, 30],
        _ => &[-200, -30, -20, -10, 10, 20, 30, 200],
    };
    let pairs = exponents.iter().flat_map(|&x| exponents.iter().map(move |&w| (x, w)));
    let of_size = |(x, w)| six(relation, 0.0).times(F::of(10f64.powi(x)), F::of(10f64.powi(w)), Some((x, w)));
    // Two more for softmax, whose logits they make 1e4 and 1e30; then several blocks in each of the kernel's groups.
    let mut cases: Vec<Case<F>> = pairs.chain([(2, 2), (15, 15)]).map(of_size).collect();
    cases.push(Case::new("1100 classes", class_vectors(1100), vec![0, 1, 2, 549, 700, 1099], relation, 0.0));
    cases
}

/// Whether the outcome must be Ok or must be Err, so that errors alone do not pass: Ok is demanded wherever there is
/// room for logits, of size x + w or w, and for gradients, of size w - x at most.
fn demanded<F: Real>(head: &AnyHead, case: &Case<F>, settings: Settings) -> Option<bool> {
    if matches!(head.scale(), Scale::AdaCos { .. } | Scale::FixedAdaCos) && case.weights.nrows() < 3 {
        return Some(false);
    }
    let (largest, furthest) = if size_of::<F>() == 4 { (32, 30) } else { (300, 200) };
    // Weights, focal modulation and z-loss multiply gradients.
    let room = if settings == Settings::default() { 0 } else { 10 };
    let (largest, furthest) = (largest - room, furthest - room);
    let fits = |(x, w): (i32, i32)| match head.geometry() {
        Geometry::Plain | Geometry::Linear => x + w <= largest,
        Geometry::UnitFeatures => w - x <= largest,
        Geometry::Sphere => x.abs().max(w.abs()) <= furthest,
    };
    // The square of a logit may not fit.
    let is_square = settings.z_loss > 0.0 && head.geometry() != Geometry::Sphere;
    (case.sizes.is_some_and(fits) && !is_square).then_some(true)
}

fn not_finite<'a, F: Real>(name: &str, mut values: impl Iterator<Item = &'a F>) -> Option<String> {
    values.find(|value| !value.is_finite()).map(|value| format!("{name} has {value}"))
}

/// What is wrong with what a step gave.
fn fault<F: Real>(head: &impl Head, loss: F, statistics: &BatchStatistics, gradients: &Gradients<F>) -> Option<String> {
    if !(loss.is_finite() && (loss >= F::zero() || head.loss() == Loss::Nca)) {
        return Some(format!("the loss is {loss}"));
    }
    let numbers = [Some(statistics.scale), statistics.target_cosine, statistics.target_angle];
    not_finite("statistics", numbers.iter().flatten())
        .or_else(|| not_finite("d_features", gradients.d_features.iter()))
        .or_else(|| not_finite("d_weights", gradients.d_weights.iter()))
        .or_else(|| not_finite("d_vectors", gradients.d_vectors.values().flatten()))
}

/// Objectives besides labels alone, of which every other case has one.
const OBJECTIVES: [Settings; 6] = {
    let none = Settings {
        label_smoothing: 0.0,
        focal: 0.0,
        z_loss: 0.0,
        class_weights: false,
        sample_weights: false,
        soft_targets: 0,
        is_sum: false,
    };
    [
        Settings { label_smoothing: 0.1, class_weights: true, ..none },
        Settings { focal: 2.0, sample_weights: true, ..none },
        Settings { z_loss: 0.01, is_sum: true, ..none },
        Settings { soft_targets: 2, ..none },
        Settings { focal: 0.5, is_sum: true, ..EVERYTHING },
        EVERYTHING,
    ]
};

/// What of `settings` the head's loss has.
fn allowed(head: &impl Head, settings: Settings) -> Settings {
    match head.loss() {
        Loss::Softmax | Loss::Nca => settings,
        Loss::EachClass(_) => settings.weights_alone(),
        Loss::Anchors => Settings::default(),
    }
}

/// They serve from case to case: nothing of a case that failed may be left in the next.
fn kernels<F: Real>() -> [Streaming<F>; 4] {
    let (all, off, mass) = (StreamingOptions::default().workspace, GradientFilter::Off, GradientFilter::Mass(1e-7));
    [(0, off), (0, mass), (all, off), (all, mass)].map(|(workspace, filter)| {
        Streaming::new(StreamingOptions { workspace, filter, ..StreamingOptions::default() }).expect("options in range")
    })
}

/// Every path, with what is wrong with its numbers if it gave any.
fn outcomes<F: Real>(
    (head, previous): &(AnyHead, Option<f64>),
    case: &Case<F>,
    settings: Settings,
    kernels: &mut [Streaming<F>],
) -> Result<Vec<(String, Result<Option<String>>)>> {
    let mut parameters = head.initial_parameters(with_centres(&case.weights, head.centres()))?;
    if let Some(previous) = previous {
        parameters = with_scale(parameters, F::of(*previous).to_double());
    }
    let features = case.features.view();
    let classes = case.weights.nrows();
    let objective = Owned::new(settings, case.labels.clone(), classes, classes as u64).converted::<F>();
    let objective = objective.view();
    let explicit = head.forward(features, &parameters, objective).map(|(loss, cache)| {
        let statistics = cache.statistics;
        fault(head, loss, &statistics, &head.backward(cache))
    });
    let logits = head.logits(features, &parameters).map(|logits| not_finite("logits", logits.iter()));
    let mut outcomes = vec![("explicit".into(), explicit), ("inference".into(), logits)];
    for kernel in kernels {
        let streamed = kernel.forward_backward(head, features, &parameters, objective);
        let outcome = streamed.map(|(step, gradients)| fault(head, step.loss, &step.statistics, &gradients));
        outcomes.push((format!("{:?}", kernel.options()), outcome));
    }
    Ok(outcomes)
}

#[derive(Default)]
struct Report {
    failures: Vec<String>,
    /// For each head, how many were Ok and how many Err.
    tally: BTreeMap<&'static str, [usize; 2]>,
}

impl Report {
    fn run<F: Real>(&mut self, spec: &str, head: &(AnyHead, Option<f64>), cases: &[Case<F>]) {
        let (mut kernels, name) = (kernels::<F>(), head.0.name());
        for (number, case) in cases.iter().enumerate() {
            let drawn = OBJECTIVES.get((number + spec.len()) % (2 * OBJECTIVES.len()));
            let drawn = drawn.map(|&settings| allowed(&head.0, settings));
            let mut objectives: Vec<_> = [Settings::default()].into_iter().chain(drawn).collect();
            objectives.dedup();
            for settings in objectives {
                let outcomes = outcomes(head, case, settings, &mut kernels);
                for (path, outcome) in outcomes.unwrap_or_else(|error| vec![("parameters".into(), Err(error))]) {
                    self.tally.entry(name).or_default()[usize::from(outcome.is_err())] += 1;
                    let failure = match (outcome, demanded(&head.0, case, settings)) {
                        (Ok(Some(fault)), _) => fault,
                        (Ok(None), Some(false)) => "Ok, not an error".into(),
                        (Err(error), Some(true)) => format!("not Ok: {error}"),
                        (Err(error), _) if error.to_string().is_empty() => format!("no text: {error:?}"),
                        _ => continue,
                    };
                    let (bits, case) = (8 * size_of::<F>(), &case.name);
                    self.failures.push(format!("{spec}, f{bits}, {path}, {case}, {settings:?}: {failure}"));
                }
            }
        }
    }

    fn assert_without_failures(&self) {
        let (count, runs) = (self.failures.len(), self.tally.values().flatten().sum::<usize>());
        let some: Vec<_> = self.failures.iter().step_by(count / 60 + 1).cloned().collect();
        assert!(count == 0, "{count} of {runs} runs failed, some of them:\n{}", some.join("\n"));
    }
}

fn sweep<F: Real>() -> Report {
    let mut report = Report::default();
    // Whatever the machine, for two groups of classes with two blocks each.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads can be started");
    pool.install(|| {
        let directions: Vec<Case<F>> = RELATIONS.into_iter().flat_map(directions).collect();
        let sizes: Vec<Case<F>> = RELATIONS.into_iter().flat_map(sizes).collect();
        for (scales, cases) in [(vec![1e-3, 1.0, 64.0, 1e3, 1e4], directions), (vec![64.0], sizes)] {
            specs(&scales).iter().for_each(|spec| report.run(spec, &head(spec), &cases));
        }
    });
    report
}

static SINGLE: LazyLock<Report> = LazyLock::new(sweep::<f32>);
static DOUBLE: LazyLock<Report> = LazyLock::new(sweep::<f64>);

#[test]
fn no_nan_is_passed_on_in_single_precision() {
    SINGLE.assert_without_failures();
}

#[test]
fn no_nan_is_passed_on_in_double_precision() {
    DOUBLE.assert_without_failures();
}

#[test]
fn most_of_the_nasty_inputs_are_fine_for_every_head() {
    for (report, name) in AnyHead::names().flat_map(|name| [(&SINGLE, name), (&DOUBLE, name)]) {
        let [ok, err] = report.tally.get(name).copied().unwrap_or_default();
        assert!(ok > 0 && 10 * ok >= 6 * (ok + err), "{name}: {ok} Ok, {err} Err");
    }
}

/// Head, option, and the smallest and the largest value of each number that is not whole. The smallest positive number stands for above zero.
fn limits() -> Vec<(&'static str, &'static str, f64, f64)> {
    let of_head = |name: &'static str| {
        let options = AnyHead::options_of(name).expect("a listed head").into_iter();
        let numbers = options.filter(|option| !is_whole(name, option));
        numbers.filter_map(move |option| option.range.map(|range| (name, option.name, range.from, range.to)))
    };
    AnyHead::names().flat_map(of_head).collect()
}

fn with_option(head: &str, option: &str, value: f64) -> Result<AnyHead> {
    AnyHead::new(head, &[(option, &format!("{value:e}"))])
}

#[test]
fn hyper_parameters_past_their_limits_are_refused() {
    for (head, option, smallest, largest) in limits() {
        for value in [smallest.next_down(), -1.0, largest.next_up(), f64::INFINITY, f64::NAN] {
            let result = with_option(head, option, value);
            assert!(matches!(result, Err(Error::HyperParameter { .. })), "{head}:{option}={value:e}: {result:?}");
        }
    }
}

fn run_at_limits<F: Real>(report: &mut Report) {
    let cases = RELATIONS.into_iter().flat_map(directions::<F>);
    let cases: Vec<_> = cases.map(|case| Case { sizes: None, ..case }).collect();
    for (name, option, smallest, largest) in limits() {
        for value in [smallest, largest] {
            // A pair of options may have to be in order.
            let Ok(head) = with_option(name, option, value) else { continue };
            report.run(&format!("{name}:{option}={value:e}"), &(head, None), &cases);
        }
    }
}

#[test]
fn hyper_parameters_at_their_limits_pass_no_nan_on() {
    let mut report = Report::default();
    run_at_limits::<f32>(&mut report);
    run_at_limits::<f64>(&mut report);
    report.assert_without_failures();
}

fn all_finite<F: Real>(parameters: &Parameters<F>) -> bool {
    let Parameters { weights, vectors, state } = parameters;
    let trained = weights.iter().chain(vectors.values().flatten()).all(|value| value.is_finite());
    trained && state.values().all(|value| value.is_finite())
}

/// Trains with far too high a rate, until an error says so.
fn diverge<F: Real>(spec: &str, optimizer: &Optimizer, learning_rate: f64) {
    let head = head(spec).0;
    let Case { features, weights, labels, .. } = six::<F>(Relation::Orthogonal, 0.0);
    let weights = with_centres(&weights, head.centres());
    let mut parameters = head.initial_parameters(weights).expect("enough classes");
    let mut moments = moments(optimizer, &head, &parameters);
    let mut kernel = Streaming::<F>::default();
    for step in 1..=12 {
        let context = format!("{spec}, f{}, {optimizer:?}, rate {learning_rate:e}, step {step}", 8 * size_of::<F>());
        let usable = all_finite(&parameters);
        let update = Update { optimizer, moments: &mut moments, step, learning_rate, d_features: None };
        match kernel.train_step(&head, features.view(), &mut parameters, labels.view(), update) {
            Ok(found) if usable => assert!(found.loss.is_finite() && found.loss >= F::zero(), "{context}: {found:?}"),
            Ok(_) => panic!("{context}: Ok with {parameters:?}"),
            Err(error) => return assert!(step > 1 && !error.to_string().is_empty(), "{context}: {error:?}"),
        }
    }
}

#[test]
fn a_training_that_diverges_ends_in_an_error_or_stays_finite() {
    let (sgd, rmsprop, adamw) = (Sgd::default(), RmsProp::default(), AdamW::default());
    let learned = [
        "l2-softmax:learn-alpha=true",
        "l2-softmax:alpha=1e-30:learn-alpha=true",
        "arcface:scale=learned",
        "cosface:scale=adacos",
    ];
    for spec in AnyHead::names().chain(learned) {
        for optimizer in [Optimizer::Sgd(sgd), Optimizer::RmsProp(rmsprop), Optimizer::AdamW(adamw)] {
            for learning_rate in [1e3, 1e30] {
                diverge::<f32>(spec, &optimizer, learning_rate);
                diverge::<f64>(spec, &optimizer, learning_rate);
            }
        }
    }
}
