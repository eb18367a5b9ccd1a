//! What stands beside what, and what takes the place of what.

use super::{Workplace, means, model, options};
use arcos::Error;
use arcos::data::image::{ChannelOrder, Normalisation};
use arcos::data::{
    Dataset, ImageSet, LabelledImage, Split, read_class_labels, read_features, read_labels, read_matrix,
};
use arcos::extract::{Event, Manifest, ModelFile, Options, Tokens, extract};
use std::fs;
use std::path::PathBuf;

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
        // Not all that is there is of one extraction.
        let (features, labels) = (place.out().join("train_features.npy"), place.out().join("train_labels.npy"));
        let refusals = [
            read_features(&features).map(drop),
            read_matrix(&features).map(drop),
            read_labels(&labels, 0).map(drop),
            read_class_labels(&labels).map(drop),
        ];
        for message in refusals.map(|refused| refused.expect_err("a mixture").to_string()) {
            assert!(
                message.contains("holds some of its former features") && message.contains("start it again"),
                "{message}"
            );
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
fn nothing_but_what_extractions_make_is_removed() {
    let place = Workplace::new();
    place.extract(&options()).expect("well-formed");
    let before = place.files();
    let partial = place.out().join(".arcos-partial");
    let refused = |found: &str| {
        let error = place.extract(&Options { overwrite: true, seed: 1, ..options() }).expect_err(found);
        assert!(matches!(error, Error::File { .. }), "{error}");
        assert!(error.to_string().contains(found), "{error}");
        assert!(place.files().into_iter().filter(|(path, _)| *path != partial).eq(before.iter().cloned()), "{found}");
    };
    let names =
        ["thesis.txt", "notes.npz", "train-0123456789abcdef-0123.npz", ".arcos-unfinished-notes", "manifest.json.bak"];
    for name in names {
        fs::create_dir(&partial).expect("writable");
        fs::write(partial.join(name), "mine").expect("writable");
        refused(&format!(
            "{name}: is nothing that an extraction makes; expected nothing, or what an extraction has left"
        ));
        assert_eq!(fs::read_to_string(partial.join(name)).expect("there"), "mine");
        fs::remove_dir_all(&partial).expect("there");
    }
    let shard = format!("train-{}-{}.npz", "0".repeat(16), "f".repeat(32));
    fs::create_dir_all(partial.join(&shard)).expect("writable");
    refused(&format!("{shard}: is nothing that an extraction makes"));
    fs::remove_dir_all(&partial).expect("there");
    fs::write(&partial, "mine").expect("writable");
    refused(".arcos-partial: is not a directory");
    fs::remove_file(&partial).expect("there");
    #[cfg(unix)]
    {
        // Names that an extraction gives, in a directory that a link leads to, or as a link.
        let elsewhere = place.directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("writable");
        fs::write(elsewhere.join(&shard), "mine").expect("writable");
        std::os::unix::fs::symlink(&elsewhere, &partial).expect("writable");
        refused(".arcos-partial: is a link");
        fs::remove_file(&partial).expect("there");
        fs::create_dir(&partial).expect("writable");
        std::os::unix::fs::symlink(elsewhere.join(&shard), partial.join(&shard)).expect("writable");
        refused(&format!("{shard}: is nothing that an extraction makes"));
        assert_eq!(fs::read_to_string(elsewhere.join(&shard)).expect("there"), "mine");
        fs::remove_dir_all(&partial).expect("there");
    }
    place.extract(&options()).expect("nothing is in the way");
}

#[test]
fn what_cannot_be_put_in_its_place_leaves_all_that_was_there() {
    let place = Workplace::new();
    place.extract(&options()).expect("well-formed");
    let names = ["train_features.npy", "train_labels.npy", "test_features.npy", "test_labels.npy", "manifest.json"];
    let mut changed = options();
    changed.preprocessing.normalisation = Normalisation::Imagenet;
    changed.overwrite = true;
    for name in names {
        // At the start, or once hours have gone into the features.
        for at_the_start in [true, false] {
            let before: Vec<(PathBuf, Vec<u8>)> =
                place.files().into_iter().filter(|(path, _)| !path.ends_with(name)).collect();
            let (taken, kept) = (place.out().join(name), place.directory.path().join("kept"));
            let take = || {
                if !taken.is_dir() {
                    fs::rename(&taken, &kept).expect("there");
                    fs::create_dir(&taken).expect("writable");
                }
            };
            if at_the_start {
                take();
            }
            let on_event = |event: Event| {
                if matches!(event, Event::Start { .. }) {
                    take()
                }
            };
            let result = extract(&place.set, &changed, &model(), &means, &place.out(), &on_event);
            let message = result.expect_err("a directory is in the way").to_string();
            assert!(message.contains(&format!("{name}: is a directory; expected a file to write")), "{message}");
            assert!(place.files() == before, "{name}");
            assert!(!place.out().join(".arcos-partial/manifest.json").exists());
            fs::remove_dir(&taken).expect("there");
            fs::rename(&kept, &taken).expect("there");
            let file = |name: &str| place.out().join(name);
            Dataset::read(&file("train_features.npy"), &file("train_labels.npy"), None).expect("of one extraction");
        }
    }
    let before = place.features("train");
    place.extract(&changed).expect("nothing is in the way");
    assert_ne!(place.features("train"), before);
}

#[test]
fn features_of_a_former_format_do_not_stand_beside_new_ones() {
    let place = Workplace::new();
    place.extract(&Options { splits: vec![Split::Train], ..options() }).expect("well-formed");
    let path = place.out().join("manifest.json");
    let text = fs::read_to_string(&path).expect("written");
    fs::write(&path, text.replace("arcos features 3", "arcos features 2")).expect("writable");
    assert_eq!(Manifest::read(&place.out()).expect("read").expect("there").classes.len(), 3);
    let message = place.extract(&options()).expect_err("former features").to_string();
    assert!(
        message.contains("holds features that were extracted before unusual JPEGs were right; expected"),
        "{message}"
    );
    place.extract(&Options { overwrite: true, ..options() }).expect("replaced");
    fs::write(&path, text.replace("arcos features 3", "arcos features 1")).expect("writable");
    assert!(matches!(place.extract(&options()), Err(Error::File { .. })));
}
