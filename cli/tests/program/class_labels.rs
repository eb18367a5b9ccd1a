//! Labels as users have them: from 1, with gaps, of floating-point numbers, strings; and classes without rows.

use super::command::{arcos, complaint, stdout};
use super::hostile::{header, npy};
use super::program::with_data;
use arcos::data::{ClassTable, Dataset, Label, Labels, read_class_labels};
use arcos::{Error, Result};
use ndarray::{Array1, Array2, array};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A file of strings as NumPy writes them: `<U`, `>U` or `S` of `width`.
pub fn write_strings(path: &Path, kind: &str, width: usize, strings: &[&str]) {
    let unicode = |order: fn(u32) -> [u8; 4]| {
        let padded = |string: &&str| {
            let mut points: Vec<u32> = string.chars().map(u32::from).collect();
            points.resize(width, 0);
            points
        };
        strings.iter().flat_map(padded).flat_map(order).collect::<Vec<u8>>()
    };
    let bytes = match kind {
        "<U" => unicode(u32::to_le_bytes),
        ">U" => unicode(u32::to_be_bytes),
        _ => {
            let padded = |string: &&str| [string.as_bytes(), &vec![0; width - string.len()]].concat();
            strings.iter().flat_map(padded).collect()
        }
    };
    let header = header(&format!("'{kind}{width}'"), &format!("({},)", strings.len()));
    fs::write(path, npy(&header, &bytes)).expect("writable");
}

/// [`with_data`], its eight classes labelled otherwise.
pub fn relabelled(write: impl Fn(&Path, Array1<i64>)) -> tempfile::TempDir {
    let directory = with_data();
    for name in ["train_labels.npy", "test_labels.npy"] {
        let path = directory.path().join("data").join(name);
        let labels = read_class_labels(&path).expect("just written");
        let Labels::Integers(labels) = labels else { panic!("integers") };
        write(&path, labels);
    }
    directory
}

pub const TRAIN: [&str; 11] =
    ["train", "--head", "arcface", "--scale", "16", "--margin", "0.1", "--learning-rate", "0.01", "--data", "data"];
const FEATURES: [&str; 2] = ["--features", "data/test_features.npy"];

/// Trains in `run`; stderr.
pub fn train(directory: &Path, run: &str, more: &[&str]) -> String {
    let output = arcos(directory, &[&TRAIN[..], &["--epochs", "8", "--out", run], more].concat());
    stdout(&output);
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn accuracy(directory: &Path, run: &str, more: &[&str]) -> f64 {
    let labels = ["--labels", "data/test_labels.npy", "--json", "--run", run];
    let line = stdout(&arcos(directory, &[&["evaluate"], &FEATURES[..], &labels, more].concat()));
    serde_json::from_str::<Value>(&line).expect("JSON")["accuracy"].as_f64().expect("a number")
}

fn last_test_accuracy(directory: &Path, run: &str) -> f64 {
    let history = fs::read_to_string(directory.join(run).join("history.csv")).expect("written");
    history.lines().last().expect("epochs").split(',').nth(5).expect("a column").parse().expect("a number")
}

/// The records of `predict`, without its heading.
fn predicted(directory: &Path, run: &str, more: &[&str]) -> Vec<csv::StringRecord> {
    let text = stdout(&arcos(directory, &[&["predict", "--run", run], &FEATURES[..], more].concat()));
    csv::Reader::from_reader(text.as_bytes()).into_records().map(|record| record.expect("CSV")).collect()
}

/// Trains, predicts and evaluates with labels that `relabel` makes of classes, and holds the figures against each other and those of
/// labels from 0.
fn labels_come_back(relabel: impl Fn(usize) -> String, write: impl Fn(&Path, Array1<i64>)) -> tempfile::TempDir {
    let plain = with_data();
    train(plain.path(), "run", &[]);
    let labels: Array1<i32> = read_npy(plain.path().join("data/test_labels.npy")).expect("written");

    let directory = relabelled(write);
    assert_eq!(train(directory.path(), "run", &[]).matches("arcos:").count(), 0);
    let found = accuracy(directory.path(), "run", &[]);
    assert!(found > 0.5, "{found}");
    assert_eq!(found, last_test_accuracy(directory.path(), "run"));
    assert_eq!(found, last_test_accuracy(plain.path(), "run"), "labels do not change what is learned");
    let records = predicted(directory.path(), "run", &[]);
    let correct = records.iter().zip(&labels).filter(|(record, label)| record[2] == relabel(**label as usize));
    assert_eq!(correct.count() as f64 / labels.len() as f64, found);
    directory
}

#[test]
fn labels_from_one_need_no_option() {
    let write = |path: &Path, labels: Array1<i64>| write_npy(path, &(labels + 1)).expect("writable");
    let directory = labels_come_back(|class| (class + 1).to_string(), write);
    // The option says no more than what is known.
    train(directory.path(), "started", &["--labels-start", "1"]);
    let tensors =
        |run: &str| fs::read(directory.path().join(run).join("checkpoints/epoch-0008.safetensors")).expect(run);
    assert_eq!(tensors("run"), tensors("started"), "the same classes");
    // A run that knows its labels is told no others, nor has a measure of embeddings any use for them.
    let labels = ["--labels", "data/test_labels.npy"];
    for (command, more) in [("predict", &[][..]), ("evaluate", &labels)] {
        let base = [&[command, "--run", "run"], &FEATURES[..], more].concat();
        let with_start = |start| arcos(directory.path(), &[&base[..], &["--labels-start", start]].concat());
        assert_eq!(stdout(&with_start("1")), stdout(&arcos(directory.path(), &base)));
        let message = complaint(&with_start("0"), 2);
        let expected = "the run in run: --labels-start is 0; expected 1: the labels of the run are 1 to 8";
        assert!(message.contains(expected), "{message}");
    }
    for rows in
        [&["--embeddings", "data/test_features.npy"][..], &["--open-set", "--features", "data/test_features.npy"]]
    {
        let given = [&["evaluate", "--labels-start", "1"], rows, &labels].concat();
        let message = complaint(&arcos(directory.path(), &given), 2);
        assert!(message.contains("--labels-start is 1; expected none where embeddings are measured"), "{message}");
    }

    // A run keeps its labels, and goes on with no others.
    stdout(&arcos(directory.path(), &[&TRAIN[..], &["--epochs", "9", "--out", "run", "--resume"]].concat()));
    assert_eq!(predicted(directory.path(), "run", &[])[0].len(), 4);
    assert!(accuracy(directory.path(), "run", &[]) > 0.5);
    // Nor is it a difference to say no more than the run knows, and names may count from there.
    let on = |more: &[&str]| arcos(directory.path(), &[&["train", "--resume", "--out", "run"], more].concat());
    let message = complaint(&on(&["--epochs", "10", "--labels-start", "0"]), 2);
    assert!(message.contains("labels start is 0, the run has none"), "{message}");
    fs::write(directory.path().join("names.txt"), (1..=20).map(|class| format!("bird {class}\n")).collect::<String>())
        .expect("writable");
    stdout(&on(&["--epochs", "10", "--labels-start", "1", "--class-names", "names.txt"]));
    for record in predicted(directory.path(), "run", &[]) {
        assert_eq!(record[3], format!("bird {}", &record[2]));
    }
}

#[test]
fn labels_with_gaps_have_no_class_between_them() {
    let relabel = |class: i64| [-7, 3, 4, 100, 255, 256, 70_000, 1i64 << 40][class as usize];
    let write = |path: &Path, labels: Array1<i64>| write_npy(path, &labels.mapv(relabel)).expect("writable");
    let directory = labels_come_back(|class| relabel(class as i64).to_string(), write);
    let labels = ["--labels", "data/test_labels.npy", "--json"];
    for (range, rows) in [("3..256", 40), ("-13..4", 20), ("..", 80)] {
        let range = ["--run", "run", "--classes", range];
        let line = stdout(&arcos(directory.path(), &[&["evaluate"], &FEATURES[..], &labels, &range].concat()));
        assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON")["rows"], rows, "{range:?}");
    }
}

#[test]
fn whole_floating_point_numbers_are_labels_with_a_word() {
    let write =
        |path: &Path, labels: Array1<i64>| write_npy(path, &labels.mapv(|label| label as f32)).expect("writable");
    let directory = relabelled(write);
    let stderr = train(directory.path(), "run", &[]);
    assert!(stderr.contains("data/train_labels.npy: labels are floating-point numbers, all of them whole"), "{stderr}");
    assert_eq!(accuracy(directory.path(), "run", &[]), last_test_accuracy(directory.path(), "run"));

    let path = directory.path().join("data/train_labels.npy");
    let mut labels: Array1<f32> = read_npy(&path).expect("just written");
    for (wrong, text) in [(0.5, "0.5"), (f32::NAN, "NaN"), (f32::INFINITY, "inf"), (1e30, "1e30")] {
        labels[3] = wrong;
        write_npy(&path, &labels).expect("writable");
        let message = complaint(&arcos(directory.path(), &TRAIN), 1);
        assert!(message.contains(&format!("train_labels.npy: label {text} in row 3;")), "{message}");
    }
}

#[test]
fn strings_are_labels_and_names() {
    let names = ["Zaunkönig", "amsel", "auk, great", "auk \"little\"", "五", "\u{1f426}", "b", "A"];
    let strings = |labels: &Array1<i64>| labels.iter().map(|&label| names[label as usize]).collect::<Vec<_>>();
    for kind in ["<U", ">U", "S"] {
        let write = |path: &Path, labels: Array1<i64>| write_strings(path, kind, 16, &strings(&labels));
        // Classes are in the order of their names, so that training is another one.
        let directory = relabelled(write);
        assert!(train(directory.path(), "run", &[]).is_empty());
        let found = accuracy(directory.path(), "run", &[]);
        assert_eq!(found, last_test_accuracy(directory.path(), "run"));
        assert!(found > 0.5, "{found}");
        let records = predicted(directory.path(), "run", &["--top", "2"]);
        let Labels::Strings(labels) = read_class_labels(&directory.path().join("data/test_labels.npy")).expect(kind)
        else {
            panic!("strings")
        };
        assert_eq!(records[0].len(), 4, "the label is the name");
        let correct = records.iter().step_by(2).zip(&labels).filter(|(record, label)| record[2] == ***label);
        assert_eq!(correct.count() as f64 / 80.0, found, "{kind}");
    }
    let directory = relabelled(|path, labels| write_strings(path, "<U", 16, &strings(&labels)));
    let compare = ["compare", "--data", "data", "--heads", "softmax", "--epochs", "2", "--out", "out"];
    stdout(&arcos(directory.path(), &compare));
    let report = fs::read_to_string(directory.path().join("out/class_accuracy.csv")).expect("classes have names");
    let classes = csv::Reader::from_reader(report.as_bytes()).into_records().count();
    assert_eq!(classes, 8);
}

#[test]
fn names_of_numbers_are_kept() {
    let directory = relabelled(|path, labels| write_npy(path, &(labels + 1)).expect("writable"));
    let names = |count: usize| {
        let lines: String = (1..=count).map(|class| format!("bird {class}\r\n")).collect();
        fs::write(directory.path().join("names.txt"), format!("\u{feff}{lines}\n")).expect("writable");
    };
    names(7);
    let with_names = ["--class-names", "names.txt"];
    let message = complaint(&arcos(directory.path(), &[&TRAIN[..], &with_names].concat()), 1);
    assert!(message.contains("names.txt: names 7 classes; expected a name for each of the 8 classes"), "{message}");
    names(20);
    let message = complaint(&arcos(directory.path(), &[&TRAIN[..], &with_names].concat()), 1);
    let expected =
        "names.txt: names 20 classes; expected 8, one for each of the labels, 1 to 8, or --labels-start to say which";
    assert!(message.contains(expected), "{message}");
    fs::write(directory.path().join("names.txt"), "auk\nowl\n auk \n").expect("writable");
    let message = complaint(&arcos(directory.path(), &[&TRAIN[..], &with_names].concat()), 1);
    assert!(message.ends_with("names.txt, line 3: \"auk\", as on line 1; expected each name once\n"), "{message}");
    names(8);
    train(directory.path(), "run", &with_names);
    names(20);
    train(directory.path(), "more", &[&with_names[..], &["--labels-start", "1"]].concat());
    for run in ["run", "more"] {
        for record in predicted(directory.path(), run, &[]) {
            assert_eq!(record[3], format!("bird {}", &record[2]));
        }
    }
}

#[test]
fn a_stray_label_is_one_class_and_classes_without_rows_are_named() {
    let stray = |path: &Path, mut labels: Array1<i64>| {
        if path.ends_with("train_labels.npy") {
            labels[5] = 255;
        }
        write_npy(path, &labels).expect("writable");
    };
    let directory = relabelled(stray);
    let epochs = ["--epochs", "1", "--out"];
    let text = stdout(&arcos(directory.path(), &[&TRAIN[..], &epochs, &["run"]].concat()));
    assert!(text.contains("160 training rows, 80 test rows, 32 dimensions, 9 classes"), "{text}");

    let output = arcos(directory.path(), &[&TRAIN[..], &epochs, &["started", "--labels-start", "0"]].concat());
    assert!(stdout(&output).contains("256 classes"));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.contains("247 of 256 classes without a training row: 8, 9, 10, 11, 12, ..."), "{stderr}");
}

#[test]
fn rows_without_label_are_counted() {
    let empty = |path: &Path, labels: Array1<i64>| {
        let names = ["", "crow", "-100", "kea", "owl", "owl", "owl", "owl"];
        let strings: Vec<_> = labels.iter().map(|&label| names[label as usize]).collect();
        write_strings(path, "<U", 4, &strings);
    };
    let directory = relabelled(empty);
    let text = stdout(&arcos(directory.path(), &[&TRAIN[..], &["--epochs", "1"]].concat()));
    let expected = "160 training rows (40 without label), 80 test rows (20 without label), 32 dimensions, 3 classes";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_checkpoint_without_labels_counts_from_zero() {
    let directory = relabelled(|path, labels| write_npy(path, &(labels + 1)).expect("writable"));
    train(directory.path(), "run", &[]);
    let json = directory.path().join("run/checkpoints/epoch-0008.json");
    let mut description: Value = serde_json::from_slice(&fs::read(&json).expect("written")).expect("JSON");
    let kept = description.as_object_mut().expect("an object").remove("classes").expect("the labels");
    assert_eq!(kept, serde_json::json!({ "labels": { "consecutive": { "start": 1, "count": 8 } } }));
    description.as_object_mut().expect("an object").remove("data").expect("check sums of the data");
    description["format"] = "arcos checkpoint 1".into();
    fs::write(&json, description.to_string()).expect("writable");

    let shifted = |records: Vec<csv::StringRecord>| -> Vec<i64> {
        records.iter().map(|record| record[2].parse::<i64>().expect("a number")).collect()
    };
    let from_one = shifted(predicted(directory.path(), "run", &["--labels-start", "1"]));
    let from_zero = shifted(predicted(directory.path(), "run", &[]));
    assert!(from_zero.iter().zip(&from_one).all(|(zero, one)| zero + 1 == *one));
    assert!(from_zero.contains(&0));
    assert_eq!(
        accuracy(directory.path(), "run", &["--labels-start", "1"]),
        last_test_accuracy(directory.path(), "run")
    );
}

fn lines(text: &str) -> Result<Labels> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("labels.txt");
    fs::write(&path, text).expect("writable");
    read_class_labels(&path)
}

#[test]
fn labels_in_lines() -> Result<()> {
    assert_eq!(lines("\u{feff}3\r\n-100\r\n\r\n12\r\n")?, Labels::Integers(array![3, -100, -100, 12]));
    let strings = ["3", "", "owl, great"].map(str::to_owned).to_vec();
    assert_eq!(lines("3\n\nowl, great")?, Labels::Strings(strings));
    Ok(())
}

#[test]
fn strings_that_are_no_text_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("y.npy");
    let refused = |header: &str, bytes: &[u8]| {
        fs::write(&path, npy(header, bytes)).expect("writable");
        read_class_labels(&path).expect_err(header).to_string()
    };
    let surrogate = [&u32::from('a').to_le_bytes()[..], &0xd800u32.to_le_bytes()].concat();
    assert!(refused(&header("'<U1'", "(2,)"), &surrogate).contains("y.npy: holds no Unicode text in row 1"));
    assert!(refused(&header("'|S2'", "(2,)"), b"ok\xff\x00").contains("holds no Unicode text in row 1"));
    assert!(refused(&header("'<U0'", "(1000000000000,)"), b"").contains("dtype '<U0'"));
    assert!(refused(&header("'|S3'", "(2,)"), b"abcde").contains("ends before its last element"));
    assert!(refused(&header("'<U4611686018427387905'", "(1,)"), b"abcd").contains("ends before its last element"));
}

fn of(labels: &Labels) -> ClassTable {
    ClassTable::of(&[labels]).expect("of one kind")
}

#[test]
fn a_table_gives_labels_back() -> Result<()> {
    let numbers = |labels: &[i64]| Labels::Integers(labels.to_vec().into());
    let all = [
        numbers(&[5, 6, 7]),
        numbers(&[i64::MIN, 0, i64::MAX]),
        numbers(&[i64::MAX - 1, i64::MAX]),
        Labels::Strings(["b", "a", "ä", ""].map(str::to_owned).to_vec()),
    ];
    for labels in &all {
        let table = of(labels);
        let classes = table.encode(labels)?;
        for (class, label) in classes.iter().zip(labels.iter()) {
            match label {
                Some(label) => assert_eq!(table.label(*class as usize), label),
                None => assert_eq!(*class, -100),
            }
        }
        let json = serde_json::to_string(&table).expect("JSON");
        assert_eq!(serde_json::from_str::<ClassTable>(&json).expect("JSON"), table);
    }
    let million = numbers(&(0..1_000_000).collect::<Vec<_>>());
    assert!(serde_json::to_string(&of(&million)).expect("JSON").len() < 100);
    assert_eq!(of(&million).describe(), "0 to 999999");
    assert_eq!(of(&all[1]).class_of(Label::Number(1)), None);
    assert_eq!(of(&all[3]).describe(), "\"a\", \"b\", \"ä\"");
    assert!(matches!(ClassTable::of(&[&all[0], &all[3]]), Err(Error::Label { row: 0, .. })));
    assert!(matches!(of(&all[3]).encode(&all[0]), Err(Error::Label { row: 0, .. })));
    Ok(())
}

#[test]
fn a_model_takes_labels_however_a_data_set_counts_them() -> Result<()> {
    let features = || Array2::from_shape_fn((6, 4), |(row, column)| ((row * 5 + column * 3) % 7) as f32);
    let given = Labels::Integers(array![10, 30, 20, 10, 30, 20]);
    let train = Dataset::encoded(features().into(), &given, of(&given))?;
    let some = Labels::Integers(array![30, 20, 30, 20, 30, 20]);
    let test = Dataset::encoded(features().into(), &some, of(&some))?;
    assert_eq!(test.labels[0], 1, "of two classes");
    assert_eq!(test.labels_as(train.class_table())?[0], 2, "of three");
    let unknown = Dataset::new(features().into(), array![10, 30, 20, 11, 30, 20])?;
    assert!(matches!(unknown.with_classes_of(train.class_table()), Err(Error::Label { row: 3, .. })));
    Ok(())
}
