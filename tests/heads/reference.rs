//! Losses and gradients of an independent framework, reproduced: `tests/reference/make_heads.py` made them.

use super::archive::Archive;
use super::case::with_vector;
use arcos::{AnyHead, Head};
use ndarray::{Array, Array0, Array1, Array2, Dimension, s};

const TOLERANCE: f64 = 1e-10;

fn assert_close<D: Dimension>(case: &str, name: &str, found: &Array<f64, D>, expected: &Array<f64, D>) {
    assert_eq!(found.shape(), expected.shape(), "{case}: shape of {name}");
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let difference = (found - expected).iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    assert!(
        difference <= TOLERANCE * largest,
        "{case}: {name} is off by {difference:e} of {largest:e}\n{found}\n{expected}"
    );
}

#[test]
fn every_head_agrees_with_automatic_differentiation() {
    let mut archive = Archive::open("heads.npz");
    let mut cases: Vec<String> = archive.0.names().expect("names").iter().map(|name| name[..3].to_owned()).collect();
    cases.dedup();
    let mut seen = Vec::new();
    for case in cases {
        let spec: Array1<u8> = archive.read(&case, "spec");
        let spec = String::from_utf8(spec.to_vec()).expect("ASCII");
        let (name, options) = spec.split_once(':').unwrap_or((&spec, ""));
        let options = options.split(':').filter_map(|option| option.split_once('='));
        // The state of the step before.
        let (state, options): (Vec<_>, Vec<_>) = options.partition(|(option, _)| option.starts_with("state."));
        let mut head = AnyHead::new(name, &options).expect("a head");
        seen.push(head.name());

        let features: Array2<f64> = archive.read(&case, "features");
        let labels: Array1<i64> = archive.read(&case, "labels");
        let weights: Array2<f64> = archive.read(&case, "weights");
        let size = |class| labels.iter().filter(|&&label| label == class as i64).count();
        head.count_classes(&(0..weights.nrows() / head.centres()).map(size).collect::<Vec<_>>());
        let mut parameters = head.initial_parameters(weights).expect("enough classes");
        if parameters.vectors.contains_key("bias") {
            parameters = with_vector(parameters, "bias", archive.read(&case, "bias"));
        }
        if parameters.vectors.contains_key("threshold") {
            let bias: Array1<f64> = archive.read(&case, "bias");
            parameters = with_vector(parameters, "threshold", bias.slice_move(s![..1]));
        }
        for (option, value) in state {
            let name = option.trim_start_matches("state.");
            *parameters.state.get_mut(name).expect("a name of the head's") = value.parse().expect("a number");
        }

        let (loss, cache) = head.forward(features.view(), &parameters, labels.view()).expect("well-formed inputs");
        let scale = cache.statistics.scale;
        let gradients = head.backward(cache);
        let mut check_scalar = |name, found: f64| {
            let expected: Array0<f64> = archive.read(&case, name);
            assert_close(&spec, name, &ndarray::arr0(found), &expected);
        };
        check_scalar("loss", loss);
        check_scalar("scale", scale);
        if let Some(d_alpha) = gradients.d_vectors.get("alpha") {
            check_scalar("d_alpha", d_alpha[0]);
        }
        assert_close(&spec, "d_features", &gradients.d_features, &archive.read(&case, "d_features"));
        assert_close(&spec, "d_weights", &gradients.d_weights, &archive.read(&case, "d_weights"));
        if let Some(d_threshold) = gradients.d_vectors.get("threshold") {
            let d_bias: Array1<f64> = archive.read(&case, "d_bias");
            assert_close(&spec, "d_threshold", d_threshold, &d_bias.slice_move(s![..1]));
        }
        if let Some(d_bias) = gradients.d_vectors.get("bias") {
            assert_close(&spec, "d_bias", d_bias, &archive.read(&case, "d_bias"));
        }
    }
    for name in AnyHead::names() {
        assert!(seen.contains(&name), "no reference for {name}");
    }
}
