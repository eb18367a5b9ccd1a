//! Heads from outside the crate, which use what no listed head does: state, rules for the other classes, margins and penalties by norm,
//! several centres a class, and scales of every kind with them.

use super::case::{moments, rows_by_name};
use super::objective_case::{EVERYTHING, Owned, Settings};
use super::streaming::{assert_statistics, kernel, pool};
use arcos::heads::{Geometry, Gradients, Logit, OthersRule, Penalty, Row, Scale, StateValue};
use arcos::metrics::accuracy::top_k_correct;
use arcos::ops::{IGNORE_LABEL, Targets, softmax_cross_entropy};
use arcos::optim::{AdamW, Optimizer, Sgd};
use arcos::streaming::{GradientFilter, Update};
use arcos::{Head, Parameters, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What becomes of cosines past the target's logit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Negatives {
    Plain,
    /// CurricularFace's: `c (t + c)`, with a running mean t.
    Curricular,
    /// The same with the factor `t + c` held constant in the gradient.
    Detached,
    /// MV-Softmax's, fixed: `1.2 c + 0.2`, here in rows of every other class.
    Misclassified,
}

/// Every rule at once, each of which can be left out.
#[derive(Clone, Copy, Debug)]
struct Everything {
    scale: Scale,
    /// Where there is a bias no rule is asked, and in the linear geometry none of others.
    geometry: Geometry,
    centres: usize,
    negatives: Negatives,
    /// A margin that grows with both norms, and a penalty on that of the feature.
    by_norm: bool,
    /// How far a step moves t; 0 holds it for differences.
    momentum: f64,
}

const PLAIN: Everything = Everything {
    scale: Scale::Fixed(8.0),
    geometry: Geometry::Sphere,
    centres: 1,
    negatives: Negatives::Plain,
    by_norm: false,
    momentum: 0.1,
};

impl Everything {
    /// The margin, and its derivatives by the norms of feature and class vector.
    fn margin<F: Real>(&self, row: &Row<F>) -> (F, F, F) {
        let (by_norm, by_weight_norm) = (F::of(0.05), F::of(0.02));
        match self.by_norm {
            true => (F::of(0.1) + by_norm * row.norm + by_weight_norm * row.weight_norm, by_norm, by_weight_norm),
            false => (F::of(0.3), F::zero(), F::zero()),
        }
    }
}

impl Head for Everything {
    fn name(&self) -> &'static str {
        "everything"
    }

    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn centres(&self) -> usize {
        self.centres
    }

    fn state(&self) -> &'static [StateValue] {
        match self.negatives {
            Negatives::Curricular | Negatives::Detached => const { &[StateValue::new("t", 0.2)] },
            Negatives::Plain | Negatives::Misclassified => &[],
        }
    }

    fn observe<F: Real>(&self, rows: &mut [Row<F>], state: &mut [f64]) {
        if let [t] = state {
            let mean = rows.iter().map(|row| row.angle.cos.to_double()).sum::<f64>() / rows.len() as f64;
            *t += self.momentum * (mean - *t);
        }
    }

    fn target<F: Real>(&self, row: &Row<F>, _: &[f64]) -> Logit<F> {
        let (margin, by_norm, by_weight_norm) = self.margin(row);
        let (sin, cos) = (margin.sin(), margin.cos());
        let of_sum = row.angle.sin * cos + row.angle.cos * sin;
        let logit = Logit {
            value: row.angle.cos * cos - row.angle.sin * sin,
            slope: of_sum / row.angle.sin_at_least_floor(),
            slope_of_norm: -of_sum * by_norm,
            slope_of_weight_norm: -of_sum * by_weight_norm,
        };
        if self.geometry == Geometry::Linear { logit.times_norms(row) } else { logit }
    }

    fn others<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Option<OthersRule<F>> {
        let threshold = self.target(row, state).value;
        let t = F::of(state.first().copied().unwrap_or(1.2));
        let (value, slope) = match self.negatives {
            Negatives::Plain => return None,
            Negatives::Misclassified if row.class.is_multiple_of(2) => return None,
            Negatives::Curricular => ([F::zero(), t, F::one(), F::zero()], [t, F::of(2.0), F::zero()]),
            Negatives::Detached => ([F::zero(), t, F::one(), F::zero()], [t, F::one(), F::zero()]),
            Negatives::Misclassified => ([t - F::one(), t, F::zero(), F::zero()], [t, F::zero(), F::zero()]),
        };
        Some(OthersRule { threshold, zero_below: false, value, slope })
    }

    fn penalty<F: Real>(&self, norm: F) -> Penalty<F> {
        match self.by_norm {
            true => Penalty { value: F::of(0.5) / norm, slope: -F::of(0.5) / (norm * norm) },
            false => Penalty::default(),
        }
    }
}

/// Every combination of rules.
fn heads() -> Vec<Everything> {
    let scales = [
        Scale::Fixed(8.0),
        Scale::FixedAdaCos,
        Scale::AdaCos { max: None },
        Scale::AdaCos { max: Some(3.0) },
        Scale::LEARNED,
        Scale::Alpha { start: 5.0, learned: true },
    ];
    let negatives = [Negatives::Plain, Negatives::Curricular, Negatives::Detached, Negatives::Misclassified];
    let mut heads = Vec::new();
    for scale in scales {
        for centres in [1, 3] {
            for negatives in negatives {
                heads.extend([false, true].map(|by_norm| Everything { scale, centres, negatives, by_norm, ..PLAIN }));
            }
            if !matches!(scale, Scale::AdaCos { .. }) {
                let off_the_sphere = [Geometry::Plain, Geometry::UnitFeatures];
                heads.extend(off_the_sphere.map(|geometry| Everything { scale, geometry, centres, ..PLAIN }));
                let linear = Everything { scale, geometry: Geometry::Linear, centres, ..PLAIN };
                heads.extend([false, true].map(|by_norm| Everything { by_norm, ..linear }));
            }
        }
    }
    heads
}

struct Batch {
    features: Array2<f64>,
    parameters: Parameters<f64>,
    labels: Array1<i64>,
}

fn batch(head: &Everything, rows: usize, dimension: usize, classes: usize, seed: u64) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut gaussian = |shape| Array2::from_shape_simple_fn(shape, || -> f64 { StandardNormal.sample(&mut rng) });
    let weights = gaussian((classes * head.centres, dimension));
    let noise = gaussian((rows, dimension));
    let mut labels = Array1::from_shape_simple_fn(rows, || rng.random_range(0..classes) as i64);
    // Near one of the class's centres, so that some cosines are below the margin's threshold and some above it.
    let own: Vec<_> = labels.iter().map(|&label| label as usize * head.centres).collect();
    let features = noise + weights.select(Axis(0), &own);
    labels[rows - 1] = IGNORE_LABEL;
    let mut parameters = head.initial_parameters(weights).expect("enough classes");
    for bias in parameters.vectors.get_mut("bias").into_iter().flatten() {
        *bias = StandardNormal.sample(&mut rng);
    }
    Batch { features, parameters, labels }
}

/// The largest difference, relative to the largest element.
fn difference<F: Real>(found: &Array2<F>, expected: &Array2<F>) -> f64 {
    let largest = |values: &Array2<F>| values.fold(0.0, |largest: f64, value| largest.max(value.abs().to_double()));
    assert_eq!(found.dim(), expected.dim());
    largest(&(found - expected)) / largest(expected).max(1e-3)
}

fn assert_close<F: Real>(context: &str, found: &Gradients<F>, expected: &Gradients<F>, tolerance: f64) {
    let (of_found, of_expected) = (rows_by_name(found), rows_by_name(expected));
    assert_eq!(of_found.len(), of_expected.len(), "{context}");
    let of_vectors = of_found.iter().zip(&of_expected).map(|((name, found), (_, expected))| (*name, found, expected));
    let of_matrices =
        [("d_features", &found.d_features, &expected.d_features), ("d_weights", &found.d_weights, &expected.d_weights)];
    for (name, found, expected) in of_matrices.into_iter().chain(of_vectors) {
        let difference = difference(found, expected);
        assert!(difference <= tolerance, "{context}: {name} differs by {difference:e}\n{found}\n{expected}");
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let heads = heads().into_iter().filter(|head| head.negatives != Negatives::Detached);
    for (head, settings) in heads.flat_map(|head| [(head, Settings::default()), (head, EVERYTHING)]) {
        let batch = batch(&head, 5, 4, 6, 3);
        let objective = Owned::new(settings, batch.labels.clone(), 6, 3);
        let (_, cache) =
            head.forward(batch.features.view(), &batch.parameters, objective.view()).expect("a good batch");
        if head.negatives != Negatives::Plain {
            let slopes = cache.slopes_of_others.as_ref().expect("a head that changes others");
            assert!(slopes.iter().any(|&slope| slope != 1.0), "no hard negative in the batch");
        }
        // State is a constant to the gradient: what the step has observed, and the scale that it found.
        let mut frozen = Everything { momentum: 0.0, ..head };
        if let Scale::AdaCos { .. } = head.scale {
            frozen.scale = Scale::Fixed(cache.scale);
        }
        let parameters = Parameters { state: cache.state.clone(), ..batch.parameters.clone() };
        let found = head.backward(cache);
        let loss = |features: &Array2<f64>, parameters: &Parameters<f64>| {
            frozen.forward(features.view(), parameters, objective.view()).expect("a good batch").0
        };
        let quotients = |of: &Array2<f64>, loss: &dyn Fn(&Array2<f64>) -> f64| {
            Array2::from_shape_fn(of.dim(), |place| {
                let at = |offset: f64| {
                    let mut moved = of.clone();
                    moved[place] += offset;
                    loss(&moved)
                };
                let step = 1e-4;
                (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step)
            })
        };
        let d_features = quotients(&batch.features, &|features| loss(features, &parameters));
        let d_weights = quotients(&parameters.weights, &|weights| {
            loss(&batch.features, &Parameters { weights: weights.clone(), ..parameters.clone() })
        });
        let d_vectors = parameters.vectors.iter().map(|(name, vector)| {
            let row = vector.clone().insert_axis(Axis(0));
            let gradient = quotients(&row, &|row| {
                let mut parameters = parameters.clone();
                parameters.vectors.insert(name.clone(), row.row(0).to_owned());
                loss(&batch.features, &parameters)
            });
            (name.clone(), gradient.remove_axis(Axis(0)))
        });
        let expected = Gradients { d_features, d_weights, d_vectors: d_vectors.collect() };
        assert_close(&format!("{head:?} {settings:?}"), &found, &expected, 1e-7);
    }
}

/// Both engines on the same batch: loss, gradients, state, statistics, and evaluation.
fn assert_engines_agree<F: Real>(
    head: &Everything,
    batch: &Batch,
    settings: Settings,
    (workspace, threads): (usize, usize),
    tolerance: f64,
) {
    let context = format!("{head:?}, {settings:?}, workspace {workspace}, {threads} threads");
    let features = batch.features.mapv(F::of);
    let parameters = super::case::converted::<F>(&batch.parameters);
    let labels = batch.labels.view();
    let owned = Owned::new(settings, batch.labels.clone(), parameters.classes(head), 5).converted::<F>();
    let (loss, cache) = head.forward(features.view(), &parameters, owned.view()).expect("a good batch");
    let mut kernel = kernel::<F>(workspace, GradientFilter::Off);
    let run = || kernel.forward_backward(head, features.view(), &parameters, owned.view());
    let (step, found) = pool(threads).install(run).expect("a good batch");
    let relative = (step.loss - loss).abs().to_double() / loss.to_double();
    assert!(relative <= tolerance, "{context}: loss {} and {loss}", step.loss);
    assert_eq!(step.state.keys().collect::<Vec<_>>(), cache.state.keys().collect::<Vec<_>>());
    for (found, expected) in step.state.values().zip(cache.state.values()) {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance * expected.abs(), "{context}: {:?} {:?}", step.state, cache.state);
    }
    assert_statistics(&step.statistics, &cache.statistics, tolerance).expect(&context);
    assert_close(&context, &found, &head.backward(cache), tolerance);

    let inference = head.logits(features.view(), &parameters).expect("a good batch");
    assert_eq!(inference.dim(), (features.nrows(), parameters.classes(head)));
    let targets = Targets::new(labels, features.nrows(), parameters.classes(head)).expect("good labels");
    let run = || kernel.evaluate(head, features.view(), &parameters, labels);
    let evaluated = pool(threads).install(run).expect("a good batch");
    let top = |k| top_k_correct(inference.view(), &targets, k);
    assert_eq!((evaluated.correct, evaluated.correct_top5), (top(1), top(5)), "{context}");
    assert_eq!(evaluated.correct, step.statistics.correct);
    let (loss, _) = softmax_cross_entropy::forward(inference, labels).expect("a good batch");
    let relative = (evaluated.loss - loss).abs().to_double() / loss.to_double();
    assert!(relative <= tolerance, "{context}: loss {} and {loss} in evaluation", evaluated.loss);
}

#[test]
fn both_engines_agree() {
    for (number, head) in heads().into_iter().enumerate() {
        let small = batch(&head, 7, 5, 9, number as u64);
        // Several blocks in each of several groups.
        let large = batch(&head, 6, 8, 700, number as u64);
        for batch in [&small, &large] {
            for settings in [Settings::default(), EVERYTHING] {
                for setting in [(0, 1), (0, 3), (1 << 28, 2)] {
                    assert_engines_agree::<f64>(&head, batch, settings, setting, 1e-12);
                }
                assert_engines_agree::<f32>(&head, batch, settings, (0, 2), 3e-4);
            }
        }
    }
}

#[test]
fn ignored_rows_are_neither_observed_nor_punished() {
    for head in heads() {
        let Batch { features, parameters, labels } = batch(&head, 7, 5, 9, 4);
        let labelled = 0..features.nrows() - 1;
        let (fewer, fewer_labels) = (features.slice(s![labelled.clone(), ..]), labels.slice(s![labelled.clone()]));
        let run = |features, labels| {
            kernel::<f64>(0, GradientFilter::Off).forward_backward(&head, features, &parameters, labels)
        };
        let (step, found) = run(features.view(), labels.view()).expect("a good batch");
        let (expected_step, expected) = run(fewer, fewer_labels).expect("a good batch");
        approx::assert_relative_eq!(step.loss, expected_step.loss, max_relative = 1e-14);
        assert_eq!(step.state, expected_step.state, "{head:?}");
        assert!(found.d_features.slice(s![labelled.end, ..]).iter().all(|&gradient| gradient == 0.0), "{head:?}");
        let found = Gradients { d_features: found.d_features.slice(s![labelled, ..]).to_owned(), ..found };
        assert_close(&format!("{head:?}"), &found, &expected, 1e-13);
    }
}

/// A batch that is fitted: other classes have little probability but for what the head makes of them.
fn fitted(head: &Everything) -> Batch {
    let mut batch = batch(head, 6, 24, 1200, 1);
    let own: Vec<_> = batch.labels.iter().map(|&label| label.max(0) as usize * head.centres).collect();
    batch.features = 0.1 * batch.features + batch.parameters.weights.select(Axis(0), &own);
    batch
}

#[test]
fn the_filter_loses_no_more_than_its_mass() {
    let threads = 3;
    let scales =
        [Scale::Fixed(32.0), Scale::AdaCos { max: None }, Scale::LEARNED, Scale::Alpha { start: 24.0, learned: true }];
    let on_the_sphere =
        heads().into_iter().filter(|head| head.geometry == Geometry::Sphere && head.scale == PLAIN.scale);
    let on_the_sphere: Vec<_> = on_the_sphere.collect();
    for head in scales.into_iter().flat_map(|scale| on_the_sphere.iter().map(move |head| Everything { scale, ..*head }))
    {
        let Batch { features, parameters, labels } = fitted(&head);
        let run = |filter| {
            let mut kernel = kernel::<f64>(0, filter);
            let run = || kernel.forward_backward(&head, features.view(), &parameters, labels.view());
            pool(threads).install(run).expect("a good batch")
        };
        let (exact, expected) = run(GradientFilter::Off);
        let scale = exact.statistics.scale;
        let norm = |row: ArrayView1<f64>| row.dot(&row).sqrt();
        let mut filtered = 0.0;
        for mass in [1e-7, 1e-3, 0.1, 0.9] {
            let (step, found) = run(GradientFilter::Mass(mass));
            assert_eq!((step.loss, &step.state, &step.statistics), (exact.loss, &exact.state, &exact.statistics));
            filtered += step.filtered;
            for (name, found) in &found.d_vectors {
                // No |φ| is larger than 1.5 here, and the gradient of the logarithm is s times that of the scale.
                let bound = 1.5 * mass * if name == "log_scale" { scale } else { 1.0 };
                let change = (found[0] - expected.d_vectors[name][0]).abs();
                assert!(change <= bound + 1e-12, "{head:?}: {name} changes by {change:e}, not {bound:e}");
            }
            let of_features = scale * mass / exact.statistics.labelled as f64;
            // A group of blocks a thread at least.
            let of_weights = scale * mass / threads as f64;
            for (name, x, found, expected, bound) in [
                ("d_features", &features, &found.d_features, &expected.d_features, of_features),
                ("d_weights", &parameters.weights, &found.d_weights, &expected.d_weights, of_weights),
            ] {
                for (row, x) in x.rows().into_iter().enumerate() {
                    let (change, bound) = (norm((&found.row(row) - &expected.row(row)).view()), bound / norm(x));
                    assert!(change <= bound + 1e-12, "{head:?}: {name} {row} changes by {change:e}, not {bound:e}");
                }
            }
        }
        // AdaCos keeps probability with the other classes.
        assert!(filtered > 0.0 || matches!(head.scale, Scale::AdaCos { .. }), "{head:?}: nothing is left out");
    }
}

#[test]
fn a_training_step_is_the_gradients_and_then_the_update() {
    let sgd = Sgd { weight_decay: 0.01, ..Sgd::default() };
    for (optimizer, filter) in
        [(Optimizer::Sgd(sgd), GradientFilter::Off), (Optimizer::AdamW(AdamW::default()), GradientFilter::Mass(0.9))]
    {
        for head in heads() {
            let Batch { features, parameters, labels } = batch(&head, 7, 5, 300, 2);
            let (mut fused, mut separate) = (parameters.clone(), parameters);
            let mut of_fused = moments(&optimizer, &head, &fused);
            let mut of_separate = of_fused.clone();
            let mut kernel = kernel::<f64>(0, filter);
            for step in 1..=3 {
                let mut d_features = (step == 2).then(|| Array2::default((0, 0)));
                let update = Update {
                    optimizer: &optimizer,
                    moments: &mut of_fused,
                    step,
                    learning_rate: 0.05,
                    d_features: d_features.as_mut(),
                };
                let found = kernel.train_step(&head, features.view(), &mut fused, labels.view(), update);
                let (expected, gradients) =
                    kernel.forward_backward(&head, features.view(), &separate, labels.view()).expect("a good batch");
                separate.state = expected.state.clone();
                for (tensor, moments) in separate.trained_mut(&head, &gradients).into_iter().zip(&mut of_separate) {
                    let optimizer = if tensor.decays { optimizer } else { optimizer.without_weight_decay() };
                    tensor.update(optimizer, moments.view_mut(), step, 0.05).expect("moments of this optimizer");
                }
                assert_eq!(found.expect("a good batch").loss, expected.loss, "{head:?}");
                assert_eq!((&fused, &of_fused), (&separate, &of_separate), "{head:?}");
                assert!(d_features.is_none_or(|d_features| d_features == gradients.d_features), "{head:?}");
            }
        }
    }
}

#[test]
fn class_vectors_come_in_whole_classes() {
    let head = Everything { centres: 3, ..PLAIN };
    let error = head.initial_parameters(Array2::<f32>::ones((7, 2))).expect_err("seven rows").to_string();
    assert_eq!(error, "weights has shape [7, 2]; expected a multiple of 3 rows, the centres of a class");
    let features = Array2::<f32>::ones((1, 2));
    let parameters = Parameters::from(Array2::<f32>::ones((7, 2)));
    assert!(head.forward(features.view(), &parameters, ndarray::array![0].view()).is_err());
    let step =
        kernel(0, GradientFilter::Off).forward_backward(&head, features.view(), &parameters, ndarray::array![0].view());
    assert!(step.is_err());
}
