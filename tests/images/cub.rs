//! CUB-200-2011's layout, whole and broken.

use super::fixture::{self, PHOTOGRAPHS};
use arcos::data::image::BoundingBox;
use arcos::data::{Split, cub};
use arcos::{Error, Result};
use std::fs;
use std::path::Path;

fn data_set() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    fixture::write(directory.path());
    directory
}

#[test]
fn what_belongs_together_is_found_by_id() {
    let directory = data_set();
    let set = cub::read(directory.path()).expect("well-formed");
    assert_eq!(set.classes, ["001.Albatross", "002.Bunting", "003.Cuckoo"]);
    assert_eq!(set.classes, cub::read_classes(directory.path()).expect("well-formed"));
    assert_eq!(set.images.len(), PHOTOGRAPHS.len());
    for (found, expected) in set.images.iter().zip(&PHOTOGRAPHS) {
        assert_eq!(found.path, Path::new(expected.file));
        assert_eq!(found.label, expected.class as usize - 1);
        assert_eq!(found.split == Split::Train, expected.is_train);
        let numbers: Vec<f64> =
            expected.bounding_box.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [x, y, width, height] = numbers[..] else { panic!("four numbers") };
        assert_eq!(found.bounding_box, Some(BoundingBox { x, y, width, height }));
        assert!(set.root.join(&found.path).exists());
    }
}

#[test]
fn byte_order_marks_are_passed_over() {
    let directory = data_set();
    let plain = cub::read(directory.path()).expect("well-formed");
    let tables = ["images", "image_class_labels", "train_test_split", "bounding_boxes", "classes"];
    for path in tables.map(|name| directory.path().join(name).with_extension("txt")) {
        let text = fs::read_to_string(&path).expect("written");
        fs::write(&path, format!("\u{feff}{text}")).expect("writable");
    }
    assert_eq!(cub::read(directory.path()).expect("well-formed"), plain);
}

#[test]
fn a_part_of_the_images_is_a_data_set_and_gaps_between_class_ids_close() {
    let directory = data_set();
    fs::write(
        directory.path().join("images.txt"),
        "4 002.Bunting/Bunting_0001.jpg\r\n\r\n100 003.Cuckoo/a name.jpg\r\n",
    )
    .expect("writable");
    fs::write(directory.path().join("classes.txt"), "200 003.Cuckoo\n2 002.Bunting\n3 x\n").expect("writable");
    fs::write(directory.path().join("image_class_labels.txt"), "100 200\n7 999\n4 2\n").expect("writable");
    let set = cub::read(directory.path()).expect("well-formed");
    let found: Vec<_> = set.images.iter().map(|image| (image.path.to_str().expect("UTF-8"), image.label)).collect();
    assert_eq!(found, [("002.Bunting/Bunting_0001.jpg", 0), ("003.Cuckoo/a name.jpg", 2)]);
}

/// The error after `file` has been given other contents, or taken away.
fn error_with(file: &str, contents: Option<&str>) -> Error {
    let directory = data_set();
    let path = directory.path().join(file);
    match contents {
        Some(contents) => fs::write(path, contents).expect("writable"),
        None => fs::remove_file(path).expect("there"),
    }
    let result: Result<_> = cub::read(directory.path());
    result.expect_err(file)
}

#[test]
fn a_missing_file_is_named() {
    for file in ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"] {
        let error = error_with(file, None);
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn a_missing_id_is_named_with_its_file() {
    let error = error_with("bounding_boxes.txt", Some("1 0 0 5 5\n2 0 0 5 5\n"));
    assert!(matches!(error, Error::File { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.ends_with("bounding_boxes.txt: no line for id 4; expected one for each image of images.txt"),
        "{message}"
    );
    assert!(
        error_with("image_class_labels.txt", Some("1 1\n"))
            .to_string()
            .contains("image_class_labels.txt: no line for id 2;")
    );
    assert!(
        error_with("train_test_split.txt", Some("")).to_string().contains("train_test_split.txt: no line for id 1;")
    );
}

#[test]
fn a_malformed_line_is_named_with_its_file_and_number() {
    let says = |file: &str, contents: &str, line: usize, text: &str| {
        let error = error_with(file, Some(contents));
        assert!(matches!(&error, Error::Line { line: found, .. } if *found == line), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("{file}, line {line}: {text}")), "{message}");
    };
    says("images.txt", "1 a.jpg\nb.jpg\n", 2, "\"b.jpg\"; expected an id, a space, and a value");
    says("images.txt", "1 a.jpg\n\n-2 b.jpg\n", 3, "\"-2 b.jpg\"");
    says("images.txt", "1 a.jpg\n2 b.jpg\n1 c.jpg\n", 3, "id 1, as on line 1; expected each id once");
    says("classes.txt", "1\n", 1, "\"1\"");
    says("image_class_labels.txt", "1 one\n", 1, "\"one\"; expected a class id");
    says("image_class_labels.txt", "1 1\n2 4\n", 2, "class 4; expected one of 3 ids in classes.txt");
    says("image_class_labels.txt", "1 0\n", 1, "class 0; expected one of 3 ids in classes.txt");
    says("train_test_split.txt", "1 2\n", 1, "\"2\"; expected 1 (training image) or 0 (test image)");
    for numbers in ["1 2 3", "1 2 3 4 5", "1 2 3 x", "1 2 NaN 4", "1 2 inf 4"] {
        says(
            "bounding_boxes.txt",
            &format!("1 {numbers}\n"),
            1,
            &format!("box {numbers:?}; expected x, y, width and height"),
        );
    }
}

#[test]
fn photographs_are_inside_their_folder() {
    for file in ["../../x.png", "/dev/zero", "001.Albatross/../../../x.jpg", ".."] {
        let error = error_with("images.txt", Some(&format!("1 001.Albatross/Albatross_0001.jpg\n2 {file}\n")));
        let message = error.to_string();
        assert!(message.contains("images.txt, line "), "{message}");
        assert!(message.ends_with(&format!("{file:?}; expected a path inside images/")), "{message}");
    }
}

#[test]
fn a_photograph_has_one_id() {
    for file in ["001.Albatross/Albatross_0001.jpg", "./001.Albatross/./Albatross_0001.jpg"] {
        let error = error_with("images.txt", Some(&format!("7 001.Albatross/Albatross_0001.jpg\n9 {file}\n")));
        let message = error.to_string();
        let expected = format!("images.txt, line 2: {file:?}, as of id 7; expected each photograph once");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn a_class_has_one_name() {
    let listed = fs::read_to_string(data_set().path().join("classes.txt")).expect("there");
    let (id, name) = listed.lines().next().and_then(|line| line.split_once(' ')).expect("a class");
    let error = error_with("classes.txt", Some(&format!("{listed}99 {name}\n"))).to_string();
    assert!(error.ends_with(&format!(": {name:?}, as of id {id}; expected each name once")), "{error}");
}

#[test]
fn boxes_may_be_empty_and_their_file_may_be_missing() {
    let directory = data_set();
    let boxes = directory.path().join("bounding_boxes.txt");
    let text = fs::read_to_string(&boxes).expect("there").replace("7 0.0 0.0 1.0 1.0", "7 0.0 0.0 0.0 -1.0");
    fs::write(&boxes, text).expect("writable");
    let set = cub::read(directory.path()).expect("well-formed");
    let box_without_pixels = BoundingBox { x: 0.0, y: 0.0, width: 0.0, height: -1.0 };
    assert_eq!(set.images[3].bounding_box, Some(box_without_pixels));
    fs::remove_file(boxes).expect("there");
    let set = cub::read(directory.path()).expect("well-formed");
    assert!(set.images.len() == PHOTOGRAPHS.len() && set.images.iter().all(|image| image.bounding_box.is_none()));
}

#[test]
fn a_list_of_no_images_is_refused() {
    assert!(error_with("images.txt", Some("\n")).to_string().contains("lists no image"));
}

#[cfg(unix)]
#[test]
fn a_list_that_is_no_regular_file_is_refused_at_once() {
    for list in cub::LISTS {
        let directory = data_set();
        let path = directory.path().join(list);
        fs::remove_file(&path).expect("there");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("writable");
        let message = cub::read(directory.path()).expect_err(list).to_string();
        assert!(message.ends_with(&format!("{list}: is no regular file; expected a regular file")), "{message}");
    }
}
