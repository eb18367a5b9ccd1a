//! Probabilities from the command line: a temperature is fitted where there are validation rows, and used where there are probabilities.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data, write_data};
use arcos::metrics::calibration::Calibration;
use arcos::ops::Targets;
use arcos::train::{Checkpoint, RunDirectory};
use ndarray::{Array1, Array2};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use std::fs;
use std::path::Path;

const MEASURED: [&str; 4] = ["--features", "data/test_features.npy", "--labels", "data/test_labels.npy"];

fn temperature(run: &Path) -> Option<f64> {
    let checkpoint: Checkpoint = RunDirectory::load_newest(run).expect("whole").expect("a checkpoint");
    checkpoint.best_model().temperature
}

fn evaluation(directory: &Path, run: &str, more: &[&str]) -> Value {
    let printed = stdout(&arcos(directory, &[&["evaluate", "--run", run, "--json"], more].concat()));
    serde_json::from_str(&printed).expect("JSON")
}

/// Row, rank, label and probability.
fn predictions(directory: &Path, run: &str, more: &[&str]) -> Vec<(usize, usize, i64, f64)> {
    let predict = ["predict", "--run", run, "--features", "data/test_features.npy"];
    let printed = stdout(&arcos(directory, &[&predict, more].concat()));
    let rows = csv::Reader::from_reader(printed.as_bytes()).into_deserialize().collect::<csv::Result<_>>();
    rows.expect("four columns")
}

/// A copy of a run without its temperature.
fn without_temperature(directory: &Path, run: &str, copy: &str) {
    let mut checkpoint: Checkpoint = RunDirectory::load_newest(&directory.join(run)).expect("whole").expect("there");
    checkpoint.best.as_mut().into_iter().chain([&mut checkpoint.model]).for_each(|model| model.temperature = None);
    checkpoint.save(&directory.join(copy)).expect("writable");
}

/// What the JSON of `evaluate` says of one temperature.
fn figures(at: &Value) -> [f64; 4] {
    ["temperature", "nll", "brier", "ece"].map(|name| at[name].as_f64().expect("a number"))
}

#[test]
fn a_run_with_validation_rows_has_a_temperature_and_probabilities_are_those_at_it() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let embed = ["--embed", "6", "--embed-block", "e", "--learning-rate", "0.02"];
    for (number, more) in [
        &["--head", "adacos"][..],
        &["--head", "softmax", "--transform", "none"],
        &["--head", "sphereface2", "--transform", "standardise", "--learning-rate", "0.05"],
        &[&["--head", "arcface", "--scale", "64", "--margin", "0.1", "--transform", "centre"], &embed[..]].concat(),
        &["--head", "proxy-anchor"],
        &["--head", "cosface", "--transform", "whiten", "--dimensions", "8", "--ridge", "0.1"],
    ]
    .into_iter()
    .enumerate()
    {
        if more.contains(&"whiten") && !cfg!(feature = "blas") {
            continue;
        }
        let run = format!("run-{number}");
        let train = ["train", "--data", "data", "--validation", "0.4", "--epochs", "5", "--batch-size", "16"];
        let text = stdout(&arcos(directory.path(), &[&train[..], more, &["--out", &run]].concat()));
        let temperature = temperature(&at(&run)).unwrap_or_else(|| panic!("{more:?}: {text}"));
        let said = format!("its probabilities are those at T = {temperature:.4}, the temperature at which");
        assert!(text.contains(&said), "{text}");

        // The same classes, and the softmax of the logits at that temperature.
        without_temperature(directory.path(), &run, "plain");
        let (found, plain) = (
            predictions(directory.path(), &run, &["--top", "8"]),
            predictions(directory.path(), "plain", &["--top", "8"]),
        );
        for (found, plain) in found.chunks(8).zip(plain.chunks(8)) {
            let powers = plain.iter().map(|row| (row.3.ln() / temperature).exp()).collect::<Vec<_>>();
            let sum: f64 = powers.iter().sum();
            for ((found, plain), power) in found.iter().zip(plain).zip(powers) {
                assert_eq!((found.0, found.1, found.2), (plain.0, plain.1, plain.2));
                assert!((found.3 - power / sum).abs() < 1e-6 && (0.0..=1.0).contains(&found.3), "{found:?} {plain:?}");
            }
        }

        // What is measured is of what is predicted.
        let evaluation = evaluation(directory.path(), &run, &MEASURED);
        let labels: Array1<i32> = read_npy(at("data/test_labels.npy")).expect("written");
        let labels = labels.mapv(i64::from);
        let targets = Targets::new(labels.view(), 80, 8).expect("in range");
        let measured = evaluation["calibration"].as_array().expect("two of them");
        assert_eq!(measured.len(), 2);
        for (measured, (predicted, of)) in measured.iter().zip([(plain, 1.0), (found, temperature)]) {
            let mut logits = Array2::zeros((80, 8));
            predicted.iter().for_each(|&(row, _, label, probability)| logits[[row, label as usize]] = probability.ln());
            let mut expected = Calibration::default();
            expected.add(logits.view(), &targets, 1.0);
            let expected = [of, expected.nll(), expected.brier(), expected.ece()];
            for (found, expected) in figures(measured).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4 * (1.0 + expected), "{more:?}: {measured} is not {expected:?}");
            }
            let rows: u64 =
                measured["bins"].as_array().expect("15").iter().map(|bin| bin["rows"].as_u64().expect("a count")).sum();
            assert_eq!(rows, 80);
        }
        let text = stdout(&arcos(directory.path(), &[&["evaluate", "--run", &run], &MEASURED[..]].concat()));
        let [first, second] =
            [1.0, temperature].map(|temperature| format!("\nprobabilities at T = {temperature:.4}: NLL "));
        assert!(text.contains(&first) && text.contains(&second) && text.contains("  ECE "), "{text}");
    }
}

#[test]
fn runs_that_go_on_or_are_from_before_are_fitted_at_their_end() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let train = ["train", "--head", "adacos", "--data", "data", "--validation", "0.4", "--batch-size", "16"];
    let run = |more: &[&str]| stdout(&arcos(directory.path(), &[&train[..], more].concat()));
    run(&["--epochs", "6", "--out", "whole"]);
    run(&["--epochs", "2", "--out", "parts"]);
    let resume =
        |more: &[&str]| stdout(&arcos(directory.path(), &[&["train", "--resume", "--out", "parts"], more].concat()));
    resume(&["--epochs", "6"]);
    let fitted = temperature(&at("whole"));
    assert!(fitted.is_some() && temperature(&at("parts")) == fitted);
    assert!(last_tensors(&at("parts")) == last_tensors(&at("whole")), "the tensors differ");

    // A run of a version that fitted none gets one by going on, with nothing left to train.
    let newest = RunDirectory::newest_checkpoint(&at("parts")).expect("readable").expect("a checkpoint");
    let json = || fs::read(&newest).expect("there");
    let before = json();
    without_temperature(directory.path(), "parts", newest.to_str().expect("UTF-8"));
    assert_eq!(temperature(&at("parts")), None);
    assert!(resume(&[]).contains("its probabilities are those at T ="));
    assert!(json() == before);
    let written = fs::metadata(&newest).expect("there").modified().expect("a time");
    resume(&[]);
    assert_eq!(fs::metadata(&newest).expect("there").modified().expect("a time"), written, "it was written again");

    // Without validation rows there is nothing to fit it on.
    stdout(&arcos(
        directory.path(),
        &["train", "--head", "adacos", "--data", "data", "--epochs", "2", "--out", "without"],
    ));
    assert_eq!(temperature(&at("without")), None);
    let measured = evaluation(directory.path(), "without", &MEASURED);
    assert_eq!(measured["calibration"].as_array().expect("one").len(), 1);
}

#[test]
fn a_run_whose_rows_have_no_temperature_says_so_and_ends_well() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    // So far apart that none is wrong.
    fs::create_dir(at("apart")).expect("writable");
    let labels = Array1::from_shape_fn(40, |row| row as i64 % 4);
    let features =
        Array2::from_shape_fn((40, 4), |(row, column)| f64::from(u8::from(row % 4 == column)) + 1e-3 * row as f64);
    write_npy(at("apart/train_features.npy"), &features).expect("writable");
    write_npy(at("apart/train_labels.npy"), &labels).expect("writable");
    let says = |more: &[&str], expected: &str| {
        let output = arcos(directory.path(), &[&["train", "--data", "apart", "--validation", "0.3"], more].concat());
        let said = String::from_utf8(output.stderr.clone()).expect("UTF-8");
        stdout(&output);
        let line = format!("arcos: a temperature of {expected}: probabilities are those of the logits as they are\n");
        assert_eq!(said, line);
    };
    let adacos = ["--head", "adacos", "--epochs", "60", "--learning-rate", "0.05", "--out", "right"];
    says(&adacos, "12 rows, all of them predicted right, is not defined; expected a wrong one among them");
    // Class vectors at random, or nearly so.
    let expected = "is not defined; expected logits that say something of the labels";
    let arcface = ["--head", "arcface", "--epochs", "1", "--learning-rate", "1e-9", "--out", "wrong"];
    says(&arcface, &format!("12 rows, whose labelled logits are no higher than others, {expected}"));
    assert_eq!(["right", "wrong"].map(|run| temperature(&at(run))), [None, None]);
    // Rows of a single class, right and wrong.
    write_npy(at("one.npy"), &Array1::from_elem(40, 3i64)).expect("writable");
    let held_out = ["--validation-features", "apart/train_features.npy", "--validation-labels", "one.npy"];
    let train = ["train", "--data", "apart", "--head", "adacos", "--epochs", "2", "--out", "one"];
    stdout(&arcos(directory.path(), &[&train[..], &held_out].concat()));
    // What is not labelled as the run is stays an error of the labels.
    let strange: Array1<i64> = Array1::from_elem(40, 9);
    write_npy(at("strange.npy"), &strange).expect("writable");
    let evaluate = ["evaluate", "--run", "one", "--features", "apart/train_features.npy", "--labels", "strange.npy"];
    let message = complaint(&arcos(directory.path(), &evaluate), 1);
    assert!(message.contains("strange.npy: labels[0] is 9"), "{message}");
}

#[test]
fn a_reliability_diagram_is_left_beside_the_figures() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    write_data(&at("more"), 8, 32);
    let train = ["train", "--head", "adacos", "--data", "data", "--validation", "0.4", "--epochs", "3", "--out", "run"];
    stdout(&arcos(directory.path(), &train));
    let evaluate = [&["evaluate", "--run", "run", "--out", "report"], &MEASURED[..]].concat();
    for _ in 0..2 {
        stdout(&arcos(directory.path(), &evaluate));
        let png = fs::read(at("report/reliability.png")).expect("drawn");
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000 && !at("report/open_set.png").exists());
        let report: Value =
            serde_json::from_slice(&fs::read(at("report/evaluation.json")).expect("written")).expect("JSON");
        assert_eq!(report["calibration"].as_array().expect("two").len(), 2);
        stdout(&arcos(directory.path(), &[&evaluate[..], &["--open-set"]].concat()));
        assert!(at("report/open_set.png").exists() && !at("report/reliability.png").exists());
    }
}
