//! Extraction with a function in place of a network.

mod bad_photographs;
mod going_on;
mod replacing;
mod rows;

use super::fixture;
use arcos::Result;
use arcos::data::image::{Layout, Normalisation, Preprocessing};
use arcos::data::{ImageSet, LabelledImage, Split, cub};
use arcos::extract::{Manifest, ModelFile, Options, extract};
use ndarray::{Array1, Array2, ArrayView4, Axis};
use ndarray_npy::read_npy;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

fn options() -> Options {
    let preprocessing =
        Preprocessing { normalisation: Normalisation::ZeroOne, ..Preprocessing::new(12, 10, Layout::Nchw) };
    Options { batch_size: 3, ..Options::new(preprocessing) }
}

fn model() -> ModelFile {
    ModelFile { file: "mean.onnx".into(), sha256: "0123".into(), ..ModelFile::default() }
}

/// The mean of each channel.
fn means(images: ArrayView4<f32>) -> Result<Array2<f32>> {
    let means = images.mean_axis(Axis(3)).and_then(|means| means.mean_axis(Axis(2)));
    Ok(means.expect("images have pixels"))
}

/// A data set and a place for its features.
struct Workplace {
    directory: tempfile::TempDir,
    set: ImageSet,
}

impl Workplace {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let cub = directory.path().join("cub");
        fs::create_dir(&cub).expect("writable");
        fixture::write(&cub);
        Self { set: cub::read(&cub).expect("well-formed"), directory }
    }

    /// With so many copies of each training image that they take several shards.
    fn with_shards() -> Self {
        let mut place = Self::new();
        let train: Vec<_> = place.set.images.iter().filter(|image| image.split == Split::Train).cloned().collect();
        for (copy, image) in (0..40).flat_map(|copy| train.iter().map(move |image| (copy, image))) {
            let path = image.path.with_extension(format!("{copy}.jpg"));
            fs::copy(place.set.root.join(&image.path), place.set.root.join(&path)).expect("writable");
            place.set.images.push(LabelledImage { path, ..image.clone() });
        }
        place
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("features")
    }

    fn extract(&self, options: &Options) -> Result<Manifest> {
        extract(&self.set, options, &model(), &means, &self.out(), &|_| {})
    }

    /// As [`extract`](Self::extract), and how many images went through the network.
    fn extract_counting(&self, options: &Options) -> (Result<Manifest>, usize) {
        let count = AtomicUsize::new(0);
        let embed = |images: ArrayView4<f32>| {
            count.fetch_add(images.len_of(Axis(0)), Ordering::Relaxed);
            means(images)
        };
        let result = extract(&self.set, options, &model(), &embed, &self.out(), &|_| {});
        (result, count.into_inner())
    }

    fn features(&self, split: &str) -> Array2<f32> {
        read_npy(self.out().join(format!("{split}_features.npy"))).expect("written")
    }

    fn labels(&self, split: &str) -> Array1<i64> {
        read_npy(self.out().join(format!("{split}_labels.npy"))).expect("written")
    }

    /// All files in the output directory with their bytes.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.out()).expect("there").map(|entry| entry.expect("readable").path());
        let mut files: Vec<_> = entries
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).expect("readable")))
            .collect();
        files.sort();
        files
    }

    fn photograph(&self, file: &str) -> PathBuf {
        self.set.root.join(file)
    }
}
