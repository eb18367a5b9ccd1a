//! What the program says: what is wrong and what would be right, in plain characters.

use super::command::{arcos, complaint, stdout};
use super::outputs::{FEATURES, with_run};
use super::program::with_data;
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use std::fs;

#[test]
fn control_characters_of_files_do_not_reach_the_terminal() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let names: Vec<String> = (0..8).map(|class| format!("=\u{1b}[2J\u{9b}{class}")).collect();
    fs::create_dir(at("cub")).expect("writable");
    let lines = names.iter().enumerate().map(|(class, name)| format!("{} {name}\n", class + 1));
    fs::write(at("cub/classes.txt"), lines.collect::<String>()).expect("writable");
    let arguments = ["--data", "data", "--heads", "softmax", "--epochs", "1", "--cub", "cub", "--out", "out"];
    let output = arcos(directory.path(), &[&["compare", "--learning-rate", "1e-5"], &arguments[..]].concat());
    let text = stdout(&output);
    assert!(text.contains("\\u{1b}[2J\\u{9b}3") && !text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
    // Data are as they are, but that no spreadsheet may compute them.
    let csv = fs::read_to_string(at("out/class_accuracy.csv")).expect("written");
    assert!(csv.lines().skip(1).all(|line| line.split(',').nth(1).is_some_and(|name| name.starts_with("'=\u{1b}"))));

    let message = complaint(
        &arcos(directory.path(), &["evaluate", "--run", "\u{1b}[31m\nx", "--features", "x", "--labels", "y"]),
        1,
    );
    assert!(message.contains("\\u{1b}[31m\\nx: is not there") && !message.contains('\u{1b}'), "{message:?}");
}

#[test]
fn messages_name_the_thing_and_the_remedy() {
    let directory = with_run();
    let at = |name: &str| directory.path().join(name);
    let says = |arguments: &[&str], code: i32, text: &str| {
        let message = complaint(&arcos(directory.path(), arguments), code);
        assert!(message.contains(text) && !message.contains(".arcos-"), "{arguments:?}: {message}");
    };
    let evaluate = ["evaluate", "--features", FEATURES, "--labels", "data/test_labels.npy"];
    says(&[&evaluate[..], &["--classes", "60.."]].concat(), 2, "--classes is 60..; expected a range with rows in it");
    says(
        &[&evaluate[..], &["--run", "nosuch.json"]].concat(),
        1,
        "nosuch.json: is not there; expected the output directory",
    );
    says(&[&evaluate[..], &["--run", FEATURES]].concat(), 1, "is no checkpoint; expected the output directory");
    // Numbers too large for the logits of test rows.
    let data = ["--train-features", "data/train_features.npy", "--train-labels", "data/train_labels.npy"];
    write_npy(at("large.npy"), &Array2::from_elem((4, 32), 3e38f32)).expect("writable");
    write_npy(at("labels.npy"), &Array1::from(vec![0i64, 1, 2, 3])).expect("writable");
    let test = ["--test-features", "large.npy", "--test-labels", "labels.npy"];
    let train = ["train", "--head", "softmax", "--transform", "none", "--out", "large"];
    says(&[&train[..], &data, &test].concat(), 1, "epoch 1, evaluation: ");
    says(&[&train[..], &data, &test].concat(), 1, "; if training diverged, lower the learning rate or the scale");
    for name in ["train", "compare"] {
        let help = stdout(&arcos(directory.path(), &[name, "--help"]));
        assert!(!help.contains("[`"), "{help}");
    }
    for head in ["AdaCos", "ARCFACE"] {
        stdout(&arcos(directory.path(), &["train", "--head", head, "--data", "data", "--out", head, "--epochs", "1"]));
    }
}

#[test]
fn an_array_is_not_called_an_archive() {
    let directory = with_run();
    let message = complaint(&arcos(directory.path(), &["embed", "--features", FEATURES, "--out", "e.NPZ"]), 2);
    assert!(message.contains("--out is e.NPZ; expected a name that ends in .npy"), "{message}");
    assert!(!directory.path().join("e.NPZ").exists());
}

#[test]
fn options_without_effect_are_refused() {
    let directory = with_run();
    let refuses = |arguments: &[&str], text: &str| {
        let message = complaint(&arcos(directory.path(), arguments), 2);
        assert!(message.contains(text), "{arguments:?}: {message}");
    };
    let train = |head: &'static str, more: &[&'static str], text: &str| {
        let base = ["train", "--head", head, "--data", "data", "--out", "run"];
        refuses(&[&base[..], more].concat(), text);
    };
    // What is wrong with an option is said before data are read, which may take minutes.
    for command in ["train", "compare"] {
        let heads = if command == "train" { "--head" } else { "--heads" };
        let base = [command, heads, "arcface", "--data", "nowhere", "--out", "elsewhere"];
        for (option, value, text) in [
            ("--margin", "4", "margin is 4; expected an angle"),
            ("--scale", "0", "scale is 0; expected a positive"),
            ("--learning-rate", "-1", "learning rate is -1; expected"),
            ("--learning-rate", "1e39", "learning rate is 1e39; expected"),
            ("--batch-size", "0", "batch size is 0; expected at least 1"),
            ("--epochs", "0", "epochs is 0; expected at least 1"),
            ("--warm-up", "31", "warm-up is 31; expected at most 30"),
            ("--embed", "0", "the embedding dimension is 0; expected at least 1"),
            ("--filter", "2", "; expected"),
        ] {
            refuses(&[&base[..], &[option, value]].concat(), text);
        }
    }
    for (head, option, value, text) in [
        ("l2-softmax", "--alpha", "1e-300", "alpha is 1e-300; expected a number that is positive and finite in the"),
        ("adacos", "--max-scale", "1e-300", "max-scale is 1e-300; expected a number that is positive and finite in"),
        ("cosface", "--scale", "1e-300", "scale is 1e-300; expected a number that is positive and finite in the"),
        // Spaces are passed over in lists of heads alone.
        ("arcface", "--past-pi", " easy", "past-pi is \" easy\"; expected monotone, "),
        ("arcface", "--scale", "8 ", "scale is \"8 \"; expected a number"),
        ("arcface", "--optimizer", "sgd ", "invalid value 'sgd '"),
    ] {
        refuses(&["train", "--head", head, "--data", "nowhere", "--out", "elsewhere", option, value], text);
    }
    train(
        "adacos",
        &["--embed", "1000000000000000000"],
        "the embedding dimension is 1000000000000000000; expected less",
    );
    for (option, value, text) in [
        ("--ridge", "inf", "the ridge of whitening is inf; expected a number from 0 to 1e9"),
        ("--dimensions", "0", "the dimensions to whiten to is 0; expected at least 1"),
    ] {
        let nowhere = ["train", "--head", "adacos", "--data", "nowhere", "--out", "elsewhere", "--transform", "whiten"];
        refuses(&[&nowhere[..], &[option, value]].concat(), text);
    }
    for (option, value) in [("--transform", "whiten"), ("--init", "orthonormal")] {
        let nowhere = ["train", "--head", "adacos", "--data", "nowhere", "--out", "elsewhere", option, value];
        let message = complaint(&arcos(directory.path(), &nowhere), 1);
        let expected = if cfg!(feature = "blas") { "nowhere" } else { "needs LAPACK" };
        assert!(message.contains(expected), "{message}");
    }
    for (option, value) in [("--nuisance", "1e300"), ("--classes", "1"), ("--test-rows", "1000000000000000000")] {
        let output = arcos(directory.path(), &["demo", option, value, "--out", "elsewhere"]);
        let message = complaint(&output, 2);
        assert!(message.contains(&option[2..].replace('-', " ")) && output.stdout.is_empty(), "{message}");
    }
    for (option, value) in [("--epochs", "0"), ("--batch-size", "0"), ("--embed", "0")] {
        let output = arcos(directory.path(), &["demo", option, value]);
        assert!(complaint(&output, 2).contains("; expected at least 1") && output.stdout.is_empty(), "{option}");
    }
    // What needs an option is not excused by a third that excludes it.
    let data = ["train", "--head", "adacos", "--data", "data", "--out", "elsewhere"];
    for (labels, path) in [("--train-labels", "data/train_labels.npy"), ("--test-labels", "data/test_labels.npy")] {
        refuses(&[&data[..], &[labels, path]].concat(), "cannot be used with");
    }
    let rows = ["evaluate", "--embeddings", FEATURES, "--labels", "data/test_labels.npy"];
    refuses(&[&rows[..], &["--classes", "1..", "--manifest", "x"]].concat(), "--pairs <FILE>|--report");
    let photographs = ["extract", "--folder", "x", "--model", "m.onnx", "--normalise", "imagenet"];
    refuses(&[&photographs[..], &["--std", "1,1,1"]].concat(), "cannot be used with");
    let with = |given: &str, needs: &str| format!("{given} is given; expected {needs} with it");
    train("adacos", &["--step-every", "3"], &with("--step-every", "--schedule step"));
    train("adacos", &["--step-factor", "0.5", "--schedule", "cosine"], &with("--step-factor", "--schedule step"));
    train("adacos", &["--schedule", "step", "--epochs", "10"], "--step-every is 10; expected below 10, the epochs");
    train("adacos", &["--schedule", "step", "--step-factor", "1"], "--step-factor is 1; expected below 1, or the rate");
    train("adacos", &["--warm-up", "6", "--epochs", "5"], "warm-up is 6; expected at most 5, the epochs");
    let whole = ["--warm-up", "5", "--epochs", "5", "--schedule"];
    for (schedule, more) in [("cosine", &[][..]), ("step", &["--step-every", "2"])] {
        train(
            "adacos",
            &[&whole[..], &[schedule], more].concat(),
            "--warm-up is 5; expected below 5, the epochs of the",
        );
    }
    let sgd = ["--optimizer", "sgd", "--nesterov", "--momentum", "0"];
    train("adacos", &sgd, &with("--nesterov", "a momentum above 0"));
    train("adacos", &["--ridge", "0.1"], &with("--ridge", "--transform whiten"));
    train("adacos", &["--dimensions", "8", "--transform", "none"], &with("--dimensions", "--transform whiten"));
    train("adacos", &["--filter", "1e-7", "--kernel", "explicit"], &with("--filter", "--kernel streaming"));
    train("adacos", &["--workspace", "8", "--kernel", "explicit"], &with("--workspace", "--kernel streaming"));
    train("adacos", &["--momentum", "0.5"], &with("--momentum", "--optimizer sgd"));
    train("adacos", &["--weight-decay", "0.5"], &with("--weight-decay", "--optimizer sgd or adamw"));
    train("adacos", &["--embed", "8", "--dropout", "0.1"], &with("--dropout", "--embed-block e"));
    train("adacos", &["--embed-block", "e"], "--embed <E>");
    train("adacos", &["--keep", "0"], "expected at least 1");
    train("adacos", &["--margin", "0.1"], "adacos has no margin");
    refuses(&["predict", "--features", FEATURES, "--top", "9"], "--top is 9; expected at most 8, the classes");
    refuses(&["predict", "--features", FEATURES, "--top", "0"], "expected at least 1");
    refuses(&["extract", "--folder", "x", "--model", "m.onnx", "--seed", "3"], "--views <K>");
    refuses(&["extract", "--folder", "x", "--model", "m.onnx", "--whole-images"], "cannot be used with");
    refuses(&["evaluate", "--features", FEATURES, "--labels", "y", "--manifest", "x"], "--pairs <FILE>");
    refuses(&["bench", "--plot", "figure.pdf"], "--plot is figure.pdf; expected a name that ends in .png");
    let compare = ["compare", "--train-features", "data/train_features.npy", "--train-labels", "data/train_labels.npy"];
    refuses(&[&compare[..], &["--cub", "cub"]].concat(), &with("--cub", "test rows"));
    refuses(
        &[&compare[..], &["--heads", "arcface:scale=8", "--scale", "16"]].concat(),
        "scale is given; expected one of",
    );
}
