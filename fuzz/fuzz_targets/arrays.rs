//! `.npy` files as features, matrices, vectors and labels.
#![no_main]

use arcos::data::{ClassTable, read_class_labels, read_features, read_labels, read_matrix, read_vector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = arcos_fuzz::file("array.npy", bytes);
    if let Ok(features) = read_features(&path) {
        let _ = features.rows().all().map(|rows| rows.sum());
    }
    let _ = (read_matrix(&path), read_vector(&path), read_labels(&path, 1));
    if let Ok(labels) = read_class_labels(&path) {
        let classes = ClassTable::of(&[&labels]).expect("of one kind");
        let _ = classes.encode(&labels).expect("each has a class");
    }
});
