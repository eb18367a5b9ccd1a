//! Text files that are damaged or made to do harm.

use super::hostile::{adacos, data, noise, refusal, taken, written};
use arcos::Result;
use arcos::data::image::{Layout, Preprocessing};
use arcos::data::{PhotographRows, read_pairs};
use arcos::extract::Manifest;
use arcos::train::{RunDirectory, TrainConfig, Trainer, read_history, read_steps, read_target_angles};
use serde_json::json;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

fn digits_as(text: &[u8], digits: &[u8]) -> Vec<u8> {
    let byte = |&byte: &u8| if byte.is_ascii_digit() { digits.to_vec() } else { vec![byte] };
    text.iter().flat_map(byte).collect()
}

/// Gives `read` the file cut off after every eleventh byte, and garbage in its place.
fn survives<T: Debug>(file: &Path, read: impl Fn() -> Result<T>) {
    let whole = fs::read(file).expect("written");
    assert!(taken(read(), file), "{} is whole", file.display());
    let cuts = (0..whole.len()).step_by(11).map(|length| whole[..length].to_vec());
    let runs = [b'"', b',', b'[', b'{', b'\n', 0, 0xff].map(|byte| vec![byte; 100_001]);
    let numbers = [&b"9"[..], b"9e999", b"-", b"NaN", b""].map(|digits| digits_as(&whole, digits));
    let garbage = runs.into_iter().chain(numbers).chain([noise(10_000), whole.repeat(2)]);
    for bytes in cuts.chain(garbage) {
        fs::write(file, bytes).expect("writable");
        taken(read(), file);
    }
}

#[test]
fn logs_of_a_run_that_are_cut_off_or_garbage_do_no_harm() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let run = directory.path();
    let mut trainer = Trainer::new(TrainConfig::new(adacos()), data(), None).expect("well-formed");
    let mut writer = RunDirectory::create(run, 1, trainer.checkpoint()).expect("writable");
    trainer.run_epoch(|_| ()).expect("training goes on");
    writer.log_epoch(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
    let history = run.join("history.csv");
    survives(&history, || read_history(&history));
    survives(&run.join("iterations.csv"), || read_steps(run));
    survives(&run.join("target_angles.csv"), || read_target_angles(run));
}

#[test]
fn rows_that_a_power_cut_took_are_missed_and_what_it_left_of_lines_is_dropped() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let run = directory.path();
    let config = TrainConfig { epochs: 4, batch_size: 5, ..TrainConfig::new(adacos()) };
    let mut trainer = Trainer::new(config, data(), None).expect("well-formed");
    let mut writer = RunDirectory::create(run, 1, trainer.checkpoint()).expect("writable");
    for _ in 0..3 {
        trainer.run_epoch(|_| ()).expect("training goes on");
        writer.log_epoch(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
    }
    writer.save(trainer.checkpoint()).expect("writable");
    drop(writer);
    let logs = ["history.csv", "iterations.csv", "target_angles.csv"].map(|name| run.join(name));
    let whole = logs.clone().map(|log| fs::read_to_string(log).expect("written"));
    let [_, steps, angles] = &whole;
    let zeros = |text: &str, from: usize| text[..from].to_owned() + &"\0".repeat(text.len() - from);
    let after_lines = |text: &str, lines: usize| text.split_inclusive('\n').take(lines).map(str::len).sum::<usize>();
    let cases = [
        (steps.clone(), angles.clone(), vec![], 12),
        // Four steps an epoch, after a heading.
        (zeros(steps, after_lines(steps, 11) + 3), angles.clone(), vec![3], 10),
        (steps.clone(), angles[..after_lines(angles, 2) + 50].to_owned(), vec![2, 3], 12),
        (zeros(steps, 5), String::new(), vec![1, 2, 3], 0),
        (zeros(steps, 5) + &steps[after_lines(steps, 1)..], angles.clone(), vec![1, 2, 3], 0),
        (steps.replacen("\n2,2,", "\n\0,\0,", 1), angles.clone(), vec![2], 11),
    ];
    for (steps, angles, lost, kept) in cases {
        logs.iter()
            .zip([&String::new(), &steps, &angles])
            .for_each(|(log, text)| fs::write(log, text).expect("writable"));
        let mut writer = RunDirectory::create(run, 1, trainer.checkpoint()).expect("writable");
        assert_eq!(writer.lost_epochs().iter().copied().collect::<Vec<_>>(), lost);
        assert_eq!(fs::read_to_string(&logs[0]).expect("written"), whole[0]);
        // A log whose heading is gone begins anew.
        writer.log_epoch(trainer.checkpoint(), trainer.epoch_log()).expect("writable");
        assert_eq!(read_steps(run).expect("whole rows").len(), kept + 4);
        read_target_angles(run).expect("whole rows");
    }
}

#[test]
fn counts_of_angles_whose_sum_is_past_any_number_do_no_harm() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let row = |first: &str, others: &dyn Fn(usize) -> String| {
        let others: Vec<String> = (0..180).map(others).collect();
        format!("{first},{}\n", others.join(","))
    };
    let text = row("epoch", &|degree| degree.to_string()) + &row("1", &|_| u64::MAX.to_string());
    let file = written(directory.path(), "target_angles.csv", text.as_bytes());
    match read_target_angles(directory.path()) {
        Ok(epochs) => epochs.iter().for_each(|(_, angles)| assert_eq!(angles.shares(4).len(), 45)),
        refused => assert!(!taken(refused, &file)),
    }
}

#[test]
fn manifests_that_are_cut_off_or_garbage_do_no_harm() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let split = json!({
        "fingerprint": "4567",
        "seed": 3,
        "rows": [{ "file": "a/1.jpg", "view": 0 }],
        "skipped": ["a/2.jpg"],
        "missing": 1,
    });
    let manifest = |format: &str| {
        let manifest = json!({
            "format": format,
            "model": { "file": "mean.onnx", "sha256": "0123", "output": "features", "tokens": "first" },
            "preprocessing": Preprocessing::new(8, 8, Layout::Nchw),
            "boxes": false,
            "classes": ["a", "b"],
            "splits": { "train": split },
        });
        written(directory.path(), "manifest.json", manifest.to_string().as_bytes())
    };
    let path = manifest("arcos features 0");
    assert!(refusal(Manifest::read(directory.path()), &path).contains("arcos features 0; expected arcos features"));
    survives(&manifest("arcos features 2"), || Manifest::read(directory.path()));
    let text = fs::read_to_string(manifest("arcos features 2")).expect("written");
    let expected = Manifest::read(directory.path()).expect("whole");
    fs::write(&path, format!("\u{feff}{text}")).expect("writable");
    assert_eq!(Manifest::read(directory.path()).expect("a byte order mark is no JSON"), expected);
}

#[test]
fn pairs_that_are_cut_off_or_garbage_do_no_harm() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let rows = PhotographRows::of(["A/A_0001.jpg", "A/A_0002.jpg", "B/B_0001.jpg"]);
    for text in ["0 1 1\n0 2 0\n1,2\t0\n", "\u{feff}0 1 1\n", "1 2\nA 1 2\nA 1 B 1\nB 1 A 2\n"] {
        let path = written(directory.path(), "pairs.txt", text.as_bytes());
        survives(&path, || read_pairs(&path, 3, &rows));
    }
    let numbers = ["0 1 2", "0 3 1", "-1 0 1", "0 1 1\n0 1", "18446744073709551615 0 1", "18446744073709551616 0 1"];
    let names = ["1 1\nA 1 3", "1 1\nC 1 2", "1 1\nA 1 99999999999999999999", "1 1\nA -1 2", "1 1\nA 1 2 B 1"];
    for text in [&numbers[..], &names, &["", " \n\n", "\u{feff}", "0 1 \u{feff}1", "A 1 2"]].concat() {
        let path = written(directory.path(), "pairs.txt", text.as_bytes());
        refusal(read_pairs(&path, 3, &rows), &path);
    }
}

#[test]
fn directories_in_place_of_text_files_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let [history, steps, angles, manifest, pairs] =
        ["history.csv", "iterations.csv", "target_angles.csv", "manifest.json", "pairs.txt"].map(|name| {
            let path = directory.path().join(name);
            fs::create_dir(&path).expect("writable");
            path
        });
    refusal(read_history(&history), &history);
    refusal(read_steps(directory.path()), &steps);
    refusal(read_target_angles(directory.path()), &angles);
    refusal(Manifest::read(directory.path()), &manifest);
    refusal(read_pairs(&pairs, 1, &PhotographRows::of([])), &pairs);
}
