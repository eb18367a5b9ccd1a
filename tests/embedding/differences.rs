//! Analytic gradients of the embedder's operations, and of embedder and head together, against five-point differences.

use super::rules::Rules;
use arcos::embedder::{EmbedBlock, Embedder, EmbedderParameters};
use arcos::ops::batch_norm::{self, RunningStatistics};
use arcos::ops::{dropout, linear, prelu, relu};
use arcos::{AnyHead, Head, init};
use ndarray::{Array, Array1, Array2, Dimension};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const EPSILON: f64 = 1e-5;

fn normal<D: Dimension>(shape: impl ndarray::ShapeBuilder<Dim = D>, rng: &mut ChaCha8Rng) -> Array<f64, D> {
    Array::from_shape_simple_fn(shape, || StandardNormal.sample(rng))
}

/// `Σ d_output · output`: its derivative with respect to `output` is `d_output`.
fn weighted(output: &Array2<f64>, d_output: &Array2<f64>) -> f64 {
    (output * d_output).sum()
}

/// Compares `analytic` with differences of `loss` in each element of `at`.
fn check<D: Dimension>(
    name: &str,
    analytic: &Array<f64, D>,
    at: &Array<f64, D>,
    mut loss: impl FnMut(&Array<f64, D>) -> f64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(analytic.shape(), at.shape());
    let step = 1e-4;
    let mut at = at.clone();
    let mut differences = Array::zeros(at.raw_dim());
    for element in 0..at.len() {
        let value = at.as_slice().expect("in standard layout")[element];
        let mut moved = |by: f64| {
            at.as_slice_mut().expect("in standard layout")[element] = value + by * step;
            loss(&at)
        };
        let slope = (8.0 * (moved(1.0) - moved(-1.0)) - (moved(2.0) - moved(-2.0))) / (12.0 * step);
        moved(0.0);
        differences.as_slice_mut().expect("in standard layout")[element] = slope;
    }
    let largest = differences.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
    let off = (analytic - &differences).iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    prop_assert!(off <= 1e-6 * largest, "{name} is off by {off:e} of {largest}\n{analytic}\n{differences}");
    Ok(())
}

/// Rows whose columns have a deviation well above the difference step, and no element at a kink.
fn spread(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    let mut features: Array2<f64> = normal((rows, columns), rng);
    features.mapv_inplace(|value| value + 0.1f64.copysign(value));
    for mut column in features.columns_mut() {
        column[0] = 2.0 + column[0].abs();
        column[1] = -2.0 - column[1].abs();
    }
    features
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn batch_norm(rows in 2usize..7, columns in 1usize..5, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = spread(rows, columns, &mut rng);
        let (gamma, beta): (Array1<f64>, Array1<f64>) = (normal(columns, &mut rng), normal(columns, &mut rng));
        let d_output = normal((rows, columns), &mut rng);
        let run = |features: &Array2<f64>, gamma: &Array1<f64>, beta: &Array1<f64>| {
            batch_norm::forward(features.view(), gamma.view(), beta.view(), EPSILON).expect("fitting shapes")
        };
        let gradients = batch_norm::backward(d_output.view(), gamma.view(), &run(&features, &gamma, &beta).1);
        check("d_features", &gradients.d_features, &features, |x| weighted(&run(x, &gamma, &beta).0, &d_output))?;
        check("d_gamma", &gradients.d_gamma, &gamma, |gamma| weighted(&run(&features, gamma, &beta).0, &d_output))?;
        check("d_beta", &gradients.d_beta, &beta, |beta| weighted(&run(&features, &gamma, beta).0, &d_output))?;
    }

    #[test]
    fn batch_norm_with_running_statistics(rows in 1usize..5, columns in 1usize..5, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = normal((rows, columns), &mut rng);
        let (gamma, beta): (Array1<f64>, Array1<f64>) = (normal(columns, &mut rng), normal(columns, &mut rng));
        let variance = normal(columns, &mut rng).mapv_into(|value: f64| value * value + 0.1);
        let running = RunningStatistics { mean: normal(columns, &mut rng), variance };
        let d_output = normal((rows, columns), &mut rng);
        let run = |features: &Array2<f64>, gamma: &Array1<f64>, beta: &Array1<f64>| {
            batch_norm::forward_inference(features.view(), &running, gamma.view(), beta.view(), EPSILON)
                .expect("fitting shapes")
        };
        let gradients = batch_norm::backward(d_output.view(), gamma.view(), &run(&features, &gamma, &beta).1);
        check("d_features", &gradients.d_features, &features, |x| weighted(&run(x, &gamma, &beta).0, &d_output))?;
        check("d_gamma", &gradients.d_gamma, &gamma, |gamma| weighted(&run(&features, gamma, &beta).0, &d_output))?;
        check("d_beta", &gradients.d_beta, &beta, |beta| weighted(&run(&features, &gamma, beta).0, &d_output))?;
    }

    #[test]
    fn rectifiers(rows in 2usize..5, columns in 1usize..5, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = spread(rows, columns, &mut rng);
        let slope: Array1<f64> = normal(columns, &mut rng);
        let d_output = normal((rows, columns), &mut rng);
        let d_features = relu::backward(d_output.view(), features.view());
        check("relu: d_features", &d_features, &features, |x| weighted(&relu::forward(x.view()), &d_output))?;

        let run = |features: &Array2<f64>, slope: &Array1<f64>| {
            prelu::forward(features.view(), slope.view()).expect("a slope a column")
        };
        let gradients = prelu::backward(d_output.view(), features.view(), slope.view());
        check("prelu: d_features", &gradients.d_features, &features, |x| weighted(&run(x, &slope), &d_output))?;
        check("d_slope", &gradients.d_slope, &slope, |slope| weighted(&run(&features, slope), &d_output))?;
    }

    #[test]
    fn dropout_and_linear(rows in 1usize..5, columns in 1usize..5, outputs in 1usize..4, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = normal((rows, columns), &mut rng);
        let d_output = normal((rows, columns), &mut rng);
        let run = |features: &Array2<f64>| {
            dropout::forward(features.view(), 0.4, &mut ChaCha8Rng::seed_from_u64(seed)).expect("a rate")
        };
        let d_features = dropout::backward(d_output.view(), &run(&features).1);
        check("dropout: d_features", &d_features, &features, |x| weighted(&run(x).0, &d_output))?;

        let (weights, bias): (Array2<f64>, Array1<f64>) = (normal((outputs, columns), &mut rng), normal(outputs, &mut rng));
        let d_output = normal((rows, outputs), &mut rng);
        let run = |features: &Array2<f64>, weights: &Array2<f64>, bias: &Array1<f64>| {
            weighted(&linear::forward(features.view(), weights.view(), bias.view()).expect("fitting shapes"), &d_output)
        };
        let gradients = linear::backward(d_output.view(), features.view(), weights.view());
        check("linear: d_features", &gradients.d_features, &features, |x| run(x, &weights, &bias))?;
        check("linear: d_weights", &gradients.d_weights, &weights, |weights| run(&features, weights, &bias))?;
        check("linear: d_bias", &gradients.d_bias, &bias, |bias| run(&features, &weights, bias))?;
    }

    #[test]
    fn embedder_and_head_together(
        name in prop::sample::select(AnyHead::names().filter(|name| all_is_differentiated(name)).collect::<Vec<_>>()),
        block in prop_oneof![Just(EmbedBlock::Linear), Just(EmbedBlock::E { dropout: 0.0 }), Just(EmbedBlock::E)],
        rows in 3usize..7,
        seed: u64,
    ) {
        let (dimension, embedding, classes) = (4, 3, 5);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = spread(rows, dimension, &mut rng);
        let labels = Array1::from_shape_fn(rows, |row| (row % classes) as i64);
        // A small scale keeps third derivatives, and so the error of the differences, small.
        // A gradient that passes straight through the margin is not the derivative of the loss.
        let wanted = [("scale", "4"), ("gradient", "true")];
        let options: Vec<_> = wanted.into_iter().filter(|(option, _)| AnyHead::takes(name, option)).collect();
        let head = AnyHead::new(name, &options).expect("a head");
        let embedder = Embedder { dimension: embedding, block };
        let mut parameters: EmbedderParameters<f64> = embedder.initial_parameters(dimension, &mut rng).expect("sizes");
        if let Some(norms) = &mut parameters.norms {
            norms.input_gamma.mapv_inplace(|gamma| gamma + 0.3);
            norms.input_beta = normal(dimension, &mut rng);
            norms.output_beta = normal(embedding, &mut rng);
        }
        let class_vectors = normal((classes * head.centres(), embedding), &mut rng);
        let class_parameters = head.initial_parameters(class_vectors).expect("enough classes");
        let run = |features: &Array2<f64>, parameters: &EmbedderParameters<f64>| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (embeddings, cache) = embedder.forward(features.view(), parameters, &mut rng).expect("a batch");
            (head.forward(embeddings.view(), &class_parameters, labels.view()), embeddings, cache)
        };
        let (outcome, embeddings, cache) = run(&features, &parameters);
        // A pole or a corner of the margin function is no place for differences, nor is a short row or a column that hardly varies.
        let flat = cache.norms.as_ref().is_some_and(|(_, _, output)| output.inverse_deviation.iter().any(|&inverse| inverse > 10.0));
        let short = embeddings.rows().into_iter().any(|row| row.dot(&row) < 0.1);
        let rules = Rules::new(&head, &embeddings, &class_parameters, &labels);
        prop_assume!(!short && !flat && rules.distance_to_cone() > 0.1 && !rules.is_near_kink(0.1));
        let (_, head_cache) = outcome.expect("a loss");
        let d_embeddings = head.backward(head_cache).d_features;
        let gradients = embedder.backward(d_embeddings.view(), &parameters, &cache);
        let loss = |features: &Array2<f64>, parameters: &EmbedderParameters<f64>| {
            run(features, parameters).0.expect("as before").0
        };
        let with = |change: &dyn Fn(&mut EmbedderParameters<f64>)| {
            let mut changed = parameters.clone();
            change(&mut changed);
            loss(&features, &changed)
        };
        let d_features = gradients.d_features.as_ref().expect("backward always gives it");
        check("d_features", d_features, &features, |x| loss(x, &parameters))?;
        check("d_weights", &gradients.d_weights, &parameters.weights, |w| with(&|p| p.weights = w.clone()))?;
        if let (Some(d_bias), Some(bias)) = (&gradients.d_bias, &parameters.bias) {
            check("d_bias", d_bias, bias, |bias| with(&|p| p.bias = Some(bias.clone())))?;
        }
        if let (Some(d_norms), Some(norms)) = (&gradients.norms, &parameters.norms) {
            type Field = fn(&mut EmbedderParameters<f64>) -> &mut Array1<f64>;
            let fields: [(&str, &Array1<f64>, &Array1<f64>, Field); 3] = [
                ("d_input_gamma", &d_norms.d_input_gamma, &norms.input_gamma, |p| &mut p.norms.as_mut().unwrap().input_gamma),
                ("d_input_beta", &d_norms.d_input_beta, &norms.input_beta, |p| &mut p.norms.as_mut().unwrap().input_beta),
                ("d_output_beta", &d_norms.d_output_beta, &norms.output_beta, |p| &mut p.norms.as_mut().unwrap().output_beta),
            ];
            for (name, analytic, at, field) in fields {
                check(name, analytic, at, |values| with(&|p| *field(p) = values.clone()))?;
            }
        }
        let frozen = embedder.backward_to_parameters(d_embeddings.view(), &parameters, &cache);
        prop_assert_eq!((&frozen.d_weights, &frozen.d_bias, &frozen.norms), (&gradients.d_weights, &gradients.d_bias, &gradients.norms));
    }
}

/// Whether nothing of a head follows from the batch and is a constant to the gradient: no state, and no scale that is one.
fn all_is_differentiated(name: &str) -> bool {
    let head = AnyHead::new(name, &[]).expect("a head");
    let weights = Array2::<f64>::ones((6 * head.centres(), 2));
    head.initial_parameters(weights).expect("enough classes").state.is_empty()
}

#[test]
fn glorot_weights_have_the_shape_of_a_projection() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let parameters: EmbedderParameters<f32> =
        Embedder { dimension: 3, block: EmbedBlock::Linear }.initial_parameters(7, &mut rng).expect("sizes");
    let expected: Array2<f32> = init::glorot_normal(3, 7, &mut ChaCha8Rng::seed_from_u64(0));
    assert_eq!(parameters.weights, expected);
}
