//! Memory: of files that are larger than it, of many runs in one process.

use super::command::complaint;
use arcos::data::Dataset;
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::AdaCos;
use arcos::train::{RunDirectory, TrainConfig, Trainer};
use arcos::{Head, Result};
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

const ROWS: usize = 60_000;
const DIMENSION: usize = 1024;

/// A file of 246 MB of zeros, of which the disk holds next to nothing.
fn sparse_features(path: &Path, fortran_order: &str) {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': {fortran_order}, 'shape': ({ROWS}, {DIMENSION}), }}").into_bytes();
    header.resize(117, b' ');
    header.push(b'\n');
    let mut file = File::create(path).expect("writable");
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").and_then(|()| file.write_all(&header)).expect("writable");
    file.set_len((10 + header.len() + ROWS * DIMENSION * size_of::<f32>()) as u64).expect("sparse files");
}

/// Trains where a process may have 100 MB of its own: mapped files do not count.
fn train_in_100_megabytes(directory: &Path, features: &str, transform: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_arcos");
    // Softmax, since rows of zeros have no direction.
    let arguments = format!(
        "train --head softmax --train-features {features} --train-labels y.npy --epochs 1 --batch-size 512 \
         --transform {transform} --out {transform}"
    );
    let script = format!("ulimit -d 100000; exec {program} {arguments}");
    Command::new("sh").args(["-c", &script]).current_dir(directory).output().expect("a shell")
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_larger_than_memory_trains() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| directory.path().join(name);
    write_npy(at("y.npy"), &Array1::from_shape_fn(ROWS, |row| (row % 3) as i64)).expect("writable");
    sparse_features(&at("x.npy"), "False");
    for transform in ["none", "centre", "standardise"] {
        let output = train_in_100_megabytes(directory.path(), "x.npy", transform);
        assert!(output.status.success(), "{transform}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // The limit is one: in Fortran order the same file has to be read.
    sparse_features(&at("read.npy"), "True");
    let output = train_in_100_megabytes(directory.path(), "read.npy", "none");
    assert!(!output.status.success());
}

#[test]
fn what_cannot_be_read_into_memory_is_no_panic() {
    let directory = tempfile::tempdir().expect("temporary directory");
    sparse_features(&directory.path().join("short.npy"), "True");
    File::options().write(true).open(directory.path().join("short.npy")).expect("there").set_len(1 << 20).expect("cut");
    write_npy(directory.path().join("y.npy"), &Array1::<i64>::zeros(ROWS)).expect("writable");
    let output = train_in_100_megabytes(directory.path(), "short.npy", "none");
    assert!(complaint(&output, 1).contains("ends before its last element"));
}

fn small_run(directory: &Path) -> Result<()> {
    let features = Array2::from_shape_fn((64, 16), |(row, column)| ((7 * row + 5 * column) % 13) as f32 - 6.0);
    let data = Dataset::new(features.into(), (0..64).map(|row| row % 8).collect())?;
    let embedder = Some(Embedder { dimension: 8, block: EmbedBlock::E });
    let config = TrainConfig { epochs: 2, embedder, ..TrainConfig::new(Head::AdaCos(AdaCos::default())) };
    let mut trainer = Trainer::new(config, data.clone(), Some(data))?;
    let mut run = RunDirectory::create(directory, 1, 0)?;
    while !trainer.is_done() {
        trainer.run_epoch(|_| ())?;
        run.save(trainer.checkpoint(), trainer.epoch_log())?;
    }
    Ok(())
}

/// Resident memory in bytes.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    4096 * pages.split(' ').nth(1).expect("the second field").parse::<usize>().expect("a number")
}

/// Alone in its process, where no other test's memory counts: [`many_runs_in_one_process_do_not_grow`] starts it.
#[test]
#[ignore = "started by another test"]
fn many_runs_alone() {
    let run = || {
        let directory = tempfile::tempdir().expect("temporary directory");
        small_run(directory.path()).expect("a run");
    };
    (0..100).for_each(|_| run());
    let before = resident();
    (0..400).for_each(|_| run());
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "400 runs took {grown} bytes more");
}

#[cfg(target_os = "linux")]
#[test]
fn many_runs_in_one_process_do_not_grow() {
    let test = std::env::current_exe().expect("this test");
    let output = Command::new(test).args(["--ignored", "--exact", "load::many_runs_alone"]).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
