//! Training on sampled classes.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::train::read_history;

#[test]
fn a_run_on_sampled_classes_learns_and_resumes_to_the_same_bits() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let begin = ["train", "--head", "adacos", "--data", "data", "--batch-size", "4", "--optimizer", "sgd"];
    let run = |more: &[&str]| stdout(&arcos(directory.path(), &[&begin[..], more].concat()));
    let sampled = ["--sample-rate", "0.6", "--embed", "8"];
    run(&[&sampled[..], &["--epochs", "6", "--out", "whole"]].concat());
    run(&[&sampled[..], &["--epochs", "3", "--out", "parts"]].concat());
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "parts", "--epochs", "6"]));
    assert!(last_tensors(&at("parts")) == last_tensors(&at("whole")), "the tensors differ");
    let accuracy = |run: &str| {
        let history = read_history(&at(run).join("history.csv")).expect("a history");
        history.last().and_then(|epoch| epoch.test_accuracy).expect("a test set")
    };
    assert!(accuracy("whole") > 0.7, "{}", accuracy("whole"));
    run(&["--embed", "8", "--epochs", "6", "--out", "all"]);
    assert!(last_tensors(&at("all")) != last_tensors(&at("whole")));

    let refused = |more: &[&str]| complaint(&arcos(directory.path(), &[&begin[..], more].concat()), 2);
    let message = refused(&["--sample-rate", "0", "--out", "none"]);
    assert!(message.contains("sample rate is 0; expected a number above 0 and at most 1"), "{message}");
    let message = refused(&["--sample-rate", "0.5", "--kernel", "explicit", "--out", "none"]);
    assert!(message.contains("--sample-rate") && message.contains("--kernel streaming"), "{message}");
    let resumed = arcos(directory.path(), &["train", "--resume", "--out", "whole", "--sample-rate", "0.5"]);
    assert!(complaint(&resumed, 2).contains("sample rate is 0.5, the run has 0.6"));
}
