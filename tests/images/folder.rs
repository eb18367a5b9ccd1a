//! Photographs in one folder a class.

use super::fixture::render;
use arcos::data::{Split, image_folder};
use std::fs;
use std::path::Path;

fn with_files(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        match path.extension() {
            Some(extension) if extension != "txt" => render((8, 8), 0, false).save(&path).expect("writable"),
            _ => fs::write(&path, "no photograph").expect("writable"),
        }
    }
    directory
}

fn found(directory: &Path, whole: Split) -> Vec<(String, usize, Split)> {
    let set = image_folder::read(directory, whole).expect("photographs");
    set.images.iter().map(|image| (image.path.to_str().expect("UTF-8").into(), image.label, image.split)).collect()
}

#[test]
fn train_and_test_folders_share_their_classes() {
    let directory = with_files(&[
        "train/wren/b.jpg",
        "train/wren/a.PNG",
        "train/wren/notes.txt",
        "train/wren/.hidden.jpg",
        "train/crow/x.jpeg",
        "test/wren/c.jpg",
        "test/owl/d.jpg",
        "val/gull/e.jpg",
        "readme.txt",
    ]);
    let set = image_folder::read(directory.path(), Split::Train).expect("photographs");
    assert_eq!(set.classes, ["crow", "owl", "wren"]);
    let expected = [
        ("train/crow/x.jpeg", 0, Split::Train),
        ("train/wren/a.PNG", 2, Split::Train),
        ("train/wren/b.jpg", 2, Split::Train),
        ("test/owl/d.jpg", 1, Split::Test),
        ("test/wren/c.jpg", 2, Split::Test),
    ];
    assert_eq!(found(directory.path(), Split::Train), expected.map(|(path, label, split)| (path.into(), label, split)));
}

#[test]
fn val_stands_for_test_and_classes_alone_for_one_split() {
    let directory = with_files(&["train/wren/a.jpg", "val/wren/b.jpg"]);
    let val = ("val/wren/b.jpg".into(), 0, Split::Test);
    assert_eq!(found(directory.path(), Split::Train), [("train/wren/a.jpg".into(), 0, Split::Train), val]);

    let directory = with_files(&["train/a.jpg", "bus/b.jpg"]);
    let of = |path: &str, label| (path.into(), label, Split::Train);
    assert_eq!(found(directory.path(), Split::Train), [of("bus/b.jpg", 0), of("train/a.jpg", 1)]);

    let directory = with_files(&["wren/a.jpg", "owl/b.jpg"]);
    for split in Split::ALL {
        assert_eq!(found(directory.path(), split), [("owl/b.jpg".into(), 0, split), ("wren/a.jpg".into(), 1, split)]);
    }
}

#[test]
fn folders_without_photographs_are_refused() {
    let directory = with_files(&["wren/notes.txt"]);
    let message = image_folder::read(directory.path(), Split::Train).expect_err("no photograph").to_string();
    assert!(message.contains("holds no photograph; expected a folder for each class"), "{message}");
    let message = image_folder::read(&directory.path().join("gone"), Split::Train).expect_err("nothing").to_string();
    assert!(message.starts_with("cannot list ") && message.contains("gone"), "{message}");
}
