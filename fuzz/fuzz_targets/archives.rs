//! `.npz` archives.
#![no_main]

use arcos::data::{read_features, read_labels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = arcos_fuzz::file("archive.npz", bytes);
    let _ = (read_features(&path), read_labels(&path, 0));
});
