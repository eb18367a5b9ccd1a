//! Validation rows from the command line: the best epoch is what every other command then uses.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::data::{Dataset, validation_split};
use arcos::train::{EpochRecord, RunDirectory, best_epoch, read_history};
use ndarray::Array1;
use ndarray_npy::{read_npy, write_npy};
use std::fs;
use std::path::Path;

/// A rate at which accuracy goes up and down.
const TRAIN: [&str; 9] = ["train", "--head", "adacos", "--data", "data", "--learning-rate", "0.3", "--batch-size", "8"];

fn history(run: &Path) -> Vec<EpochRecord> {
    let history = read_history(&run.join("history.csv")).expect("written");
    history.into_iter().map(|record| EpochRecord { rows_per_second: 0.0, ..record }).collect()
}

#[test]
fn the_best_epoch_is_the_result_that_other_commands_use() {
    let directory = with_data();
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), arguments));
    let text =
        run(&[&TRAIN[..], &["--validation", "0.2", "--patience", "3", "--epochs", "40", "--out", "run"]].concat());
    // 20 rows of each of eight classes.
    assert!(text.contains("128 training rows, 32 validation rows, 80 test rows, 32 dimensions, 8 classes"), "{text}");
    let history = history(&directory.path().join("run"));
    let best = best_epoch(&history).expect("validated");
    assert!(history.len() == best + 3 && history.len() < 40, "{best} of {}", history.len());
    assert!(text.contains("no epoch of the last 3 was better on the validation rows: training stops"), "{text}");
    let record = &history[best - 1];
    let test = record.test_accuracy.expect("test rows");
    assert_ne!(Some(test), history.last().and_then(|last| last.test_accuracy), "nothing is told apart here");
    let said = format!("epoch {best} of {} is the best on the validation rows, and the run's result:", history.len());
    assert!(text.contains(&said) && text.contains(&format!("{test:.4}")), "{text}");

    let measured = ["--features", "data/test_features.npy", "--labels", "data/test_labels.npy", "--json"];
    let evaluation: serde_json::Value =
        serde_json::from_str(&run(&[&["evaluate", "--run", "run"], &measured[..]].concat())).expect("JSON");
    assert_eq!(evaluation["accuracy"], test);
    run(&["predict", "--run", "run", "--features", "data/test_features.npy", "--out", "predicted.csv"]);
    let mut predicted = csv::Reader::from_path(directory.path().join("predicted.csv")).expect("written");
    let labels: Array1<i32> = read_npy(directory.path().join("data/test_labels.npy")).expect("written");
    let right = predicted.deserialize::<(usize, usize, i32, f64)>().zip(&labels);
    let right = right.filter(|(row, label)| row.as_ref().expect("four columns").2 == **label).count();
    assert_eq!(right as f64 / 80.0, test);

    // Nothing is left to do, but with more patience.
    let text = run(&["train", "--resume", "--out", "run"]);
    assert!(text.contains("the run has stopped early; --patience with more than 3 goes on"), "{text}");
    let text = run(&["train", "--resume", "--out", "run", "--patience", "4"]);
    assert!(text.contains(&format!("epoch {:>2}/40", best + 4)), "{text}");
}

#[test]
fn a_resumed_run_holds_out_the_same_rows() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), arguments));
    let begin = [&TRAIN[..], &["--validation", "0.25", "--seed", "3", "--sample-weights", "weights.npy"]].concat();
    write_npy(at("weights.npy"), &Array1::from_shape_fn(160, |row| (row % 3) as f32)).expect("writable");
    run(&[&begin[..], &["--epochs", "6", "--out", "whole"]].concat());
    run(&[&begin[..], &["--epochs", "3", "--out", "parts"]].concat());
    run(&["train", "--resume", "--out", "parts", "--epochs", "6", "--validation", "0.25"]);
    assert!(last_tensors(&at("parts")) == last_tensors(&at("whole")), "the tensors differ");
    assert_eq!(history(&at("parts")), history(&at("whole")));
    let resume = ["train", "--resume", "--out", "parts", "--validation", "0.5", "--batch-size", "9"];
    let message = complaint(&arcos(directory.path(), &resume), 2);
    let differences = "batch size is 9, the run has 8; validation is 0.5, the run has 0.25; expected the settings";
    assert!(message.contains(differences), "{message}");
    let files = ["--validation-features", "data/test_features.npy", "--validation-labels", "data/test_labels.npy"];
    let message = complaint(&arcos(directory.path(), &[&resume[..4], &files].concat()), 2);
    assert!(message.contains("validation is a file, the run has 0.25; expected"), "{message}");
}

#[test]
fn validation_rows_may_be_in_files() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let run = |arguments: &[&str]| arcos(directory.path(), arguments);
    // The rows that --validation would hold out, in files.
    let data = Dataset::read(&at("data/train_features.npy"), &at("data/train_labels.npy"), None).expect("written");
    let split = validation_split(&data, 0.2, 0).expect("20 rows of each class");
    fs::create_dir(at("split")).expect("writable");
    for (name, part) in [("train", &split.train), ("validation", &split.validation)] {
        let features = part.features.rows().all().expect("readable").into_owned();
        write_npy(at(&format!("split/{name}_features.npy")), &features).expect("writable");
        write_npy(at(&format!("split/{name}_labels.npy")), &part.labels).expect("writable");
    }
    let files = [
        "--validation-features",
        "split/validation_features.npy",
        "--validation-labels",
        "split/validation_labels.npy",
    ];
    let train = ["train", "--head", "adacos", "--epochs", "4"];
    stdout(&run(&[&train[..], &["--data", "split", "--out", "files"], &files].concat()));
    stdout(&run(&[&train[..], &["--data", "data", "--validation", "0.2", "--out", "share"]].concat()));
    assert!(last_tensors(&at("files")) == last_tensors(&at("share")), "the tensors differ");
    let figures = |name: &str| history(&at(name)).iter().map(|record| record.validation_loss).collect::<Vec<_>>();
    assert_eq!(figures("files"), figures("share"));
    assert!(figures("files").iter().all(Option::is_some));

    // They are known from then on, be they moved.
    stdout(&run(&["train", "--resume", "--out", "files", "--epochs", "5"]));
    fs::rename(at("split"), at("moved")).expect("there");
    let moved = files.map(|argument| argument.replace("split/", "moved/"));
    let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
    stdout(&run(&[&["train", "--resume", "--out", "files", "--epochs", "6", "--data", "moved"], &moved[..]].concat()));

    // Labels of classes that no training row has.
    let other: Array1<i64> = Array1::from_elem(split.validation.rows(), 8);
    write_npy(at("moved/validation_labels.npy"), &other).expect("writable");
    let message = complaint(&run(&[&train[..], &["--data", "moved", "--out", "other"], &moved].concat()), 1);
    assert!(message.contains("moved/validation_labels.npy: labels[0] is 8; expected"), "{message}");
    assert!(!at("other").exists());
}

#[test]
fn what_cannot_be_validated_is_bad_usage_or_bad_data() {
    let directory = with_data();
    let train = ["train", "--head", "adacos", "--data", "data"];
    let says = |given: &[&str], code: i32, text: &str| {
        let message = complaint(&arcos(directory.path(), &[&train[..], given].concat()), code);
        assert!(message.contains(text), "{given:?}: {message}");
    };
    says(&["--patience", "3"], 2, "--patience is given; expected --validation, or --validation-features, with it");
    says(&["--patience", "0", "--validation", "0.1"], 2, "expected at least 1");
    let never = ["--patience", "5", "--epochs", "5", "--validation", "0.1"];
    says(&never, 2, "--patience is 5; expected fewer than 5, the epochs");
    for share in ["0", "1", "-0.1", "ten"] {
        says(&["--validation", share], 2, "expected a number above 0 and below 1");
    }
    let labels = "data/train_labels.npy";
    says(
        &["--validation", "0.1", "--validation-features", "x.npy", "--validation-labels", labels],
        2,
        "cannot be used with",
    );
    says(&["--validation-features", "x.npy"], 2, "--validation-labels");
    says(&["--validation-features", "x.npy", "--validation-labels", labels], 1, "cannot read x.npy");
    let mut lonely: Array1<i64> = read_npy(directory.path().join(labels)).expect("written");
    lonely[7] = 8;
    write_npy(directory.path().join(labels), &lonely).expect("writable");
    says(
        &["--validation", "0.1"],
        1,
        "a validation split of class 8 with 1 row that counts is not defined; expected two of every class",
    );
    assert!(RunDirectory::newest_checkpoint(&directory.path().join("arcos-run")).expect("readable").is_none());
}
