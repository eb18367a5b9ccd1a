//! Going on with a run from the command line.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::train::{read_history, read_steps};
use ndarray::{Array1, Array2};
use ndarray_npy::{read_npy, write_npy};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn resuming_needs_nothing_but_the_run() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), arguments));
    let first = ["--head", "arcface", "--scale", "16", "--past-pi", "easy", "--optimizer", "sgd", "--momentum", "0.8"];
    let second =
        ["--schedule", "step", "--step-every", "1", "--embed", "6", "--transform", "standardise", "--keep", "7"];
    let begin = [&["train", "--data", "data", "--open-set", "--checkpoint-every", "1"], &first[..], &second].concat();
    run(&[&begin[..], &["--epochs", "5", "--out", "whole"]].concat());
    run(&[&begin[..], &["--epochs", "2", "--out", "parts"]].concat());

    fs::create_dir(at("elsewhere")).expect("writable");
    let arguments = ["train", "--resume", "--out", "../parts", "--epochs", "5"];
    let text = stdout(&arcos(&at("elsewhere"), &arguments));
    assert!(text.contains("going on after epoch 2") && text.contains("of 4 other classes to retrieve"), "{text}");
    assert!(last_tensors(&at("parts")) == last_tensors(&at("whole")), "the tensors differ");
    let measures = |run: &str| fs::read_to_string(at(run).join("open_set.json")).expect("measured");
    assert_eq!(measures("parts"), measures("whole"));
    // All of them stay, and one an epoch, as was asked for at the beginning.
    assert_eq!(fs::read_dir(at("parts/checkpoints")).expect("a directory").count(), 2 * 5);

    // Nothing is left to do, and more can be had.
    let text = run(&["train", "--resume", "--out", "parts"]);
    assert!(text.contains("all epochs of the run are done; --epochs with more than 5 adds some"), "{text}");
    // That is said before data are read, which may take minutes.
    fs::remove_dir_all(at("data")).expect("there");
    for (epochs, expected) in [("4", "at least 5, the epochs that are done"), ("0", "at least 1")] {
        let resume = ["train", "--resume", "--out", "parts", "--epochs", epochs];
        let message = complaint(&arcos(directory.path(), &resume), 2);
        let text = format!("the run in parts: epochs is {epochs}; expected {expected}");
        assert!(message.contains(&text), "{message}");
    }
}

#[test]
fn options_that_differ_from_the_runs_are_named_one_by_one() {
    let directory = with_data();
    let begin = ["train", "--head", "adacos", "--data", "data", "--epochs", "1", "--out", "run"];
    stdout(&arcos(directory.path(), &begin));
    let resume = |given: &[&str]| arcos(directory.path(), &[&["train", "--resume", "--out", "run"], given].concat());
    let message = complaint(&resume(&["--batch-size", "64"]), 2);
    assert!(message.starts_with("arcos: the run in run: batch size is 64, the run has 32; expected the settings of the run to resume; what may"), "{message}");
    let message = complaint(&resume(&["--batch-size", "64", "--seed", "0", "--embed", "4", "--open-set"]), 2);
    let differences = "batch size is 64, the run has 32; embed is 4, the run has none; open set is true, the run has false; expected the settings of the run to resume; what may differ";
    assert!(message.contains(differences), "{message}");
    let message = complaint(&resume(&["--head", "softmax", "--labels-start", "1"]), 2);
    let differences = "head is softmax, the run has adacos; labels start is 1, the run has none; expected the settings of the run to resume; what may differ";
    assert!(message.contains(differences), "{message}");
    // All that was given at the beginning may be given again.
    stdout(&arcos(directory.path(), &[&begin[..], &["--resume"]].concat()));
}

#[test]
fn only_what_is_there_is_resumed() {
    let directory = with_data();
    let run = |given: &[&str]| arcos(directory.path(), &[&["train", "--out", "run"], given].concat());
    let message = complaint(&run(&["--resume"]), 1);
    assert!(message.contains("run: holds no run with a checkpoint; expected one, or --resume-or-start"), "{message}");
    assert!(!directory.path().join("run").exists());
    assert!(complaint(&run(&["--resume-or-start", "--data", "data"]), 2).contains("--head"));
    let job = ["--resume-or-start", "--head", "adacos", "--data", "data", "--epochs", "2"];
    assert!(!stdout(&run(&job)).contains("going on"));
    assert!(stdout(&run(&job)).contains("going on after epoch 2"));
    assert!(complaint(&run(&["--head", "adacos", "--data", "data"]), 1).contains("holds a run already"));
}

#[test]
fn a_run_without_a_record_of_its_data_is_told_what_is_missing() {
    let directory = with_data();
    let run = |given: &[&str]| arcos(directory.path(), &[&["train", "--out", "run"], given].concat());
    stdout(&run(&["--head", "adacos", "--data", "data", "--epochs", "1"]));
    fs::remove_file(directory.path().join("run/run.json")).expect("there");
    let message = complaint(&run(&["--resume", "--epochs", "2"]), 1);
    assert!(message.contains("run/run.json: is not there; expected") && message.contains("--data"), "{message}");
    stdout(&run(&["--resume", "--epochs", "2", "--data", "data"]));
}

#[test]
fn a_run_that_another_process_has_begun_is_said_to_be_live() {
    let directory = with_data();
    fs::create_dir(directory.path().join("run")).expect("writable");
    let locked = fs::File::open(directory.path().join("run")).expect("a directory");
    locked.lock().expect("the system can");
    // Before data are read: there are none.
    for more in [&["--resume"][..], &["--resume-or-start", "--head", "adacos"], &["--head", "adacos"]] {
        let message =
            complaint(&arcos(directory.path(), &[&["train", "--out", "run", "--data", "nowhere"], more].concat()), 1);
        assert!(message.contains("run: another run is writing here"), "{message}");
    }
}

#[test]
fn other_data_are_refused_and_moved_ones_are_not() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let run = |given: &[&str]| arcos(directory.path(), &[&["train", "--out", "run"], given].concat());
    stdout(&run(&["--head", "adacos", "--data", "data", "--epochs", "1"]));
    fs::rename(at("data"), at("moved")).expect("there");
    let message = complaint(&run(&["--resume", "--epochs", "2"]), 1);
    assert!(message.contains("cannot read") && message.contains("data/train_labels.npy"), "{message}");
    stdout(&run(&["--resume", "--epochs", "2", "--data", "moved"]));
    // Where they are now is known from then on.
    stdout(&run(&["--resume", "--epochs", "3"]));

    let labels: Array1<i64> = read_npy(at("moved/train_labels.npy")).expect("written");
    let permuted: Array1<i64> = labels.iter().map(|label| (label + 1) % 8).collect();
    write_npy(at("moved/train_labels.npy"), &permuted).expect("writable");
    let message = complaint(&run(&["--resume", "--epochs", "4"]), 1);
    let expected = "arcos: the run in run: the training labels are others; expected the data that the run";
    assert!(message.starts_with(expected), "{message}");
    write_npy(at("moved/train_labels.npy"), &labels).expect("writable");
    let features: Array2<f32> = read_npy(at("moved/test_features.npy")).expect("written");
    write_npy(at("moved/test_features.npy"), &features.mapv(|value| -value)).expect("writable");
    let message = complaint(&run(&["--resume", "--epochs", "4"]), 1);
    assert!(message.contains("the test features are others; expected the data that the run"), "{message}");
}

#[test]
fn a_cosine_that_is_made_longer_says_what_the_rate_does() {
    let directory = with_data();
    let begin = ["train", "--head", "adacos", "--data", "data", "--schedule", "cosine", "--epochs", "4"];
    stdout(&arcos(directory.path(), &begin));
    let text = stdout(&arcos(directory.path(), &["train", "--resume", "--epochs", "8"]));
    let expected = "the cosine now ends after epoch 8, not 4: the learning rate goes on at 5.0e-4, after 6.2e-6";
    assert!(text.contains(expected), "{text}");
    assert!(!stdout(&arcos(directory.path(), &["train", "--resume"])).contains("cosine"));
}

/// Its last column had another name before.
#[test]
fn a_history_of_before_goes_on_under_one_heading() {
    let directory = with_data();
    let path = directory.path().join("arcos-run/history.csv");
    stdout(&arcos(directory.path(), &["train", "--head", "adacos", "--data", "data", "--epochs", "2"]));
    let now = fs::read_to_string(&path).expect("written");
    assert!(now.lines().next().expect("a heading").ends_with(",gradient_norm,rows_per_second"), "{now}");
    let history = read_history(&path).expect("written");
    assert_eq!(history.len(), 2);
    fs::write(&path, now.replace("rows_per_second", "images_per_second")).expect("writable");
    assert_eq!(read_history(&path).expect("of before"), history);
    stdout(&arcos(directory.path(), &["train", "--resume", "--epochs", "3"]));
    let longer = fs::read_to_string(&path).expect("written");
    assert!(longer.starts_with(&now), "{longer}");
    assert_eq!((longer.lines().count(), &read_history(&path).expect("written")[..2]), (1 + 3, &history[..]));
}

#[cfg(unix)]
#[test]
fn what_is_said_of_a_damaged_checkpoint_works_as_it_stands() {
    let directory = with_data();
    let (name, at) = ("it's damaged", directory.path().join("it's damaged"));
    let begin = ["train", "--head", "adacos", "--data", "data", "--checkpoint-every", "1", "--epochs", "4", "--out"];
    stdout(&arcos(directory.path(), &[&begin[..], &[name]].concat()));
    let whole = last_tensors(&at);
    let tensors = at.join("checkpoints/epoch-0004.safetensors");
    let mut bytes = whole.clone();
    *bytes.last_mut().expect("bytes") ^= 0x10;
    fs::write(&tensors, bytes).expect("writable");

    let resume = || arcos(directory.path(), &["train", "--resume", "--out", name]);
    let message = complaint(&resume(), 1);
    assert!(message.contains("epoch-0003.json is whole, and resuming goes on from epoch 3 after `rm -f "), "{message}");
    let features = ["--features", "data/test_features.npy", "--labels", "data/test_labels.npy"];
    let evaluated = arcos(directory.path(), &[&["evaluate", "--run", name], &features[..]].concat());
    assert!(complaint(&evaluated, 1).contains("epoch-0003.json is whole"));

    let command = message.split('`').nth(1).expect("a command");
    let shell = Command::new("sh").args(["-c", command]).current_dir(directory.path()).status().expect("a shell");
    assert!(shell.success() && !tensors.exists());
    let text = stdout(&resume());
    assert!(text.contains("going on after epoch 3"), "{text}");
    assert!(last_tensors(&at) == whole, "the tensors differ");
}

#[test]
fn checkpoints_are_as_far_apart_as_is_asked_for() {
    let directory = with_data();
    let run = |out: &str, every: &[&str]| {
        let base = ["train", "--head", "adacos", "--data", "data", "--keep", "99", "--epochs", "7", "--out", out];
        stdout(&arcos(directory.path(), &[&base[..], every].concat()));
        let files = fs::read_dir(directory.path().join(out).join("checkpoints")).expect("a directory");
        let names = files.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
        names.sort();
        let history = read_history(&directory.path().join(out).join("history.csv")).expect("written");
        assert_eq!(history.len(), 7, "the logs have every epoch");
        names
    };
    assert_eq!(run("default", &[]), ["epoch-0007"], "short epochs are not flushed to disk each");
    let third = run("third", &["--checkpoint-every", "3"]);
    assert_eq!(third, ["epoch-0003", "epoch-0006", "epoch-0007"]);
    // 160 rows are five batches.
    let always = run("always", &["--checkpoint-every", "0.000000001s"]);
    assert_eq!(always.len(), 7 * 5, "{always:?}");
    assert_eq!(always[..2], ["epoch-0000-batch-000001", "epoch-0000-batch-000002"]);
    let [default, always] = ["default", "always"].map(|run| last_tensors(&directory.path().join(run)));
    assert!(default == always, "the tensors differ");
    let wrong = ["train", "--head", "adacos", "--data", "data", "--checkpoint-every", "5m"];
    assert!(complaint(&arcos(directory.path(), &wrong), 2).contains("a time such as 90s, 10min or 2h"));
}

#[cfg(unix)]
#[test]
fn files_have_the_modes_that_the_umask_or_their_owner_gives_them() {
    use std::os::unix::fs::PermissionsExt;
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let train = |umask: &str, out: &str, more: &str| {
        let program = env!("CARGO_BIN_EXE_arcos");
        let script = format!("umask {umask}; exec '{program}' train --out {out} {more}");
        let output = Command::new("sh").args(["-c", &script]).current_dir(directory.path()).output().expect("a shell");
        stdout(&output);
    };
    let mode = |path: &Path| fs::metadata(path).expect("written").permissions().mode() & 0o777;
    let begin = "--head adacos --data data --epochs 1";
    for (umask, expected) in [("077", 0o600), ("027", 0o640), ("000", 0o666)] {
        train(umask, umask, begin);
        let files = ["history.csv", "iterations.csv", "training.png", "run.json", "checkpoints/epoch-0001.safetensors"];
        for file in files.into_iter().chain(["checkpoints/epoch-0001.json"]) {
            assert_eq!(mode(&at(umask).join(file)), expected, "{file} under {umask}");
        }
    }
    let figure = at("077/training.png");
    fs::set_permissions(&figure, fs::Permissions::from_mode(0o604)).expect("its owner may");
    train("022", "077", "--resume --epochs 2");
    assert_eq!(mode(&figure), 0o604, "a file that was there keeps its mode");
    assert_eq!(mode(&at("077/checkpoints/epoch-0002.json")), 0o644);
}

#[cfg(unix)]
#[test]
fn what_a_killed_run_left_half_written_goes() {
    let directory = with_data();
    let at = |name: &str| directory.path().join("run").join(name);
    let begin = ["train", "--head", "adacos", "--data", "data", "--out", "run", "--epochs", "1"];
    fs::create_dir_all(at("checkpoints")).expect("writable");
    for name in [
        ".arcos-unfinished-Ab3dE6Ab3dE6",
        "checkpoints/.arcos-unfinished-000000000000",
        "checkpoints/.arcos-000000",
        "notes",
    ] {
        fs::write(at(name), "half").expect("writable");
    }
    stdout(&arcos(directory.path(), &begin));
    assert!(
        !at(".arcos-unfinished-Ab3dE6Ab3dE6").exists() && !at("checkpoints/.arcos-unfinished-000000000000").exists()
    );
    assert!(at("checkpoints/.arcos-000000").exists() && at("notes").exists(), "they are somebody's");
    // While a checkpoint is written there are tensors without JSON, and while an old one is removed.
    fs::copy(at("checkpoints/epoch-0001.safetensors"), at("checkpoints/epoch-0000-batch-000003.safetensors"))
        .expect("written");
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "run", "--epochs", "2"]));
    assert!(!at("checkpoints/epoch-0000-batch-000003.safetensors").exists(), "tensors without JSON stay");
    assert!(at("checkpoints/epoch-0001.safetensors").exists() && at("checkpoints/epoch-0002.safetensors").exists());
}

#[test]
fn a_byte_order_mark_before_json_is_passed_over() {
    let directory = with_data();
    let run = |arguments: &[&str]| stdout(&arcos(directory.path(), arguments));
    let mark = |name: &str| {
        let path = directory.path().join(name);
        let marked = [b"\xef\xbb\xbf", &fs::read(&path).expect("written")[..]].concat();
        fs::write(path, marked).expect("writable");
    };
    run(&["train", "--head", "adacos", "--data", "data", "--epochs", "2", "--out", "run"]);
    let names = ["run.json", "checkpoints/epoch-0002.json", "history.csv", "iterations.csv", "target_angles.csv"];
    names.iter().for_each(|name| mark(&format!("run/{name}")));
    let text = run(&["train", "--resume", "--out", "run", "--epochs", "3"]);
    assert!(text.contains("going on after epoch 2"), "{text}");
    assert_eq!(read_steps(&directory.path().join("run")).expect("all rows").last().map(|step| step.epoch), Some(3));

    let compare = ["compare", "--data", "data", "--heads", "softmax", "--epochs", "1", "--out", "comparison"];
    run(&compare);
    mark("comparison/comparison.json");
    run(&compare);
}

/// A mutant whose files never reach the disk, or that flushes each of many short epochs, is caught where `strace` is there.
#[cfg(target_os = "linux")]
#[test]
fn a_checkpoint_is_flushed_once_before_it_is_renamed() {
    let directory = with_data();
    let program = env!("CARGO_BIN_EXE_arcos");
    let begin = ["train", "--head", "adacos", "--data", "data", "--epochs", "50", "--out", "run"];
    let calls = "trace=fsync,fdatasync,rename,renameat,renameat2";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-o", "calls", "-e", calls, program]).args(begin).current_dir(directory.path());
    match strace.output() {
        Ok(output) if output.status.success() => {}
        other => return eprintln!("not tested, for want of strace: {other:?}"),
    }
    let text = fs::read_to_string(directory.path().join("calls")).expect("written");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("/run/")).collect();
    let renamed = |extension: &str| {
        let is_it = |line: &&str| line.contains("rename") && line.contains(&format!("epoch-0050.{extension}\""));
        lines.iter().position(is_it).unwrap_or_else(|| panic!("{extension} is not renamed:\n{text}"))
    };
    let (tensors, json) = (renamed("safetensors"), renamed("json"));
    assert!(tensors < json, "{text}");
    let flushed = |line: &&&str| line.contains("sync(") && line.contains("/checkpoints/.arcos-");
    assert_eq!(
        lines[..tensors].iter().filter(flushed).count(),
        2,
        "tensors and JSON, before they are renamed:\n{text}"
    );
    assert!(lines[json + 1].contains("sync(") && lines[json + 1].contains("/run/checkpoints>"), "{text}");
    // Both files and their directory, once for 50 short epochs, and no log.
    let syncs: Vec<_> = lines.iter().filter(|line| line.contains("sync(") && !line.contains("/run/.arcos-")).collect();
    assert_eq!(syncs.len(), 3, "{text}");
}
