//! Class vectors from elsewhere become a model that evaluates, predicts and trains on.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use arcos::train::{Checkpoint, RunDirectory};
use half::{bf16, f16};
use ndarray::{Array1, Array2, Axis, s};
use ndarray_npy::{NpzWriter, write_npy};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

const PREDICT: [&str; 4] = ["predict", "--features", "data/test_features.npy", "--run"];

fn predicted(directory: &Path, run: &str) -> String {
    stdout(&arcos(directory, &[&PREDICT[..], &[run]].concat()))
}

/// Data, and the weights and the bias of a run in `run` that is trained on it without a transform.
fn trained(head: &str, more: &[&str]) -> (tempfile::TempDir, Array2<f32>, Option<Array1<f32>>) {
    let directory = with_data();
    let train = ["train", "--head", head, "--data", "data", "--transform", "none", "--epochs", "2", "--out", "run"];
    stdout(&arcos(directory.path(), &[&train[..], more].concat()));
    let run: Checkpoint = RunDirectory::load_newest(&directory.path().join("run")).expect("whole").expect("there");
    let parameters = run.model.parameters;
    (directory, parameters.weights, parameters.vectors.get("bias").cloned())
}

fn write_safetensors(path: &Path, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
    let view = |(name, dtype, shape, bytes): &'_ (&str, Dtype, Vec<usize>, Vec<u8>)| {
        let (name, dtype, shape, bytes) = ((*name).to_owned(), *dtype, shape.clone(), bytes.clone());
        (name, dtype, shape, bytes)
    };
    let owned: Vec<_> = tensors.iter().map(view).collect();
    let views = owned.iter().map(|(name, dtype, shape, bytes)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("whole"))
    });
    serialize_to_file(views, None::<HashMap<String, String>>, path).expect("writable");
}

#[test]
fn weights_in_every_form_predict_as_the_run_that_they_are_from() {
    let (directory, weights, bias) = trained("softmax", &[]);
    let bias = bias.expect("softmax has one");
    let at = |name: &str| directory.path().join(name);
    let expected = predicted(directory.path(), "run");
    write_npy(at("w.npy"), &weights).expect("writable");
    write_npy(at("wide.npy"), &weights.mapv(f64::from)).expect("writable");
    write_npy(at("kernel.npy"), &weights.t().as_standard_layout().to_owned()).expect("writable");
    write_npy(at("b.npy"), &bias).expect("writable");
    let mut npz = NpzWriter::new(fs::File::create(at("all.npz")).expect("writable"));
    npz.add_array("w", &weights).expect("writable");
    npz.add_array("b", &bias).expect("writable");
    npz.finish().expect("writable");
    let bytes = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let wide = weights.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    let tensors = [
        ("fc.weight", Dtype::F32, vec![8, 32], bytes(&mut weights.iter().copied())),
        ("fc.bias", Dtype::F32, vec![8], bytes(&mut bias.iter().copied())),
        ("wide", Dtype::F64, vec![8, 32], wide),
    ];
    write_safetensors(&at("m.safetensors"), &tensors);
    for (number, (weights, bias, more)) in [
        ("w.npy", "b.npy", &[][..]),
        ("wide.npy", "b.npy", &[]),
        ("kernel.npy", "b.npy", &["--transposed"]),
        ("all.npz:w", "all.npz:b", &[]),
        ("m.safetensors:fc.weight", "m.safetensors:fc.bias", &[]),
        ("m.safetensors:wide", "m.safetensors:fc.bias", &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("imported-{number}");
        let import = ["import", "--head", "softmax", "--weights", weights, "--bias", bias, "--out", &out];
        let text = stdout(&arcos(directory.path(), &[&import[..], more].concat()));
        assert_eq!(text, format!("softmax: 8 classes of 32 dimensions, labels 0 to 7; model in {out}\n"));
        assert_eq!(predicted(directory.path(), &out), expected, "{weights}");
    }
}

#[test]
fn halves_are_widened() {
    let (directory, weights, _) = trained("arcface", &[]);
    let at = |name: &str| directory.path().join(name);
    let half = |value: f32| f16::from_f32(value);
    let bits: Vec<u8> = weights.iter().flat_map(|&value| half(value).to_le_bytes()).collect();
    let brain: Vec<u8> = weights.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
    for (name, dtype, bytes, expected) in [
        ("half", Dtype::F16, bits, weights.mapv(|value| half(value).to_f32())),
        ("brain", Dtype::BF16, brain, weights.mapv(|value| bf16::from_f32(value).to_f32())),
    ] {
        // The only tensor needs no name.
        let file = format!("{name}.safetensors");
        write_safetensors(&at(&file), &[("w", dtype, vec![8, 32], bytes)]);
        stdout(&arcos(directory.path(), &["import", "--head", "arcface", "--weights", &file, "--out", name]));
        let found: Checkpoint = RunDirectory::load_newest(&at(name)).expect("whole").expect("there");
        assert_eq!(found.model.parameters.weights, expected);
    }
}

#[test]
fn labels_names_and_what_a_head_remembers_come_along() {
    let (directory, weights, _) = trained("adacos", &[]);
    let at = |name: &str| directory.path().join(name);
    write_npy(at("w.npy"), &weights).expect("writable");
    let labels = ["70", "10", "20", "30", "40", "50", "60", "-1"];
    fs::write(at("labels.txt"), labels.join("\n")).expect("writable");
    fs::write(at("names.txt"), "g\na\nb\nc\nd\ne\nf\nz\n").expect("writable");
    let import = ["import", "--head", "adacos", "--state", "scale=5.5", "--weights", "w.npy", "--out", "imported"];
    let described = ["--labels", "labels.txt", "--class-names", "names.txt"];
    let text = stdout(&arcos(directory.path(), &[&import[..], &described].concat()));
    assert!(text.contains("8 classes of 32 dimensions, labels -1, 10, 20, 30, ... 70 (8 in all)"), "{text}");
    let listed = stdout(&arcos(directory.path(), &["classes", "list", "--run", "imported"]));
    assert_eq!(listed, "label,name\n-1,z\n10,a\n20,b\n30,c\n40,d\n50,e\n60,f\n70,g\n");
    let found: Checkpoint = RunDirectory::load_newest(&at("imported")).expect("whole").expect("there");
    assert_eq!(found.model.parameters.state["scale"], 5.5);
    assert_eq!(found.model.parameters.weights.row(0), weights.row(7));
    assert_eq!(found.model.parameters.weights.slice(s![1..7, ..]), weights.slice(s![1..7, ..]));
    let train = ["train", "--from", "imported", "--data", "data", "--epochs", "1", "--out", "further"];
    let message = complaint(&arcos(directory.path(), &train), 1);
    assert!(message.contains("data/train_labels.npy"), "other labels: {message}");
    stdout(&arcos(directory.path(), &["import", "--head", "adacos", "--weights", "w.npy", "--out", "plain"]));
    stdout(&arcos(
        directory.path(),
        &["train", "--from", "plain", "--data", "data", "--epochs", "1", "--out", "further"],
    ));
}

#[test]
fn what_is_no_head_is_refused_and_leaves_nothing() {
    let (directory, weights, _) = trained("arcface", &[]);
    let at = |name: &str| directory.path().join(name);
    write_npy(at("w.npy"), &weights).expect("writable");
    write_npy(at("b.npy"), &Array1::<f32>::zeros(7)).expect("writable");
    let mut zero = weights.clone();
    zero.row_mut(3).fill(0.0);
    write_npy(at("zero.npy"), &zero).expect("writable");
    let mut broken = weights.clone();
    broken[[2, 5]] = f32::NAN;
    write_npy(at("nan.npy"), &broken).expect("writable");
    write_npy(at("large.npy"), &weights.mapv(|value| f64::from(value) * 1e300)).expect("writable");
    write_npy(at("one.npy"), &weights.index_axis(Axis(0), 0).to_owned()).expect("writable");
    fs::write(at("twice.txt"), "a\nb\na\nd\ne\nf\ng\nh\n").expect("writable");
    fs::write(at("few.txt"), "a\nb\n").expect("writable");
    fs::write(at("broken.safetensors"), "no tensors").expect("writable");
    write_safetensors(
        &at("two.safetensors"),
        &[("a", Dtype::I64, vec![1, 1], vec![0; 8]), ("b", Dtype::F32, vec![1], vec![0; 4])],
    );
    let says = |head: &str, weights: &str, more: &[&str], status, text: &str| {
        let import = ["import", "--head", head, "--weights", weights, "--out", "out"];
        let message = complaint(&arcos(directory.path(), &[&import[..], more].concat()), status);
        assert!(message.contains(text), "{weights} {more:?}: {message}");
        assert!(!at("out").exists());
    };
    says("arcface", "w.npy", &["--bias", "b.npy"], 2, "--bias is b.npy; expected none: arcface has no bias");
    says(
        "softmax",
        "w.npy",
        &["--bias", "b.npy"],
        1,
        "b.npy: bias has shape [7]; expected (8,), a number for each class",
    );
    says("arcface", "zero.npy", &[], 1, "zero.npy: ");
    says("arcface", "nan.npy", &[], 1, "nan.npy: weights[2, 5] is NaN");
    says("arcface", "large.npy", &[], 1, "large.npy: holds ");
    says("arcface", "one.npy", &[], 1, "one.npy: has shape [32]; expected a matrix");
    says("sub-center-arcface", "w.npy", &[], 1, "w.npy: ");
    says(
        "arcface",
        "w.npy",
        &["--labels", "twice.txt"],
        1,
        "twice.txt: the label of a class is \"a\"; expected one that no other class has",
    );
    says(
        "arcface",
        "w.npy",
        &["--labels", "few.txt"],
        1,
        "few.txt: the labels of classes has shape [2]; expected (8,)",
    );
    says("arcface", "w.npy", &["--class-names", "few.txt"], 1, "few.txt: ");
    says("arcface", "w.npy", &["--state", "scale=3"], 2, "nothing: it remembers nothing");
    says("arcface", "broken.safetensors", &[], 1, "broken.safetensors: ");
    says("arcface", "two.safetensors", &[], 1, "no tensor is named; say two.safetensors:NAME with one of a, b");
    says("arcface", "two.safetensors:c", &[], 1, "no tensor is called \"c\"");
    says("arcface", "two.safetensors:a", &[], 1, "tensor \"a\" holds I64");
    says("arcface", "two.safetensors:b", &[], 1, "tensor \"b\" has shape [1]");
    says("arcface", "nosuch.npy", &[], 1, "cannot read nosuch.npy");
}
