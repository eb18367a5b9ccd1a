//! What commands write: never over what they read, whole or not at all, and harmless to those who look at it.

use super::command::{arcos, command, complaint, stdout};
use super::program::with_data;
use ndarray::{Array1, Array2};
use ndarray_npy::{read_npy, write_npy};
use std::fs;
use std::path::Path;
use std::process::Stdio;

pub const FEATURES: &str = "data/test_features.npy";

pub fn with_run() -> tempfile::TempDir {
    let directory = with_data();
    stdout(&arcos(directory.path(), &["train", "--head", "adacos", "--data", "data", "--epochs", "1"]));
    directory
}

/// Every file below a directory with its bytes.
fn files(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), fs::read(&path).expect("readable"))),
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
#[test]
fn an_output_that_is_an_input_by_any_name_is_refused() {
    let directory = with_run();
    let at = |name: &str| directory.path().join(name);
    fs::hard_link(at(FEATURES), at("hard.npy")).expect("one file system");
    std::os::unix::fs::symlink(FEATURES, at("link.npy")).expect("writable");
    let weights = Array2::from_shape_fn((8, 32), |(row, column)| (row * column) as f32);
    for name in ["d_weights.npy", "evaluation.json", "train_features.npy"] {
        fs::create_dir_all(at("written")).expect("writable");
        write_npy(at("written").join(name), &weights).expect("writable");
    }
    fs::copy(at(FEATURES), at("written/evaluation.json")).expect("writable");
    fs::copy(at("data/train_features.npy"), at("iterations.csv")).expect("writable");
    let before = files(directory.path());
    let refuses = |arguments: &[&str]| {
        let message = complaint(&arcos(directory.path(), arguments), 1);
        assert!(message.contains("this command") && message.contains("another place to write to"), "{message}");
        assert!(files(directory.path()) == before, "{arguments:?} wrote something");
    };
    // What is not read of a run, too, is part of it.
    let of_run = ["checkpoints/epoch-0001.json", "run.json", "history.csv"].map(|name| format!("arcos-run/{name}"));
    let of_data = [FEATURES, "data/../data/test_features.npy", "hard.npy", "link.npy"];
    for out in of_data.into_iter().chain(of_run.iter().map(String::as_str)) {
        refuses(&["predict", "--features", FEATURES, "--out", out]);
        refuses(&["embed", "--features", FEATURES, "--out", out]);
    }
    let (labels, weights) = ("data/test_labels.npy", "written/d_weights.npy");
    refuses(&[
        "grad",
        "--head",
        "softmax",
        "--features",
        FEATURES,
        "--labels",
        labels,
        "--weights",
        weights,
        "--out",
        "written",
    ]);
    refuses(&["evaluate", "--features", "written/evaluation.json", "--labels", labels, "--out", "written"]);
    let csv = ["--train-features", "iterations.csv", "--train-labels", "data/train_labels.npy"];
    refuses(&[&["train", "--head", "softmax", "--out", "."], &csv[..]].concat());
}

#[test]
fn a_command_that_fails_leaves_no_file_and_what_was_there() {
    let directory = with_run();
    let at = |name: &str| directory.path().join(name);
    write_npy(at("narrow.npy"), &Array2::<f32>::ones((5, 3))).expect("writable");
    let mut late = Array2::<f32>::ones((3000, 32));
    late[[2999, 0]] = f32::NAN;
    write_npy(at("late.npy"), &late).expect("writable");
    fs::write(at("there"), "before").expect("writable");
    let before = files(directory.path());
    for features in ["narrow.npy", "late.npy"] {
        for out in ["new", "there"] {
            for name in ["predict", "embed"] {
                complaint(&arcos(directory.path(), &[name, "--features", features, "--out", out]), 1);
                assert!(files(directory.path()) == before, "{name} {features} {out}");
            }
        }
    }
    // Not even a heading.
    assert!(arcos(directory.path(), &["predict", "--features", "narrow.npy"]).stdout.is_empty());
    for name in ["predict", "embed"] {
        let message = complaint(&arcos(directory.path(), &[name, "--features", FEATURES, "--out", "nowhere/file"]), 1);
        assert!(message.contains("nowhere/file: is in no directory that is there"), "{message}");
    }
    let message = complaint(&arcos(directory.path(), &["bench", "--plot", "nowhere/file.png"]), 1);
    assert!(message.contains("nowhere/file.png: is in no directory that is there"), "{message}");
    stdout(&arcos(directory.path(), &["predict", "--features", FEATURES, "--out", "there"]));
    let printed = stdout(&arcos(directory.path(), &["predict", "--features", FEATURES]));
    assert_eq!(fs::read_to_string(at("there")).expect("written"), printed);
    assert_eq!(printed.lines().count(), 1 + 80);
}

#[test]
fn a_command_that_fails_leaves_nothing_of_its_own_behind() {
    let directory = with_run();
    let at = |name: &str| directory.path().join(name);
    write_npy(at("narrow.npy"), &Array2::<f32>::ones((5, 3))).expect("writable");
    write_npy(at("y.npy"), &Array1::<i64>::zeros(5)).expect("writable");
    write_npy(at("weights.npy"), &Array2::<f32>::ones((8, 32))).expect("writable");
    write_npy(at("large.npy"), &Array2::from_elem((5, 32), 3e38f32)).expect("writable");
    for place in ["there", "grads/d_weights.npy", "report/evaluation.json"] {
        fs::create_dir_all(at(place)).expect("writable");
    }
    fs::write(at("there/notes"), "mine").expect("writable");
    fn places(directory: &Path) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        entries
            .flat_map(|path| [vec![path.clone()], if path.is_dir() { places(&path) } else { vec![] }].concat())
            .collect()
    }
    let before = places(directory.path());
    let fails = |arguments: &[&str]| {
        complaint(&arcos(directory.path(), arguments), 1);
        let (mut found, mut before) = (places(directory.path()), before.clone());
        found.sort();
        before.sort();
        assert_eq!(found, before, "{arguments:?}");
    };
    let data = ["--train-features", "data/train_features.npy", "--train-labels", "data/train_labels.npy"];
    let sgd = [&data[..], &["--optimizer", "sgd", "--learning-rate", "1", "--momentum", "0"]].concat();
    let diverging = [&sgd[..], &["--weight-decay", "1e30"]].concat();
    let test = [&data[..], &["--test-features", "large.npy", "--test-labels", "y.npy", "--transform", "none"]].concat();
    for out in ["new", "new/below", "there"] {
        fails(&["evaluate", "--features", "narrow.npy", "--labels", "y.npy", "--out", out]);
        fails(&[&["train", "--head", "softmax", "--out", out], &diverging[..]].concat());
        fails(&[&["train", "--head", "softmax", "--out", out], &test[..]].concat());
        fails(&[&["compare", "--heads", "softmax,l2-softmax:alpha=2", "--out", out], &diverging[..]].concat());
    }
    assert_eq!(fs::read_to_string(at("there/notes")).expect("there"), "mine");
    let measured = ["--embeddings", FEATURES, "--labels", "data/test_labels.npy"];
    fails(&[&["evaluate", "--out", "report"], &measured[..]].concat());
    let batch = ["--features", FEATURES, "--labels", "data/test_labels.npy", "--weights", "weights.npy"];
    fails(&[&["grad", "--head", "softmax", "--out", "grads"], &batch[..]].concat());
    // Epochs that are done are not taken away, nor what there is to go on from.
    let diverging_later = [&sgd[..], &["--weight-decay", "3", "--epochs", "100"]].concat();
    for (out, every) in [("logged", "1h"), ("saved", "1")] {
        let train = ["train", "--head", "softmax", "--out", out, "--checkpoint-every", every];
        complaint(&arcos(directory.path(), &[&train[..], &diverging_later].concat()), 1);
        let history = fs::read_to_string(at(out).join("history.csv")).expect("it stays");
        assert!(history.lines().count() > 2 && at(out).join("run.json").exists(), "{history}");
    }
    assert_eq!(fs::read_dir(at("logged/checkpoints")).expect("it stays").count(), 0);
    assert_ne!(fs::read_dir(at("saved/checkpoints")).expect("it stays").count(), 0);
}

#[cfg(unix)]
#[test]
fn an_output_that_is_a_link_to_nothing_is_refused() {
    let directory = with_run();
    let at = |name: &str| directory.path().join(name);
    let rows = ["--features", FEATURES];
    let evaluate = [&["evaluate", "--labels", "data/test_labels.npy"], &rows[..]].concat();
    stdout(&arcos(directory.path(), &[&evaluate[..], &["--out", "report"]].concat()));
    fs::remove_file(at("report/evaluation.json")).expect("there");
    for link in ["link.png", "report/evaluation.json"] {
        std::os::unix::fs::symlink("nowhere", at(link)).expect("writable");
    }
    let before = files(&at("data"));
    for command in [
        &[&["predict", "--out", "link.png"], &rows[..]].concat()[..],
        &[&["embed", "--out", "link.png"], &rows[..]].concat(),
        &["bench", "--plot", "link.png"],
        &["train", "--head", "adacos", "--data", "data", "--out", "link.png"],
        &["compare", "--data", "data", "--out", "link.png"],
        &[&evaluate[..], &["--out", "link.png"]].concat(),
    ] {
        let message = complaint(&arcos(directory.path(), command), 1);
        assert!(
            message.contains("link.png: is a link that leads nowhere; expected one to what is there, or none"),
            "{message}"
        );
    }
    complaint(&arcos(directory.path(), &[&evaluate[..], &["--out", "report"]].concat()), 1);
    assert!(at("link.png").is_symlink() && at("report/evaluation.json").is_symlink() && !at("nowhere").exists());
    assert!(files(&at("data")) == before);
}

#[test]
fn files_that_no_command_left_are_not_written_over() {
    let directory = with_run();
    let at = |name: &str| directory.path().join(name);
    write_npy(at("weights.npy"), &Array2::<f32>::ones((8, 32))).expect("writable");
    let rows = ["--features", FEATURES, "--labels", "data/test_labels.npy"];
    let train = ["train", "--head", "adacos", "--data", "data", "--epochs", "1", "--out"];
    let evaluate = [&["evaluate"], &rows[..], &["--out"]].concat();
    let grad = |head| [&["grad", "--head", head, "--weights", "weights.npy"], &rows[..], &["--out"]].concat();
    let bench = ["bench", "--batch", "4", "--dim", "8", "--classes", "9", "--runs", "1", "--save-arrays"];
    let commands = [&train[..], &evaluate, &grad("l2-softmax"), &bench];
    for (command, names) in commands.into_iter().zip([
        &["run.json", "history.csv", "target_angles.csv", "open_set.png", "checkpoints/epoch-0001.safetensors"][..],
        &["evaluation.json", "open_set.png", "reliability.png"],
        &["gradients.json", "loss.npy", "d_features.npy", "d_alpha.npy"],
        &["features.npy", "labels.npy"],
    ]) {
        for (number, name) in names.iter().enumerate() {
            let place = format!("{}-{number}", command[0]);
            fs::create_dir_all(at(&place).join(name).parent().expect("a directory")).expect("writable");
            fs::write(at(&place).join(name), "{\"mine\": 1}").expect("writable");
            let before = files(&at(&place));
            let message = complaint(&arcos(directory.path(), &[command, &[place.as_str()]].concat()), 1);
            assert!(message.contains(&format!("{place}/{name}: is in the way")), "{message}");
            assert!(files(&at(&place)) == before, "{command:?} {name}");
        }
    }
    // What the same command left may be replaced, and none of what it does not leave this time stays beside the new.
    stdout(&arcos(directory.path(), &[&evaluate[..], &["twice", "--open-set"]].concat()));
    assert!(at("twice/open_set.png").exists());
    for _ in 0..2 {
        stdout(&arcos(directory.path(), &[&evaluate[..], &["twice"]].concat()));
        assert!(!at("twice/open_set.png").exists());
    }
    stdout(&arcos(directory.path(), &[&grad("l2-softmax")[..], &["grads"]].concat()));
    assert!(at("grads/d_alpha.npy").exists());
    let printed = stdout(&arcos(directory.path(), &[&grad("softmax")[..], &["grads"]].concat()));
    assert!(at("grads/d_bias.npy").exists() && !at("grads/d_alpha.npy").exists());
    assert_eq!(fs::read_to_string(at("grads/gradients.json")).expect("written"), printed);
    // A run that was killed before its first checkpoint may begin again.
    fs::create_dir(at("killed")).expect("writable");
    fs::copy(at("arcos-run/run.json"), at("killed/run.json")).expect("writable");
    fs::write(at("killed/history.csv"), "").expect("writable");
    stdout(&arcos(directory.path(), &[&train[..], &["killed"]].concat()));
}

#[cfg(target_os = "linux")]
#[test]
fn an_evaluation_that_is_ended_leaves_nothing() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    // They take seconds.
    fs::write(at("pairs.txt"), "0 1 1\n2 3 0\n".repeat(1 << 20)).expect("writable");
    let before = files(&at("data"));
    let evaluate = ["evaluate", "--embeddings", FEATURES, "--pairs", "pairs.txt", "--out", "new/below"];
    let mut child = command(directory.path(), &evaluate).stdout(Stdio::null()).spawn().expect("the program is built");
    let status = format!("/proc/{}/status", child.id());
    let waits_for_signals = || {
        let text = fs::read_to_string(&status).expect("it goes on");
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask").trim();
        u64::from_str_radix(caught, 16).expect("hexadecimal") >> (15 - 1) & 1 == 1
    };
    while !waits_for_signals() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    std::thread::sleep(std::time::Duration::from_millis(150));
    let status = std::process::Command::new("kill").arg(child.id().to_string()).status().expect("kill is there");
    assert!(status.success());
    assert_eq!(child.wait().expect("it was ended").code(), Some(143));
    assert!(!at("new").exists() && files(&at("data")) == before);
}

#[test]
fn whoever_reads_training_s_output_may_stop() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let last_epoch = |run: &str| {
        let history = fs::read_to_string(at(run).join("history.csv")).expect("written");
        history.lines().last().and_then(|line| line.split(',').next().map(str::to_owned)).expect("epochs")
    };
    let sizes = ["--classes", "6", "--train-rows", "60", "--test-rows", "30", "--dimension", "16"];
    let train = ["train", "--head", "adacos", "--data", "data", "--out", "train", "--epochs", "20"];
    let compare = ["compare", "--data", "data", "--out", "compare", "--heads", "softmax,adacos", "--epochs", "20"];
    let demo = [&["demo", "--out", "demo", "--epochs", "20"], &sizes[..]].concat();
    for (arguments, run) in [(&train[..], "train"), (&compare, "compare/adacos"), (&demo, "demo/arcface")] {
        let mut child = command(directory.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(last_epoch(run), "20", "{arguments:?}");
    }
    for figure in ["train/training.png", "compare/result.png", "demo/result.png"] {
        assert!(at(figure).exists(), "{figure}");
    }
}

#[test]
fn whoever_reads_a_benchmark_may_stop_before_its_files_are_written() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let base = ["bench", "--batch", "8", "--dim", "8", "--classes", "20,30", "--runs", "1"];
    for (option, place, file) in
        [("--plot", "speed.png", "speed.png"), ("--save-arrays", "arrays", "arrays/labels.npy")]
    {
        let mut command = command(directory.path(), &[&base[..], &[option, place]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(directory.path().join(file).exists(), "{file}");
    }
    let weights: Array2<f32> = read_npy(directory.path().join("arrays/weights.npy")).expect("written");
    assert_eq!(weights.dim(), (30, 8), "those of the last number of classes");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_does_not_end_training_and_is_said_once_at_the_end() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let train = ["train", "--head", "adacos", "--data", "data", "--out", "train", "--epochs", "3"];
    let resume = ["train", "--resume", "--out", "train", "--epochs", "5"];
    let compare = ["compare", "--data", "data", "--out", "compare", "--heads", "softmax,adacos", "--epochs", "3"];
    for (arguments, figure) in [(&train[..], "train"), (&resume, "train"), (&compare, "compare")] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
        let output = command(directory.path(), arguments).stdout(full).output().expect("the program starts");
        let message = complaint(&output, 1);
        assert!(message.starts_with("arcos: cannot write to standard output: No space left"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            fs::read_dir(at(figure)).expect("made").any(|entry| {
                entry.expect("an entry").path().extension().is_some_and(|extension| extension == "png")
            })
        );
    }
    let history = fs::read_to_string(at("train/history.csv")).expect("written");
    assert_eq!(history.lines().count(), 1 + 5, "{history}");
}
