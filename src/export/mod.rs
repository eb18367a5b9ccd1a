//! Trained models in files that other programs run.
//!
//! ```
//! use arcos::data::synthetic::SyntheticBirds;
//! use arcos::data::Dataset;
//! use arcos::train::{TrainConfig, Trainer};
//! use arcos::{AnyHead, export};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let birds = SyntheticBirds { classes: 5, train_rows: 100, dimension: 16, ..SyntheticBirds::default() };
//! let ((features, labels), _) = birds.generate()?;
//! let config = TrainConfig { epochs: 1, ..TrainConfig::new(AnyHead::new("cosface", &[])?) };
//! let mut trainer = Trainer::new(config, Dataset::new(features.into(), labels)?, None)?;
//! trainer.run_epoch(|_| {})?;
//! let file = export::onnx(trainer.model(), Some(3))?;
//! std::fs::write(std::env::temp_dir().join("head.onnx"), file)?;
//! # Ok(())
//! # }
//! ```

mod graph;
#[cfg(feature = "onnx")]
mod joined;
mod onnx_file;

use crate::data::{Label, Transform};
use crate::embedder::EPSILON;
use crate::heads::checked::Checked;
use crate::heads::{Geometry, ParametersView};
use crate::ops::batch_norm::RunningStatistics;
use crate::ops::l2_normalize;
use crate::train::{Model, TrainedEmbedder};
use crate::wording::counted;
use crate::{Error, Head, Result};
use graph::Graph;
#[cfg(feature = "onnx")]
pub use joined::onnx_with_network;
use ndarray::{Array1, Array2, arr0};
use onnx_file::{AttributeProto, FLOAT, INT64, ModelProto, OperatorSetIdProto, StringStringEntryProto, ValueInfoProto};
use prost::Message;
use serde_json::Value;

/// The version of ONNX's operators, and of the format that came with it.
const OPERATORS: i64 = 17;
const FORMAT: i64 = 8;

/// The most bytes that a protobuf message, and so an ONNX file, can have.
const MOST_BYTES: usize = i32::MAX as usize;

/// An ONNX file of what `model` does with raw features: transform, embedder, inference logits, probabilities at its temperature.
///
/// The graph has plain operators of the standard set, in the form that they have had from version 13 on. Its input is `features` (N, D) of f32, N left open. Its outputs are
/// `logits` (N, C) and `probabilities` (N, C), `softmax(logits / T)`; with `top`, k, also `top_probabilities` and `top_classes` (N, k), the likeliest first.
/// Classes are counted from 0; `labels` in the file's metadata is a JSON list of their labels, `names`, where they have some, one of their names; `head`, `scale` and `temperature` are there too. A row of
/// zeros, which the [heads](crate::heads) on the sphere refuse, gives NaN.
///
/// # Errors
/// Those of [`Head::logits`] for parameters that a head does not take; [`Error::Setting`] unless `top` is from 1 to C, and for a model of more than 2 GB, which is what an ONNX
/// file holds.
pub fn onnx<H: Head>(model: &Model<H>, top: Option<usize>) -> Result<Vec<u8>> {
    let embedded = model.parameters.weights.ncols();
    let weights_of_embedder = model.embedder.as_ref().map(|embedder| &embedder.parameters.weights);
    let transformed = weights_of_embedder.map_or(embedded, Array2::ncols);
    let dimension = model.transform.input_dimension().unwrap_or(transformed);
    let view = ParametersView::from(&model.parameters);
    let checked = Checked::new(&model.head, Array2::zeros((1, embedded)).view(), &view, None)?;
    let classes = checked.classes;
    if let Some(top) = top.filter(|top| !(1..=classes).contains(top)) {
        let expected = format!("1 to {classes}, the classes of the head");
        return Err(Error::Setting { name: "top", value: top.to_string(), expected });
    }
    let bytes = size_of::<f32>() * (view.weights.len() + weights_of_embedder.map_or(0, Array2::len));
    if bytes > MOST_BYTES {
        let expected = format!("at most {}, which is what an ONNX file holds", counted(MOST_BYTES, "byte"));
        return Err(Error::Setting { name: "the model's size", value: counted(bytes, "byte"), expected });
    }

    let mut graph = Graph::new("features");
    transform(&mut graph, &model.transform);
    if let Some(TrainedEmbedder { parameters, .. }) = &model.embedder {
        match &parameters.norms {
            None => {
                let bias = graph.constant("embedder.bias", parameters.bias()?);
                graph.then_products("embedder.weights", parameters.weights.view(), &[&bias], "embeddings");
            }
            Some(norms) => {
                let ones = Array1::ones(parameters.weights.nrows());
                normalize(&mut graph, "normalized", &norms.input_gamma, &norms.input_beta, &norms.input_running);
                graph.then_products("embedder.weights", parameters.weights.view(), &[], "projected");
                normalize(&mut graph, "embeddings", &ones, &norms.output_beta, &norms.output_running);
            }
        }
    }
    logits(&mut graph, &checked, &view)?;
    probabilities(&mut graph, model.temperature, top);

    graph.proto.name = "arcos".into();
    graph.proto.input = vec![ValueInfoProto::rows("features", FLOAT, dimension)];
    let outputs = ["logits", "probabilities"].map(|name| ValueInfoProto::rows(name, FLOAT, classes));
    let of_top = top.map(|top| {
        [("top_probabilities", FLOAT), ("top_classes", INT64)].map(|(name, kind)| ValueInfoProto::rows(name, kind, top))
    });
    graph.proto.output = outputs.into_iter().chain(of_top.into_iter().flatten()).collect();
    let file = ModelProto {
        ir_version: FORMAT,
        producer_name: "arcos".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph.proto),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATORS }],
        metadata_props: metadata(model, checked.scale),
    };
    Ok(file.encode_to_vec())
}

fn transform(graph: &mut Graph, transform: &Transform) {
    for (name, values) in transform.in_order() {
        let (operation, output) = match name {
            "mean" => ("Sub", "centred"),
            "projection" => ("MatMul", "whitened"),
            _ => ("Mul", "standardised"),
        };
        let values = graph.constant(&format!("transform.{name}"), values);
        graph.then(operation, &[&values], output, &[]);
    }
}

/// A batch normalisation in inference.
fn normalize(
    graph: &mut Graph,
    output: &str,
    gamma: &Array1<f32>,
    beta: &Array1<f32>,
    running: &RunningStatistics<f32>,
) {
    let parameters = [("gamma", gamma), ("beta", beta), ("mean", &running.mean), ("variance", &running.variance)];
    let parameters = parameters.map(|(name, values)| graph.constant(&format!("{output}.{name}"), values.view()));
    let parameters = parameters.each_ref().map(String::as_str);
    graph.then("BatchNormalization", &parameters, output, &[AttributeProto::float("epsilon", EPSILON as f32)]);
}

/// The head: `s c + b` of what the geometry has of products, of several centres a class their largest or their mixture.
fn logits(graph: &mut Graph, checked: &Checked<f32>, parameters: &ParametersView<f32>) -> Result<()> {
    let Checked { geometry, classes, centres, .. } = *checked;
    if geometry.normalizes_features() {
        graph.then_unit_rows("unit_features");
    }
    match geometry.normalizes_weights() {
        true => {
            let unit = l2_normalize::forward("weights", parameters.weights)?.unit;
            graph.then_products("head.weights", unit.view(), &[], "products");
        }
        false => graph.then_products("head.weights", parameters.weights, &[], "products"),
    }
    if geometry == Geometry::Sphere {
        let [low, high] = [("head.lowest", -1.0), ("head.highest", 1.0)]
            .map(|(name, value)| graph.constant(name, arr0(value).view()));
        graph.then("Clip", &[&low, &high], "cosines", &[]);
    }
    if centres > 1 {
        let shape = graph.integers("head.centres", &[0, classes as i64, centres as i64]);
        graph.then("Reshape", &[&shape], "by_centre", &[]);
        match checked.centre_temperature {
            None => {
                // `ReduceMax` takes its axis in another way from version 18 of the operators on.
                let one = graph.integers("head.one", &[1]);
                let by_centre = graph.current.clone();
                graph.node(
                    "TopK",
                    &[&by_centre, &one],
                    &["largest", "nearest_centres"],
                    &[AttributeProto::int("axis", 2)],
                );
                let shape = graph.integers("head.classes", &[0, classes as i64]);
                graph.node("Reshape", &["largest", &shape], &["nearest"], &[]);
                graph.current = "nearest".into();
            }
            Some(temperature) => {
                let by_centre = graph.current.clone();
                let temperature = graph.constant("head.centre_temperature", arr0(temperature).view());
                graph.then("Div", &[&temperature], "sharpened", &[]);
                graph.then("Softmax", &[], "shares", &[AttributeProto::int("axis", 2)]);
                graph.then("Mul", &[&by_centre], "weighed", &[]);
                let axis = graph.integers("head.centre_axis", &[2]);
                graph.then("ReduceSum", &[&axis], "mixtures", &[AttributeProto::int("keepdims", 0)]);
            }
        }
    }
    let scale = graph.constant("head.scale", arr0(checked.scale).view());
    let bias = match checked.bias {
        Some(bias) => Some(graph.constant("head.bias", bias)),
        None if checked.loss.has_threshold() => Some(graph.constant("head.bias", arr0(-checked.threshold).view())),
        None => None,
    };
    graph.then("Mul", &[&scale], if bias.is_some() { "scaled" } else { "logits" }, &[]);
    if let Some(bias) = bias {
        graph.then("Add", &[&bias], "logits", &[]);
    }
    Ok(())
}

fn probabilities(graph: &mut Graph, temperature: Option<f64>, top: Option<usize>) {
    if let Some(temperature) = temperature {
        let temperature = graph.constant("temperature", arr0(temperature as f32).view());
        graph.then("Div", &[&temperature], "tempered", &[]);
    }
    graph.then("Softmax", &[], "probabilities", &[AttributeProto::int("axis", 1)]);
    if let Some(top) = top {
        let count = graph.integers("top", &[top as i64]);
        let inputs = ["probabilities", count.as_str()];
        graph.node("TopK", &inputs, &["top_probabilities", "top_classes"], &[AttributeProto::int("axis", 1)]);
    }
}

fn metadata<H: Head>(model: &Model<H>, scale: f32) -> Vec<StringStringEntryProto> {
    let table = &model.class_table;
    let label = |class| match table.label(class) {
        Label::Number(number) => Value::from(number),
        Label::String(string) => Value::from(string),
    };
    let names = table.has_names_beside_labels().then(|| {
        let names: Vec<_> = (0..table.len()).map(|class| table.name(class)).collect();
        ("names", serde_json::to_string(&names).expect("strings are JSON"))
    });
    let entries = [
        ("head", model.head.name().to_owned()),
        ("scale", scale.to_string()),
        ("temperature", model.temperature.unwrap_or(1.0).to_string()),
        ("labels", Value::from_iter((0..table.len()).map(label)).to_string()),
    ];
    let entries = entries.into_iter().chain(names);
    entries.map(|(key, value)| StringStringEntryProto { key: key.into(), value }).collect()
}
