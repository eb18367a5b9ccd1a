//! Classes that are listed, added, removed, merged and renamed from the command line, and training that begins with what comes of it.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Data of eight classes, a run on the first six in `run`, and the rows of the last two in `new_X.npy` and `new_y.npy`.
fn with_run(more: &[&str]) -> tempfile::TempDir {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let features: Array2<f32> = read_npy(at("data/train_features.npy")).expect("there");
    let labels: Array1<i64> = read_npy(at("data/train_labels.npy")).expect("there");
    for (features_file, labels_file, is_wanted) in [
        ("old_X.npy", "old_y.npy", (|label: &i64| *label < 6) as fn(&i64) -> bool),
        ("new_X.npy", "new_y.npy", |label| *label >= 6),
    ] {
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| is_wanted(&labels[row])).collect();
        write_npy(at(features_file), &features.select(Axis(0), &rows)).expect("writable");
        write_npy(at(labels_file), &labels.select(Axis(0), &rows)).expect("writable");
    }
    let train = ["train", "--head", "arcface", "--scale", "16", "--margin", "0.1", "--epochs", "6", "--out", "run"];
    let data = ["--train-features", "old_X.npy", "--train-labels", "old_y.npy"];
    stdout(&arcos(directory.path(), &[&train[..], &data, more].concat()));
    directory
}

fn accuracy(directory: &Path, run: &str) -> f64 {
    let evaluate = ["evaluate", "--run", run, "--features", "data/test_features.npy", "--json"];
    let labels = ["--labels", "data/test_labels.npy"];
    let printed = stdout(&arcos(directory, &[&evaluate[..], &labels].concat()));
    let json: Value = serde_json::from_str(&printed).expect("JSON");
    json["accuracy"].as_f64().expect("a share")
}

fn listed(directory: &Path, run: &str) -> String {
    stdout(&arcos(directory, &["classes", "list", "--run", run]))
}

const ADD: [&str; 8] = ["classes", "add", "--features", "new_X.npy", "--labels", "new_y.npy", "--run", "run"];

#[test]
fn new_classes_are_known_at_once_and_can_be_trained_further() {
    let directory = with_run(&[]);
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), arguments));
    let text = run(&[&ADD[..], &["--out", "more"]].concat());
    assert_eq!(text, "8 classes, 2 more than before; model in more\n");
    assert_eq!(listed(directory.path(), "run"), "label\n0\n1\n2\n3\n4\n5\n");
    assert_eq!(listed(directory.path(), "more"), "label\n0\n1\n2\n3\n4\n5\n6\n7\n");
    let at_once = accuracy(directory.path(), "more");
    // Chance is 0.125.
    assert!(at_once > 0.35, "{at_once}");

    run(&["train", "--from", "more", "--data", "data", "--epochs", "2", "--learning-rate", "1e-4", "--out", "further"]);
    let further = accuracy(directory.path(), "further");
    assert!(further > 0.35, "{further}");
    let json = fs::read_to_string(directory.path().join("further/checkpoints/epoch-0002.json")).expect("written");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["config"]["head"]["name"], &json["config"]["head"]["margin"]), (&"arcface".into(), &0.1.into()));
    let text = run(&["train", "--resume", "--out", "further", "--epochs", "3"]);
    assert!(text.contains("going on after epoch 2"), "{text}");
    // Of another head, and of rows that some classes have none of.
    let old = ["--train-features", "old_X.npy", "--train-labels", "old_y.npy"];
    let other = ["train", "--from", "more", "--head", "cosface", "--scale", "16", "--epochs", "1", "--out", "other"];
    run(&[&other[..], &old].concat());
    run(&["train", "--resume", "--out", "other", "--epochs", "2"]);
    assert_eq!(listed(directory.path(), "other").lines().count(), 9);
}

#[test]
fn classes_go_become_one_and_get_other_labels() {
    let directory = with_run(&[]);
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), arguments));
    let text = run(&["classes", "remove", "--run", "run", "--out", "fewer", "2", "4"]);
    assert_eq!(text, "4 classes, 2 fewer than before; model in fewer\n");
    assert_eq!(listed(directory.path(), "fewer"), "label\n0\n1\n3\n5\n");
    let text = run(&["classes", "merge", "--run", "fewer", "--out", "merged", "3", "0"]);
    assert_eq!(text, "3 classes, 1 fewer than before; model in merged\n");
    assert_eq!(listed(directory.path(), "merged"), "label\n1\n3\n5\n");
    let text = run(&["classes", "rename", "--run", "merged", "--out", "renamed", "3", "-7"]);
    assert_eq!(text, "3 classes; model in renamed\n");
    assert_eq!(listed(directory.path(), "renamed"), "label\n-7\n1\n5\n");
    let predicted = run(&["predict", "--run", "renamed", "--features", "old_X.npy"]);
    assert!(predicted.lines().any(|line| line.contains(",1,-7,")), "{predicted}");
}

#[test]
fn names_come_along() {
    let names: String = ["auk", "bee", "cat", "doe", "eel", "fox"].map(|name| format!("{name}\n")).concat();
    let directory = with_run(&[]);
    fs::write(directory.path().join("names.txt"), names).expect("writable");
    fs::remove_dir_all(directory.path().join("run")).expect("there");
    let train = ["train", "--head", "fixed-adacos", "--epochs", "2", "--out", "run", "--class-names", "names.txt"];
    let data = ["--train-features", "old_X.npy", "--train-labels", "old_y.npy"];
    stdout(&arcos(directory.path(), &[&train[..], &data].concat()));
    let message = complaint(&arcos(directory.path(), &[&ADD[..], &["--out", "more"]].concat()), 2);
    assert!(
        message.contains("the run in run: the names of classes is none for 6; expected one for each class"),
        "{message}"
    );
    assert!(!directory.path().join("more").exists());
    fs::write(directory.path().join("new.txt"), "gnu\n").expect("writable");
    let with_names = [&ADD[..], &["--out", "more", "--class-names", "new.txt"]].concat();
    let message = complaint(&arcos(directory.path(), &with_names), 1);
    assert!(message.contains("new.txt: names 1 class; expected a name for each of 2 new classes"), "{message}");
    fs::write(directory.path().join("new.txt"), "gnu\nhen\n").expect("writable");
    let output = arcos(directory.path(), &with_names);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "arcos: the scale of fixed-adacos follows the number of classes, and all logits with it\n");
    stdout(&output);
    let rename = ["classes", "rename", "--run", "more", "--out", "renamed", "6", "ibis"];
    stdout(&arcos(directory.path(), &rename));
    let expected = "label,name\n0,auk\n1,bee\n2,cat\n3,doe\n4,eel\n5,fox\n6,ibis\n7,hen\n";
    assert_eq!(listed(directory.path(), "renamed"), expected);
}

#[test]
fn what_is_wrong_leaves_everything_as_it_was() {
    let directory = with_run(&[]);
    let says = |arguments: &[&str], status, text: &str| {
        let complaint = complaint(&arcos(directory.path(), arguments), status);
        assert!(complaint.contains(text), "{arguments:?}: {complaint}");
    };
    let remove = ["classes", "remove", "--run", "run", "--out"];
    says(&[&remove[..], &["x", "owl"]].concat(), 2, "the label of a class is \"owl\"; expected a whole number");
    says(
        &[&remove[..], &["x", "9"]].concat(),
        2,
        "the run in run: the label of a class is 9; expected one of 0 to 5, each once",
    );
    says(
        &[&remove[..], &["x", "0", "1", "2", "3", "4"]].concat(),
        1,
        "the run in run: arcface got 1 class; expected at least 2",
    );
    says(&[&remove[..], &["run", "0"]].concat(), 1, "run/run.json: is part of what this command reads");
    says(&[&remove[..], &["x"]].concat(), 2, "<LABEL>");
    says(&["classes", "merge", "--run", "run", "--out", "x", "3"], 2, "2 values required");
    says(&["classes", "list", "--run", "nowhere"], 1, "nowhere: is not there");
    let add = ["classes", "add", "--run", "run", "--out", "x", "--features", "old_X.npy", "--labels", "old_y.npy"];
    says(&add, 2, "the set of labels is 0 to 5; expected labels that are no classes of the model");
    assert!(!directory.path().join("x").exists());
    stdout(&arcos(directory.path(), &[&remove[..], &["fewer", "0"]].concat()));
    says(
        &["train", "--resume", "--out", "fewer"],
        1,
        "fewer: holds a model that was not trained there; expected --from with it, and another --out",
    );
    says(
        &["train", "--from", "fewer", "--data", "data", "--out", "x", "--transform", "none"],
        2,
        "cannot be used with",
    );
    says(
        &["train", "--from", "fewer", "--data", "data", "--out", "x", "--margin", "0.3"],
        2,
        "expected --head with it",
    );
    says(&["train", "--from", "fewer", "--data", "data", "--out", "x"], 1, "train_labels.npy: ");
    assert!(!directory.path().join("x").exists());
}
