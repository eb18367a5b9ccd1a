//! What must hold for every head, or for every normalised one, whatever the numbers.

use super::case::{Arrays, Case, case, case_of, choice_factor, head, is_on_sphere, loss_size, rows_by_name, spec};
use super::rules::class_cosine;
use arcos::heads::{Gradients, Loss, NormSoftmax, Row, Scale, State};
use arcos::ops::{Angle, IGNORE_LABEL};
use arcos::{AnyHead, Head, Parameters};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, ShapeBuilder, Zip};
use proptest::prelude::*;

struct Step {
    loss: f64,
    /// What the loss's rounding is relative to.
    loss_size: f64,
    /// No row's residuals have a larger half of their sum, nor is one larger.
    residual: f64,
    scale: f64,
    gradients: Gradients<f64>,
    state: State,
}

/// Loss, scale and gradients; a rejection where AdaCos has no usable scale.
fn step(arrays: &Arrays) -> Result<Step, TestCaseError> {
    let Arrays { head, features, parameters, labels } = arrays;
    match head.forward(features.view(), parameters, labels.view()) {
        Ok((loss, cache)) => {
            let (scale, state) = (cache.statistics.scale, cache.state.clone());
            let of_row = |row: ArrayView1<f64>| largest(row).max(0.5 * row.mapv(f64::abs).sum());
            let residual = cache.cross_entropy.residual.rows().into_iter().map(of_row).fold(0.0, f64::max);
            let loss_size = loss_size(head, loss);
            Ok(Step { loss, loss_size, residual, scale, state, gradients: head.backward(cache) })
        }
        Err(arcos::Error::AdaCosScale { .. }) => Err(TestCaseError::reject("no usable scale")),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}

fn largest<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().fold(0.0, |largest: f64, value| largest.max(value.abs()))
}

/// Loss and gradients differ by no more than rounding of `Arrays` of this scale can account for. A cone of the margin
/// function, at 1e-4 from a pole, multiplies the rounding of the angle by 1e4.
fn assert_same(found: &Step, expected: &Step, context: &str) -> Result<(), TestCaseError> {
    let tolerance = 1e-9;
    let difference = (found.loss - expected.loss).abs();
    prop_assert!(difference <= tolerance * expected.loss_size, "{context}: loss {} and {}", found.loss, expected.loss);
    let difference = (found.scale - expected.scale).abs();
    prop_assert!(difference <= 1e-12 * expected.scale, "{context}: scale {} and {}", found.scale, expected.scale);
    let (found, expected) = (&found.gradients, &expected.gradients);
    let (of_found, of_expected) = (rows_by_name(found), rows_by_name(expected));
    prop_assert_eq!(of_found.len(), of_expected.len());
    let of_vectors = of_found.iter().zip(&of_expected).map(|((name, found), (_, expected))| (*name, found, expected));
    let of_matrices =
        [("d_features", &found.d_features, &expected.d_features), ("d_weights", &found.d_weights, &expected.d_weights)];
    for (name, found, expected) in of_matrices.into_iter().chain(of_vectors) {
        let difference = largest(&(found - expected));
        let bound = tolerance * largest(expected) + 1e-14;
        prop_assert!(difference <= bound, "{context}: {name} differs by {difference:e}\n{found}\n{expected}");
    }
    Ok(())
}

fn rescaled(rows: &Array2<f64>, factors: &[f64]) -> Array2<f64> {
    let mut rows = rows.clone();
    for (mut row, factor) in rows.rows_mut().into_iter().zip(factors.iter().cycle()) {
        row *= *factor;
    }
    rows
}

/// Whether the loss depends on the lengths of features although they are divided by them: margins and penalties of the norm.
fn depends_on_norms(head: &impl Head) -> bool {
    let state: Vec<_> = head.state().iter().map(|value| value.first).collect();
    let at = |norm| {
        let row = Row { angle: Angle { cos: 0.8, sin: 0.6 }, norm, weight_norm: 1.0, class: 0, number: 0 };
        (head.target(&row, &state).value, head.penalty(norm).value)
    };
    (0..8).any(|exponent| at(1.5f64.powi(exponent)) != at(20.0))
}

/// Whether a row's target is another one after a change of the row.
fn depends_on(arrays: &Arrays, change: impl Fn(&mut Row<f64>)) -> bool {
    let rules = arrays.rules();
    rules.rows().any(|row| {
        let mut other = *row;
        change(&mut other);
        rules.target(row) != rules.target(&other)
    })
}

/// Whether the loss depends on the directions of features and class vectors alone.
fn directions_alone_count(head: &AnyHead) -> bool {
    is_on_sphere(head) && !depends_on_norms(head)
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn lengths_of_features_and_class_vectors_do_not_matter(
        case in case_of(directions_alone_count),
        factors in prop::collection::vec(prop_oneof![(-3i32..=3).prop_map(|exponent| 2f64.powi(exponent)), 1e-3..1e3], 3),
    ) {
        let arrays = case.build();
        // Powers of two leave directions the same to the last bit; other factors may carry one over a jump.
        prop_assume!(factors.iter().all(|factor| factor.log2().fract() == 0.0) || !arrays.rules().is_near_kink(1e-9));
        let expected = step(&arrays)?;
        let mut longer = arrays.clone();
        longer.features = rescaled(&arrays.features, &factors);
        longer.parameters.weights = rescaled(&arrays.parameters.weights, &factors);
        let mut found = step(&longer)?;
        // Gradients go with the inverse of the length.
        found.gradients.d_features = rescaled(&found.gradients.d_features, &factors);
        found.gradients.d_weights = rescaled(&found.gradients.d_weights, &factors);
        assert_same(&found, &expected, "rescaled")?;
    }

    #[test]
    fn lengths_of_features_do_not_matter_to_l2_softmax(case in case(), spec in spec("l2-softmax"), exponent in -3i32..=3) {
        let arrays = Case { spec, ..case }.build();
        let expected = step(&arrays)?;
        let factor = 2f64.powi(exponent);
        let longer = Arrays { features: &arrays.features * factor, ..arrays };
        let mut found = step(&longer)?;
        found.gradients.d_features *= factor;
        assert_same(&found, &expected, "rescaled")?;
    }

    #[test]
    fn gradients_are_orthogonal_to_what_is_normalised(case in case_of(directions_alone_count)) {
        let arrays = case.build();
        let Step { gradients, residual, scale, .. } = step(&arrays)?;
        // What is projected away is no larger than the residuals times the scale and the margin's slope, 8 times that of
        // the cone at most; it leaves some ε of itself.
        let bound = 64.0 * f64::EPSILON * residual * scale * 8.0 * arrays.pole_factor();
        for (gradient, rows) in [(&gradients.d_features, &arrays.features), (&gradients.d_weights, &arrays.parameters.weights)] {
            for (gradient, row) in gradient.rows().into_iter().zip(rows.rows()) {
                let along = gradient.dot(&row).abs();
                prop_assert!(along <= bound, "{gradient} has {along:e} along {row}, above {bound:e}");
            }
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter(case in case(), seed in any::<u64>()) {
        let arrays = case.build();
        let expected = step(&arrays)?;
        let order = permutation(case.batch, seed);
        let mut shuffled = arrays.clone();
        shuffled.features = arrays.features.select(Axis(0), &order);
        shuffled.labels = arrays.labels.select(Axis(0), &order);
        prop_assume!(!depends_on(&arrays, |row| row.number += 1));
        let mut found = step(&shuffled)?;
        found.gradients.d_features = found.gradients.d_features.select(Axis(0), &inverse(&order));
        assert_same(&found, &expected, "shuffled rows")?;
    }

    #[test]
    fn the_order_of_classes_does_not_matter(case in case(), seed in any::<u64>()) {
        let arrays = case.build();
        let expected = step(&arrays)?;
        let order = permutation(case.classes, seed);
        let place = inverse(&order);
        let mut shuffled = arrays.clone();
        let vectors = vectors_of(&order, arrays.head.centres());
        shuffled.parameters.weights = arrays.parameters.weights.select(Axis(0), &vectors);
        if let Some(bias) = shuffled.parameters.vectors.get_mut("bias") {
            *bias = bias.select(Axis(0), &order);
        }
        let relabel = |label| if label == IGNORE_LABEL { label } else { place[label as usize] as i64 };
        shuffled.labels = arrays.labels.mapv(relabel);
        let sizes = case.class_sizes();
        shuffled.head.count_classes(&order.iter().map(|&class| sizes[class]).collect::<Vec<_>>());
        let mut found = step(&shuffled)?;
        found.gradients.d_weights = found.gradients.d_weights.select(Axis(0), &inverse(&vectors));
        if let Some(d_bias) = found.gradients.d_vectors.get_mut("bias") {
            *d_bias = d_bias.select(Axis(0), &place);
        }
        assert_same(&found, &expected, "shuffled classes")?;
    }

    #[test]
    fn ignored_rows_leave_no_trace(case in case()) {
        let arrays = case.build();
        let all = step(&arrays)?;
        let kept: Vec<usize> = (0..case.batch).filter(|&row| arrays.labels[row] != IGNORE_LABEL).collect();
        let mut fewer = arrays.clone();
        fewer.features = arrays.features.select(Axis(0), &kept);
        fewer.labels = arrays.labels.select(Axis(0), &kept);
        let expected = step(&fewer)?;
        for row in (0..case.batch).filter(|row| !kept.contains(row)) {
            prop_assert_eq!(largest(all.gradients.d_features.row(row)), 0.0);
        }
        let found = Step {
            gradients: Gradients { d_features: all.gradients.d_features.select(Axis(0), &kept), ..all.gradients },
            ..all
        };
        assert_same(&found, &expected, "without ignored rows")?;
    }

    #[test]
    fn the_loss_is_the_mean_over_rows(case in case()) {
        let arrays = case.build();
        // State is of the batch, not of its rows.
        prop_assume!(arrays.parameters.state.is_empty() && arrays.head.loss() != Loss::Anchors);
        let all = step(&arrays)?;
        let labelled: Vec<usize> = (0..case.batch).filter(|&row| arrays.labels[row] != IGNORE_LABEL).collect();
        let mut sum = 0.0;
        for &row in &labelled {
            let mut one = arrays.clone();
            one.features = arrays.features.select(Axis(0), &[row]);
            one.labels = arrays.labels.select(Axis(0), &[row]);
            sum += step(&one)?.loss;
        }
        let mean = sum / labelled.len() as f64;
        prop_assert!((all.loss - mean).abs() <= 1e-11 * loss_size(&arrays.head, mean), "{} and {mean}", all.loss);
    }

    #[test]
    fn a_batch_given_twice_is_the_same_batch(case in case_of(|head| head.loss() != Loss::Anchors)) {
        let arrays = case.build();
        let expected = step(&arrays)?;
        let mut twice = arrays.clone();
        twice.features = ndarray::concatenate![Axis(0), arrays.features, arrays.features];
        twice.labels = ndarray::concatenate![Axis(0), arrays.labels, arrays.labels];
        let mut found = step(&twice)?;
        prop_assume!(!depends_on(&arrays, |row| row.number += 1));
        // What is remembered may depend on the number of rows: a deviation with the divisor n - 1 does.
        let is_same = |(found, expected): (&f64, &f64)| (found - expected).abs() <= 1e-12 * expected.abs();
        prop_assume!(found.state.values().zip(expected.state.values()).all(is_same));
        // Each copy has half of the mean.
        let halves = found.gradients.d_features;
        let half = |range: std::ops::Range<usize>| halves.slice(ndarray::s![range, ..]).to_owned() * 2.0;
        for copy in [half(0..case.batch), half(case.batch..2 * case.batch)] {
            found.gradients.d_features = copy;
            assert_same(&found, &expected, "given twice")?;
        }
    }

    #[test]
    fn the_layout_in_memory_does_not_matter(case in case()) {
        let arrays = case.build();
        let expected = step(&arrays)?;
        let mut other = arrays.clone();
        other.features = by_columns(arrays.features.view());
        other.parameters.weights = by_columns(arrays.parameters.weights.view());
        assert_same(&step(&other)?, &expected, "columns first")?;
        other.features = backwards(arrays.features.view());
        other.parameters.weights = backwards(arrays.parameters.weights.view());
        if let Some(bias) = other.parameters.vectors.get_mut("bias") {
            let mut reversed: Array1<f64> = bias.iter().rev().copied().collect();
            reversed.invert_axis(Axis(0));
            *bias = reversed;
        }
        assert_same(&step(&other)?, &expected, "backwards")?;
    }

    #[test]
    fn the_neutral_margin_is_none(case in case_of(is_on_sphere), number in 0usize..13, scale in 0.25f64..128.0) {
        let neutral = [
            "arcface:margin=0",
            "arcface:margin=0:past-pi=continuous",
            "arcface:margin=0:past-pi=easy",
            "arcface:margin=0:past-pi=plain",
            "cosface:margin=0",
            "sphereface:margin=1",
            "combined-margin:m1=1:m2=0:m3=0",
            "mv-softmax:margin=0:t=0",
            "magface:l-m=0:u-m=0:lambda-g=0",
            "adaface:margin=0",
            "sub-center-arcface:margin=0:centres=1",
            "sphereface-r:margin=1",
            "elasticface:margin=0:std=0",
        ][number];
        let arrays = Case { spec: format!("{neutral}:scale={scale}"), ..case }.build();
        let found = step(&arrays)?;
        let expected = step(&Arrays { head: AnyHead::NormSoftmax(NormSoftmax { scale: Scale::Fixed(scale) }), ..arrays })?;
        assert_same(&found, &expected, neutral)?;
    }

    #[test]
    fn the_neutral_margin_of_l_softmax_is_softmax_without_bias(case in case(), lambda in 0.0f64..9.0) {
        let arrays = Case { spec: format!("l-softmax:margin=1:lambda={lambda}"), ..case }.build();
        let found = step(&arrays)?;
        let softmax = head("softmax").0;
        let parameters = softmax.initial_parameters(arrays.parameters.weights.clone()).expect("enough classes");
        let mut expected = step(&Arrays { head: softmax, parameters, ..arrays })?;
        expected.gradients.d_vectors.clear();
        assert_same(&found, &expected, "l-softmax")?;
    }

    #[test]
    fn margins_do_not_act_at_inference(case in case_of(is_on_sphere)) {
        let Arrays { head, features, parameters, labels } = case.build();
        let logits = head.logits(features.view(), &parameters).expect("well-formed inputs");
        let scale = match parameters.state.get("scale") {
            // Outside training the scale is the last one, not a new one.
            Some(&scale) => scale,
            None => match head.forward(features.view(), &parameters, labels.view()) {
                Ok((_, cache)) => cache.statistics.scale,
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            },
        };
        let unit = |rows: &Array2<f64>| {
            let norms = rows.mapv(|value| value * value).sum_axis(Axis(1)).mapv(f64::sqrt);
            rows / &norms.insert_axis(Axis(1))
        };
        let threshold = parameters.vectors.get("threshold").map_or(0.0, |threshold| threshold[0]);
        let cosines = unit(&features).dot(&unit(&parameters.weights).t());
        let expected = Array2::from_shape_fn(logits.dim(), |(row, class)| {
            let of_class = class * head.centres()..(class + 1) * head.centres();
            scale * class_cosine(&head, of_class.map(|vector| cosines[[row, vector]])) - threshold
        });
        let difference = largest(&(&logits - &expected));
        let of_centres = choice_factor(&head);
        prop_assert!(difference <= 1e-13 * (of_centres * scale + threshold.abs()), "differs by {difference:e}");
    }

    #[test]
    fn single_precision_agrees_with_double(case in case()) {
        let double = case.build();
        let rounded = |values: &Array2<f64>| values.mapv(|value| value as f32);
        let (features, weights) = (rounded(&double.features), rounded(&double.parameters.weights));
        // The same inputs in both precisions: rounding of inputs is not what is compared.
        let mut double = double;
        double.features = features.mapv(f64::from);
        double.parameters.weights = weights.mapv(f64::from);
        let narrow: Parameters<f32> = super::case::converted(&double.parameters);
        let widened = narrow.vectors.iter().map(|(name, vector)| (name.clone(), vector.mapv(f64::from)));
        double.parameters = Parameters { vectors: widened.collect(), state: narrow.state.clone(), ..double.parameters };
        // A jump between the two roundings of an angle is no disagreement of precision.
        prop_assume!(!double.rules().is_near_kink(1e-5));
        let expected = step(&double)?;
        // Below, f32 runs out of normal numbers.
        prop_assume!(expected.loss_size > 1e-30);
        let forward = double.head.forward(features.view(), &narrow, double.labels.view());
        prop_assume!(!matches!(forward, Err(arcos::Error::AdaCosScale { .. })));
        let (loss, cache) = forward.expect("well-formed inputs");
        let found: Gradients<f32> = double.head.backward(cache);

        // A logit is off by a few ε times the largest logit, the loss and every probability by as much, relatively. AdaCos's new scale
        // is a logarithm that is off by a few ε times the previous scale, and may be small itself: all that is proportional to it is off
        // by the ratio. Near a pole the cone multiplies the angle's rounding, ε, by 1/θ.
        let pole = double.pole_factor();
        let logits = double.head.logits(double.features.view(), &double.parameters).expect("well-formed inputs");
        let steepness = double.rules().steepest().max(4.0);
        let of_scale = double.parameters.state.get("scale").map_or(0.0, |previous| (1.0 + previous) / expected.scale);
        let conditioning = (1.0 + largest(&logits).max(expected.scale) + of_scale) * steepness * choice_factor(&double.head) + pole;
        let bound = 64.0 * f64::from(f32::EPSILON) * conditioning;
        prop_assert!((f64::from(loss) - expected.loss).abs() <= bound * expected.loss_size, "loss {loss} and {}", expected.loss);
        // What a gradient is before parts of it cancel, by the normalisation or among classes: no larger than the residuals
        // times the scale and the lengths of what it multiplies and is divided by.
        let uncancelled = expected.residual * expected.scale;
        let norms = |rows: &Array2<f64>| rows.mapv(|value| value * value).sum_axis(Axis(1)).mapv(f64::sqrt);
        let (of_features, of_weights) = (norms(&double.features), norms(&double.parameters.weights));
        let ratio = |above: &Array1<f64>, below: &Array1<f64>| above.iter().copied().fold(1.0, f64::max) / below.iter().copied().fold(1.0, f64::min);
        for (name, found, expected, ratio) in [
            ("d_features", &found.d_features, &expected.gradients.d_features, ratio(&of_weights, &of_features)),
            ("d_weights", &found.d_weights, &expected.gradients.d_weights, ratio(&of_features, &of_weights)),
        ] {
            let difference = Zip::from(found).and(expected).fold(0.0, |most: f64, &found, expected| most.max((f64::from(found) - expected).abs()));
            // Single precision has no smaller numbers that are whole.
            let allowed = bound * (largest(expected) + uncancelled * ratio) + f64::from(f32::MIN_POSITIVE);
            prop_assert!(difference <= allowed, "{name} differs by {difference:e} of {:e}", largest(expected));
        }
    }
}

/// The same values, column after column.
fn by_columns(values: ArrayView2<f64>) -> Array2<f64> {
    let mut by_columns = Array2::zeros(values.dim().f());
    by_columns.assign(&values);
    by_columns
}

/// The same values, with rows and columns at negative strides.
fn backwards(values: ArrayView2<f64>) -> Array2<f64> {
    let mut backwards = values.slice(ndarray::s![..;-1, ..;-1]).as_standard_layout().into_owned();
    backwards.invert_axis(Axis(0));
    backwards.invert_axis(Axis(1));
    backwards
}

fn permutation(length: usize, seed: u64) -> Vec<usize> {
    use rand::{SeedableRng, seq::SliceRandom};
    let mut order: Vec<usize> = (0..length).collect();
    order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
    order
}

/// The class vectors of classes in this order, those of a class next to each other.
fn vectors_of(classes: &[usize], centres: usize) -> Vec<usize> {
    classes.iter().flat_map(|class| class * centres..(class + 1) * centres).collect()
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &from)| inverse[from] = place);
    inverse
}

#[test]
fn weight_initialisation_is_glorot_normal() {
    use rand::SeedableRng;
    let weights: Array2<f64> = arcos::init::glorot_normal(200, 1280, &mut rand_chacha::ChaCha8Rng::seed_from_u64(0));
    let std = (2.0f64 / 1480.0).sqrt();
    let mean = weights.mean().expect("not empty");
    let variance = weights.mapv(|weight| (weight - mean).powi(2)).mean().expect("not empty");
    assert!(mean.abs() < 5.0 * std / 256_000f64.sqrt(), "mean {mean}");
    approx::assert_relative_eq!(variance.sqrt(), std, max_relative = 0.01);
    assert!(largest(&weights) <= 2.0 * std / 0.8796, "cut off at two standard deviations of the untruncated normal");
}

#[test]
fn the_list_of_heads_and_their_names_agree() {
    for name in AnyHead::names() {
        assert_eq!(head(name).0.name(), name);
    }
}
