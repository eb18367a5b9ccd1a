//! `arcos export`; what the file says is held to the model in the library's tests, where there is a runtime.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use std::fs;

#[test]
fn a_model_leaves_as_an_onnx_file() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let train = ["train", "--data", "data", "--head", "cosface", "--epochs", "1", "--out", "run"];
    stdout(&arcos(directory.path(), &train));
    let base = ["export", "--run", "run", "--onnx"];
    let said = stdout(&arcos(directory.path(), &[&base[..], &["head.onnx", "--top", "3"]].concat()));
    assert_eq!(said, "cosface of 8 classes in head.onnx\n");
    let file = fs::read(at("head.onnx")).expect("written");
    let has = |text: &str| file.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    for text in ["features", "logits", "top_classes", "Gemm", "Softmax", "[0,1,2,3,4,5,6,7]"] {
        assert!(has(text), "{text}");
    }
    stdout(&arcos(directory.path(), &[&base[..], &["head.onnx"]].concat()));
    let without_top = fs::read(at("head.onnx")).expect("written");
    assert!(without_top.len() < file.len());

    let export = |more: &[&str]| arcos(directory.path(), &[&base[..], more].concat());
    let message = complaint(&export(&["other.onnx", "--top", "9"]), 2);
    assert!(message.contains("top is 9; expected 1 to 8, the classes of the head"), "{message}");
    assert!(!at("other.onnx").exists());
    let newest = fs::read_dir(at("run/checkpoints")).expect("checkpoints").next().expect("one").expect("readable");
    let message = complaint(&export(&[newest.path().to_str().expect("UTF-8")]), 1);
    assert!(message.contains("part of what this command reads"), "{message}");
    assert!(complaint(&export(&["head.onnx", "--output", "x"]), 2).contains("--with"));
    if cfg!(not(feature = "onnx")) {
        let message = complaint(&export(&["other.onnx", "--with", "head.onnx"]), 1);
        assert!(message.contains("--with needs an ONNX runtime"), "{message}");
        assert!(!at("other.onnx").exists());
    }
}
