//! The program as a user meets it: training, resuming, comparing, measuring; files, messages, exit codes.

mod calibration;
#[cfg(target_os = "linux")]
mod changing_files;
mod class_labels;
mod class_scores;
mod classes;
#[path = "../common/command.rs"]
mod command;
mod comparisons;
mod data_files;
mod export;
#[path = "../../../tests/common/hostile.rs"]
mod hostile;
mod hostile_arrays;
mod html_report;
mod import;
mod interruption;
// OpenBLAS takes buffers for every thread, and asks again and again where it cannot have them.
#[cfg(all(target_os = "linux", not(feature = "blas")))]
mod little_memory;
mod messages;
mod mixed_precision;
mod objectives;
mod open_set;
mod outputs;
mod partial_fc;
mod penalties;
mod program;
mod resumption;
mod row_numbers;
mod selection;
mod suspects;
mod unknown_rows;
mod validation;
mod wrong_labels;

use std::path::{Path, PathBuf};

/// A file that NumPy wrote: `tests/reference/make_npy.py`.
fn numpy_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}
