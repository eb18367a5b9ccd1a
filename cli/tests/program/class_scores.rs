//! How well each class is told from all others, from the command line.

use super::command::{arcos, stdout};
use super::program::with_data;
use ndarray::Array1;
use ndarray_npy::{read_npy, write_npy};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const FILES: [&str; 3] = ["class_scores.csv", "confusions.csv", "confusions.png"];
const EVALUATE: [&str; 9] = [
    "evaluate",
    "--run",
    "run",
    "--features",
    "data/test_features.npy",
    "--labels",
    "data/test_labels.npy",
    "--out",
    "report",
];

#[derive(Deserialize)]
struct ClassRow {
    label: i64,
    name: String,
    rows: usize,
    predicted_rows: usize,
    recall: Option<f64>,
    precision: Option<f64>,
    f1: f64,
    most_taken_for: Option<i64>,
    taken_for_rows: usize,
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Vec<T> {
    let rows = csv::Reader::from_path(path).expect("written").into_deserialize().collect::<csv::Result<_>>();
    rows.expect("well-formed")
}

fn predicted(directory: &Path) -> Array1<i64> {
    let rows =
        stdout(&arcos(directory, &["predict", "--run", "run", "--top", "1", "--features", "data/test_features.npy"]));
    let records = csv::Reader::from_reader(rows.as_bytes()).into_records();
    records.map(|record| record.expect("CSV")[2].parse::<i64>().expect("a label")).collect()
}

/// How often each label is predicted to be each.
fn counted(directory: &Path) -> BTreeMap<(i64, i64), usize> {
    let labels: Array1<i32> = read_npy(directory.join("data/test_labels.npy")).expect("there");
    let mut counts = BTreeMap::new();
    labels.into_iter().map(i64::from).zip(predicted(directory)).for_each(|pair| *counts.entry(pair).or_default() += 1);
    counts
}

#[test]
fn scores_of_classes_are_those_of_the_predictions() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    // So little training that there are mistakes.
    let train = ["train", "--head", "softmax", "--data", "data", "--epochs", "1", "--learning-rate", "1e-5"];
    stdout(&arcos(directory.path(), &[&train[..], &["--out", "run"]].concat()));
    let text = stdout(&arcos(directory.path(), &EVALUATE));
    let counts = counted(directory.path());
    let confusions: Vec<(i64, i64, usize)> = read(&at("report/confusions.csv"));
    assert!(confusions.len() > 8, "{}", confusions.len());
    assert!(confusions.is_sorted_by(|a, b| a.2 >= b.2));
    let mistakes = counts.iter().filter(|((label, predicted), _)| label != predicted);
    let mistakes: BTreeMap<(i64, i64), usize> = mistakes.map(|(&pair, &rows)| (pair, rows)).collect();
    let listed = confusions.iter().map(|&(label, predicted, rows)| ((label, predicted), rows));
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), mistakes);

    let scores: Vec<ClassRow> = read(&at("report/class_scores.csv"));
    assert_eq!(scores.len(), 8);
    for (label, score) in (0..).zip(&scores) {
        assert_eq!((score.label, score.name.as_str(), score.rows), (label, "", 10));
        let correct = counts.get(&(label, label)).copied().unwrap_or(0);
        let predicted: usize =
            counts.iter().filter(|((_, predicted), _)| *predicted == label).map(|(_, rows)| rows).sum();
        assert_eq!(score.predicted_rows, predicted);
        assert_eq!(score.recall, Some(correct as f64 / 10.0));
        assert_eq!(score.precision, (predicted > 0).then(|| correct as f64 / predicted as f64));
        assert_eq!(score.f1, 2.0 * correct as f64 / (10 + predicted) as f64);
        let most = confusions.iter().find(|confusion| confusion.0 == label);
        let expected = (most.map(|most| most.1), most.map_or(0, |most| most.2));
        assert_eq!((score.most_taken_for, score.taken_for_rows), expected);
    }
    assert!(fs::read(at("report/confusions.png")).expect("drawn").starts_with(b"\x89PNG"));

    let report: Value =
        serde_json::from_slice(&fs::read(at("report/evaluation.json")).expect("written")).expect("JSON");
    let balanced = scores.iter().map(|score| score.recall.expect("rows")).sum::<f64>() / 8.0;
    approx::assert_relative_eq!(report["classes"]["balanced_accuracy"].as_f64().expect("a number"), balanced);
    assert!(text.contains(&format!("means over classes: balanced accuracy {balanced:.4}  precision ")), "{text}");
    let listed = text.split("\nhardest classes ").nth(1).expect("there are mistakes");
    assert_eq!(listed.lines().count(), 1 + 5, "{text}");
    let lowest = scores.iter().filter_map(|score| score.recall).fold(1.0, f64::min);
    assert!(listed.lines().nth(1).expect("a class").contains(&format!(" 10  {lowest:.4} ")), "{text}");
}

#[test]
fn files_of_another_evaluation_do_not_stay() {
    let directory = with_data();
    let is_there = |name: &&str| directory.path().join("report").join(name).exists();
    let train = ["train", "--head", "softmax", "--data", "data", "--epochs", "1", "--learning-rate", "1e-5"];
    stdout(&arcos(directory.path(), &[&train[..], &["--out", "run"]].concat()));
    stdout(&arcos(directory.path(), &EVALUATE));
    assert!(FILES.iter().all(is_there));
    stdout(&arcos(directory.path(), &[&EVALUATE[..], &["--open-set"]].concat()));
    assert!(!FILES.iter().any(is_there));
    stdout(&arcos(directory.path(), &EVALUATE));
    // Rows that are what they are taken for.
    write_npy(directory.path().join("data/test_labels.npy"), &predicted(directory.path())).expect("writable");
    let text = stdout(&arcos(directory.path(), &EVALUATE));
    assert!(text.contains("accuracy 1.0000") && !text.contains("hardest"), "{text}");
    assert_eq!(FILES.map(|name| is_there(&name)), [true, true, false], "there is no mistake to draw");
}
