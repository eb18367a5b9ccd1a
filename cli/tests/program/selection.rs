//! Comparing heads with error bars, and looking for the best settings.

use super::command::{arcos, command, complaint, stdout};
use super::program::{with_data, write_data};
use ndarray::{Array1, Array2};
use ndarray_npy::{read_npy, write_npy};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};
#[cfg(unix)]
use std::time::Duration;

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
fn seeds_are_as_many_as_anybody_trains_and_none_is_past_the_last() {
    let directory = with_data();
    let base = ["compare", "--data", "data", "--heads", "softmax", "--epochs", "1", "--no-baselines"];
    let compare = |more: &[&str]| arcos(directory.path(), &[&base[..], more].concat());
    assert!(complaint(&compare(&["--seeds", "1001"]), 2).contains("1001 is not in 1..=1000"));
    let last = ["--seed", "18446744073709551614", "--seeds"];
    let message = complaint(&compare(&[&last[..], &["3"]].concat()), 2);
    assert!(message.contains("seed is 18446744073709551614; expected at most 2^64 - 3"), "{message}");
    stdout(&compare(&[&last[..], &["2"]].concat()));
    assert!(directory.path().join("arcos-compare/softmax-seed-18446744073709551615").is_dir());
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
    assert!(complaint(&arcos(directory.path(), &other), 1).contains("is a search with other --seed;"));

    // What is no search's, or has been worked on since, stays.
    let refuses = |out: &str, more: &[&str], expected: &str| {
        let message = complaint(&arcos(directory.path(), &[&search[..], &["--out", out], more].concat()), 1);
        assert!(message.contains(expected), "{message}");
    };
    fs::write(out.join("run/thesis.txt"), "years").expect("writable");
    refuses("out", &["--resume"], "out/run/thesis.txt: is no part of a run");
    fs::remove_file(out.join("run/thesis.txt")).expect("there");
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "out/run", "--epochs", "50"]));
    refuses("out", &["--resume"], "out/run: is a run that `arcos train` has begun or gone on with");
    fs::remove_dir_all(out.join("run")).expect("there");
    let train = ["train", "--head", "adacos", "--data", "data", "--epochs", "1", "--seed", "9", "--out", "out/run"];
    stdout(&arcos(directory.path(), &train));
    refuses("out", &["--resume"], "out/run: is a run that `arcos train` has begun or gone on with");
    refuses("nowhere", &["--resume"], "nowhere/search.json: is not there");
    assert!(!directory.path().join("nowhere").exists());
    let record = fs::read_to_string(out.join("search.json")).expect("written");
    for (here, there) in [
        ("\"split\":1", "\"split\":3"),
        ("\"split\":1", "\"split\":18446744073709551615"),
        ("\"right\":", "\"right\":9"),
        ("},{\"candidate", "9},{\"candidate"),
    ] {
        fs::write(out.join("search.json"), record.replace(here, there)).expect("writable");
        refuses("out", &["--resume"], "out/search.json: a known trial is ");
    }
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
    // One of the three would take hours, and comes last in the order of this seed.
    let space = ["--heads", "norm-softmax", "--scales", "4", "--transforms", "centre", "--learning-rates", "0.01"];
    let steps = ["--steps", "20,40,1000000000", "--seed", "0", "--out", "out", "--budget", "5s"];
    let output = arcos(directory.path(), &[&["tune", "--data", "data"], &space[..], &steps].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected =
        "the budget was spent when 2 of 3 combinations had been tried, the best on 1 of 10 folds; --resume with more";
    assert!(said.contains(expected), "{said}");
    assert!(stdout(&output).contains("\n2 trainings in"), "{output:?}");
    assert_eq!(table(&directory.path().join("out/candidates.csv")).len(), 2);

    let nothing = ["tune", "--data", "data", "--budget", "0.0001s"];
    let message = complaint(&arcos(directory.path(), &nothing), 2);
    assert!(message.contains("--budget is 100µs; expected time for one training at least"), "{message}");
    let message = complaint(&arcos(directory.path(), &["tune", "--data", "data", "--folds", "100000"]), 2);
    assert!(message.contains("the number of folds is 100000"), "{message}");
    assert!(!directory.path().join("arcos-tune").exists());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_search_within_a_training_and_says_how_it_goes_on() {
    let directory = with_data();
    let space = ["--heads", "norm-softmax", "--scales", "4", "--transforms", "centre", "--learning-rates", "0.01"];
    let steps = ["--steps", "20,1000000000", "--seed", "0", "--out", "with space"];
    let mut search = command(directory.path(), &[&["tune", "--data", "data"], &space[..], &steps].concat());
    let search = search.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    std::thread::sleep(Duration::from_secs(3));
    let status = Command::new("kill").args(["-TERM", &search.id().to_string()]).status().expect("kill is there");
    assert!(status.success());
    let message = complaint(&search.wait_with_output().expect("it ends"), 143);
    let command = message.split('`').nth(1).expect("a command");
    assert!(
        command.ends_with("--out 'with space' --resume") && command.contains(" tune --data data --heads "),
        "{message}"
    );
    let again = ["-c", &format!("{command} --budget 0.1s")];
    let again = Command::new("sh").args(again).current_dir(directory.path()).output().expect("a shell");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("1 of 2 combinations had been tried"), "{said}");
}

#[test]
fn weight_decays_are_varied_and_their_command_does_the_same() {
    let directory = with_data();
    let space = ["--heads", "softmax", "--transforms", "centre", "--steps", "30", "--learning-rates", "0.01"];
    let tune = |more: &[&str]| arcos(directory.path(), &[&["tune", "--data", "data"], &space[..], more].concat());
    stdout(&tune(&["--weight-decays", "0,0.5", "--out", "both"]));
    let candidates = table(&directory.path().join("both/candidates.csv"));
    let mut decays: Vec<_> = candidates.iter().map(|row| row["weight_decay"].as_str()).collect();
    decays.sort_unstable();
    assert_eq!(decays, ["0", "0.5"]);

    let text = stdout(&tune(&["--weight-decays", "0.5", "--out", "one"]));
    let command = text.lines().find(|line| line.trim_start().contains(" train --head ")).expect("a command");
    assert!(command.contains(" --learning-rate 0.01 --optimizer adamw --weight-decay 0.5 "), "{command}");
    let words: Vec<&str> = command.split_whitespace().skip(1).chain(["--out", "by-hand"]).collect();
    stdout(&arcos(directory.path(), &words));
    let losses = |run: &str| -> Vec<String> {
        table(&directory.path().join(run).join("history.csv")).iter().map(|row| row["train_loss"].clone()).collect()
    };
    assert_eq!(losses("one/run"), losses("by-hand"));

    for (decays, expected) in [("-1", "weight decay is -1"), ("0.1,1e-1", "--weight-decays is 0.1, twice")] {
        let message = complaint(&tune(&[&format!("--weight-decays={decays}")]), 2);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_a_search_cannot_use_is_said_before_it_begins() {
    let directory = with_data();
    let tune = |more: &[&str]| arcos(directory.path(), &[&["tune", "--data", "data", "--steps", "20"], more].concat());
    for (more, expected) in [
        (["--heads", "softmax,softmax"], "--heads is softmax and softmax; expected each combination once"),
        (["--margins", "0.1,0.10"], "and cosface:margin=0.10:scale=8; expected each combination once"),
        (["--learning-rates", "0.01,1e-2"], "--learning-rates is 0.01, twice; expected each value once"),
        (["--margins", ","], "--margins is empty; expected at least one"),
        (
            ["--heads=softmax", "--scales=8"],
            "--scales is given; expected one of the heads to have it, without a value of",
        ),
        (["--heads=softmax,cosface:margin=0.2", "--margins=0.1"], "--margins is given; expected one of the heads"),
        (["--transforms", ","], "--transforms is empty; expected at least one"),
        (["--heads", "sphereface"], "sphereface: margin is 0.05; expected a factor"),
        (["--margins", "x"], "margin is x in cosface:margin=x:scale=8; expected a number"),
        (["--steps", "19,20"], "--steps is 4 epochs, twice; expected each value once"),
        (["--steps", "0"], "invalid value '0' for '--steps"),
        (["--repeats", "1001"], "repeats is 1001; expected at most 1000"),
    ] {
        let message = complaint(&tune(&more), 2);
        assert!(message.contains(expected), "{message}");
    }
    write_data(&directory.path().join("others"), 8, 7);
    let test = ["--test-features", "others/test_features.npy", "--test-labels", "others/test_labels.npy"];
    let train = ["--train-features", "data/train_features.npy", "--train-labels", "data/train_labels.npy"];
    let message = complaint(&arcos(directory.path(), &[&["tune"], &train[..], &test].concat()), 1);
    assert!(message.contains("others/test_features.npy"), "{message}");
    assert!(!directory.path().join("arcos-tune").exists());

    // A row without direction is not found when all is done.
    let mut rows: Array2<f32> = read_npy(directory.path().join("data/test_features.npy")).expect("written");
    rows.row_mut(7).fill(0.0);
    write_npy(directory.path().join("zero.npy"), &rows).expect("writable");
    let test = ["--test-features", "zero.npy", "--test-labels", "data/test_labels.npy", "--transforms", "none"];
    let message = complaint(&arcos(directory.path(), &[&["tune"], &train[..], &test].concat()), 1);
    assert!(
        message.contains("zero.npy: features row 7 ") && !directory.path().join("arcos-tune").exists(),
        "{message}"
    );

    // A trailing comma is no value, and heads that need more classes are left out.
    write_data(&directory.path().join("two"), 2, 8);
    let few = [
        "--heads",
        "softmax,adacos,norm-softmax,",
        "--scales",
        "8,",
        "--steps",
        "10,",
        "--learning-rates",
        "0.01,",
        "--transforms",
        "centre, none,",
        "--budget",
        "1e19s",
    ];
    let output = arcos(directory.path(), &[&["tune", "--data", "two"], &few[..]].concat());
    assert!(String::from_utf8_lossy(&output.stderr).contains("adacos is left out: adacos got 2 classes"), "{output:?}");
    assert!(stdout(&output).contains("4 combinations to be tried"), "{output:?}");
}

#[test]
fn a_training_that_fails_is_counted_and_said() {
    let directory = with_data();
    let space = ["--heads", "softmax", "--transforms", "none", "--learning-rates", "0.01,1e37", "--steps", "60"];
    let output = arcos(directory.path(), &[&["tune", "--data", "data"], &space[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 training failed, with nothing right; the first, --head softmax "), "{said}");
    let candidates = table(&directory.path().join("arcos-tune/candidates.csv"));
    let failed: Vec<_> = candidates.iter().map(|row| row["failed"].as_str()).collect();
    assert_eq!(failed, ["0", "1"], "{candidates:?}");
    stdout(&output);
    let again = arcos(directory.path(), &[&["tune", "--data", "data", "--resume"], &space[..]].concat());
    assert!(String::from_utf8_lossy(&again.stderr).contains("1 training failed, with nothing right"), "{again:?}");

    let none = ["tune", "--data", "data", "--out", "none", "--heads", "softmax", "--learning-rates", "1e37"];
    for more in [&[][..], &["--resume"]] {
        let output = arcos(directory.path(), &[&none[..], &space[2..4], &["--steps", "60"], more].concat());
        assert!(complaint(&output, 1).contains("the best candidate of 10 trainings that failed"), "{output:?}");
        assert!(!directory.path().join("none/candidates.csv").exists(), "{more:?}");
    }

    // A flag in the command that does the same.
    let flags =
        ["--heads", "l2-softmax:learn-alpha=true", "--learning-rates", "0.01", "--steps", "20", "--out", "flags"];
    let text = stdout(&arcos(directory.path(), &[&["tune", "--data", "data"], &flags[..]].concat()));
    let command = text.lines().find(|line| line.trim_start().contains(" train --head ")).expect("a command");
    let words: Vec<&str> = command.split_whitespace().skip(1).chain(["--out", "by-hand"]).collect();
    stdout(&arcos(directory.path(), &words));
}
