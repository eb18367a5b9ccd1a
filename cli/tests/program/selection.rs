//! Comparing heads with error bars, and looking for the best settings.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use ndarray::{Array1, Array2};
use ndarray_npy::read_npy;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The rows of a CSV file, each by the names of its columns.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).expect("a CSV file");
    reader.deserialize().collect::<Result<_, _>>().expect("rows as long as the heading")
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

fn last_test_accuracy(run: &Path) -> f64 {
    number(table(&run.join("history.csv")).last().expect("an epoch"), "test_accuracy")
}

#[test]
fn seeds_give_means_deviations_and_a_test_against_the_best() {
    let directory = with_data();
    let base = ["compare", "--data", "data", "--heads", "softmax,adacos", "--epochs", "2", "--learning-rate", "1e-4"];
    let text =
        stdout(&arcos(directory.path(), &[&base[..], &["--seeds", "3", "--seed", "5", "--out", "out"]].concat()));
    let out = directory.path().join("out");
    let rows = table(&out.join("table.csv"));
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str()).collect();
    assert_eq!(names[..3], ["softmax", "adacos", "class means"]);
    assert!(
        names[3].starts_with("nearest rows, k = ") && names[4].starts_with("logistic regression, C = "),
        "{names:?}"
    );
    for row in &rows[..2] {
        let run = |seed: usize| last_test_accuracy(&out.join(format!("{}-seed-{seed}", row["name"])));
        let accuracies = [run(5), run(6), run(7)];
        let mean = accuracies.iter().sum::<f64>() / 3.0;
        let variance = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / 2.0;
        approx::assert_relative_eq!(number(row, "test_accuracy"), mean, max_relative = 1e-12);
        approx::assert_relative_eq!(number(row, "deviation_over_runs"), variance.sqrt(), epsilon = 1e-12);
        approx::assert_relative_eq!(
            number(row, "standard_error"),
            (mean * (1.0 - mean) / 80.0).sqrt(),
            epsilon = 1e-12
        );
    }
    let most = rows.iter().map(|row| number(row, "test_accuracy")).fold(0.0, f64::max);
    let best: Vec<_> = rows.iter().filter(|row| row["p_value_against_best"].is_empty()).collect();
    assert!(best.len() == 1 && number(best[0], "test_accuracy") == most, "{best:?}");
    assert!(text.contains("the mean over 3 seeds") && text.contains("80 test rows: the standard error of"), "{text}");

    let alone = stdout(&arcos(directory.path(), &[&base[..], &["--no-baselines", "--out", "alone"]].concat()));
    assert!(!alone.contains("class means") && directory.path().join("alone/softmax/history.csv").exists(), "{alone}");
    assert_eq!(table(&directory.path().join("alone/table.csv")).len(), 2);
    assert!(complaint(&arcos(directory.path(), &[&base[..], &["--seeds", "0"]].concat()), 2).contains("--seeds"));
}

#[test]
fn the_nearest_class_mean_of_a_comparison_is_that_of_the_transformed_rows() {
    let directory = with_data();
    let base = ["compare", "--data", "data", "--heads", "softmax", "--epochs", "1", "--out", "out"];
    stdout(&arcos(directory.path(), &base));
    let read = |name: &str| -> Array2<f32> { read_npy(directory.path().join("data").join(name)).expect(name) };
    let (train, test) = (read("train_features.npy"), read("test_features.npy"));
    let train_labels: Array1<i64> = read_npy(directory.path().join("data/train_labels.npy")).expect("labels");
    let test_labels: Array1<i32> = read_npy(directory.path().join("data/test_labels.npy")).expect("labels");
    let centre = train.mean_axis(ndarray::Axis(0)).expect("rows");
    let unit = |row: ndarray::ArrayView1<f32>| {
        let row = &row - &centre;
        let norm = row.dot(&row).sqrt();
        row / norm
    };
    let classes = 1 + *train_labels.iter().max().expect("rows") as usize;
    let mut means = Array2::<f32>::zeros((classes, train.ncols()));
    for (row, &label) in train.rows().into_iter().zip(&train_labels) {
        let mut mean = means.row_mut(label as usize);
        mean += &unit(row);
    }
    let right = test.rows().into_iter().zip(&test_labels).filter(|&(row, &label)| {
        let row = unit(row);
        let cosine = |class: usize| means.row(class).dot(&row) / means.row(class).dot(&means.row(class)).sqrt();
        let nearest = (0..classes).max_by(|&a, &b| cosine(a).total_cmp(&cosine(b)));
        nearest == Some(label as usize)
    });
    let expected = right.count() as f64 / test_labels.len() as f64;
    let rows = table(&directory.path().join("out/table.csv"));
    let found = rows.iter().find(|row| row["name"] == "class means").expect("a baseline");
    assert_eq!(number(found, "test_accuracy"), expected);
}

#[test]
fn a_search_goes_on_where_it_was_and_its_command_does_the_same() {
    let directory = with_data();
    let space = ["--heads", "norm-softmax,cosface", "--scales", "4,16", "--margins", "0.1", "--transforms", "centre"];
    let more = ["--steps", "30", "--learning-rates", "0.01", "--folds", "3", "--repeats", "1"];
    let search = [&["tune", "--data", "data"], &space[..], &more].concat();
    let base = [&search[..], &["--out", "out"]].concat();
    let text = stdout(&arcos(directory.path(), &base));
    assert!(text.contains("4 combinations to be tried, 7 trainings at most"), "{text}");
    let out = directory.path().join("out");
    let candidates = table(&out.join("candidates.csv"));
    assert_eq!(candidates.iter().map(|row| row["folds"].as_str()).collect::<Vec<_>>(), ["3", "2", "1", "1"]);
    let chosen: Vec<_> = candidates.iter().filter(|row| row["chosen"] == "true").collect();
    assert!(chosen.len() == 1 && chosen[0]["folds"] == "3", "{candidates:?}");
    assert!(fs::read(out.join("scale_margin.png")).expect("drawn").starts_with(b"\x89PNG"));

    // What it says does the same.
    let command = text.lines().find(|line| line.trim_start().contains(" train --head ")).expect("a command");
    let words: Vec<&str> = command.split_whitespace().skip(1).chain(["--out", "by-hand"]).collect();
    stdout(&arcos(directory.path(), &words));
    let by_hand = directory.path().join("by-hand");
    let losses = |run: &Path| -> Vec<String> {
        table(&run.join("history.csv")).iter().map(|row| row["train_loss"].clone()).collect()
    };
    assert_eq!(losses(&by_hand), losses(&out.join("run")));
    let accuracy = format!("accuracy {:.4}", last_test_accuracy(&by_hand));
    assert!(text.contains(&accuracy), "{accuracy}: {text}");

    // Nothing is tried twice, and another search is not gone on with.
    let again = stdout(&arcos(directory.path(), &[&base[..], &["--resume"]].concat()));
    assert!(again.contains("\n0 trainings in"), "{again}");
    assert_eq!(candidates, table(&out.join("candidates.csv")));
    assert!(complaint(&arcos(directory.path(), &base), 1).contains("--resume to go on with it"));
    let other = [&base[..], &["--resume", "--seed", "1"]].concat();
    assert!(complaint(&arcos(directory.path(), &other), 1).contains("another seed"));

    // What is no search's, or has been worked on since, stays.
    let refuses = |out: &str, more: &[&str], expected: &str| {
        let message = complaint(&arcos(directory.path(), &[&search[..], &["--out", out], more].concat()), 1);
        assert!(message.contains(expected), "{message}");
    };
    fs::write(out.join("run/thesis.txt"), "years").expect("writable");
    refuses("out", &["--resume"], "out/run/thesis.txt: is no part of a run");
    fs::remove_file(out.join("run/thesis.txt")).expect("there");
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "out/run", "--epochs", "50"]));
    refuses("out", &["--resume"], "past epoch");
    fs::create_dir_all(directory.path().join("others/run")).expect("writable");
    refuses("others", &[], "others/run: is in the way");
    fs::create_dir(directory.path().join("figures")).expect("writable");
    fs::write(directory.path().join("figures/candidates.csv"), "mine").expect("writable");
    refuses("figures", &[], "figures/candidates.csv");
    assert_eq!(fs::read_to_string(directory.path().join("figures/candidates.csv")).expect("there"), "mine");

    let fewer = [&search[..], &["--candidates", "2", "--out", "fewer"]].concat();
    assert!(stdout(&arcos(directory.path(), &fewer)).contains("2 combinations"));
    let open = [&search[..], &["--open-set", "--out", "open"]].concat();
    assert!(complaint(&arcos(directory.path(), &open), 2).contains("--open-set is given"));
    assert!(!directory.path().join("open").exists());
}

#[test]
fn a_search_whose_budget_is_spent_chooses_among_what_it_has_tried() {
    let directory = with_data();
    let space = ["--heads", "norm-softmax", "--scales", "1,2,4,8,16,32", "--steps", "200", "--out", "out"];
    let text = arcos(directory.path(), &[&["tune", "--data", "data", "--budget", "0.001s"], &space[..]].concat());
    let said = String::from_utf8_lossy(&text.stderr).into_owned();
    assert!(said.contains("the budget was spent") && said.contains("--resume with more goes on"), "{said}");
    stdout(&text);
    let candidates = table(&directory.path().join("out/candidates.csv"));
    assert!((1..24).contains(&candidates.len()), "{candidates:?}");
    let message = complaint(&arcos(directory.path(), &["tune", "--data", "data", "--folds", "100000"]), 2);
    assert!(message.contains("the number of folds is 100000"), "{message}");
    assert!(!directory.path().join("arcos-tune").exists());
}
