//! Outputs and gradients of PyTorch, reproduced: `tests/reference/make_embedder.py` made them.

use super::archive::Archive;
use arcos::embedder::{EmbedBlock, Embedder, EmbedderCache, EmbedderParameters, Norms};
use arcos::heads::{NormSoftmax, Scale};
use arcos::ops::batch_norm::{self, RunningStatistics};
use arcos::ops::dropout::DropoutCache;
use arcos::ops::{prelu, relu};
use arcos::{Head, Parameters};
use ndarray::{Array, Array0, Array1, Array2, Dimension};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// PyTorch's defaults.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

impl Archive {
    fn assert_close<D: Dimension>(&mut self, case: &str, name: &str, found: &Array<f64, D>) {
        let expected: Array<f64, D> = self.read(case, name);
        let largest = expected.iter().fold(1e-3, |largest: f64, value| largest.max(value.abs()));
        let off = (found - &expected).iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        assert!(off <= 1e-12 * largest, "{case}/{name} is off by {off:e}\n{found}\n{expected}");
    }
}

#[test]
fn batch_normalisation_is_that_of_pytorch() {
    let mut archive = Archive::open("embedder.npz");
    let [features, d_output] = ["features", "d_output"].map(|name| archive.read("batch_norm", name));
    let [gamma, beta, mean, variance] = ["gamma", "beta", "running_mean", "running_variance"]
        .map(|name| archive.read::<f64, ndarray::Ix1>("batch_norm", name));
    let features: Array2<f64> = features;
    let (output, cache) =
        batch_norm::forward(features.view(), gamma.view(), beta.view(), EPSILON).expect("fitting shapes");
    archive.assert_close("batch_norm", "output", &output);
    let gradients = batch_norm::backward(d_output.view(), gamma.view(), &cache);
    archive.assert_close("batch_norm", "d_features", &gradients.d_features);
    archive.assert_close("batch_norm", "d_gamma", &gradients.d_gamma);
    archive.assert_close("batch_norm", "d_beta", &gradients.d_beta);

    let mut running = RunningStatistics { mean, variance };
    running.update(cache.batch.as_ref().expect("in training mode"), MOMENTUM);
    archive.assert_close("batch_norm", "running_mean_after", &running.mean);
    archive.assert_close("batch_norm", "running_variance_after", &running.variance);
    let (output, cache) =
        batch_norm::forward_inference(features.view(), &running, gamma.view(), beta.view(), EPSILON).expect("shapes");
    archive.assert_close("batch_norm", "output_inference", &output);
    let gradients = batch_norm::backward(d_output.view(), gamma.view(), &cache);
    archive.assert_close("batch_norm", "d_features_inference", &gradients.d_features);
    archive.assert_close("batch_norm", "d_gamma_inference", &gradients.d_gamma);
    archive.assert_close("batch_norm", "d_beta_inference", &gradients.d_beta);
}

#[test]
fn rectifiers_are_those_of_pytorch() {
    let mut archive = Archive::open("embedder.npz");
    let [features, d_output]: [Array2<f64>; 2] = ["features", "d_output"].map(|name| archive.read("relu", name));
    archive.assert_close("relu", "output", &relu::forward(features.view()));
    archive.assert_close("relu", "d_features", &relu::backward(d_output.view(), features.view()));

    let [features, d_output]: [Array2<f64>; 2] = ["features", "d_output"].map(|name| archive.read("prelu", name));
    let slope: Array1<f64> = archive.read("prelu", "slope");
    archive.assert_close("prelu", "output", &prelu::forward(features.view(), slope.view()).expect("a slope a column"));
    let gradients = prelu::backward(d_output.view(), features.view(), slope.view());
    archive.assert_close("prelu", "d_features", &gradients.d_features);
    archive.assert_close("prelu", "d_slope", &gradients.d_slope);
}

/// A step of `case` with a normalised softmax of scale 8: everything that the archive has of it, but for parameters of block E.
fn check_step(
    archive: &mut Archive,
    case: &str,
    embedder: Embedder,
    parameters: &EmbedderParameters<f64>,
) -> EmbedderCache<f64> {
    let features: Array2<f64> = archive.read(case, "features");
    let labels: Array1<i64> = archive.read(case, "labels");
    let class_vectors = Parameters::from(archive.read::<f64, ndarray::Ix2>(case, "weights_head"));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut embeddings, mut cache) = embedder.forward(features.view(), parameters, &mut rng).expect("a batch");
    if let (EmbedBlock::E { .. }, Some(norms)) = (embedder.block, &parameters.norms) {
        // The archive's own dropout mask: the rest of the block once more.
        let (input_norm, _, _) = cache.norms.take().expect("of block E");
        let mask: Array2<f64> = archive.read(case, "mask");
        let gamma_and_beta = (&input_norm.normalized * &norms.input_gamma) + &norms.input_beta;
        cache.projected = gamma_and_beta * &mask;
        let projected = cache.projected.dot(&parameters.weights.t());
        let ones = Array1::ones(projected.ncols());
        let output =
            batch_norm::forward(projected.view(), ones.view(), norms.output_beta.view(), EPSILON).expect("shapes");
        embeddings = output.0;
        cache.norms = Some((input_norm, DropoutCache { mask }, output.1));
    }
    let head = NormSoftmax { scale: Scale::Fixed(8.0) };
    let (loss, head_cache) = head.forward(embeddings.view(), &class_vectors, labels.view()).expect("well-formed");
    archive.assert_close(case, "loss", &Array0::from_elem((), loss));
    let of_head = head.backward(head_cache);
    archive.assert_close(case, "d_weights_head", &of_head.d_weights);
    let gradients = embedder.backward(of_head.d_features.view(), parameters, &cache);
    archive.assert_close(case, "d_features", gradients.d_features.as_ref().expect("always"));
    archive.assert_close(case, "d_weights", &gradients.d_weights);
    if let Some(d_bias) = &gradients.d_bias {
        archive.assert_close(case, "d_bias", d_bias);
    }
    if let Some(norms) = &gradients.norms {
        archive.assert_close(case, "d_input_gamma", &norms.d_input_gamma);
        archive.assert_close(case, "d_input_beta", &norms.d_input_beta);
        archive.assert_close(case, "d_output_beta", &norms.d_output_beta);
    }
    let mut after = parameters.clone();
    after.update_running_statistics(&cache);
    if let Some(norms) = &after.norms {
        archive.assert_close(case, "input_running_mean_after", &norms.input_running.mean);
        archive.assert_close(case, "input_running_variance_after", &norms.input_running.variance);
        archive.assert_close(case, "output_running_mean_after", &norms.output_running.mean);
        archive.assert_close(case, "output_running_variance_after", &norms.output_running.variance);
    }
    archive.assert_close(case, "embeddings", &embedder.embed(features.view(), &after).expect("shapes"));
    cache
}

#[test]
fn the_projection_is_that_of_pytorch() {
    let mut archive = Archive::open("embedder.npz");
    let parameters = EmbedderParameters {
        weights: archive.read("linear", "weights"),
        bias: Some(archive.read("linear", "bias")),
        norms: None,
    };
    check_step(&mut archive, "linear", Embedder { dimension: 3, block: EmbedBlock::Linear }, &parameters);
}

#[test]
fn block_e_is_that_of_pytorch() {
    let mut archive = Archive::open("embedder.npz");
    let mut running = |side: &str| RunningStatistics {
        mean: archive.read("e", &format!("{side}_running_mean")),
        variance: archive.read("e", &format!("{side}_running_variance")),
    };
    let (input_running, output_running) = (running("input"), running("output"));
    let norms = Norms {
        input_gamma: archive.read("e", "input_gamma"),
        input_beta: archive.read("e", "input_beta"),
        input_running,
        output_beta: archive.read("e", "output_beta"),
        output_running,
    };
    let parameters = EmbedderParameters { weights: archive.read("e", "weights"), bias: None, norms: Some(norms) };
    check_step(&mut archive, "e", Embedder { dimension: 3, block: EmbedBlock::E }, &parameters);
}
