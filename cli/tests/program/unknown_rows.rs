//! `arcos evaluate --unknown`: does a head tell rows of none of its classes? `arcos predict --reject-far`: which are they?

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use arcos::metrics::unknown_rows::unknown_rows;
use arcos::train::{Checkpoint, RunDirectory};
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

#[test]
fn few_unknown_rows_are_accepted_and_the_classes_stay() {
    let directory = with_unknown();
    let run = |features: &str, more: &[&str]| {
        let predict = ["predict", "--top", "2", "--features", features];
        let output = arcos(directory.path(), &[&predict[..], more].concat());
        let said = String::from_utf8(output.stderr.clone()).expect("UTF-8");
        (stdout(&output), said)
    };
    let (plain, said) = run("unknown.npy", &[]);
    assert!(said.is_empty() && plain.starts_with("row,rank,label,probability\n"));
    for (score, more) in
        [("logit", &[][..]), ("probability", &["--reject-by", "probability"]), ("energy", &["--reject-by", "energy"])]
    {
        let given = [&["--reject-far", "0.15", "--unknown", "unknown.npy"], more].concat();
        let (found, said) = run("unknown.npy", &given);
        assert!(
            said.contains(": 3 of 20 unknown rows are, which makes a false accept rate of 0.05"),
            "{score}: {said}"
        );
        let mut accepted = vec![None; 20];
        for (line, plain) in found.lines().zip(plain.lines()).skip(1) {
            let (before, last) = line.rsplit_once(',').expect("five columns");
            assert_eq!(before, plain);
            let row: usize = line.split(',').next().and_then(|row| row.parse().ok()).expect("a number");
            let is_accepted = last.parse::<bool>().expect("true or false");
            assert!(accepted[row].replace(is_accepted).is_none_or(|other| other == is_accepted), "{line}");
        }
        assert_eq!(accepted.iter().filter(|accepted| **accepted == Some(true)).count(), 3, "{score}");
        if score == "probability" {
            let mut probabilities: Vec<f64> =
                predicted(directory.path(), "unknown.npy").into_iter().map(|row| row.1).collect();
            let by_row = probabilities.clone();
            probabilities.sort_by(f64::total_cmp);
            let expected: Vec<_> = by_row.iter().map(|probability| Some(*probability > probabilities[16])).collect();
            assert_eq!(accepted, expected);
        }
    }
    let (known, _) = run("test.npy", &["--reject-far", "0.15", "--unknown", "unknown.npy", "--out", "p.csv"]);
    assert!(known.is_empty());
    let written = std::fs::read_to_string(directory.path().join("p.csv")).expect("written");
    assert!(written.starts_with("row,rank,label,probability,accepted\n") && written.contains(",true\n"), "{written}");

    let says = |more: &[&str], code: i32, text: &str| {
        let message =
            complaint(&arcos(directory.path(), &[&["predict", "--features", "test.npy"], more].concat()), code);
        assert!(message.contains(text), "{more:?}: {message}");
    };
    says(&["--reject-far", "0.1"], 2, "--unknown");
    says(&["--unknown", "unknown.npy"], 2, "--reject-far");
    says(&["--reject-far", "1", "--unknown", "unknown.npy"], 2, "expected a number above 0 and below 1");
    let few = "unknown.npy: a false accept rate of 0.01 by 20 unknown rows is not defined";
    says(&["--reject-far", "0.01", "--unknown", "unknown.npy"], 1, few);
    says(
        &["--reject-far", "0.1", "--unknown", "unknown.npy", "--out", "unknown.npy"],
        1,
        "part of what this command reads",
    );
}

#[test]
fn a_trained_threshold_rejects_rows_whose_logits_are_all_negative() {
    let directory = with_unknown();
    let train = "train --head uniface --scale 16 --margin 0.1 --epochs 20 --train-features train.npy --train-labels train_labels.npy --out uniface";
    stdout(&arcos(directory.path(), &train.split(' ').collect::<Vec<_>>()));
    let newest: Option<Checkpoint> = RunDirectory::load_newest(&directory.path().join("uniface")).expect("a run");
    let model = newest.expect("a checkpoint").model;
    let mut shares = Vec::new();
    for features in ["test.npy", "unknown.npy"] {
        let command = ["predict", "--run", "uniface", "--features", features, "--reject-negative"];
        let printed = stdout(&arcos(directory.path(), &command));
        let rows = csv::Reader::from_reader(printed.as_bytes()).into_deserialize::<(usize, usize, i64, f64, bool)>();
        let accepted: Vec<bool> = rows.map(|row| row.expect("five columns").4).collect();
        let features: Array2<f32> = read_npy(directory.path().join(features)).expect("written");
        let logits = model.acceptance_scores(features.view()).expect("features").logits;
        assert_eq!(accepted, logits.iter().map(|&logit| logit > 0.0).collect::<Vec<_>>());
        shares.push(accepted.iter().filter(|accepted| **accepted).count() as f64 / accepted.len() as f64);
    }
    assert!(shares[0] > shares[1] && shares[0] > 0.0 && shares[1] < 1.0, "{shares:?}");
    let predict = ["predict", "--features", "test.npy", "--reject-negative"];
    let message = complaint(&arcos(directory.path(), &predict), 2);
    assert!(
        message.starts_with(
            "arcos: --reject-negative is given for adacos; expected a head that trains a threshold of s cosθ"
        ),
        "{message}"
    );
    let help = stdout(&arcos(directory.path(), &["predict", "--help"]));
    assert!(help.contains("of uniface: rows"), "{help}");
}
