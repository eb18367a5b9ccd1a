//! `suspects`: rows that are far from the centre of their class.

use super::class_labels::write_strings;
use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use arcos::data::synthetic::SyntheticBirds;
use arcos::data::{ClassTable, Dataset, TransformKind};
use arcos::train::{TrainConfig, Trainer};
use arcos::{AnyHead, Result};
use ndarray::{Array1, Array2, array};
use ndarray_npy::{read_npy, write_npy};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A vector of this length at this angle, in degrees.
fn at(degrees: f32, length: f32) -> [f32; 2] {
    let theta = degrees.to_radians();
    [length * theta.cos(), length * theta.sin()]
}

/// A checkpoint of a head with two centres a class, in `model.json`, and the rows it is asked about, in `data/`.
fn by_hand(classes: impl Fn(ClassTable) -> ClassTable) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path();
    let features: Array2<f32> =
        vec![at(10.0, 1.0), at(-5.0, 7.0), at(80.0, 0.5), at(170.0, 1.0), at(195.0, 2.0)].into();
    let labels = array![0i64, 0, 0, 1, 1];
    fs::create_dir(path.join("data")).expect("writable");
    write_npy(path.join("data/train_features.npy"), &features).expect("writable");
    write_npy(path.join("data/train_labels.npy"), &labels).expect("writable");
    let head = AnyHead::new("sub-center-arcface", &[("centres", "2")])?;
    let config = TrainConfig { transform: TransformKind::None, ..TrainConfig::new(head) };
    let mut checkpoint = Trainer::new(config, Dataset::new(features.into(), labels)?, None)?.checkpoint().clone();
    checkpoint.model.parameters.weights = vec![at(100.0, 2.0), at(0.0, 0.5), at(180.0, 1.0), at(200.0, 3.0)].into();
    checkpoint.model.class_table = classes(checkpoint.model.class_table);
    checkpoint.save(&path.join("model"))?;
    Ok(directory)
}

const BY_HAND: [&str; 7] = ["suspects", "--run", "model", "--data", "data", "--out", "out.csv"];

#[test]
fn the_files_of_a_case_by_hand() -> Result<()> {
    let directory = by_hand(|classes| classes)?;
    let path = directory.path();
    let text = stdout(&arcos(path, &[&BY_HAND[..], &["--sample-weights", "w.npy", "--centres", "c.npy"]].concat()));
    assert_eq!(text, "1 suspect of 5 labelled rows at more than 75° from the dominant one of 2 centres, in out.csv\n");
    let csv = || fs::read_to_string(path.join("out.csv")).expect("written");
    let heading =
        "row,label,dominant_centre,nearest_centre,angle_to_dominant,angle_to_nearest,other_label,angle_to_other\n";
    assert_eq!(csv(), format!("{heading}2,0,1,0,80.0000,20.0000,1,100.0000\n"));
    let weights: Array1<f32> = read_npy(path.join("w.npy")).expect("an array");
    assert_eq!(weights, array![1.0, 1.0, 0.0, 1.0, 1.0]);
    let centres: Array2<f32> = read_npy(path.join("c.npy")).expect("an array");
    assert_eq!(centres, Array2::from(vec![at(0.0, 0.5), at(180.0, 1.0)]));

    stdout(&arcos(path, &[&BY_HAND[..], &["--angle", "12.5"]].concat()));
    let last = "4,1,0,1,15.0000,5.0000,0,165.0000\n";
    assert_eq!(csv(), format!("{heading}2,0,1,0,80.0000,20.0000,1,100.0000\n{last}"));
    stdout(&arcos(path, &[&BY_HAND[..], &["--angle", "180"]].concat()));
    assert_eq!(csv(), heading);
    let files = ["--features", "data/train_features.npy", "--labels", "data/train_labels.npy"];
    let twice = [&BY_HAND[..3], &files[..], &["--out", "same.csv", "--angle", "12.5"]].concat();
    stdout(&arcos(path, &twice));
    assert!(fs::read_to_string(path.join("same.csv")).expect("written").ends_with(last));
    Ok(())
}

#[test]
fn labels_are_those_of_training_and_names_stand_beside_them() -> Result<()> {
    let names = |classes: ClassTable| {
        classes.starting_at(7).and_then(|classes| classes.with_names(vec!["=wren".into(), "owl".into()])).expect("two")
    };
    let directory = by_hand(names)?;
    let path = directory.path();
    write_npy(path.join("data/train_labels.npy"), &array![7i64, 7, -100, 8, 7]).expect("writable");
    stdout(&arcos(path, &BY_HAND));
    let csv = fs::read_to_string(path.join("out.csv")).expect("written");
    let expected = "row,label,name,dominant_centre,nearest_centre,angle_to_dominant,angle_to_nearest,other_label,other_name,angle_to_other\n\
         4,7,'=wren,1,0,165.0000,95.0000,8,owl,15.0000\n";
    assert_eq!(csv, expected);
    write_npy(path.join("data/train_labels.npy"), &array![7i64, 7, 9, 8, 7]).expect("writable");
    let message = complaint(&arcos(path, &BY_HAND), 1);
    assert!(message.contains("data/train_labels.npy: labels[2] is 9"), "{message}");
    Ok(())
}

/// The paper's two trainings: what has the label of another class is found, and left out of the second.
#[test]
fn planted_noise_is_found_and_left_out_of_a_second_training() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path();
    let birds = SyntheticBirds {
        classes: 8,
        train_rows: 800,
        test_rows: 80,
        dimension: 32,
        row_spread: 0.3,
        ..Default::default()
    };
    let ((features, labels), (test_features, test_labels)) = birds.generate().expect("sensible sizes");
    let planted: BTreeSet<usize> = (0..labels.len()).filter(|row| row % 10 == 3).collect();
    let noisy: Array1<i64> = labels
        .iter()
        .enumerate()
        .map(|(row, &label)| match planted.contains(&row) {
            true => (label + 1 + row as i64 / 10 % 7) % 8,
            false => label,
        })
        .collect();
    fs::create_dir(path.join("data")).expect("writable");
    write_npy(path.join("data/train_features.npy"), &features).expect("writable");
    write_npy(path.join("data/train_labels.npy"), &noisy).expect("writable");
    write_npy(path.join("data/test_features.npy"), &test_features).expect("writable");
    write_npy(path.join("data/test_labels.npy"), &test_labels).expect("writable");
    let train =
        ["train", "--data", "data", "--scale", "16", "--margin", "0.1", "--learning-rate", "0.01", "--epochs", "4"];
    let falsely_found = |head: &str, more: &[&str]| {
        stdout(&arcos(path, &[&train[..], &["--head", head, "--out", head], more].concat()));
        let arguments = ["suspects", "--run", head, "--data", "data", "--out", "s.csv", "--sample-weights", "w.npy"];
        let text = stdout(&arcos(path, &arguments));
        assert_eq!(text.contains("(arcface has one a class)"), head == "arcface", "{text}");
        let mut reader = csv::Reader::from_path(path.join("s.csv")).expect("written");
        let found: BTreeSet<usize> =
            reader.records().map(|record| record.expect("CSV")[0].parse().expect("a row")).collect();
        let right = found.intersection(&planted).count();
        assert!(right >= 76, "{head}: {right} of {} planted rows", planted.len());
        let weights: Array1<f32> = read_npy(path.join("w.npy")).expect("an array");
        let left_out: BTreeSet<usize> = (0..weights.len()).filter(|&row| weights[row] == 0.0).collect();
        assert_eq!((left_out, weights.sum()), (found.clone(), (800 - found.len()) as f32));
        found.len() - right
    };
    // One centre is pulled aside by the wrong rows, and right ones are past the angle, too.
    let of_one = falsely_found("arcface", &[]);
    let of_two = falsely_found("sub-center-arcface", &["--centres", "2"]);
    assert!(of_two <= 40 && of_two < of_one, "{of_two} {of_one}");
    let clean = ["--head", "arcface", "--sample-weights", "w.npy", "--out", "clean"];
    stdout(&arcos(path, &[&train[..], &clean].concat()));
    let accuracy = |run: &str| -> f64 {
        let history = fs::read_to_string(path.join(run).join("history.csv")).expect("written");
        history.lines().last().expect("epochs").split(',').nth(5).expect("a column").parse().expect("a number")
    };
    assert!(accuracy("clean") >= accuracy("arcface"), "{} {}", accuracy("clean"), accuracy("arcface"));
}

#[test]
fn folds_find_labels_that_were_made_wrong() {
    let directory = with_data();
    let path = directory.path();
    // Rows that are easy but for their labels, every eighth of which is another's.
    let birds = SyntheticBirds {
        classes: 6,
        train_rows: 240,
        test_rows: 6,
        dimension: 24,
        row_spread: 0.4,
        bad_rows: 0.0,
        ..Default::default()
    };
    let ((features, labels), _) = birds.generate().expect("sensible sizes");
    let given = Array1::from_shape_fn(240, |row| if row % 8 == 5 { (labels[row] + 2) % 6 } else { labels[row] });
    write_npy(path.join("x.npy"), &features).expect("writable");
    write_npy(path.join("y.npy"), &given).expect("writable");
    fs::write(path.join("names.txt"), "auk\nbee\ncat\ndoe\n=eel\nfox\n").expect("writable");
    let train = ["train", "--head", "softmax", "--epochs", "40", "--out", "noisy", "--class-names", "names.txt"];
    let data = ["--train-features", "x.npy", "--train-labels", "y.npy", "--learning-rate", "0.01"];
    stdout(&arcos(path, &[&train[..], &data].concat()));
    let suspects = ["suspects", "--run", "noisy", "--features", "x.npy", "--labels", "y.npy", "--out", "s.csv"];
    let folds = ["--folds", "4", "--sample-weights", "w.npy"];
    let text = stdout(&arcos(path, &[&suspects[..], &folds].concat()));
    let csv = fs::read_to_string(path.join("s.csv")).expect("written");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("row,label,name,probability,other_label,other_name,other_probability"));
    let found: Vec<usize> =
        lines.clone().map(|line| line.split(',').next().expect("a cell").parse().expect("a row")).collect();
    assert_eq!(text, format!("{} suspects of 240 labelled rows by 4 folds of softmax, in s.csv\n", found.len()));
    let wrong = found.iter().filter(|&&row| row % 8 == 5).count();
    assert!(wrong >= 24 && wrong * 10 >= found.len() * 8, "{wrong} of 30 in {}", found.len());
    let names = ["auk", "bee", "cat", "doe", "'=eel", "fox"];
    let mut margins = Vec::new();
    for (line, &row) in lines.zip(&found) {
        let cells: Vec<&str> = line.split(',').collect();
        let [label, other] = [1, 4].map(|cell| cells[cell].parse::<usize>().expect("a label"));
        assert_eq!((label as i64, cells[2], cells[5]), (given[row], names[label], names[other]));
        assert!(label != other);
        let [own, others]: [f64; 2] = [3, 6].map(|cell| cells[cell].parse().expect("a share"));
        margins.push(own - others);
    }
    assert!(margins.is_sorted() && margins.iter().all(|&margin| margin <= 0.0), "{margins:?}");
    let weights: Array1<f32> = read_npy(path.join("w.npy")).expect("written");
    assert!(weights.iter().enumerate().all(|(row, &weight)| (weight == 0.0) == found.contains(&row)));

    let refused = |more: &[&str], code, expected: &str| {
        let message = complaint(&arcos(path, &[&suspects[..], more].concat()), code);
        assert!(message.contains(expected), "{more:?}: {message}");
    };
    refused(&["--folds", "1"], 2, "the number of folds is 1; expected from 2 to 240");
    refused(&["--folds", "4", "--angle", "70"], 2, "cannot be used with");
    refused(&["--folds", "4", "--centres", "c.npy"], 2, "cannot be used with");
    refused(&[], 1, "softmax has logits that are no cosines");
    stdout(&arcos(path, &["classes", "rename", "--run", "noisy", "--out", "alone", "0", "ant"]));
    let alone = ["suspects", "--run", "alone", "--features", "x.npy", "--labels", "y.npy", "--out", "s.csv"];
    let message = complaint(&arcos(path, &[&alone[..], &["--folds", "4"]].concat()), 1);
    assert!(
        message.contains("alone: holds a model that was not trained there; expected a run, whose settings"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_is_refused_and_leaves_no_file() -> Result<()> {
    let directory = by_hand(|classes| classes)?;
    let path = directory.path();
    let refused = |code: i32, more: &[&str]| {
        let message = complaint(&arcos(path, &[&BY_HAND[..], more].concat()), code);
        assert!(!path.join("out.csv").exists() && !path.join("w.npy").exists(), "{more:?}");
        message
    };
    for angle in ["-1", "180.5", "NaN"] {
        assert!(refused(2, &["--angle", angle]).contains("expected an angle in [0, 180] degrees"));
    }
    for again in ["./w.npy", "data/../w.npy"] {
        let twice = refused(1, &["--sample-weights", "w.npy", "--centres", again]);
        let expected = format!("{again}: is to be written twice; expected a file for each output");
        assert!(twice.contains(&expected), "{twice}");
    }
    for archive in ["--sample-weights", "--centres"] {
        let message = refused(2, &[archive, "w.npz"]);
        assert!(message.contains(&format!("{archive} is w.npz; expected a name that ends in .npy")), "{message}");
    }
    assert!(refused(1, &["--centres", "data/train_features.npy"]).contains("is part of what this command reads"));
    assert!(refused(1, &["--centres", "none/c.npy"]).contains("is in no directory that is there"));
    let of_files = ["suspects", "--features", "x.npy", "--labels", "y.npy", "--out", "s.csv", "--which", "test"];
    assert!(complaint(&arcos(directory.path(), &of_files), 2).contains("cannot be used with"));
    assert!(refused(1, &["--which", "test"]).contains("data/test_labels.npy"));
    write_strings(&path.join("data/train_labels.npy"), "<U", 1, &["0", "0", "x", "1", "1"]);
    assert!(refused(1, &[]).contains("data/train_labels.npy: labels[2] is \"x\"; expected a number"));
    write_npy(path.join("data/train_labels.npy"), &array![0i64, 0, 0, 1]).expect("writable");
    assert!(refused(1, &[]).contains("one label for each row of features"));
    write_npy(path.join("data/train_labels.npy"), &array![0i64, 0, 0, 1, 1]).expect("writable");
    let features: Array2<f32> = read_npy(path.join("data/train_features.npy")).expect("written");
    let mut zero = features.clone();
    zero.row_mut(3).fill(0.0);
    write_npy(path.join("data/train_features.npy"), &zero).expect("writable");
    let message = refused(1, &["--sample-weights", "w.npy"]);
    assert!(message.contains("data/train_features.npy: features row 3 has norm 0"), "{message}");
    write_npy(path.join("data/train_features.npy"), &features.slice(ndarray::s![.., ..1]).to_owned())
        .expect("writable");
    assert!(refused(1, &[]).contains("the dimension that the model was trained on"));

    softmax_is_refused(with_data().path());
    Ok(())
}

fn softmax_is_refused(path: &Path) {
    stdout(&arcos(path, &["train", "--head", "softmax", "--data", "data", "--epochs", "1"]));
    let message = complaint(&arcos(path, &["suspects", "--data", "data", "--out", "out.csv"]), 1);
    let expected = "the run in arcos-run: softmax has logits that are no cosines; expected one whose class vectors are compared by angle";
    assert!(message.contains(expected), "{message}");
    let message = complaint(&arcos(path, &["suspects", "--out", "out.csv"]), 2);
    assert!(message.contains("--data"), "{message}");
}
