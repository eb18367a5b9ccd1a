//! What rows are of: photographs, views, what a network makes of them.

use super::{Workplace, means, model, options};
use arcos::Error;
use arcos::Result;
use arcos::data::Split;
use arcos::data::image::to_unit_range;
use arcos::extract::{Manifest, Options, extract};
use ndarray::{Array2, ArrayView4, Axis};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

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
