//! Training and measuring in mixed precision.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::streaming::Precision;
use arcos::train::read_history;

#[test]
fn a_run_in_mixed_precision_learns_and_resumes_in_it() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let begin =
        ["train", "--head", "adacos", "--data", "data", "--batch-size", "4", "--optimizer", "sgd", "--embed", "8"];
    let all = |more: &[&str]| arcos(directory.path(), &[&begin[..], more].concat());
    let mixed = ["--precision", "mixed"];
    if Precision::Mixed.check().is_err() {
        let message = complaint(&all(&[&mixed[..], &["--out", "none"]].concat()), 2);
        assert!(message.contains("precision is mixed; expected full"), "{message}");
        return;
    }
    stdout(&all(&[&mixed[..], &["--epochs", "6", "--out", "whole"]].concat()));
    stdout(&all(&[&mixed[..], &["--epochs", "3", "--out", "parts"]].concat()));
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "parts", "--epochs", "6"]));
    assert!(last_tensors(&at("parts")) == last_tensors(&at("whole")), "the tensors differ");
    let history = read_history(&at("whole/history.csv")).expect("a history");
    let accuracy = history.last().and_then(|epoch| epoch.test_accuracy).expect("a test set");
    assert!(accuracy > 0.7, "{accuracy}");
    stdout(&all(&["--precision", "full", "--epochs", "6", "--out", "full"]));
    assert!(last_tensors(&at("full")) != last_tensors(&at("whole")));

    let resumed = arcos(directory.path(), &["train", "--resume", "--out", "whole", "--precision", "full"]);
    assert!(complaint(&resumed, 2).contains("precision is full, the run has mixed"));
    let message = complaint(&all(&[&mixed[..], &["--kernel", "explicit", "--out", "none"]].concat()), 2);
    assert!(message.contains("--precision") && message.contains("--kernel streaming"), "{message}");
}

#[test]
fn a_benchmark_in_mixed_precision_is_beside_products_in_single() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let run = |precision| {
        let size = ["bench", "--batch", "8", "--dim", "16", "--classes", "60", "--runs", "1", "--json"];
        arcos(directory.path(), &[&size[..], &["--precision", precision]].concat())
    };
    if Precision::Mixed.check().is_err() {
        assert!(complaint(&run("mixed"), 2).contains("precision is mixed; expected full"));
        return;
    }
    let [mixed, full] = ["mixed", "f32"]
        .map(|precision| -> serde_json::Value { serde_json::from_str(&stdout(&run(precision))).expect("an object") });
    assert_eq!((mixed["precision"].as_str(), full["precision"].as_str()), (Some("mixed"), Some("f32")));
    let [of_mixed, of_full] = [&mixed, &full].map(|report| report["loss"].as_f64().expect("a number"));
    // By the rounding of cosines alone.
    assert!(of_mixed != of_full && (of_mixed - of_full).abs() < 0.1, "{of_mixed} {of_full}");
}
