//! Data, training and the program.

#[path = "../common/birds.rs"]
mod birds;
mod checkpoint_files;
mod class_labels;
#[path = "../common/command.rs"]
mod command;
mod comparisons;
mod data_files;
mod hostile_archives;
mod hostile_arrays;
mod hostile_checkpoints;
mod hostile_files;
mod interruption;
mod linear_algebra;
// OpenBLAS takes buffers for every thread, and asks again and again where it cannot have them.
#[cfg(all(target_os = "linux", not(feature = "blas")))]
mod little_memory;
mod load;
mod objectives;
mod open_set;
mod outputs;
mod partial_fc;
mod program;
mod resumption;
mod row_numbers;
mod training;
mod transforms;
mod wrong_labels;

use std::path::{Path, PathBuf};

/// A file that NumPy wrote: `tests/reference/make_npy.py`.
fn numpy_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
