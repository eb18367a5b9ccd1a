//! Comparisons replace what an earlier one left and nothing else; one head does not lose the others.

use super::command::{arcos, command, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::train::has_logs;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn compare(directory: &Path, heads: &str, more: &[&str]) -> Output {
    let base = ["compare", "--data", "data", "--epochs", "1", "--out", "out", "--heads", heads];
    arcos(directory, &[&base[..], more].concat())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn what_no_comparison_made_is_in_the_way() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("out/adacos")).expect("writable");
    fs::write(at("out/adacos/thesis.txt"), "years").expect("writable");
    let output = compare(directory.path(), "softmax,adacos", &[]);
    assert!(complaint(&output, 1).contains("out/adacos: is in the way; expected nothing, or what comparison.json"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("epoch 1/1"), "something was trained");
    assert_eq!(names(&at("out")), ["adacos"]);
    assert_eq!(fs::read_to_string(at("out/adacos/thesis.txt")).expect("there"), "years");

    fs::remove_dir_all(at("out")).expect("writable");
    fs::create_dir(at("out")).expect("writable");
    fs::write(at("out/result.png"), "mine").expect("writable");
    assert!(complaint(&compare(directory.path(), "softmax", &[]), 1).contains("out/result.png: is in the way"));
    assert_eq!(fs::read_to_string(at("out/result.png")).expect("there"), "mine");

    // Somebody's run.
    let train = ["train", "--head", "adacos", "--data", "data", "--epochs", "1", "--out", "elsewhere/adacos"];
    stdout(&arcos(directory.path(), &train));
    let base = ["compare", "--data", "data", "--epochs", "1", "--out", "elsewhere", "--heads", "adacos"];
    assert!(complaint(&arcos(directory.path(), &base), 1).contains("elsewhere/adacos: is in the way"));
    assert!(at("elsewhere/adacos/checkpoints/epoch-0001.json").exists());
}

#[test]
fn an_earlier_comparison_goes_as_a_whole_unless_somebody_is_at_it() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    stdout(&compare(directory.path(), "softmax,arcface:margin=0.1", &["--open-set"]));
    let of_classes = ["class_accuracy.csv", "confusions.png"];
    let others = ["arcface-margin-0.1", "comparison.json", "open_set.png", "result.png", "softmax", "table.csv"];
    let mut earlier = [&of_classes[..], &others].concat();
    earlier.sort_unstable();
    assert_eq!(names(&at("out")), earlier);

    let refuses = |text: &str| {
        let message = complaint(&compare(directory.path(), "adacos", &[]), 1);
        assert!(message.contains(text), "{message}");
        assert_eq!(names(&at("out")), earlier);
    };
    fs::write(at("out/softmax/thesis.txt"), "years").expect("writable");
    refuses("out/softmax/thesis.txt: is no part of a run");
    fs::remove_file(at("out/softmax/thesis.txt")).expect("there");
    let locked = File::open(at("out/softmax")).expect("a directory");
    locked.lock().expect("the system can");
    refuses("out/softmax: another run is writing here");
    drop(locked);
    let manifest = fs::read(at("out/comparison.json")).expect("written");
    for escape in ["../data", "/", "..", "softmax/checkpoints"] {
        let text = String::from_utf8(manifest.clone()).expect("UTF-8");
        let text = text.replace("\"run\": \"softmax\"", &format!("\"run\": \"{escape}\""));
        fs::write(at("out/comparison.json"), text).expect("writable");
        refuses("which is not in its directory");
    }
    fs::write(at("out/comparison.json"), &manifest).expect("writable");
    // What is trained on is in a run of the earlier one.
    let features = "out/softmax/iterations.csv";
    fs::copy(at("data/train_features.npy"), at(features)).expect("writable");
    let inside = ["--train-features", features, "--train-labels", "data/train_labels.npy"];
    let base = ["compare", "--epochs", "1", "--out", "out", "--heads", "adacos"];
    let message = complaint(&arcos(directory.path(), &[&base[..], &inside].concat()), 1);
    assert!(message.contains("out/softmax: holds out/softmax/iterations.csv, which this command reads"), "{message}");

    stdout(&compare(directory.path(), "adacos", &[]));
    let now = ["adacos", "class_accuracy.csv", "comparison.json", "confusions.png", "result.png", "table.csv"];
    assert_eq!(names(&at("out")), now);
}

#[test]
fn an_earlier_comparison_stays_until_there_is_another() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let of_classes = ["class_accuracy.csv", "confusions.png"];
    let mut first = [&["comparison.json", "result.png", "softmax", "table.csv"][..], &of_classes].concat();
    first.sort_unstable();
    stdout(&compare(directory.path(), "softmax", &[]));
    let before = last_tensors(&at("out/softmax"));
    let stays = || {
        assert!(before == last_tensors(&at("out/softmax")), "it was trained again");
        assert!(fs::read_to_string(at("out/comparison.json")).expect("there").contains("softmax"));
    };

    // What is of nobody here, where a former run goes on its way out, is not in the way; what is left of one goes.
    fs::create_dir_all(at("out/.arcos-former-softmax/figures")).expect("writable");
    fs::create_dir_all(at("out/.arcos-former-softmax-2/checkpoints")).expect("writable");
    stdout(&compare(directory.path(), "softmax", &[]));
    assert!(at("out/.arcos-former-softmax/figures").exists() && !at("out/.arcos-former-softmax-2").exists());
    fs::remove_dir_all(at("out/.arcos-former-softmax")).expect("there");

    // What could not be replaced in the end is said at the beginning.
    fs::rename(at("out/result.png"), at("figure")).expect("there");
    fs::create_dir(at("out/result.png")).expect("writable");
    fs::write(at("out/unfinished"), "").expect("writable");
    for (in_the_way, remove) in [("unfinished", fs::remove_file as fn(_) -> _), ("result.png", fs::remove_dir)] {
        let output = compare(directory.path(), "softmax", &[]);
        assert!(complaint(&output, 1).contains(&format!("out/{in_the_way}: is ")), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("epoch 1/1"), "something was trained");
        remove(at("out").join(in_the_way)).expect("there");
    }
    fs::rename(at("figure"), at("out/result.png")).expect("there");
    stays();

    // All heads fail: what they left is said to be there, and goes with the next.
    let doubling = ["--optimizer", "sgd", "--learning-rate", "1", "--momentum", "0", "--weight-decay", "3"];
    let base = ["compare", "--data", "data", "--out", "out", "--heads", "softmax", "--epochs", "200"];
    let message = complaint(&arcos(directory.path(), &[&base[..], &doubling].concat()), 1);
    assert!(message.contains("what the heads left is in out/unfinished, until"), "{message}");
    assert!(at("out/unfinished/softmax/history.csv").exists());
    stays();

    // A signal comes first.
    #[cfg(unix)]
    {
        let mut long =
            command(directory.path(), &["compare", "--data", "data", "--out", "out", "--heads", "adacos,softmax"]);
        long.args(["--epochs", "3000"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let long = long.spawn().expect("the program starts");
        let start = Instant::now();
        while !has_logs(&at("out/unfinished/adacos")) {
            assert!(start.elapsed() < Duration::from_secs(60), "not in a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!at("out/unfinished/softmax").exists(), "that of the comparison before");
        let status = Command::new("kill").args(["-TERM", &long.id().to_string()]).status().expect("kill is there");
        assert!(status.success());
        let message = complaint(&long.wait_with_output().expect("it ends"), 143);
        // Whoever went on with it would have a run that no comparison replaces.
        assert!(
            message.ends_with(
                "; the checkpoint is in out/unfinished/adacos, and the same command trains all heads anew\n"
            ),
            "{message}"
        );
        stays();
        assert_eq!(names(&at("out")), [&first[..], &["unfinished"]].concat());
        // Of a process that was killed while it began.
        fs::write(at("out/unfinished/.arcos-unfinished-Ab3dE6Ab3dE6"), "half").expect("writable");
    }

    // What `arcos train` has gone on with is no longer the comparison's, though it has no more epochs; nor is what it began in the same place.
    let refuses = |run: &str| {
        let output = compare(directory.path(), "cosface", &[]);
        let message = complaint(&output, 1);
        assert!(
            message.contains(&format!("{run}: is a run that `arcos train` has begun or gone on with")),
            "{message}"
        );
        assert!(!String::from_utf8_lossy(&output.stdout).contains("epoch 1/1"), "something was trained");
    };
    #[cfg(unix)]
    {
        stdout(&arcos(directory.path(), &["train", "--resume", "--out", "out/unfinished/adacos"]));
        refuses("out/unfinished/adacos");
        fs::remove_dir_all(at("out/unfinished/adacos")).expect("there");
    }
    stdout(&compare(directory.path(), "adacos,softmax", &[]));
    // With nothing to go on with, it stays the comparison's.
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "out/softmax"]));
    stdout(&compare(directory.path(), "adacos,softmax", &[]));
    let mut both = [&["adacos"], &first[..]].concat();
    both.sort_unstable();
    assert_eq!(names(&at("out")), both);
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "out/softmax", "--epochs", "2"]));
    refuses("out/softmax");
    fs::remove_dir_all(at("out/softmax")).expect("there");
    let train =
        ["train", "--head", "softmax", "--data", "data", "--epochs", "1", "--seed", "7", "--out", "out/softmax"];
    stdout(&arcos(directory.path(), &train));
    refuses("out/softmax");
    assert_eq!(names(&at("out")), both);
}

#[test]
fn heads_are_given_once_and_as_people_write_them() {
    let directory = with_data();
    for twice in ["arcface,arcface", "arcface,ArcFace:margin=0.5"] {
        assert!(complaint(&compare(directory.path(), twice, &[]), 2).contains("expected each head once"));
    }
    let text = stdout(&compare(directory.path(), "ArcFace, cosface,", &[]));
    assert!(text.contains("\narcface ") && text.contains("\ncosface "), "{text}");
}

#[test]
fn heads_that_need_more_classes_are_left_out_and_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let sizes =
        ["demo", "--classes", "2", "--train-rows", "20", "--test-rows", "10", "--dimension", "8", "--epochs", "1"];
    let output = arcos(directory.path(), &sizes);
    let text = stdout(&output);
    for head in ["fixed-adacos", "adacos"] {
        let reason = format!("left out: {head} got 2 classes; expected at least 3");
        assert!(text.lines().any(|line| line.starts_with(&format!("{head} ")) && line.contains(&reason)), "{text}");
        assert!(!directory.path().join("arcos-demo").join(head).exists());
    }
    assert!(directory.path().join("arcos-demo/result.png").exists());
}

#[test]
fn a_head_that_fails_does_not_lose_the_others() {
    let directory = with_data();
    // Each step doubles the class vectors; logits without normalisation are the first to overflow.
    let doubling = ["--optimizer", "sgd", "--learning-rate", "1", "--momentum", "0", "--weight-decay", "3"];
    let sizes = ["--batch-size", "160", "--epochs", "123"];
    let base = ["compare", "--data", "data", "--out", "out", "--heads", "softmax,arcface"];
    let output = arcos(directory.path(), &[&base[..], &doubling, &sizes].concat());
    let message = complaint(&output, 1);
    assert!(
        message.contains("softmax failed: epoch 1") && message.contains("1 of 2 heads failed: softmax"),
        "{message}"
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let table = text.split("-----\n").nth(1).expect("a table");
    assert!(table.contains("arcface "), "{text}");
    let failed = table.lines().find(|line| line.starts_with("softmax ")).expect("a line");
    assert!(failed.contains(" failed: epoch 1"), "{text}");
    let run = directory.path().join("out");
    assert!(run.join("result.png").exists() && run.join("arcface/checkpoints/epoch-0123.json").exists());
}
