//! JPEGs of every sampling and order of scans, with and without restart markers, as Pillow finds them: `tests/reference/make_jpegs.py`.

use super::data_file;
use arcos::Error;
use arcos::data::image::decode;
use ndarray::{Array1, Array2, Array4, Ix1};
use ndarray_npy::{NpzReader, ReadableElement};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::path::Path;

/// How the files were made, and they themselves.
struct Jpegs {
    /// (6, 2) of luminance, in blocks of chrominance.
    samplings: Array2<i64>,
    /// (10, 2) width, height.
    sizes: Array2<i64>,
    /// (2,) blocks between restart markers.
    restarts: Array1<i64>,
    /// (5,) for each order of scans.
    progressive: Array1<bool>,
    files: Vec<Vec<u8>>,
    /// For each sampling and size.
    pixels: Vec<Vec<u8>>,
}

impl Jpegs {
    fn read() -> Self {
        fn array<T: ReadableElement, D: ndarray::Dimension>(name: &str) -> ndarray::Array<T, D> {
            let archive = File::open(data_file("images/jpegs.npz")).expect("committed");
            NpzReader::new(archive).expect("an archive").by_name(name).expect(name)
        }
        let sizes: Array2<i64> = array("sizes");
        let samplings: Array2<i64> = array("samplings");
        let bytes = |size: &[i64]| (3 * size[0] * size[1]) as usize;
        let of_pixels: Vec<_> =
            samplings.rows().into_iter().flat_map(|_| sizes.rows()).map(|size| bytes(&size.to_vec())).collect();
        let lengths: Vec<_> = array::<i64, Ix1>("lengths").into_iter().map(|length| length as usize).collect();
        let cut = |bytes: Array1<u8>, lengths: &[usize]| {
            let mut rest = bytes.as_slice().expect("contiguous");
            let parts = lengths.iter().map(|&length| rest.split_off(..length).expect("long enough").to_vec());
            parts.collect::<Vec<_>>()
        };
        Self {
            files: cut(array("files"), &lengths),
            pixels: cut(array("pixels"), &of_pixels),
            restarts: array("restarts"),
            progressive: array("progressive"),
            samplings,
            sizes,
        }
    }

    /// (6, 10, 2, 5): the number of the file of each sampling, size, restart interval and order of scans.
    fn numbers(&self) -> Array4<usize> {
        let shape = (self.samplings.nrows(), self.sizes.nrows(), self.restarts.len(), self.progressive.len());
        Array4::from_shape_vec(shape, (0..self.files.len()).collect()).expect("a file each")
    }
}

fn decoded(directory: &Path, file: &[u8]) -> Result<Vec<u8>, Error> {
    let path = directory.join("photograph.jpg");
    fs::write(&path, file).expect("written");
    decode(&path).map(|image| image.into_raw())
}

#[test]
fn every_sampling_and_order_of_scans_is_as_pillow_has_it() {
    let jpegs = Jpegs::read();
    let directory = tempfile::tempdir().expect("a directory");
    for ((sampling, size, restart, scans), &number) in jpegs.numbers().indexed_iter() {
        let found = decoded(directory.path(), &jpegs.files[number]).expect("a JPEG");
        let expected = &jpegs.pixels[sampling * jpegs.sizes.nrows() + size];
        assert_eq!(found.len(), expected.len());
        let differences = found.iter().zip(expected).map(|(&found, &expected)| found.abs_diff(expected));
        let largest = differences.clone().max().expect("pixels");
        let mean = differences.map(f64::from).sum::<f64>() / expected.len() as f64;
        let (sampling, size) = (jpegs.samplings.row(sampling), jpegs.sizes.row(size));
        let (restart, progressive) = (jpegs.restarts[restart], jpegs.progressive[scans]);
        let case = format!(
            "{sampling} {size} restart {restart} scans {scans} progressive {progressive}: {largest}, {mean:.3}"
        );
        println!("{case}");
        // Two or three pixels across, decoders spread halved chroma differently; elsewhere the mean is below 0.4.
        assert!(largest <= 5 && mean < 0.75, "{case}");
    }
}

/// A file of three scans of one component, 70 x 37 pixels.
fn in_three_scans() -> Vec<u8> {
    let jpegs = Jpegs::read();
    jpegs.files[jpegs.numbers()[(3, 9, 0, 1)]].clone()
}

#[test]
fn a_scan_that_is_missing_is_missed() {
    let file = in_three_scans();
    let starts: Vec<_> = (0..file.len() - 1).filter(|&at| file[at..].starts_with(&[0xFF, 0xDA])).collect();
    assert_eq!(starts.len(), 3);
    let directory = tempfile::tempdir().expect("a directory");
    for start in starts {
        let without = [&file[..start], &[0xFF, 0xD9]].concat();
        let error = decoded(directory.path(), &without).expect_err("a scan is missing");
        assert!(matches!(error, Error::BadImage { .. }), "{error}");
    }
}

#[test]
fn components_that_are_no_ycbcr_are_told_apart() {
    let file = in_three_scans();
    let directory = tempfile::tempdir().expect("a directory");
    let as_ycbcr = decoded(directory.path(), &file).expect("a JPEG");
    // In place of JFIF's marker, Adobe's: the same numbers are red, green and blue.
    let adobe = b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00";
    let as_rgb = decoded(directory.path(), &[&file[..2], adobe, &file[20..]].concat()).expect("a JPEG");
    let (luminance, red) = (as_ycbcr.as_chunks::<3>().0, as_rgb.as_chunks::<3>().0);
    for ([r, g, b], [first, ..]) in luminance.iter().zip(red) {
        let luminance = 0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b);
        let is_clipped = [r, g, b].into_iter().any(|&value| value == 0 || value == 255);
        assert!(is_clipped || (luminance - f64::from(*first)).abs() < 2.0, "{luminance}, {first}");
    }
    assert_ne!(as_rgb, as_ycbcr);
}

#[test]
fn damaged_scans_are_taken_or_refused() {
    let file = in_three_scans();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let directory = tempfile::tempdir().expect("a directory");
    for _ in 0..500 {
        let mut damaged = file.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(2..file.len() - 2);
            damaged[at] = rng.random();
        }
        if let Err(error) = decoded(directory.path(), &damaged) {
            assert!(matches!(error, Error::BadImage { .. }), "{error}");
        }
    }
}
