//! Photographs in one folder a class.

use arcos::data::{Split, image_folder};
use std::fs;
use std::path::Path;

fn with_files(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(&path, "not looked at").expect("writable");
    }
    directory
}

fn found(directory: &Path, whole: Split) -> Vec<(String, usize, Split)> {
    let set = image_folder::read(directory, whole, None).expect("photographs");
    set.images.iter().map(|image| (image.path.to_str().expect("UTF-8").into(), image.label, image.split)).collect()
}

#[test]
fn train_and_test_folders_share_their_classes() {
    let directory = with_files(&[
        "train/wren/b.jpg",
        "train/wren/a.PNG",
        "train/wren/notes.txt",
        "train/wren/.hidden.jpg",
        "train/.cache/x.jpg",
        "train/crow/x.jpeg",
        "test/wren/c.jpg",
        "test/owl/d.jpg",
        "val/gull/e.jpg",
        "readme.txt",
    ]);
    let set = image_folder::read(directory.path(), Split::Train, None).expect("photographs");
    assert_eq!(set.classes, ["crow", "owl", "wren"]);
    let passed_over: Vec<_> = set.passed_over.iter().map(|passed_over| passed_over.to_string()).collect();
    let expected = [
        "beside the folders for training and testing: readme.txt",
        "files that are no photographs by their names: train/wren/notes.txt",
        "folders for validation, which are read where there is none for testing: val",
        "names that begin with a dot: 2, train/.cache the first",
    ];
    assert_eq!(passed_over, expected);
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
fn splits_have_several_names_and_one_folder_each() {
    for (train, test) in [("Train", "valid"), ("training", "Validation"), ("train", "TESTING"), ("train", "val")] {
        let (first, second) = (format!("{train}/wren/a.jpg"), format!("{test}/wren/b.jpg"));
        let directory = with_files(&[&first, &second]);
        assert_eq!(found(directory.path(), Split::Train), [(first, 0, Split::Train), (second, 0, Split::Test)]);
    }
    let directory = with_files(&["valid/wren/a.jpg"]);
    assert_eq!(found(directory.path(), Split::Train), [("valid/wren/a.jpg".into(), 0, Split::Test)]);
    let directory = with_files(&["train/wren/a.jpg", "val/wren/b.jpg", "valid/wren/c.jpg"]);
    let message = image_folder::read(directory.path(), Split::Train, None).expect_err("which of them?").to_string();
    assert!(message.ends_with("holds val and valid; expected one folder a split"), "{message}");
}

#[test]
fn every_ending_of_a_photograph_is_known_and_folders_in_classes_are_gone_into() {
    let files = ["a.jpg", "b.JPEG", "c.jpe", "d.jfif", "e.png", "f.webp", "g.bmp", "h.dib", "i.tif", "j.Tiff", "k.gif"];
    let mut files: Vec<_> = files.map(|file| format!("wren/{file}")).into();
    files.extend(["wren/g/1.jpg".into(), "wren/g/h/2.jpg".into(), "owl/x.webp".into()]);
    let directory = with_files(&files.iter().map(String::as_str).chain(["x.jpg", "wren/a.heic"]).collect::<Vec<_>>());
    let set = image_folder::read(directory.path(), Split::Train, None).expect("photographs");
    files.sort();
    let paths: Vec<_> = set.images.iter().map(|image| image.path.to_str().expect("UTF-8")).collect();
    assert_eq!(
        paths.iter().copied().collect::<std::collections::BTreeSet<_>>(),
        files.iter().map(String::as_str).collect()
    );
    assert_eq!(set.images.iter().map(|image| image.label).collect::<Vec<_>>(), [vec![0], vec![1; 13]].concat());
    // Folders stand where their names do.
    assert_eq!(paths[7..10], ["wren/g/1.jpg", "wren/g/h/2.jpg", "wren/g.bmp"]);
    let passed_over: Vec<_> = set.passed_over.iter().map(|passed_over| passed_over.to_string()).collect();
    let expected =
        ["files beside the folders of classes: x.jpg", "files that are no photographs by their names: wren/a.heic"];
    assert_eq!(passed_over, expected);
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_those_that_lead_nowhere_are_missing_photographs() {
    use std::os::unix::fs::symlink;
    let directory = with_files(&["set/wren/a.jpg", "set/crow/x.jpg", "elsewhere/b.jpg", "elsewhere/deep/c.jpg"]);
    let set = directory.path().join("set");
    symlink(directory.path().join("elsewhere"), set.join("wren/more")).expect("writable");
    symlink(&set, set.join("wren/loop")).expect("writable");
    symlink("..", directory.path().join("elsewhere/deep/up")).expect("writable");
    symlink("nothing.jpg", set.join("wren/gone.jpg")).expect("writable");
    let read = image_folder::read(&set, Split::Train, None).expect("photographs");
    let paths: Vec<_> = read.images.iter().map(|image| image.path.to_str().expect("UTF-8")).collect();
    assert_eq!(paths, ["crow/x.jpg", "wren/a.jpg", "wren/gone.jpg", "wren/more/b.jpg", "wren/more/deep/c.jpg"]);
    let passed_over: Vec<_> = read.passed_over.iter().map(|passed_over| passed_over.to_string()).collect();
    assert_eq!(passed_over, ["links to folders that are read already: 2, wren/loop the first"]);

    symlink("nowhere", set.join("owl")).expect("writable");
    let message = image_folder::read(&set, Split::Train, None).expect_err("a class is not there").to_string();
    assert!(message.starts_with("cannot read ") && message.contains("/owl: "), "{message}");
}

#[cfg(unix)]
#[test]
fn photographs_of_two_classes_or_splits_are_refused() {
    use std::os::unix::fs::symlink;
    for (target, link, of, also) in [
        ("train", "test", "test/crow", "train/crow"),
        ("train/wren", "test/wren", "test/wren", "train/wren"),
        ("train/wren", "train/zebra", "train/zebra", "train/wren"),
        ("train/wren/nest", "train/crow/more", "train/wren", "train/crow"),
    ] {
        let directory = with_files(&["train/wren/a.jpg", "train/wren/nest/b.jpg", "train/crow/c.jpg"]);
        let link = directory.path().join(link);
        fs::create_dir_all(link.parent().expect("a folder")).expect("writable");
        symlink(directory.path().join(target), link).expect("writable");
        let message = image_folder::read(directory.path(), Split::Train, None).expect_err("once more").to_string();
        assert!(message.contains(&format!("{of}: leads to photographs that ")), "{message}");
        assert!(message.contains(&format!("{also} has too; expected each photograph in one class")), "{message}");
    }
}

#[test]
fn what_arcos_has_written_among_classes_is_no_class() {
    let directory = with_files(&[
        "wren/a.jpg",
        "owl/b.jpg",
        "arcos-run/run.json",
        "arcos-run/checkpoints/epoch_1.json",
        "arcos-run/training.png",
        "features/manifest.json",
        "features/test_features.npy",
        "begun/.arcos-partial/x.npz",
        "owl/report/evaluation.json",
        "owl/report/reliability.png",
        "results/notes.txt",
        "results/of_birds/manifest.json",
        "results/of_birds/train_features.npy",
        // A class may have any of these by itself.
        "manifest/manifest.json",
        "manifest/c.jpg",
    ]);
    let set = image_folder::read(directory.path(), Split::Train, None).expect("photographs");
    assert_eq!(set.classes, ["manifest", "owl", "wren"]);
    assert_eq!(set.images.len(), 3);
    let passed_over: Vec<_> = set.passed_over.iter().map(|passed_over| passed_over.to_string()).collect();
    assert!(
        passed_over.contains(&"directories that arcos has written: 5, arcos-run the first".into()),
        "{passed_over:?}"
    );
}

#[test]
fn folders_without_photographs_are_refused() {
    let directory = with_files(&["wren/notes.txt"]);
    let message = image_folder::read(directory.path(), Split::Train, None).expect_err("no photograph").to_string();
    assert!(message.contains("holds no photograph; expected a folder for each class"), "{message}");
    let message =
        image_folder::read(&directory.path().join("gone"), Split::Train, None).expect_err("nothing").to_string();
    assert!(message.starts_with("cannot list ") && message.contains("gone"), "{message}");

    let directory = with_files(&["owl/a.heic", "wren/a.jpg"]);
    let message = image_folder::read(directory.path(), Split::Train, None).expect_err("an empty class").to_string();
    assert!(
        message.contains("owl: holds no photograph; expected a class of at least one: files that end in"),
        "{message}"
    );
    // One without photographs to train on is one all the same.
    let directory = with_files(&["train/owl/a.heic", "train/wren/a.jpg", "test/owl/b.jpg"]);
    let set = image_folder::read(directory.path(), Split::Train, None).expect("photographs");
    assert_eq!(set.classes, ["owl", "wren"]);
    let expected = "folders of classes without a photograph: train/owl";
    assert!(set.passed_over.iter().any(|passed_over| passed_over.to_string() == expected), "{:?}", set.passed_over);
}
