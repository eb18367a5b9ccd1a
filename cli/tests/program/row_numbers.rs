//! A row that cannot be measured is named by its number in its file, and by the file, whatever was selected of it.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use ndarray::{Array1, Array2};
use ndarray_npy::{WritableElement, read_npy, write_npy};
use std::path::Path;

/// The complaint of `arcos` about features of which a row is made up of `value`.
fn with_row<T: WritableElement + Clone>(
    directory: &Path,
    file: &str,
    features: &Array2<T>,
    (row, value): (usize, T),
    arguments: &[&str],
) -> String {
    let mut wrong = features.clone();
    wrong.row_mut(row).fill(value);
    write_npy(directory.join(file), &wrong).expect("writable");
    let message = complaint(&arcos(directory, arguments), 1);
    write_npy(directory.join(file), features).expect("writable");
    message
}

#[test]
fn of_the_rows_that_are_selected_and_of_distractors() {
    let directory = with_data();
    let path = directory.path();
    let read = |name: &str| -> Array2<f32> { read_npy(path.join(name)).expect("written") };
    let features = read("data/test_features.npy");
    write_npy(path.join("d.npy"), &read("data/train_features.npy")).expect("writable");
    stdout(&arcos(path, &["train", "--head", "softmax", "--data", "data", "--transform", "none", "--epochs", "1"]));

    // Rows of classes 5 and up are 5, 6, 7, 13, ...
    let labels = ["--labels", "data/test_labels.npy", "--classes", "5.."];
    let of_embeddings = [&["evaluate", "--embeddings", "e.npy"], &labels[..]].concat();
    let of_model = [&["evaluate", "--features", "e.npy"], &labels[..]].concat();
    let open_set = [&of_model[..], &["--open-set"]].concat();
    let with_value = |row, value, arguments: &[&str]| with_row(path, "e.npy", &features, (row, value), arguments);
    for (arguments, name) in [(&of_embeddings, "embeddings"), (&of_model, "features"), (&open_set, "embeddings")] {
        let message = with_value(14, f32::NAN, arguments);
        assert!(message.starts_with(&format!("arcos: e.npy: {name}[14, 0] is NaN; expected")), "{message}");
        write_npy(path.join("e.npy"), &features).expect("writable");
        stdout(&arcos(path, arguments));
    }
    for arguments in [&of_embeddings, &open_set] {
        assert!(with_value(14, 0.0, arguments).starts_with("arcos: e.npy: embeddings row 14 has norm 0; "));
        assert!(
            with_value(14, 3e38, arguments)
                .starts_with("arcos: e.npy: embeddings row 14 has a norm above 3.4028235e38")
        );
        let among = [&arguments[..], &["--distractors", "d.npy"]].concat();
        let distractors = read("d.npy");
        let message = with_row(path, "d.npy", &distractors, (77, 0.0), &among);
        assert!(message.starts_with("arcos: d.npy: distractors row 77 has norm 0; "), "{message}");
        let message = with_row(path, "d.npy", &distractors, (77, 3e38), &among);
        assert!(message.starts_with("arcos: d.npy: distractors row 77 has a norm above 3.4028235e38"), "{message}");
    }
    let double = features.mapv(f64::from);
    let message = with_row(path, "e.npy", &double, (14, f64::MAX), &of_embeddings);
    let expected = "arcos: e.npy: embeddings row 14 has a norm above 1.7976931348623157e308";
    assert!(message.starts_with(expected), "{message}");
    let message = with_row(path, "e.npy", &double, (14, 0.0), &of_embeddings);
    assert!(message.starts_with("arcos: e.npy: embeddings row 14 has norm 0; "), "{message}");

    // Where something of the labels is wrong, their file.
    write_npy(path.join("none.npy"), &Array1::from_elem(80, -100i64)).expect("writable");
    let message = complaint(&arcos(path, &["evaluate", "--features", "e.npy", "--labels", "none.npy"]), 1);
    assert!(message.starts_with("arcos: none.npy: 80 rows with no label but"), "{message}");
    write_npy(path.join("few.npy"), &Array1::from_elem(79, 0i64)).expect("writable");
    for (option, what) in [("--features", "features"), ("--embeddings", "embeddings")] {
        let message = complaint(&arcos(path, &["evaluate", option, "e.npy", "--labels", "few.npy"]), 1);
        let expected =
            format!("arcos: few.npy: labels has shape [79]; expected (80,), one label for each row of {what}");
        assert!(message.starts_with(&expected), "{message}");
    }
}

/// Not a part of it, of which rows are looked at at a time.
#[test]
fn features_of_another_dimension_have_the_shape_of_their_file() {
    let directory = with_data();
    let path = directory.path();
    let rows = 3000;
    write_npy(path.join("x.npy"), &Array2::<f32>::ones((rows, 5))).expect("writable");
    write_npy(path.join("y.npy"), &Array1::<i64>::zeros(rows)).expect("writable");
    let labels = ["--labels", "y.npy"];
    let commands = [
        [&["predict"][..], &[]],
        [&["embed", "--out", "e.npy"], &[]],
        [&["evaluate"], &labels],
        [&["evaluate", "--open-set"], &labels],
        [&["suspects", "--out", "s.csv"], &labels],
    ];
    for transform in ["none", "centre"] {
        let train =
            ["train", "--head", "arcface", "--data", "data", "--epochs", "1", "--out", transform, "--transform"];
        stdout(&arcos(path, &[&train[..], &[transform]].concat()));
        for [command, more] in commands {
            let run = ["--run", transform, "--features", "x.npy"];
            let message = complaint(&arcos(path, &[command, &run, more].concat()), 1);
            let expected = "arcos: x.npy: features has shape [3000, 5]; expected (rows, 32), the dimension that";
            assert!(message.starts_with(expected), "{command:?}: {message}");
        }
    }
}

/// Rows of unseen classes are from two files.
#[test]
fn of_an_open_set() {
    let directory = with_data();
    let read = |name: &str| -> Array2<f32> { read_npy(directory.path().join("data").join(name)).expect("written") };
    for command in [["train", "--head"], ["compare", "--heads"]] {
        let base = ["softmax", "--data", "data", "--open-set", "--transform", "none", "--epochs", "1", "--out", "out"];
        let arguments = [&command[..], &base].concat();
        // Class 6 and 7, neither the first of their kind.
        for (name, row) in [("train_features.npy", 158), ("test_features.npy", 79), ("test_features.npy", 4)] {
            let file = format!("data/{name}");
            let message = with_row(directory.path(), &file, &read(name), (row, 0.0), &arguments);
            assert!(message.starts_with(&format!("arcos: {file}: embeddings row {row} has norm 0; ")), "{message}");
            let _ = std::fs::remove_dir_all(directory.path().join("out"));
        }
    }
}
