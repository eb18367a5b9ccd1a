//! Photographs that cannot be used or are not there.

use super::{Workplace, options};
use arcos::Error;
use arcos::data::Split;
use arcos::data::image::BoundingBox;
use arcos::extract::Options;
use std::fs;

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
