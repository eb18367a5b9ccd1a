//! JPEGs that few programs write, as Pillow finds them or refused: `tests/reference/make_unusual_jpegs.py`.

use super::data_file;
use arcos::Error;
use arcos::data::image::decode;
use ndarray::Array1;
use ndarray_npy::NpzReader;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::fs::{self, File};

#[derive(Deserialize)]
struct Case {
    name: String,
    width: u32,
    height: u32,
    length: usize,
    may_be_refused: bool,
}

/// The files with their pixels.
fn cases() -> Vec<(Case, Vec<u8>, Vec<u8>)> {
    let archive = File::open(data_file("images/unusual_jpegs.npz")).expect("committed");
    let mut archive = NpzReader::new(archive).expect("an archive");
    let [cases, files, pixels]: [Array1<u8>; 3] =
        ["cases", "files", "pixels"].map(|name| archive.by_name(name).expect(name));
    let cases: Vec<Case> = serde_json::from_slice(cases.as_slice().expect("contiguous")).expect("JSON");
    let (mut files, mut pixels) = (files.as_slice().expect("contiguous"), pixels.as_slice().expect("contiguous"));
    let with_bytes = |case: Case| {
        let file = files.split_off(..case.length).expect("long enough").to_vec();
        let pixels = pixels.split_off(..(3 * case.width * case.height) as usize).expect("long enough").to_vec();
        (case, file, pixels)
    };
    cases.into_iter().map(with_bytes).collect()
}

#[test]
fn unusual_files_are_as_pillow_has_them_or_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("photograph.jpg");
    let cases = cases();
    assert_eq!(cases.len(), 248);
    for (Case { name, width, height, may_be_refused, .. }, file, expected) in cases {
        fs::write(&path, file).expect("writable");
        match decode(&path) {
            Err(error) => {
                assert!(matches!(error, Error::BadImage { .. }) && may_be_refused, "{name}: {error}");
                assert!(error.to_string().contains("which cannot be decoded faithfully"), "{name}: {error}");
            }
            Ok(found) => {
                assert_eq!(found.dimensions(), (width, height), "{name}");
                let differences = found.iter().zip(&expected).map(|(&found, &expected)| found.abs_diff(expected));
                let largest = differences.max().expect("pixels");
                assert!(largest <= 5, "{name}: {largest}");
            }
        }
    }
}

#[test]
fn damaged_unusual_files_are_taken_or_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("photograph.jpg");
    for (Case { name, .. }, mut file, _) in cases() {
        for _ in 0..4 {
            let at = rng.random_range(2..file.len() - 2);
            file[at] = rng.random();
            fs::write(&path, &file).expect("writable");
            if let Err(error) = decode(&path) {
                assert!(matches!(error, Error::BadImage { .. }), "{name}: {error}");
            }
        }
    }
}
