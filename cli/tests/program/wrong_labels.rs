//! Labels that do not go together: which of them is named.

use super::class_labels::{TRAIN, relabelled, train, write_strings};
use super::command::{arcos, complaint, stdout};
use ndarray::Array1;
use ndarray_npy::write_npy;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// One string makes strings of a column of numbers: it is what is wrong, not the first label.
#[test]
fn a_string_among_numbers_is_named() {
    let with_stray = |stray_in: &'static str| {
        relabelled(move |path, labels| {
            if path.ends_with(stray_in) {
                let mut strings: Vec<String> = labels.iter().map(i64::to_string).collect();
                strings[17] = "x".into();
                write_strings(path, "<U", 2, &strings.iter().map(String::as_str).collect::<Vec<_>>());
            } else {
                write_npy(path, &labels).expect("writable");
            }
        })
    };
    for (file, rows) in [("train_labels.npy", 160), ("test_labels.npy", 80)] {
        let directory = with_stray(file);
        let expected =
            format!("data/{file}: labels[17] is \"x\"; expected a number, as all but 1 of {rows} labels are");
        for more in [&[][..], &["--open-set"], &["--labels-start", "0"]] {
            let message = complaint(&arcos(directory.path(), &[&TRAIN[..], more].concat()), 1);
            assert!(message.contains(&expected), "{more:?}: {message}");
        }
    }
    let directory = with_stray("test_labels.npy");
    let at = |name: &str| directory.path().join("data").join(name);
    let [labels, moved] = ["test_labels.npy", "stray.npy"].map(at);
    fs::rename(labels, &moved).expect("there");
    fs::rename(at("test_features.npy"), at("features.npy")).expect("there");
    train(directory.path(), "run", &[]);
    let evaluate = ["evaluate", "--run", "run", "--features", "data/features.npy", "--labels", "data/stray.npy"];
    let message = complaint(&arcos(directory.path(), &evaluate), 1);
    assert!(message.contains("data/stray.npy: labels[17] is \"x\"; expected a number, as all but 1"), "{message}");
    // By themselves such labels are strings, which is said.
    fs::rename(moved, at("train_labels.npy")).expect("there");
    fs::rename(at("features.npy"), at("train_features.npy")).expect("there");
    let stderr = train(directory.path(), "of strings", &[]);
    assert!(stderr.contains("as all but 1 of 80 labels are; all of them are taken as strings"), "{stderr}");
    assert!(predicted_labels(directory.path()).contains("x"));
}

fn predicted_labels(directory: &Path) -> HashSet<String> {
    let arguments = ["predict", "--run", "of strings", "--features", "data/train_features.npy", "--top", "9"];
    let text = stdout(&arcos(directory, &arguments));
    let records = csv::Reader::from_reader(text.as_bytes()).into_records();
    records.map(|record| record.expect("CSV")[2].to_owned()).collect()
}

#[test]
fn a_class_of_test_rows_alone_is_named_with_its_file() {
    let other = |path: &Path, mut labels: Array1<i64>| {
        if path.ends_with("test_labels.npy") {
            (labels[7], labels[9]) = (33, -5);
        }
        write_npy(path, &labels).expect("writable");
    };
    let directory = relabelled(other);
    let expected = "data/test_labels.npy: labels[7] is 33; expected a label that training rows have, 0 to 7, or -100 for none; \
                    2 rows of 2 other classes: -5, 33";
    let message = complaint(&arcos(directory.path(), &TRAIN), 1);
    assert!(message.contains(expected), "{message}");
    let compare = ["compare", "--data", "data", "--heads", "softmax", "--epochs", "1", "--out", "out"];
    assert!(complaint(&arcos(directory.path(), &compare), 1).contains(expected));

    // Of an open set, too: a known class has training rows.
    let split = |path: &Path, labels: Array1<i64>| {
        let is_train = path.ends_with("train_labels.npy");
        write_npy(path, &labels.mapv(|label| if is_train && label == 2 { -100 } else { label })).expect("writable");
    };
    let directory = relabelled(split);
    let message = complaint(&arcos(directory.path(), &[&TRAIN[..], &["--open-set"]].concat()), 1);
    assert!(
        message.contains(
            "test_labels.npy: labels[2] is 2; expected a label that training rows have; 10 rows of 1 other class: 2\n"
        ),
        "{message}"
    );

    // Of many some are named.
    let many = |path: &Path, labels: Array1<i64>| {
        let factor = if path.ends_with("test_labels.npy") { 10 } else { 1 };
        write_npy(path, &(labels * factor)).expect("writable");
    };
    let message = complaint(&arcos(relabelled(many).path(), &TRAIN), 1);
    let expected = "data/test_labels.npy: labels[1] is 10; expected a label that training rows have, 0 to 7, or -100 for none; \
                    70 rows of 7 other classes: 10, 20, 30, 40, ... 70\n";
    assert!(message.ends_with(expected), "{message}");
}
