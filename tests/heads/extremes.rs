//! Random batches at the ends of what floats hold: both engines give the same finite numbers, or the same kind of error.

use super::case::is_on_sphere;
use arcos::heads::OptionInfo;
use arcos::ops::{IGNORE_LABEL, l2_normalize};
use arcos::streaming::{GradientFilter, Streaming, StreamingOptions};
use arcos::{AnyHead, Error, Head, Parameters, Real};
use ndarray::{Array1, Array2, ArrayView1, array};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;

/// Batches in each precision; `ARCOS_EXTREMES` asks for more.
fn cases() -> u64 {
    std::env::var("ARCOS_EXTREMES").ok().and_then(|text| text.parse().ok()).unwrap_or(4000)
}

/// A power of ten that the element type holds: most often an ordinary one, else any, or one near an end.
fn exponent<F: Real>(rng: &mut ChaCha8Rng) -> f64 {
    let (smallest, largest) = (F::min_positive_value().to_double().log10(), F::max_value().to_double().log10());
    match rng.random_range(0..10) {
        0..3 => rng.random_range(-1.0..1.0),
        3..5 => rng.random_range(smallest..largest),
        5..7 => l2_normalize::smallest_norm::<F>().to_double().log10() + rng.random_range(-0.5..3.0),
        7 => smallest + rng.random_range(-6.0..2.0),
        _ => largest - rng.random_range(0.0..1.5),
    }
}

/// A row of numbers of one size, or each of its own; some zero, some the largest there is.
fn row<F: Real>(dimension: usize, rng: &mut ChaCha8Rng) -> Vec<F> {
    let (own, common) = (rng.random_bool(0.2), exponent::<F>(rng));
    let mut value = || {
        let exponent = if own { exponent::<F>(rng) } else { common };
        let magnitude = match rng.random_range(0..12) {
            0 => 0.0,
            1 => 10f64.powf(exponent),
            _ => rng.random_range(0.0..1.0) * 10f64.powf(exponent),
        };
        let value = F::of(magnitude).min(F::max_value());
        if rng.random_bool(0.5) { value } else { -value }
    };
    (0..dimension).map(|_| value()).collect()
}

fn option(name: &str, rng: &mut ChaCha8Rng) -> f64 {
    let factor = |rng: &mut ChaCha8Rng| match rng.random_range(0..6) {
        0 => 1e9,
        1 => [5e-324, 1e-310, 1e-60, 1e-45, 1e-40, 1e-30][rng.random_range(0..6)],
        2 => 10f64.powf(rng.random_range(-40.0..9.0)),
        _ => 10f64.powf(rng.random_range(-1.0..3.0)),
    };
    match name {
        "margin" => [0.0, 0.3, 1.0, 1.35, 2.0, PI, 4.0, 1e8, 1e9][rng.random_range(0..9)],
        "m2" => [0.0, 0.3, PI][rng.random_range(0..3)],
        "m3" => [0.0, 0.2, 2.0][rng.random_range(0..3)],
        _ => factor(rng),
    }
}

/// A head with options, of which those out of range are left at their defaults.
fn head(rng: &mut ChaCha8Rng) -> AnyHead {
    let name = AnyHead::LIST[rng.random_range(0..AnyHead::LIST.len())].0;
    let mut given: Vec<(&str, String)> = Vec::new();
    let made = |given: &[(&str, String)]| {
        let borrowed: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        AnyHead::new(name, &borrowed)
    };
    for OptionInfo { name: option_name, words, .. } in AnyHead::options_of(name).expect("a listed head") {
        let value = match (option_name, words.len()) {
            ("learn-alpha", _) => "true".into(),
            ("scale", words) if rng.random_bool(0.8) || words == 0 => format!("{:e}", option("scale", rng)),
            (_, 0) => format!("{:e}", option(option_name, rng)),
            (_, number) => words[rng.random_range(0..number)].into(),
        };
        given.push((option_name, value));
        if rng.random_bool(0.3) || made(&given).is_err() {
            given.pop();
        }
    }
    made(&given).expect("options in range")
}

struct Case<F> {
    head: AnyHead,
    features: Array2<F>,
    parameters: Parameters<F>,
    labels: Array1<i64>,
}

impl<F: Real> Case<F> {
    fn new(rng: &mut ChaCha8Rng) -> Option<Self> {
        let head = head(rng);
        let dimension = rng.random_range(1..=5);
        // Now and then several blocks, one a thread.
        let classes = if rng.random_bool(0.05) { rng.random_range(96..=130) } else { rng.random_range(2..=6) };
        let rows = rng.random_range(1..=5);
        let matrix = |rows, rng: &mut ChaCha8Rng| {
            let values = (0..rows).flat_map(|_| row::<F>(dimension, rng)).collect();
            Array2::from_shape_vec((rows, dimension), values).expect("whole rows")
        };
        let (mut features, weights) = (matrix(rows, rng), matrix(classes * head.centres(), rng));
        let mut labels = Array1::from_shape_simple_fn(rows, || rng.random_range(0..classes) as i64);
        for (row, &label) in labels.iter().enumerate() {
            // Along the class vector, or nearly.
            if rng.random_bool(0.3) {
                let factor = F::of([1.0, -1.0, 1e-3, -1e3][rng.random_range(0..4)]);
                let along = &weights.row(label as usize * head.centres()) * factor;
                features.row_mut(row).assign(&along.mapv(|value| value.max(-F::max_value()).min(F::max_value())));
                let nudge = F::one() + F::of(rng.random_range(0..3) as f64) * F::epsilon();
                features[[row, 0]] = (features[[row, 0]] * nudge).max(-F::max_value()).min(F::max_value());
            }
        }
        if rows > 1 && rng.random_bool(0.2) {
            labels[0] = IGNORE_LABEL;
        }
        let mut parameters = head.initial_parameters(weights).ok()?;
        if rng.random_bool(0.5) {
            let bias = parameters.vectors.get_mut("bias");
            bias.into_iter().for_each(|bias| *bias = row::<F>(bias.len(), rng).into());
        }
        if rng.random_bool(0.5) {
            let scale = parameters.state.get_mut("scale");
            scale.into_iter().for_each(|scale| *scale = F::of(option("scale", rng)).to_double());
        }
        Some(Self { head, features, parameters, labels })
    }

    /// The name of what is wrong with the two engines, if anything is; whether they were Ok.
    fn run(&self, kernel: &mut Streaming<F>) -> Result<bool, String> {
        let Self { head, features, parameters, labels } = self;
        let explicit = head.forward(features.view(), parameters, labels.view());
        let explicit = explicit.map(|(loss, cache)| {
            // The steepest slopes of a row's margin, of what becomes of the others, and of the loss, at least 1.
            let of_targets: Vec<_> = cache.targets.iter().map(|row| row.target.slope).collect();
            let of_others: Vec<_> = cache.slopes_of_others.iter().flatten().copied().collect();
            // A loss of each class may weigh it by anything.
            let residuals = cache.cross_entropy.residual.iter().copied().collect();
            let steepest = [of_targets, of_others, residuals].map(|slopes: Vec<F>| {
                slopes.iter().fold(1.0, |steepest: f64, slope| steepest.max(slope.abs().to_double()))
            });
            (loss, cache.statistics, steepest, head.backward(cache))
        });
        let streamed = kernel.forward_backward(head, features.view(), parameters, labels.view());
        let evaluated = kernel.evaluate(head, features.view(), parameters, labels.view());
        let logits = head.logits(features.view(), parameters);
        if let Ok(logits) = &logits {
            all_finite("logits", logits.iter())?;
        }
        if let Ok(evaluated) = &evaluated {
            all_finite("the loss of the evaluation", [evaluated.loss].iter())?;
        }
        let is_of_logits = |error: &Error| matches!(error, Error::NotFinite { what: "logits", .. });
        match (&logits, &evaluated) {
            // A loss may overflow where logits do not.
            (Ok(_), Ok(_) | Err(Error::LossNotFinite { .. })) => {}
            (Err(one), Err(other)) if kind(one) == kind(other) => {}
            // Sums in another order, of products already times α or not yet: one may overflow on the way where the other does not.
            (Err(error), Ok(_) | Err(Error::LossNotFinite { .. })) | (Ok(_), Err(error))
                if !is_on_sphere(head) && is_of_logits(error) => {}
            _ => return Err(format!("inference gives {:?}, evaluation {evaluated:?}", logits.map(|_| ()))),
        }
        for error in [explicit.as_ref().err(), streamed.as_ref().err(), logits.as_ref().err(), evaluated.as_ref().err()]
        {
            match error {
                Some(Error::NotFinite { value, .. }) if value.is_finite() => {
                    return Err(format!("not finite: {value}"));
                }
                _ => {}
            }
        }
        let (loss, statistics, steepest, expected, step, found) = match (explicit, streamed) {
            (Ok((loss, statistics, steepest, expected)), Ok((step, found))) => {
                (loss, statistics, steepest, expected, step, found)
            }
            (Err(explicit), Err(streamed)) if kind(&explicit) == kind(&streamed) => return Ok(false),
            (explicit, streamed) => {
                let (explicit, streamed) = (explicit.map(|(loss, ..)| loss), streamed.map(|(step, _)| step.loss));
                return Err(format!("explicit {explicit:?}, streaming {streamed:?}"));
            }
        };
        all_finite("losses", [loss, step.loss].iter())?;
        let of_batch = [&statistics, &step.statistics];
        all_finite("scales", of_batch.map(|statistics| statistics.scale).iter())?;
        all_finite("cosines", of_batch.iter().filter_map(|statistics| statistics.target_cosine.as_ref()))?;
        all_finite("the gradient's norm", [step.gradient_norm].iter())?;
        for (engine, gradients) in [("explicit", &expected), ("streaming", &found)] {
            all_finite(&format!("{engine} d_features"), gradients.d_features.iter())?;
            all_finite(&format!("{engine} d_weights"), gradients.d_weights.iter())?;
            all_finite(&format!("{engine} d_vectors"), gradients.d_vectors.values().flatten())?;
        }

        // Rounding of logits this large is rounding of probabilities.
        let longest = |x: &Array2<F>| x.rows().into_iter().map(norm).fold(0.0, f64::max);
        let geometry = head.geometry();
        let (unit_features, unit_weights) = (geometry.normalizes_features(), geometry.normalizes_weights());
        let x = if unit_features { 1.0 } else { longest(features) };
        let w = if unit_weights { 1.0 } else { longest(&parameters.weights) };
        let scale = statistics.scale;
        let bias = ["bias", "threshold"]
            .into_iter()
            .filter_map(|name| parameters.vectors.get(name))
            .flatten()
            .fold(0.0, |largest, bias| bias.abs().to_double().max(largest));
        let [of_targets, of_others, residual] = steepest;
        let tolerance = 64.0 * F::epsilon().to_double() * (1.0 + of_others * scale * x * w + bias);
        let steepest = residual * f64::max(of_targets, of_others);
        if tolerance > 1e-2 {
            return Ok(true);
        }
        let within = |what: &str, found: F, expected: F, bound: f64| {
            let difference = (found - expected).abs().to_double();
            let is_close = difference <= bound;
            is_close.then_some(()).ok_or_else(|| format!("{what}: {found:e} is not {expected:e} within {bound:e}"))
        };
        within("loss", step.loss, loss, tolerance * (1.0 + loss.to_double().abs()))?;
        // What underflows on the way, in one engine or the other, is multiplied like all else.
        let tiny = 16.0 * F::min_positive_value().to_double();
        let size = |other: f64| (tolerance * steepest * scale * other).max(tiny * other.max(1.0) * scale.max(1.0));
        for (what, rows, found, expected, divided, other) in [
            ("d_features", features, &found.d_features, &expected.d_features, unit_features, w),
            ("d_weights", &parameters.weights, &found.d_weights, &expected.d_weights, unit_weights, x),
        ] {
            for ((row, found), expected) in rows.rows().into_iter().zip(found.rows()).zip(expected.rows()) {
                let bound = 2.0 * size(other) / if divided { norm(row) } else { 1.0 };
                found.iter().zip(expected).try_for_each(|(&found, &expected)| within(what, found, expected, bound))?;
            }
        }
        for ((name, found), expected) in found.d_vectors.iter().zip(expected.d_vectors.values()) {
            let bound = match name.as_str() {
                "alpha" => 2.0 * tolerance * w + tiny,
                // The scale times a sum of cosines and margins.
                "log_scale" => 2.0 * tolerance * scale * steepest + tiny,
                // A sum over classes, which may cancel.
                "threshold" => 2.0 * tolerance * residual * parameters.weights.nrows() as f64,
                _ => 2.0 * tolerance,
            };
            for (&found, &expected) in found.iter().zip(expected) {
                within(name, found, expected, bound)?;
            }
        }
        Ok(true)
    }
}

fn norm<F: Real>(row: ArrayView1<F>) -> f64 {
    let largest = row.fold(0.0, |largest, value| value.abs().to_double().max(largest));
    let squared = |value: &F| (value.to_double() / largest).powi(2);
    if largest == 0.0 { 0.0 } else { largest * row.iter().map(squared).sum::<f64>().sqrt() }
}

fn kind(error: &Error) -> (std::mem::Discriminant<Error>, &'static str) {
    let what = match error {
        Error::NormOverflow { what, .. }
        | Error::NotFinite { what, .. }
        | Error::ZeroNorm { what, .. }
        | Error::GradientOverflow { what, .. } => what,
        Error::HyperParameter { name, .. } => name,
        _ => "",
    };
    (std::mem::discriminant(error), what)
}

fn all_finite<'a, F: Real>(what: &str, mut values: impl Iterator<Item = &'a F>) -> Result<(), String> {
    values.find(|value| !value.is_finite()).map_or(Ok(()), |value| Err(format!("{what} has {value}")))
}

fn run<F: Real>() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads can be started");
    // They serve from case to case: nothing of a case that failed may be left in the next.
    let mut kernels = [0, 1 << 20].map(|workspace| {
        let options = StreamingOptions { workspace, ..StreamingOptions::default() };
        Streaming::new(options).expect("options in range")
    });
    let (mut failures, mut fine, mut made) = (Vec::new(), 0, 0);
    for seed in 0..cases() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let Some(case) = Case::<F>::new(&mut rng) else { continue };
        made += 1;
        match pool.install(|| case.run(&mut kernels[seed as usize % 2])) {
            Ok(ok) => fine += u64::from(ok),
            Err(fault) => {
                let Case { head, features, parameters, labels } = case;
                failures.push(format!("{seed}: {fault}\n  {head:?}\n  {features:e}\n  {parameters:?}\n  {labels}"));
            }
        }
    }
    let some = failures.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {made} batches failed, some of them:\n{some}", failures.len());
    assert!(4 * fine > made, "{fine} of {made} Ok: too few to tell");
}

#[test]
fn the_engines_agree_at_the_ends_of_single_precision() {
    run::<f32>();
}

#[test]
fn the_engines_agree_at_the_ends_of_double_precision() {
    run::<f64>();
}

/// Class vectors that are normalised again in the second pass: several blocks a thread, of which none is kept.
#[test]
fn the_size_of_class_vectors_does_not_matter_in_many_blocks() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let weights = Array2::from_shape_simple_fn((1500, 5), || rng.random_range(-1.0..1.0f32));
    let features = Array2::from_shape_simple_fn((4, 5), || rng.random_range(-1.0..1.0f32));
    let (head, labels) = (super::case::head("arcface").0, array![3, 700, 1499, 3]);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("threads can be started");
    let run = |factor: f32| {
        let parameters = Parameters::from(&weights * factor);
        let options =
            StreamingOptions { workspace: 0, filter: GradientFilter::Mass(1e-7), ..StreamingOptions::default() };
        let mut kernel = Streaming::new(options).expect("options in range");
        let streamed = pool.install(|| kernel.forward_backward(&head, features.view(), &parameters, labels.view()));
        streamed.expect("a good batch")
    };
    let (step, expected) = run(1.0);
    // Powers of two: their squares overflow or vanish, and nothing is rounded.
    for factor in [2f32.powi(100), 2f32.powi(-90)] {
        let (found_step, found) = run(factor);
        approx::assert_relative_eq!(found_step.loss, step.loss, max_relative = 1e-5);
        for (found, expected) in
            [(&found.d_features, &expected.d_features), (&(&found.d_weights * factor), &expected.d_weights)]
        {
            let largest = expected.fold(0f32, |largest, value| largest.max(value.abs()));
            let is_close =
                found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= 1e-4 * largest);
            assert!(is_close && largest > 1e-3, "class vectors times {factor:e}");
        }
    }
}

/// What both engines say of one row of `[0.6, 0.8]` and three unit class vectors, times these.
fn outcomes<F: Real>(spec: &str, x: f64, w: f64) -> [Result<(), Error>; 2] {
    let head = super::case::head(spec).0;
    let features = array![[0.6, 0.8]].mapv(|value: f64| F::of(value * x));
    let weights = array![[0.0, -1.0], [1.0, 0.0], [0.0, 1.0]].mapv(|value: f64| F::of(value * w));
    let parameters = head.initial_parameters(weights).expect("enough classes");
    let labels = array![0];
    let explicit = head.forward(features.view(), &parameters, labels.view()).map(|(_, cache)| {
        let gradients = head.backward(cache);
        assert!(gradients.d_features.iter().chain(&gradients.d_weights).all(|value| value.is_finite()), "{spec}");
    });
    let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view());
    let streamed = streamed.map(|(_, gradients)| {
        assert!(gradients.d_features.iter().chain(&gradients.d_weights).all(|value| value.is_finite()), "{spec}");
    });
    [explicit, streamed]
}

#[test]
fn gradients_that_would_overflow_are_errors_of_both_engines() {
    let max = f64::from(f32::MAX);
    for (spec, x, w, expected) in [
        ("norm-softmax:scale=1e9", 1e-30, 1.0, "features"),
        ("cosface:scale=1e9", 1e-30, 1.0, "features"),
        ("sphereface:margin=1e8", 1e-30, 1.0, "features"),
        ("combined-margin:m1=1e8", 1e-30, 1.0, "features"),
        ("norm-softmax:scale=1e9", 1.0, 1e-30, "weights"),
        ("sphereface:margin=1e8", 1.0, 1e-30, "weights"),
        ("combined-margin:m1=1e8", 1.0, 1e-30, "weights"),
        ("l2-softmax", 1.0, max, "features"),
        ("l2-softmax:alpha=1e-30", 1.0, max, "features"),
        ("l2-softmax:alpha=1e9", 1e-30, 1.0, "features"),
        ("softmax", 1e-38, max, "features"),
        ("softmax", max, 1e-38, "weights"),
    ] {
        for result in outcomes::<f32>(spec, x, w) {
            let is_expected = matches!(&result, Err(Error::GradientOverflow { what, .. }) if *what == expected);
            assert!(is_expected, "{spec}, {x:e}, {w:e}: {result:?}");
        }
        // There is room in double precision.
        assert!(outcomes::<f64>(spec, x, w).iter().all(Result::is_ok), "{spec}, {x:e}, {w:e}");
    }
    // A little less is fine.
    for (spec, x, w) in [
        ("norm-softmax:scale=1e7", 1e-30, 1.0),
        ("norm-softmax:scale=1e7", 1.0, 1e-30),
        ("l2-softmax:alpha=1e-30", 1.0, max / 8.0),
        ("softmax", 1e-38, max / 8.0),
        ("softmax", max / 8.0, 1e-38),
    ] {
        assert!(outcomes::<f32>(spec, x, w).iter().all(Result::is_ok), "{spec}, {x:e}, {w:e}");
    }
}

#[test]
fn the_length_of_a_gradient_is_known_where_its_square_is_none() {
    let head = super::case::head("norm-softmax:scale=1").0;
    let weights = array![[0.0, -1.0], [1.0, 0.0], [0.0, 1.0]];
    let norm = |w: f64| {
        let (features, parameters) = (array![[0.6, 0.8]], Parameters::from(weights.mapv(|value: f64| value * w)));
        let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, array![0].view());
        streamed.expect("a good batch").0.gradient_norm
    };
    let expected = norm(1.0);
    assert!(expected > 0.1);
    for factor in [1e-200, 1e200] {
        approx::assert_relative_eq!(norm(factor), expected / factor, max_relative = 1e-12);
    }
}

#[test]
fn a_scale_that_vanishes_in_the_precision_is_an_error_of_both_engines() {
    for head in ["norm-softmax", "cosface", "arcface", "sphereface", "combined-margin"] {
        for result in outcomes::<f32>(&format!("{head}:scale=5e-324"), 1.0, 1.0) {
            assert!(matches!(result, Err(Error::HyperParameter { name: "scale", .. })), "{head}: {result:?}");
        }
        assert!(outcomes::<f64>(&format!("{head}:scale=5e-324"), 1.0, 1.0).iter().all(Result::is_ok), "{head}");
    }
    for result in outcomes::<f32>("l2-softmax:alpha=5e-324", 1.0, 1.0) {
        assert!(matches!(result, Err(Error::HyperParameter { name: "alpha", .. })), "{result:?}");
    }
    // At the scale of the step before nothing is wrong; at the next there would be.
    let head = super::case::head("adacos:max-scale=5e-324").0;
    let mut parameters: Parameters<f32> = array![[0.0, -1.0], [1.0, 0.0], [0.0, 1.0]].into();
    parameters.state.insert("scale".into(), 1.0);
    let (features, labels) = (array![[0.6, 0.8]], array![0]);
    let explicit = head.forward(features.view(), &parameters, labels.view()).map(|_| ());
    let streamed = Streaming::default().forward_backward(&head, features.view(), &parameters, labels.view());
    for result in [explicit, streamed.map(|_| ())] {
        assert!(matches!(result, Err(Error::HyperParameter { name: "max-scale", .. })), "{result:?}");
    }
}
