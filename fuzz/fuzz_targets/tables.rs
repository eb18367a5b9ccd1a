//! Text files: logs, histories, pairs, manifests, the lists of CUB-200-2011.
#![no_main]

use arcos::data::{PhotographRows, cub, read_pairs};
use arcos::extract::Manifest;
use arcos::train::{read_history, read_steps, read_target_angles};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_history(&arcos_fuzz::file("history.csv", bytes));
    let path = arcos_fuzz::file("iterations.csv", bytes);
    arcos_fuzz::file("target_angles.csv", bytes);
    arcos_fuzz::file("manifest.json", bytes);
    let directory = arcos_fuzz::directory(&path);
    let _ = (read_steps(directory), read_target_angles(directory), Manifest::read(directory));
    let _ = read_pairs(&path, 8, &PhotographRows::of(["Ann/Ann_0001.jpg", "Bob/Bob_0002.jpg"]));
    for name in ["images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt", "classes.txt"] {
        arcos_fuzz::file(&format!("cub/{name}"), bytes);
    }
    let _ = cub::read(&directory.join("cub"));
});
