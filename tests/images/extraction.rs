//! Shards, resuming, manifests: with a function in place of a network.

use super::fixture;
use arcos::data::image::{BoundingBox, ChannelOrder, Layout, Normalisation, Preprocessing, to_unit_range};
use arcos::data::{ImageSet, LabelledImage, Split, cub};
use arcos::extract::{Event, Manifest, ModelFile, Options, Tokens, extract};
use arcos::{Error, Result};
use ndarray::{Array1, Array2, ArrayView4, Axis};
use ndarray_npy::read_npy;
use std::fs;
use std::path::{Path, PathBuf};
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

#[test]
fn rows_are_the_images_in_order_and_the_manifest_says_so() {
    let place = Workplace::new();
    let manifest = place.extract(&options()).expect("well-formed");
    assert_eq!(Manifest::read(&place.out()).expect("written"), Some(manifest.clone()));
    assert_eq!(manifest.classes, ["001.Albatross", "002.Bunting", "003.Cuckoo"]);
    assert_eq!((place.labels("train"), place.labels("test")), (ndarray::array![0, 1, 2, 2], ndarray::array![0, 1, 2]));
    for split in Split::ALL {
        let images: Vec<_> = place.set.images.iter().filter(|image| image.split == split).collect();
        let features = place.features(split.name());
        let rows = &manifest.splits[split.name()].rows;
        assert_eq!((features.dim(), rows.len()), ((images.len(), 3), images.len()));
        for ((image, features), row) in images.iter().zip(features.rows()).zip(rows) {
            assert_eq!((Path::new(&row.file), row.view), (image.path.as_path(), None));
            let pixels = options().preprocessing.read(&place.photograph(&row.file), image.bounding_box);
            let pixels = to_unit_range(&pixels.expect("an image"));
            let expected = pixels.mean_axis(Axis(0)).and_then(|means| means.mean_axis(Axis(0))).expect("pixels");
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
            assert!(features.iter().zip(&expected).all(close), "{features} {expected}");
        }
    }
    assert!(!place.out().join(".arcos-partial").exists());
}

#[test]
fn what_is_there_already_is_not_done_again() {
    let place = Workplace::new();
    assert_eq!(place.extract_counting(&options()).1, 7);
    let before = place.files();
    assert_eq!(place.extract_counting(&options()).1, 0);
    assert_eq!(place.files(), before);
    fs::remove_file(place.out().join("test_labels.npy")).expect("there");
    assert_eq!(place.extract_counting(&options()).1, 3);
    assert_eq!(place.files(), before);
    // An image with another label makes its split anew.
    let mut relabelled = Workplace { set: place.set.clone(), ..place };
    relabelled.set.images[0].label = 2;
    assert_eq!(relabelled.extract_counting(&options()).1, 4);
    assert_eq!(relabelled.labels("train"), ndarray::array![2, 1, 2, 2]);
    let place = relabelled;
    // So does a photograph that has changed.
    let before = place.files();
    let photograph = place.photograph("001.Albatross/Albatross_0001.jpg");
    fixture::render((20, 20), 50, false).save(photograph).expect("writable");
    assert_eq!(place.extract_counting(&options()).1, 4);
    assert_ne!(place.files(), before);
}

#[test]
fn arrays_that_are_damaged_are_made_anew() {
    let place = Workplace::new();
    let (result, images) = place.extract_counting(&options());
    result.expect("whole");
    for name in ["train_features.npy", "test_labels.npy"] {
        let file = place.out().join(name);
        let whole = fs::read(&file).expect("written");
        for damaged in [&whole[..whole.len() - 1], &[]] {
            fs::write(&file, damaged).expect("writable");
            let (result, again) = place.extract_counting(&options());
            result.expect("whole");
            assert!((1..images).contains(&again), "one split of two");
            assert_eq!(fs::read(&file).expect("written"), whole);
        }
    }
}

#[test]
fn a_manifest_that_is_none_can_be_replaced() {
    let place = Workplace::new();
    fs::create_dir(place.out()).expect("writable");
    fs::write(place.out().join("manifest.json"), "{}").expect("writable");
    let error = place.extract(&options()).expect_err("no manifest").to_string();
    assert!(error.contains("manifest.json"), "{error}");
    place.extract(&Options { overwrite: true, ..options() }).expect("replaced");
}

#[test]
fn a_run_that_ended_goes_on_where_it_was() {
    let place = Workplace::with_shards();
    let images = place.set.images.len();
    place.extract(&options()).expect("well-formed");
    let whole = place.files();
    fs::remove_dir_all(place.out()).expect("there");

    let count = AtomicUsize::new(0);
    let fails_in_the_third_shard = |batch: ArrayView4<f32>| {
        if count.fetch_add(batch.len_of(Axis(0)), Ordering::Relaxed) > 140 {
            return Err(Error::Setting { name: "power", value: "off".into(), expected: "on".into() });
        }
        means(batch)
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let ended = one_thread
        .install(|| extract(&place.set, &options(), &model(), &fails_in_the_third_shard, &place.out(), &|_| {}));
    ended.expect_err("power is off");
    assert!(place.files().is_empty(), "no array that is not whole");
    let partial = fs::read_dir(place.out().join(".arcos-partial")).expect("there");
    let shards: Vec<_> = partial.map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(shards.len(), 2);

    // One of the finished shards has lost its end.
    let bytes = fs::read(&shards[0]).expect("there");
    fs::write(&shards[0], &bytes[..bytes.len() - 1]).expect("writable");
    let resumed = AtomicUsize::new(0);
    let on_event = |event: Event| {
        if let Event::Start { resumed: images, .. } = event {
            resumed.store(images, Ordering::Relaxed);
        }
    };
    let count = AtomicUsize::new(0);
    let counts = |batch: ArrayView4<f32>| {
        count.fetch_add(batch.len_of(Axis(0)), Ordering::Relaxed);
        means(batch)
    };
    extract(&place.set, &options(), &model(), &counts, &place.out(), &on_event).expect("well-formed");
    assert_eq!((resumed.into_inner(), count.into_inner()), (66, images - 66));
    assert_eq!(place.files(), whole, "interrupted and whole runs end with the same bytes");
}

#[test]
fn a_run_that_fails_before_any_shard_leaves_nothing() {
    let place = Workplace::new();
    let failing = |_: ArrayView4<f32>| Err(Error::Empty { what: "images", found: vec![0] });
    let attempt =
        |out: &Path| extract(&place.set, &options(), &model(), &failing, out, &|_| {}).expect_err("as it says");
    attempt(&place.out().join("below"));
    assert!(!place.out().exists());
    fs::create_dir_all(place.out()).expect("writable");
    attempt(&place.out());
    assert_eq!(fs::read_dir(place.out()).expect("it was there").count(), 0);
}

#[test]
fn a_corrupt_photograph_ends_the_run_or_is_left_out() {
    let place = Workplace::new();
    place.extract(&options()).expect("well-formed");
    let before = place.files();
    let corrupt = place.photograph("002.Bunting/Bunting_0001.jpg");
    let bytes = fs::read(&corrupt).expect("there");
    fs::write(&corrupt, &bytes[..bytes.len() / 2]).expect("writable");

    let error = place.extract(&options()).expect_err("corrupt");
    assert!(matches!(&error, Error::BadImage { path, .. } if *path == corrupt), "{error}");
    assert_eq!(place.files(), before, "what was there stays");

    let skip_bad = Options { skip_bad: true, ..options() };
    let manifest = place.extract(&skip_bad).expect("three images are left");
    let train = &manifest.splits["train"];
    assert_eq!(train.skipped, ["002.Bunting/Bunting_0001.jpg"]);
    assert_eq!(train.rows.len(), 3);
    assert_eq!((place.features("train").nrows(), place.labels("train")), (3, ndarray::array![0, 2, 2]));
    assert_eq!(place.extract_counting(&skip_bad).1, 0);
    place.extract(&options()).expect_err("without --skip-bad it is not done");

    for image in place.set.images.iter().filter(|image| image.split == Split::Test) {
        fs::write(place.set.root.join(&image.path), "no photograph").expect("writable");
    }
    let message = place.extract(&skip_bad).expect_err("nothing is left").to_string();
    assert!(message.contains("no test image can be used"), "{message}");
}

#[test]
fn a_box_outside_its_photograph_is_a_bad_image() {
    let mut place = Workplace::new();
    place.set.images[0].bounding_box = Some(BoundingBox { x: 47.0, y: 0.0, width: 5.0, height: 5.0 });
    let error = place.extract(&options()).expect_err("an empty box");
    assert!(matches!(error, Error::BadImage { .. }), "{error}");
    let expected = "the bounding box (x 47 y 0 width 5 height 5) holds no pixel; expected one that overlaps the image, 47 x 33 pixels";
    assert!(error.to_string().contains(expected), "{error}");
    let manifest = place.extract(&Options { skip_bad: true, ..options() }).expect("the others");
    assert_eq!(manifest.splits["train"].skipped, ["001.Albatross/Albatross_0001.jpg"]);
    for (width, height) in [(0.0, 5.0), (5.0, -1.0)] {
        place.set.images[0].bounding_box = Some(BoundingBox { x: 3.0, y: 3.0, width, height });
        assert!(matches!(place.extract(&options()), Err(Error::BadImage { .. })));
        let manifest = place.extract(&Options { skip_bad: true, ..options() }).expect("the others");
        assert_eq!(manifest.splits["train"].rows.len(), 3);
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_a_bad_image_and_nothing_waits_for_it() {
    let mut place = Workplace::new();
    let name = "001.Albatross/none.jpg";
    let path = place.photograph(name);
    place.set.images[0].path = name.into();
    // A pipe would do as well, but for the process that makes it, which inherits other tests' locks.
    let socket = std::os::unix::net::UnixListener::bind(&path).expect("a short path");
    for (link_to, found) in
        [(None, "no regular file"), (Some("/dev/zero"), "no regular file"), (Some("."), "a directory")]
    {
        if let Some(target) = link_to {
            fs::remove_file(&path).expect("there");
            std::os::unix::fs::symlink(target, &path).expect("writable");
        }
        let error = place.extract(&options()).expect_err("no photograph");
        assert!(matches!(error, Error::BadImage { .. }), "{error}");
        let expected = format!("none.jpg: it is {found}; expected a whole JPEG");
        assert!(error.to_string().contains(&expected), "{error}");
        let manifest = place.extract(&Options { skip_bad: true, ..options() }).expect("the others");
        assert_eq!(manifest.splits["train"].skipped, [name]);
    }
    drop(socket);
}

#[test]
fn missing_photographs_end_the_run_or_are_left_out() {
    let place = Workplace::new();
    for file in ["003.Cuckoo/Cuckoo_0001.jpg", "003.Cuckoo/Cuckoo_0002.jpg"] {
        fs::remove_file(place.photograph(file)).expect("there");
    }
    let message = place.extract(&options()).expect_err("missing").to_string();
    assert!(message.starts_with("2 missing of 4 train images, "), "{message}");
    assert!(
        message.contains("Cuckoo_0001.jpg the first; expected all of them, or at least one where some may be missing"),
        "{message}"
    );
    assert!(!place.out().exists(), "nothing was begun");
    let allow_missing = Options { allow_missing: true, ..options() };
    let manifest = place.extract(&allow_missing).expect("the others are there");
    assert_eq!((manifest.splits["train"].missing, manifest.splits["train"].rows.len()), (2, 2));
    assert_eq!(place.labels("train"), ndarray::array![0, 1]);
    fs::remove_dir_all(&place.set.root).expect("there");
    assert!(matches!(place.extract(&allow_missing), Err(Error::MissingImages { missing: 4, .. })));
}

#[test]
fn views_are_rows_of_their_image_and_the_same_whatever_else_is_extracted() {
    let place = Workplace::new();
    let views = Options { views: Some(5), seed: 7, ..options() };
    let manifest = place.extract(&views).expect("well-formed");
    let (features, labels) = (place.features("train"), place.labels("train"));
    assert_eq!(features.nrows(), 4 * 5);
    assert_eq!(labels.to_vec(), [0, 1, 2, 2].map(|label| [label; 5]).concat());
    assert_eq!(place.features("test").nrows(), 3, "test images are taken as they are");
    let train = &manifest.splits["train"];
    assert_eq!(train.seed, Some(7));
    assert_eq!((train.rows[13].file.as_str(), train.rows[13].view), ("003.Cuckoo/Cuckoo_0001.jpg", Some(3)));
    assert_eq!(manifest.splits["test"].seed, None);
    for row in 1..5 {
        assert_ne!(features.row(0), features.row(row));
    }

    let mut other = Workplace::new();
    other.set.images.remove(0);
    other.extract(&views).expect("well-formed");
    assert_eq!(other.features("train"), features.slice(ndarray::s![5.., ..]));
    let another_seed = Options { seed: 8, ..views };
    other.extract(&another_seed).expect("well-formed");
    assert_ne!(other.features("train"), features.slice(ndarray::s![5.., ..]));
}

#[test]
fn splits_of_one_kind_stand_side_by_side_and_others_are_refused() {
    let place = Workplace::new();
    let only = |split| Options { splits: vec![split], ..options() };
    place.extract(&only(Split::Train)).expect("well-formed");
    assert!(!place.out().join("test_features.npy").exists());
    let manifest = place.extract(&only(Split::Test)).expect("well-formed");
    assert_eq!(manifest.splits.keys().collect::<Vec<_>>(), ["test", "train"]);
    let before = place.files();

    let mut other = only(Split::Test);
    other.preprocessing.normalisation = Normalisation::Imagenet;
    let message = place.extract(&other).expect_err("another normalisation").to_string();
    assert!(message.contains("holds features of another network, preprocessing or set of classes"), "{message}");
    assert!(message.contains("expected another directory, or the option overwrite"), "{message}");
    assert_eq!(place.files(), before);

    // Whatever else the features of both splits should have in common.
    let mut bgr = only(Split::Test);
    bgr.preprocessing.channel_order = ChannelOrder::Bgr;
    let mut custom = only(Split::Test);
    custom.preprocessing.normalisation = Normalisation::Custom { mean: [0.1; 3], std: [1.0; 3] };
    let without_boxes = ImageSet {
        images: place.set.images.iter().map(|image| LabelledImage { bounding_box: None, ..image.clone() }).collect(),
        ..place.set.clone()
    };
    let output = ModelFile { output: Some("maps".into()), ..model() };
    let tokens = ModelFile { tokens: Some(Tokens::Mean), ..model() };
    for (set, options, model) in [
        (&place.set, bgr, model()),
        (&place.set, custom, model()),
        (&without_boxes, only(Split::Test), model()),
        (&place.set, only(Split::Test), output),
        (&place.set, only(Split::Test), tokens),
    ] {
        let result = extract(set, &options, &model, &means, &place.out(), &|_| {});
        let message = result.expect_err("another kind").to_string();
        assert!(message.contains("holds features of another network, preprocessing"), "{message}");
        assert_eq!(place.files(), before);
    }
    let manifest = place.extract(&Options { overwrite: true, ..other }).expect("may be overwritten");
    assert_eq!(manifest.splits.keys().collect::<Vec<_>>(), ["test"]);
    assert!(!place.out().join("train_features.npy").exists(), "features of another kind do not stay");

    fs::remove_file(place.out().join("manifest.json")).expect("there");
    let message = place.extract(&options()).expect_err("of unknown origin").to_string();
    assert!(message.contains("features without a manifest.json"), "{message}");
    fs::write(place.out().join("manifest.json"), "{").expect("writable");
    assert!(matches!(place.extract(&options()), Err(Error::File { .. })));
}

#[test]
fn a_run_that_ended_while_arrays_were_moved_is_finished_by_the_next() {
    let place = Workplace::new();
    place.extract(&options()).expect("well-formed");
    let whole = place.files();
    let names = ["train_features.npy", "train_labels.npy", "test_features.npy", "test_labels.npy", "manifest.json"];
    for moved in 0..names.len() {
        let partial = place.out().join(".arcos-partial");
        fs::create_dir(&partial).expect("writable");
        for name in &names[moved..] {
            fs::rename(place.out().join(name), partial.join(name)).expect("there");
        }
        assert_eq!(place.extract_counting(&options()).1, 0, "{moved} moved");
        assert_eq!(place.files(), whole, "{moved} moved");
    }
    // Arrays without a manifest are not known to be whole.
    let partial = place.out().join(".arcos-partial");
    fs::create_dir(&partial).expect("writable");
    fs::write(partial.join("train_features.npy"), "half of it").expect("writable");
    place.extract(&options()).expect("well-formed");
    assert_eq!(place.files(), whole);
    assert!(!partial.exists());
}

#[test]
fn shards_of_another_run_that_ended_stay() {
    let place = Workplace::with_shards();
    let fails = |_: ArrayView4<f32>| Err(Error::Setting { name: "power", value: "off".into(), expected: "on".into() });
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let count = AtomicUsize::new(0);
    let fails_later = |batch: ArrayView4<f32>| {
        if count.fetch_add(1, Ordering::Relaxed) > 30 { fails(batch) } else { means(batch) }
    };
    one_thread
        .install(|| extract(&place.set, &options(), &model(), &fails_later, &place.out(), &|_| {}))
        .expect_err("power is off");
    place.extract(&Options { splits: vec![Split::Test], ..options() }).expect("the test images");
    let (result, images) = place.extract_counting(&options());
    result.expect("well-formed");
    assert_eq!(images, 164 - 66, "one shard of training images was done");
}

#[test]
fn shards_that_nothing_will_take_up_go() {
    let place = Workplace::with_shards();
    let count = AtomicUsize::new(0);
    let fails_later = |batch: ArrayView4<f32>| {
        if count.fetch_add(1, Ordering::Relaxed) > 30 {
            return Err(Error::Setting { name: "power", value: "off".into(), expected: "on".into() });
        }
        means(batch)
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let another_kind = |mut options: Options| {
        options.preprocessing.channel_order = ChannelOrder::Bgr;
        options
    };
    let views = Options { views: Some(2), ..options() };
    for options in [another_kind(options()), views] {
        count.store(0, Ordering::Relaxed);
        one_thread
            .install(|| extract(&place.set, &options, &model(), &fails_later, &place.out(), &|_| {}))
            .expect_err("power is off");
    }
    let partial = place.out().join(".arcos-partial");
    let shards = || fs::read_dir(&partial).map_or(0, |entries| entries.count());
    let of_both = shards();
    assert!(of_both >= 2, "{of_both}");
    // Training images are not done yet: views of them may go on.
    place.extract(&Options { splits: vec![Split::Test], ..options() }).expect("the test images");
    assert!((1..of_both).contains(&shards()), "{} of {of_both}", shards());
    place.extract(&options()).expect("well-formed");
    assert!(!partial.exists());
}

#[cfg(unix)]
#[test]
fn a_second_run_in_the_same_place_is_refused() {
    let place = Workplace::new();
    let second = std::sync::Mutex::new(None);
    let embed = |batch: ArrayView4<f32>| {
        let mut second = second.lock().expect("not poisoned");
        if second.is_none() {
            *second = place.extract(&options()).err().map(|error| error.to_string());
        }
        means(batch)
    };
    extract(&place.set, &options(), &model(), &embed, &place.out(), &|_| {}).expect("the first goes on");
    let message = second.into_inner().expect("not poisoned").expect("refused");
    assert!(message.ends_with("another run is writing here; expected one at a time"), "{message}");
}

#[test]
fn what_embeds_images_is_held_to_its_shape() {
    let place = Workplace::new();
    let calls = AtomicUsize::new(0);
    let grows = |images: ArrayView4<f32>| {
        Ok(Array2::zeros((images.len_of(Axis(0)), 1 + calls.fetch_add(1, Ordering::Relaxed))))
    };
    let too_few = |images: ArrayView4<f32>| Ok(Array2::zeros((images.len_of(Axis(0)) - 1, 3)));
    let none = |images: ArrayView4<f32>| Ok(Array2::zeros((images.len_of(Axis(0)), 0)));
    let refused = |result: Result<Manifest>| assert!(matches!(result, Err(Error::Shape { .. })), "{result:?}");
    refused(extract(&place.set, &options(), &model(), &grows, &place.out(), &|_| {}));
    refused(extract(&place.set, &options(), &model(), &too_few, &place.out(), &|_| {}));
    refused(extract(&place.set, &options(), &model(), &none, &place.out(), &|_| {}));
}

#[test]
fn features_that_are_not_finite_name_their_photograph() {
    let place = Workplace::new();
    let embed = |images: ArrayView4<f32>| {
        means(images).map(|means| means.mapv(|mean| if mean > 0.0 { f32::NAN } else { mean }))
    };
    let error = extract(&place.set, &options(), &model(), &embed, &place.out(), &|_| {}).expect_err("NaN").to_string();
    assert!(error.contains(".jpg: the network gives the feature NaN; expected finite features"), "{error}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let place = Workplace::new();
    let batch_size = |batch_size| Options { batch_size, ..options() };
    let views = |number| Options { views: Some(number), ..options() };
    for wrong in [views(0), views(usize::MAX), batch_size(0), batch_size(usize::MAX)] {
        assert!(matches!(place.extract(&wrong), Err(Error::Setting { .. })));
    }
    let mut only_train = Workplace::new();
    only_train.set.images.retain(|image| image.split == Split::Train);
    let message =
        only_train.extract(&Options { splits: vec![Split::Test], ..options() }).expect_err("none").to_string();
    assert!(message.contains("holds no image of this split"), "{message}");
    only_train.extract(&options()).expect("the training images alone");
}
