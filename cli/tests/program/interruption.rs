//! Runs that are paused, killed, or run out of room: what is left is whole, and goes on to the same bits.

use super::command::{arcos, command, complaint, stdout};
use super::program::with_data;
use arcos::data::synthetic::SyntheticBirds;
use arcos::data::{Dataset, TransformKind};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::train::{Checkpoint, EpochRecord, RunDirectory, TrainConfig, Trainer, has_logs};
use arcos::{AnyHead, Result};
use ndarray::Array2;
use ndarray_npy::write_npy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The run that every test here does, in as many epochs.
fn train<'a>(out: &'a str, epochs: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let embedding = ["--embed", "12", "--embed-block", "e", "--batch-size", "16", "--keep", "2"];
    let every = if more.contains(&"--checkpoint-every") { &[][..] } else { &["--checkpoint-every", "1"] };
    let base = ["train", "--head", "adacos", "--data", "data", "--out", out, "--epochs", epochs];
    [&base[..], &embedding, every, more].concat()
}

/// The last checkpoint: its tensors' bytes, and all the rest but for the speeds.
fn last_checkpoint(run: &Path) -> (Vec<u8>, serde_json::Value) {
    let newest = RunDirectory::newest_checkpoint(run).expect("readable").expect("a checkpoint");
    let json = fs::read(newest.with_extension("json")).expect("written");
    let mut json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    json["crc32c"] = 0.into();
    for epoch in json["history"].as_array_mut().expect("epochs") {
        epoch["images_per_second"] = 0.into();
    }
    (fs::read(newest.with_extension("safetensors")).expect("written"), json)
}

fn assert_same_run(found: &Path, expected: &Path) {
    let (found_last, expected_last) = (last_checkpoint(found), last_checkpoint(expected));
    assert_eq!(found_last.1, expected_last.1);
    assert!(found_last.0 == expected_last.0, "the tensors differ");
    for log in ["iterations.csv", "target_angles.csv"] {
        let [found, expected] = [found, expected].map(|run| fs::read_to_string(run.join(log)).expect(log));
        assert!(found == expected, "{log} differs");
    }
}

#[test]
fn a_run_that_is_paused_at_any_batch_ends_with_the_same_bits() -> Result<()> {
    let birds = SyntheticBirds { classes: 6, train_rows: 66, test_rows: 30, dimension: 16, ..Default::default() };
    let (train, test) = birds.generate()?;
    let dataset = |(features, labels): (Array2<f32>, _)| Dataset::new(features.into(), labels);
    let (train, test) = (dataset(train)?, dataset(test)?);
    let embedder = Some(Embedder { dimension: 8, block: EmbedBlock::E });
    let heads = AnyHead::names().map(|name| AnyHead::new(name, &[])).collect::<Result<Vec<_>>>()?;
    for (head, embedder) in heads.into_iter().flat_map(|head| [(head.clone(), embedder), (head, None)]) {
        let transform = TransformKind::Standardise;
        let config = TrainConfig { epochs: 3, batch_size: 13, embedder, transform, ..TrainConfig::new(head) };
        paused_at_any_batch(&config, &train, &test)?;
    }
    Ok(())
}

fn paused_at_any_batch(config: &TrainConfig, train: &Dataset, test: &Dataset) -> Result<()> {
    let run = |trainer: &mut Trainer| (0..2).try_for_each(|_| trainer.run_epoch(|_| ()).map(|_| ()));
    let mut whole = Trainer::new(config.clone(), train.clone(), Some(test.clone()))?;
    run(&mut whole)?;
    let figures = |trainer: &Trainer| -> Vec<EpochRecord> {
        trainer.history().iter().map(|record| EpochRecord { rows_per_second: 0.0, ..record.clone() }).collect()
    };
    let directory = tempfile::tempdir().expect("temporary directory");
    // 66 rows are five batches of 13 and one row, which joins the last where batches are normalised.
    let batches = if config.embedder.is_some() { 5 } else { 6 };
    for pause_at in 1..=batches {
        let mut first = Trainer::new(config.clone(), train.clone(), Some(test.clone()))?;
        first.run_epoch(|_| ())?;
        let record = first.run_epoch_or_pause(|progress| match progress.batch == pause_at {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })?;
        assert_eq!(record.is_some(), pause_at == batches);
        let path = directory.path().join("checkpoint");
        first.checkpoint().save(&path)?;
        let checkpoint = Checkpoint::<AnyHead>::load(&path)?;
        assert_eq!(&checkpoint, first.checkpoint());
        let mut second = Trainer::resume(checkpoint, config.clone(), train.clone(), Some(test.clone()))?;
        if pause_at < batches {
            second.run_epoch(|_| ())?;
            assert_eq!(second.epoch_log(), whole.epoch_log());
        }
        assert_eq!(
            (second.model(), figures(&second)),
            (whole.model(), figures(&whole)),
            "{config:?} paused at {pause_at}"
        );
        assert_eq!(second.checkpoint().moments, whole.checkpoint().moments);
    }
    Ok(())
}

fn start(directory: &Path, arguments: &[&str]) -> Child {
    let mut command = command(directory, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Waits until `run` has logs and a checkpoint.
fn wait_for_epochs(run: &Path) {
    wait_until(|| has_logs(run) && RunDirectory::newest_checkpoint(run).is_ok_and(|newest| newest.is_some()));
}

fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "not in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether this process, and with it those that it starts, sees a signal: a shell starts what runs in the background with Ctrl-C ignored, and
/// `nohup` so that a closed terminal is nothing to it.
#[cfg(unix)]
fn sees(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 0)
}

/// The signals that end a run as Ctrl-C does, as far as they are seen here, with the exit codes.
#[cfg(unix)]
fn ending_signals() -> Vec<(&'static str, i32)> {
    let signals = [("INT", 2), ("TERM", 15), ("HUP", 1), ("XCPU", 24)];
    signals.into_iter().filter(|&(_, signal)| sees(signal)).map(|(name, signal)| (name, 128 + signal)).collect()
}

#[cfg(unix)]
fn send(child: &Child, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill is there");
    assert!(status.success());
}

/// What a run says that is ended by Ctrl-C, or where that is ignored by another signal.
#[cfg(unix)]
fn interrupted(child: Child) -> String {
    let (signal, code) = ending_signals()[0];
    send(&child, signal);
    complaint(&child.wait_with_output().expect("it ends"), code)
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_and_exits_with_130() {
    let directory = with_data();
    let at = |run: &str| directory.path().join(run);
    // A name that a shell would take apart, and a terminal obey.
    let name = "it's \u{1b}[31m 100% \"interrupted\"\n$HOME";
    let long = start(directory.path(), &train(name, "100000", &[]));
    wait_for_epochs(&at(name));

    // While it runs, nobody else may.
    let refused = arcos(directory.path(), &train(name, "100000", &["--resume"]));
    assert!(complaint(&refused, 1).contains("another run is writing here"));

    let message = interrupted(long);
    let newest =
        || RunDirectory::load_newest::<AnyHead>(&at(name)).expect("readable").expect("a checkpoint").position();
    let first = newest();
    assert!(message.contains(&format!("interrupted after {first}; `")), "{message}");

    // What is said to go on does, as it stands; the data are found from elsewhere, too.
    let command = message.split('`').nth(1).expect("a command");
    let elsewhere = at("elsewhere");
    fs::create_dir(&elsewhere).expect("writable");
    std::os::unix::fs::symlink(at(name), elsewhere.join(name)).expect("writable");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).current_dir(&elsewhere);
    let again = shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a shell");
    // While it writes and removes, the newest may go from under the reader.
    wait_until(|| {
        RunDirectory::load_newest::<AnyHead>(&at(name))
            .is_ok_and(|newest| newest.is_some_and(|at| at.position() > first))
    });
    let message = interrupted(again);
    assert!(message.contains(&format!("interrupted after {}; `{command}`", newest())), "{message}");

    let epochs = (newest().epochs + 2).to_string();
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", name, "--epochs", &epochs]));
    stdout(&arcos(directory.path(), &train("whole", &epochs, &[])));
    assert_same_run(&at(name), &at("whole"));
}

#[cfg(unix)]
#[test]
fn signals_end_training_with_a_checkpoint_and_all_else_at_once() {
    let directory = with_data();
    for (signal, code) in ending_signals() {
        let long = start(directory.path(), &train(signal, "100000", &[]));
        wait_for_epochs(&directory.path().join(signal));
        send(&long, signal);
        let message = complaint(&long.wait_with_output().expect("it ends"), code);
        assert!(message.contains("interrupted after epoch"), "{message}");

        let mut child = start(directory.path(), &["bench", "--runs", "1000000", "--batch", "8", "--dim", "8"]);
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().expect("a child").is_none());
        send(&child, signal);
        complaint(&child.wait_with_output().expect("it ends"), code);
    }
    // What the program is started to ignore stays ignored, as by nohup.
    let program = env!("CARGO_BIN_EXE_arcos");
    let script = format!("trap '' HUP; exec {program} {}", train("nohup", "100000", &[]).join(" "));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let long = shell.spawn().expect("a shell");
    wait_for_epochs(&directory.path().join("nohup"));
    send(&long, "HUP");
    std::thread::sleep(Duration::from_millis(100));
    send(&long, "TERM");
    complaint(&long.wait_with_output().expect("it ends"), 143);
}

#[cfg(unix)]
#[test]
fn a_signal_takes_away_what_is_half_written() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    stdout(&arcos(directory.path(), &["train", "--head", "adacos", "--data", "data", "--epochs", "1"]));
    // So many rows that their predictions take seconds.
    write_npy(at("large.npy"), &Array2::<f32>::ones((200_000, 32))).expect("writable");
    let unfinished = || {
        let entries = fs::read_dir(directory.path()).expect("a directory");
        let is_temporary = |name: std::ffi::OsString| name.to_string_lossy().starts_with(".arcos-unfinished-");
        entries.filter(|entry| is_temporary(entry.as_ref().expect("an entry").file_name())).count()
    };
    for (signal, code) in ending_signals() {
        let arguments = ["predict", "--features", "large.npy", "--top", "8", "--out", "predictions.csv"];
        let child = start(directory.path(), &arguments);
        wait_until(|| unfinished() == 1);
        send(&child, signal);
        assert_eq!(complaint(&child.wait_with_output().expect("it ends"), code), "");
        assert_eq!(unfinished(), 0, "{signal}");
        assert!(!at("predictions.csv").exists());
    }
}

/// `ARCOS_KILLS` sets how often; `make kills` sets it to 60.
#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let kills = std::env::var("ARCOS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let directory = with_data();
    let at = |run: &str| directory.path().join(run);
    let epochs = (kills * 40 + 20).to_string();
    stdout(&arcos(directory.path(), &train("whole", &epochs, &[])));

    let mut rng = ChaCha8Rng::seed_from_u64(kills as u64);
    let mut killed = 0;
    while killed < kills {
        // After each epoch, or in the middle of one.
        let every = ["1", "0.004s"][killed % 2];
        let mut child =
            start(directory.path(), &train("killed", &epochs, &["--resume-or-start", "--checkpoint-every", every]));
        std::thread::sleep(Duration::from_millis(rng.random_range(5..100)));
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        child.kill().expect("a running child");
        child.wait().expect("a child");
        killed += 1;
    }
    stdout(&arcos(directory.path(), &train("killed", &epochs, &["--resume-or-start"])));
    assert_same_run(&at("killed"), &at("whole"));
    assert!(killed * 2 >= kills, "the run was over after {killed} kills");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_leaves_the_last_checkpoint() {
    let directory = with_data();
    let at = |run: &str| directory.path().join(run);
    stdout(&arcos(directory.path(), &train("full", "2", &[])));
    let before = last_checkpoint(&at("full"));

    // A limit on the size of files stands for the disk: writing past it fails once its signal is ignored.
    let program = env!("CARGO_BIN_EXE_arcos");
    let arguments = train("full", "4", &["--resume"]).join(" ");
    let script = format!("trap '' XFSZ; ulimit -f 4; exec {program} {arguments}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(directory.path()).output().expect("a shell");
    let message = complaint(&output, 1);
    assert!(message.contains("cannot write") && message.contains("full/"), "{message}");
    assert_eq!(last_checkpoint(&at("full")), before);
    // That it is not ignored changes nothing.
    let script = format!("ulimit -f 4; exec {program} {arguments}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(directory.path()).output().expect("a shell");
    assert_eq!(complaint(&output, 1), message);
    assert_eq!(last_checkpoint(&at("full")), before);

    stdout(&arcos(directory.path(), &train("full", "4", &["--resume"])));
    stdout(&arcos(directory.path(), &train("whole", "4", &[])));
    assert_same_run(&at("full"), &at("whole"));
}

#[test]
fn a_place_that_cannot_be_written_to_is_said_before_training() {
    let directory = with_data();
    fs::write(directory.path().join("file"), "").expect("writable");
    let compare = ["compare", "--heads", "adacos", "--data", "data", "--out", "file/run"];
    for arguments in [&train("file/run", "1", &[])[..], &compare] {
        let output = arcos(directory.path(), arguments);
        assert!(complaint(&output, 1).contains("cannot create file/run") && output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn training_that_diverges_says_where_and_leaves_the_last_good_checkpoint() {
    let directory = with_data();
    // Each step doubles the class vectors: after some 128 they are past the largest number.
    let diverging = ["--optimizer", "sgd", "--learning-rate", "1", "--momentum", "0", "--weight-decay", "3"];
    let base =
        ["train", "--head", "softmax", "--data", "data", "--out", "run", "--epochs", "100", "--checkpoint-every", "1"];
    let message = complaint(&arcos(directory.path(), &[&base[..], &diverging].concat()), 1);
    let newest = RunDirectory::newest_checkpoint(&directory.path().join("run")).expect("readable").expect("one");
    let last = Checkpoint::<AnyHead>::load(&newest).expect("whole");
    let epoch = last.history.len() + 1;
    assert!(message.contains(&format!("epoch {epoch}, batch ")) && message.contains("the loss is inf"), "{message}");
    assert!(epoch > 5 && last.model.parameters.weights.iter().all(|weight| weight.is_finite()));
}
