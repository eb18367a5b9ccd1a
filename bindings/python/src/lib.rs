//! Python bindings of arcos: heads, the streaming kernel, optimizers, the trainer and measures on NumPy arrays.
//!
//! Arrays that are aligned and of the right type are read where they are, class vectors are stepped where they are, and the interpreter's lock
//! is free meanwhile. What is wrong is a `ValueError` or `TypeError` with the library's message.

mod arrays;
mod dataset;
mod head;
mod metrics;
mod model;
mod objective;
mod optimizer;
mod parameters;
mod search;
mod settings;
mod step;
mod streaming;
mod trainer;

use arcos::Error;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The native part of the package `arcos`.
#[pymodule]
mod _arcos {
    #[pymodule_export]
    use super::head::{Head, head_list};
    #[pymodule_export]
    use super::metrics::{
        Cmc, Retrieval, Roc, all_pairs, cmc, cmc_among_distractors, k_means, normalized_mutual_information,
        pair_scores, retrieval, roc,
    };
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::optimizer::{AdamW, Optimizer, RmsProp, Sgd};
    #[pymodule_export]
    use super::parameters::glorot_normal;
    #[pymodule_export]
    use super::search::tune;
    #[pymodule_export]
    use super::step::Step;
    #[pymodule_export]
    use super::streaming::Streaming;
    #[pymodule_export]
    use super::trainer::Trainer;
}

/// The library's error as Python's.
fn raise(error: Error) -> PyErr {
    match error {
        Error::UnknownOption { .. } => PyTypeError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}
