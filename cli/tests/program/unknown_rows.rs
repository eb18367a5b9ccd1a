//! `arcos evaluate --unknown`: does a head tell rows of none of its classes?

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use arcos::metrics::unknown_rows::unknown_rows;
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use std::path::Path;

/// Six of the eight classes are trained on; the others' test rows are in `unknown.npy`.
fn with_unknown() -> tempfile::TempDir {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let keep = |features: &str, labels: Array1<i64>, is_kept: fn(i64) -> bool, to: &str| {
        let all: Array2<f32> = read_npy(at(features)).expect("written");
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| is_kept(labels[row])).collect();
        write_npy(at(&format!("{to}.npy")), &all.select(Axis(0), &rows)).expect("writable");
        write_npy(at(&format!("{to}_labels.npy")), &labels.select(Axis(0), &rows)).expect("writable");
    };
    let train: Array1<i64> = read_npy(at("data/train_labels.npy")).expect("written");
    let test: Array1<i32> = read_npy(at("data/test_labels.npy")).expect("written");
    let test = test.mapv(i64::from);
    keep("data/train_features.npy", train, |label| label < 6, "train");
    keep("data/test_features.npy", test.clone(), |label| label < 6, "test");
    keep("data/test_features.npy", test, |label| label >= 6, "unknown");
    let train = ["train", "--head", "adacos", "--train-features", "train.npy", "--train-labels", "train_labels.npy"];
    stdout(&arcos(directory.path(), &[&train[..], &["--validation", "0.3", "--epochs", "20"]].concat()));
    directory
}

/// The label and the probability of each row.
fn predicted(directory: &Path, features: &str) -> Vec<(i64, f64)> {
    let printed = stdout(&arcos(directory, &["predict", "--features", features]));
    let rows = csv::Reader::from_reader(printed.as_bytes()).into_deserialize::<(usize, usize, i64, f64)>();
    rows.map(|row| row.expect("four columns")).map(|row| (row.2, row.3)).collect()
}

const EVALUATE: [&str; 5] = ["evaluate", "--features", "test.npy", "--labels", "test_labels.npy"];

#[test]
fn known_rows_are_told_from_unknown_ones() {
    let directory = with_unknown();
    let evaluate = [&EVALUATE[..], &["--unknown", "unknown.npy"]].concat();
    let printed = stdout(&arcos(directory.path(), &[&evaluate[..], &["--json"]].concat()));
    let found: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(found["unknown"]["rows"], 20);
    let (known, unknown) = (predicted(directory.path(), "test.npy"), predicted(directory.path(), "unknown.npy"));
    let labels: Array1<i64> = read_npy(directory.path().join("test_labels.npy")).expect("written");
    let right: Vec<bool> = known.iter().zip(&labels).map(|(row, label)| row.0 == *label).collect();
    let [known, unknown] = [known, unknown].map(|rows| rows.into_iter().map(|row| row.1).collect::<Vec<_>>());
    let expected = unknown_rows(&known, &right, &unknown).expect("both kinds");
    let figures =
        |score: &Value| ["auroc", "fpr_at_95_tpr", "oscr"].map(|name| score[name].as_f64().expect("a number"));
    assert_eq!(figures(&found["unknown"]["probability"]), [expected.auroc, expected.fpr_at_95_tpr, expected.oscr]);
    for score in ["logit", "probability", "energy"] {
        let [auroc, _, oscr] = figures(&found["unknown"][score]);
        assert!(auroc > 0.5 && oscr <= auroc && oscr <= found["accuracy"].as_f64().expect("a number"), "{found}");
    }
    let text = stdout(&arcos(directory.path(), &evaluate));
    let line = format!("by largest probability  AUROC {:.4}  FPR at 95 % TPR ", expected.auroc);
    assert!(text.contains("20 unknown rows told from the known ones\n") && text.contains(&line), "{text}");
    let without: Value =
        serde_json::from_str(&stdout(&arcos(directory.path(), &[&EVALUATE[..], &["--json"]].concat()))).expect("JSON");
    assert!(without.get("unknown").is_none());
}

#[test]
fn what_cannot_be_told_is_bad_usage_or_bad_data() {
    let directory = with_unknown();
    let at = |name: &str| directory.path().join(name);
    let says = |more: &[&str], code: i32, text: &str| {
        let message = complaint(&arcos(directory.path(), &[&EVALUATE[..], more].concat()), code);
        assert!(message.contains(text), "{more:?}: {message}");
    };
    says(&["--unknown", "unknown.npy", "--open-set"], 2, "cannot be used with");
    says(&["--unknown", "nowhere.npy"], 1, "nowhere.npy");
    write_npy(at("narrow.npy"), &Array2::<f32>::ones((3, 7))).expect("writable");
    says(&["--unknown", "narrow.npy"], 1, "narrow.npy: features has shape [3, 7]; expected (rows, 32)");
    let mut unknown: Array2<f32> = read_npy(at("unknown.npy")).expect("written");
    unknown[[4, 2]] = f32::NAN;
    write_npy(at("bad.npy"), &unknown).expect("writable");
    says(&["--unknown", "bad.npy"], 1, "bad.npy: ");
    write_npy(at("none.npy"), &Array2::<f32>::ones((0, 32))).expect("writable");
    says(&["--unknown", "none.npy"], 1, "none.npy: features");
    std::fs::copy(at("unknown.npy"), at("evaluation.json")).expect("writable");
    says(&["--unknown", "evaluation.json", "--out", "."], 1, "part of what this command reads");
}
