//! What tests of damaged and harmful files share: whatever a file holds, a reader takes it or refuses it by name; it does not panic, nor take
//! memory for what the file merely claims.

use arcos::data::Dataset;
use arcos::heads::AdaCos;
use arcos::train::{TrainConfig, Trainer};
use arcos::{AnyHead, Error, Result};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

/// What is said of a file that must be refused.
pub fn refusal<T: Debug>(result: Result<T>, file: &Path) -> String {
    match result {
        Err(error @ (Error::File { .. } | Error::InFile { .. } | Error::Io { .. } | Error::Line { .. })) => {
            let message = error.to_string();
            assert!(message.contains(&file.display().to_string()), "{message}");
            message
        }
        other => panic!("{}: {other:?}", file.display()),
    }
}

/// Whether a file is taken; if not, the refusal names it.
pub fn taken<T: Debug>(result: Result<T>, file: &Path) -> bool {
    if result.is_err() {
        refusal(result, file);
        return false;
    }
    true
}

pub fn written(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).expect("writable");
    path
}

pub fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut bytes);
    bytes
}

/// Twenty rows of four dimensions and five classes.
pub fn data() -> Dataset {
    let features = Array2::from_shape_fn((20, 4), |(row, column)| ((7 * row + 5 * column) % 13) as f32 - 6.0);
    Dataset::new(features.into(), (0..20).map(|row| row % 5).collect()).expect("well-formed")
}

/// A trainer of [`data`] after one epoch.
pub fn trained(config: TrainConfig) -> Trainer {
    let mut trainer = Trainer::new(config, data(), None).expect("well-formed");
    trainer.run_epoch(|_| ()).expect("training goes on");
    trainer
}

pub fn adacos() -> AnyHead {
    AnyHead::AdaCos(AdaCos::default())
}

/// A `.npy` file of format 1 whose data begin at a multiple of 64 bytes, as NumPy writes them.
pub fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{header:<117}\n");
    let length = u16::try_from(header.len()).expect("a short header");
    [&b"\x93NUMPY\x01\0"[..], &length.to_le_bytes(), header.as_bytes(), data].concat()
}

pub fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
}
