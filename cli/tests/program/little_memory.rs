//! Files that are larger than the memory that a process may have.

use super::command::complaint;
use ndarray::Array1;
use ndarray_npy::write_npy;
use std::fs::File;
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

/// Trains where a process may have 100 MB.
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
