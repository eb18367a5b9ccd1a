//! Data and training.

#[path = "../common/birds.rs"]
mod birds;
mod calibration;
mod checkpoint_files;
mod class_changes;
mod further_training;
#[path = "../common/hostile.rs"]
mod hostile;
mod hostile_archives;
mod hostile_checkpoints;
mod hostile_files;
mod label_noise;
mod linear_algebra;
mod load;
mod penalties;
mod resumption;
mod search;
mod training;
mod transforms;
mod unknown_rows;
mod validation;

use std::path::{Path, PathBuf};

/// A file that NumPy wrote: `tests/reference/make_npy.py`.
fn numpy_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
