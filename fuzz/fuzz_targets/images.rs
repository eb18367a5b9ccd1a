//! Photographs.
#![no_main]

use arcos::data::image::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = decode(&arcos_fuzz::file("photograph.jpg", bytes));
});
