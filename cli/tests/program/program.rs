//! The program as a user meets it: exit codes, messages, files.

use super::command::{arcos, complaint, stdout};
use super::numpy_file;
use arcos::train::RunDirectory;
use ndarray::{Array0, Array1, Array2, array};
use ndarray_npy::{read_npy, write_npy};
use std::fs;
use std::path::Path;

/// A directory with small training and test data in `data`, made by `arcos demo`'s model.
pub fn with_data() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    write_data(&directory.path().join("data"), 8, 32);
    directory
}

/// A new directory with 20 training and 10 test rows of each class.
pub fn write_data(data: &Path, classes: usize, dimension: usize) {
    let birds = arcos::data::synthetic::SyntheticBirds {
        classes,
        train_rows: 20 * classes,
        test_rows: 10 * classes,
        dimension,
        row_spread: 0.6,
        ..Default::default()
    };
    let ((train_features, train_labels), (test_features, test_labels)) = birds.generate().expect("sensible sizes");
    fs::create_dir(data).expect("writable");
    write_npy(data.join("train_features.npy"), &train_features).expect("writable");
    write_npy(data.join("train_labels.npy"), &train_labels).expect("writable");
    write_npy(data.join("test_features.npy"), &test_features).expect("writable");
    write_npy(data.join("test_labels.npy"), &(test_labels.mapv(|label| label as i32))).expect("writable");
}

/// The tensors of a run's newest checkpoint, byte for byte.
pub fn last_tensors(run: &Path) -> Vec<u8> {
    let newest = RunDirectory::newest_checkpoint(run).expect("readable").expect("a checkpoint");
    fs::read(newest.with_extension("safetensors")).expect("written")
}

#[test]
fn help_has_examples_for_every_command() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let help = stdout(&arcos(directory.path(), &["--help"]));
    for command in ["demo", "train", "compare", "extract", "embed", "evaluate", "predict", "grad", "bench"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        stdout(&arcos(directory.path(), &[command, "--help"]));
    }
    assert!(help.contains("Examples:"), "{help}");
    let help = stdout(&arcos(directory.path(), &["grad", "--help"]));
    for head in arcos::AnyHead::names() {
        assert!(help.contains(head), "{head} is not in the help of grad");
    }
    stdout(&arcos(directory.path(), &["--version"]));
}

#[test]
fn bad_usage_exits_with_2() {
    let directory = with_data();
    let says = |arguments: &[&str], text: &str| {
        let complaint = complaint(&arcos(directory.path(), arguments), 2);
        assert!(complaint.contains(text), "{arguments:?}: {complaint}");
    };
    says(&[], "Usage: arcos");
    says(&["trian"], "unrecognized subcommand");
    says(&["train", "--data", "data"], "--head");
    says(&["train", "--head", "arcfase", "--data", "data"], "invalid value 'arcfase'");
    says(&["train", "--head", "softmax", "--data", "data", "--margin", "0.5"], "softmax has no margin");
    says(
        &["train", "--head", "arcface", "--data", "data", "--margin", "4"],
        "margin is 4; expected an angle in [0, π]",
    );
    says(&["train", "--head", "arcface", "--data", "data", "--scale", "-1"], "scale is -1; expected a positive");
    says(&["train", "--head", "adacos", "--data", "data", "--epochs", "0"], "epochs is 0; expected at least 1");
    says(
        &["train", "--head", "adacos", "--data", "data", "--nesterov"],
        "--nesterov is given; expected --optimizer sgd",
    );
    says(
        &["compare", "--data", "data", "--heads", "softmax", "--scale", "16"],
        "scale is given; expected one of the heads to have it",
    );
    says(&["compare", "--data", "data", "--heads", "arcface:margin"], "option is margin; expected OPTION=VALUE");
    says(&["compare", "--data", "data", "--heads", "arc"], "no head is called \"arc\"");
    says(&["extract", "--folder", "photographs", "--model", "x.onnx", "--views", "0"], "expected at least 1");
    says(&["bench", "--threads", "1000000000"], "expected at most 1024");
    let seed = "elasticface: margin-seed is 3; expected 0 where std is 0: nothing is drawn";
    says(&["train", "--data", "data", "--head", "elasticface", "--std", "0", "--margin-seed", "3"], seed);
    says(&["compare", "--data", "data", "--heads", "elasticface:std=0:margin-seed=3"], seed);
    let plus = "elasticface: plus is 1; expected 0 (no) where std is 0: all margins are alike";
    says(&["train", "--data", "data", "--head", "elasticface", "--std", "0", "--plus"], plus);
}

#[test]
fn bad_data_exits_with_1() {
    let directory = with_data();
    let says = |arguments: &[&str], text: &str| {
        let complaint = complaint(&arcos(directory.path(), arguments), 1);
        assert!(complaint.contains(text), "{arguments:?}: {complaint}");
    };
    says(&["train", "--head", "adacos", "--data", "nowhere"], "cannot read nowhere/train_labels.npy");
    says(
        &["train", "--head", "adacos", "--data", "data", "--labels-start", "1"],
        "data/train_labels.npy: labels[0] is 0; expected labels from 1 (the",
    );
    let labels = numpy_file("labels_float.npy");
    let labels = labels.to_str().expect("UTF-8");
    let features = "data/train_features.npy";
    says(
        &["train", "--head", "adacos", "--train-features", features, "--train-labels", labels],
        "labels_float.npy: labels has shape [4]; expected (160,), one label for each row of features",
    );
    says(
        &["evaluate", "--run", "nowhere", "--features", features, "--labels", labels],
        "nowhere: is not there; expected the output",
    );
    says(&["evaluate", "--run", "data", "--features", features, "--labels", labels], "holds no checkpoint");
    if cfg!(not(feature = "blas")) {
        let whiten = ["train", "--head", "adacos", "--data", "data", "--transform", "whiten", "--dimensions", "8"];
        says(&whiten, "build with `--features openblas-system`");
    }
}

#[test]
fn train_resume_evaluate_predict() {
    let directory = with_data();
    let train = |epochs: &str, out: &str, more: &[&str]| {
        let base =
            ["train", "--head", "adacos", "--data", "data", "--learning-rate", "0.003", "--out", out, "--epochs"];
        arcos(directory.path(), &[&base[..], &[epochs], more].concat())
    };
    let lines = stdout(&train("6", "whole", &[]));
    assert_eq!(lines.lines().filter(|line| line.contains("epoch ")).count(), 6, "{lines}");
    assert!(complaint(&train("6", "whole", &[]), 1).contains("holds a run already"));

    stdout(&train("3", "parts", &["--resume-or-start"]));
    assert!(stdout(&train("6", "parts", &["--resume"])).contains("going on after epoch 3"));
    let checkpoint = |run: &str| {
        fs::read(directory.path().join(run).join("checkpoints/epoch-0006.safetensors")).expect("the last checkpoint")
    };
    assert_eq!(checkpoint("whole"), checkpoint("parts"), "interrupted and whole runs end with the same bytes");
    for log in ["iterations.csv", "target_angles.csv"] {
        let [whole, parts] = ["whole", "parts"].map(|run| fs::read(directory.path().join(run).join(log)).expect(log));
        assert_eq!(whole, parts, "{log}");
    }
    assert!(fs::read(directory.path().join("parts/training.png")).expect("drawn").starts_with(b"\x89PNG"));

    let files = ["--features", "data/test_features.npy", "--labels", "data/test_labels.npy"];
    let line = stdout(&arcos(directory.path(), &[&["evaluate", "--json", "--run", "whole"], &files[..]].concat()));
    let evaluation: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!((&evaluation["head"], &evaluation["rows"]), (&"adacos".into(), &80.into()));
    let accuracy = evaluation["accuracy"].as_f64().expect("a number");
    let text = stdout(&arcos(directory.path(), &[&["evaluate", "--run", "whole"], &files[..]].concat()));
    assert!(text.starts_with("adacos, 80 rows: loss ") && text.contains(&format!("accuracy {accuracy:.4}")), "{text}");
    let history = fs::read_to_string(directory.path().join("whole/history.csv")).expect("written");
    assert!(history.starts_with("epoch,learning_rate,train_loss,train_accuracy,test_loss,test_accuracy,"), "{history}");
    let last: Vec<&str> = history.lines().last().expect("epochs").split(',').collect();
    assert_eq!(last[5].parse::<f64>().expect("a number"), accuracy);

    let predict = ["predict", "--run", "whole", "--features", "data/test_features.npy", "--top", "3"];
    let csv = stdout(&arcos(directory.path(), &predict));
    assert_eq!(csv.lines().next(), Some("row,rank,label,probability"));
    assert_eq!(csv.lines().count(), 1 + 3 * 80);
    let labels: Array1<i32> = read_npy(directory.path().join("data/test_labels.npy")).expect("written");
    let first_ranks = csv.lines().skip(1).step_by(3).map(|line| line.split(',').nth(2).expect("a label").to_owned());
    let correct = first_ranks.zip(&labels).filter(|(predicted, label)| *predicted == label.to_string()).count();
    assert_eq!(correct as f64 / 80.0, accuracy);
}

#[test]
fn compare_prints_a_table_and_draws_a_figure() {
    let directory = with_data();
    let heads = "softmax,adacos,arcface:margin=0.1,arcface:margin=0.3";
    let arguments = ["compare", "--data", "data", "--heads", heads, "--scale", "16", "--epochs", "3", "--out", "out"];
    let text = stdout(&arcos(directory.path(), &arguments));
    for head in heads.split(',') {
        assert!(text.lines().any(|line| line.starts_with(&format!("{head} "))), "{head}: {text}");
    }
    let figure = fs::read(directory.path().join("out/result.png")).expect("drawn");
    assert!(figure.starts_with(b"\x89PNG"));
    assert!(directory.path().join("out/arcface-margin-0.1/history.csv").exists());
    let of_classes = fs::read_to_string(directory.path().join("out/class_accuracy.csv")).expect("written");
    assert!(of_classes.lines().nth(3).expect("eight classes").starts_with("2,2,10,"), "labels are names: {of_classes}");
}

#[test]
fn compare_reports_on_classes() {
    let directory = with_data();
    let classes = |count: usize| {
        let lines = (1..=count).map(|id| format!("{id} {id:03}.Red_bird_{id}\n")).collect::<String>();
        fs::create_dir_all(directory.path().join("cub")).expect("writable");
        fs::write(directory.path().join("cub/classes.txt"), lines).expect("writable");
    };
    // So little training that there are mistakes.
    let arguments = ["--data", "data", "--heads", "softmax,adacos", "--epochs", "1", "--cub", "cub", "--out", "out"];
    let arguments = [&["compare", "--learning-rate", "1e-5"], &arguments[..]].concat();
    classes(7);
    let message = complaint(&arcos(directory.path(), &arguments), 1);
    assert!(message.contains("classes.txt: names 7 classes; expected a name for each of the 8 classes"), "{message}");

    classes(9);
    let text = stdout(&arcos(directory.path(), &arguments));
    assert!(text.contains("hardest classes") && text.contains("\nRed bird "), "{text}");
    let csv = fs::read_to_string(directory.path().join("out/class_accuracy.csv")).expect("written");
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["label", "class", "test_rows", "softmax", "adacos"]);
    assert_eq!(lines.len(), 1 + 8, "a class without rows has no accuracy");
    assert_eq!(lines[3][..3], ["2", "003.Red_bird_3", "10"]);
    for (column, head) in [(3, "softmax"), (4, "adacos")] {
        let accuracies: f64 = lines[1..].iter().map(|line| line[column].parse::<f64>().expect("a share")).sum();
        let history = fs::read_to_string(directory.path().join(format!("out/{head}/history.csv"))).expect("written");
        let test_accuracy: f64 =
            history.lines().nth(1).expect("an epoch").split(',').nth(5).expect("a column").parse().expect("a share");
        approx::assert_relative_eq!(accuracies / 8.0, test_accuracy, max_relative = 1e-12);
    }
    assert!(fs::read(directory.path().join("out/confusions.png")).expect("drawn").starts_with(b"\x89PNG"));
}

#[test]
fn demo_says_that_its_features_are_synthetic() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let sizes = ["--classes", "6", "--train-rows", "60", "--test-rows", "30", "--dimension", "16", "--epochs", "2"];
    let text = stdout(&arcos(directory.path(), &[&["demo"], &sizes[..]].concat()));
    assert!(text.to_lowercase().contains("synthetic"), "{text}");
    for head in ["softmax", "l2-softmax", "fixed-adacos", "adacos", "arcface"] {
        assert!(directory.path().join("arcos-demo").join(head).join("history.csv").exists(), "{head}");
    }
    assert!(directory.path().join("arcos-demo/result.png").exists());
}

#[test]
fn grad_writes_what_the_library_computes() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| directory.path().join(name);
    let features = array![[1.0, 2.0, -0.5], [-1.0, 0.5, 2.0]];
    let weights = array![[1.0, 0.0, 0.2], [0.3, 1.0, 0.0], [-1.0, 0.5, 0.4]];
    write_npy(path("x.npy"), &features).expect("writable");
    write_npy(path("w.npy"), &weights).expect("writable");
    write_npy(path("y.npy"), &array![2u8, 1]).expect("writable");
    write_npy(path("b.npy"), &array![0.1, -0.2, 0.3]).expect("writable");
    let base = ["grad", "--features", "x.npy", "--weights", "w.npy", "--labels", "y.npy", "--out", "out"];
    let grad = |more: &[&str]| arcos(directory.path(), &[&base[..], more].concat());
    let array = |name: &str| -> Array2<f64> { read_npy(path("out").join(name)).expect(name) };

    let line = stdout(&grad(&["--head", "cosface", "--scale", "8", "--margin", "0.2"]));
    let report: serde_json::Value = serde_json::from_str(&line).expect("one JSON line");
    assert_eq!((&report["head"], &report["scale"]), (&"cosface".into(), &8.0.into()));
    let loss: Array0<f64> = read_npy(path("out/loss.npy")).expect("0-d");
    assert_eq!(report["loss"].as_f64(), Some(loss[()]));
    use arcos::Head;
    let head = arcos::heads::CosFace { scale: arcos::heads::Scale::Fixed(8.0), margin: 0.2, ..Default::default() };
    let (expected, cache) =
        head.forward(features.view(), &weights.clone().into(), array![2, 1].view()).expect("well-formed");
    let gradients = head.backward(cache);
    assert_eq!(loss[()], expected);
    assert_eq!((array("d_features.npy"), array("d_weights.npy")), (gradients.d_features, gradients.d_weights));
    assert!(!path("out/d_bias.npy").exists());

    stdout(&grad(&["--head", "l2-softmax", "--alpha", "4", "--bias", "b.npy"]));
    let d_bias: Array1<f64> = read_npy(path("out/d_bias.npy")).expect("a vector");
    assert_eq!(d_bias.len(), 3);
    let _: Array0<f64> = read_npy(path("out/d_alpha.npy")).expect("0-d");

    // For AdaCos the scale is that of the step before, not the one the logits get.
    let line = stdout(&grad(&["--head", "adacos", "--scale", "3"]));
    let report: serde_json::Value = serde_json::from_str(&line).expect("one JSON line");
    assert!(report["scale"].as_f64().is_some_and(|scale| scale > 0.0 && scale != 3.0), "{report}");

    // What else a step begins with.
    let scale_of = |more: &[&str]| {
        let report: serde_json::Value = serde_json::from_str(&stdout(&grad(more))).expect("one JSON line");
        report["scale"].as_f64().expect("a number")
    };
    let learned = ["--head", "arcface", "--scale", "learned", "--parameter", "log_scale=2"];
    approx::assert_relative_eq!(scale_of(&learned), 2f64.exp(), max_relative = 1e-12);
    assert_eq!(scale_of(&["--head", "l2-softmax", "--parameter", "alpha=3"]), 3.0);
    let bounded = ["--head", "arcface", "--scale", "adacos", "--state", "scale=3", "--max-scale"];
    assert_eq!(scale_of(&[&bounded[..], &["0.5"]].concat()), 0.5);
    for (options, expected) in [
        ("curricularface --state t=5", "--state is t=5; expected a mean of cosines, a number from -1 to 1"),
        ("elasticface --state step=1.5", "expected steps that were taken, a whole number"),
        ("adaface --state norm_std=-1", "expected a standard deviation of norms, a number from 0"),
        ("adacos --state scale=-1", "expected the scale of the step before"),
        ("adacos --scale 3 --state scale=4", "--state is scale=4; expected nothing of that name: --scale is it"),
        ("adacos --scale abc", "scale is abc; expected a number from 1e-9 to 1e9, the scale of the step before"),
        ("adacos --scale=-5", "scale is -5; expected a number from 1e-9 to 1e9, the scale of the step before"),
        ("adacos --state scale=1e300", "--state is scale=1e300; expected the scale of the step before"),
        ("sub-center-arcface --centres 2.5", "centres is 2.5; expected a whole number from 1 to 1,000,000"),
        ("arcface:scale=8:margin=0.1", "here they are arguments: arcface --scale 8 --margin 0.1"),
        ("arcface --state t=1", "arcface has no state t; it takes nothing: it remembers nothing"),
        (
            "arcface --parameter log_scale=1",
            "arcface has no parameter log_scale; it takes none: weights and bias have arguments of their own",
        ),
        ("softmax --parameter bias=1", "softmax has no parameter bias"),
        ("arcface --max-scale 3", "arcface has no max-scale"),
        ("arcface --scale adacos --max-scale 0", "arcface: max-scale is 0; expected a positive number"),
        ("arcface --scale adacos --max-scale x", "max-scale is x; expected a number"),
    ] {
        let options: Vec<_> = ["--head"].into_iter().chain(options.split(' ')).collect();
        let message = complaint(&grad(&options), 2);
        assert!(message.contains(expected), "{options:?}: {message}");
    }
    let help = stdout(&arcos(directory.path(), &["grad", "--help"]));
    for text in ["t (curricularface), a mean of cosines", "step (elasticface)", "Heads ldam and dynamic-arcface"] {
        assert!(help.replace("\n          ", " ").contains(text), "{text} is not in {help}");
    }

    assert!(complaint(&grad(&["--head", "cosface", "--bias", "b.npy"]), 2).contains("cosface has no bias"));
    write_npy(path("x.npy"), &features.mapv(|value| value as f32)).expect("writable");
    assert!(
        complaint(&grad(&["--head", "softmax"]), 1).contains("holds f64; expected f32, the precision of the features")
    );
    write_npy(path("w.npy"), &weights.mapv(|value| value as f32)).expect("writable");
    stdout(&grad(&["--head", "softmax"]));
    let _: Array2<f32> = read_npy(path("out/d_weights.npy")).expect("in the precision of the features");
}

#[test]
fn bench_measures_draws_and_hands_out_its_arrays() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let size = ["bench", "--batch", "8", "--dim", "16", "--runs", "1"];
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), &[&size, arguments].concat()));

    let lines = run(&["--classes", "60,120", "--update", "--json", "--plot", "classes.png", "--save-arrays", "arrays"]);
    let reports: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(reports.iter().map(|report| report["classes"].as_u64()).collect::<Vec<_>>(), [Some(60), Some(120)]);
    for result in reports.iter().flat_map(|report| report["results"].as_array().expect("a list")) {
        assert!(result["seconds"].as_f64() > Some(0.0) && result["ratio"].as_f64() > Some(0.0), "{result}");
    }
    assert!(fs::read(directory.path().join("classes.png")).expect("drawn").starts_with(b"\x89PNG"));

    // The loss is that of the arrays.
    let written = ["features", "weights", "labels"].map(|name| format!("arrays/{name}.npy"));
    let [features, weights, labels] = written.each_ref().map(String::as_str);
    let arrays = ["--features", features, "--weights", weights, "--labels", labels];
    let arguments = [&["grad", "--head", "arcface", "--out", "grads"], &arrays[..]].concat();
    let gradients: serde_json::Value =
        serde_json::from_str(&stdout(&arcos(directory.path(), &arguments))).expect("an object");
    let losses = [&gradients, &reports[1]].map(|report| report["loss"].as_f64().expect("a number"));
    approx::assert_relative_eq!(losses[0], losses[1], max_relative = 1e-4);

    let table = run(&["--classes", "60", "--head", "adacos", "--regime", "concentrated", "--filter", "1e-7"]);
    for text in ["adacos, B 8, D 16, C 60", "filter 1e-7", "bare products", "explicit forward + backward", "streaming"]
    {
        assert!(table.contains(text), "{text} is not in\n{table}");
    }
    let late = run(&["--classes", "60", "--regime", "late", "--filter", "1e-7"]);
    assert!(late.contains("C 60, f32, late"), "{late}");
    for (option, value, text) in [
        ("--filter", "2", "filter is 2"),
        ("--classes", "1000000000000000000", "size (batch, dim, classes) is (512, 512, 1000000000000000000)"),
        ("--batch", "1000000000000", "there is no memory for so much"),
        ("--dim", "1000000000000", "there is no memory for so much"),
    ] {
        let message = complaint(&arcos(directory.path(), &["bench", option, value]), 2);
        assert!(message.contains(text), "{message}");
    }
}
