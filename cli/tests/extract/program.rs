//! `arcos extract` as a user meets it.

use super::command::{arcos, complaint, stdout};

#[test]
fn bad_usage_exits_with_2() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let says = |arguments: &[&str], text: &str| {
        let complaint = complaint(&arcos(directory.path(), arguments), 2);
        assert!(complaint.contains(text), "{arguments:?}: {complaint}");
    };
    says(&["extract", "--model", "m.onnx"], "--cub <DIR>");
    says(&["extract", "--cub", "a"], "--model <FILE.onnx>");
    says(&["extract", "--cub", "a", "--folder", "b", "--model", "m.onnx"], "cannot be used with");
    says(&["extract", "--cub", "a", "--model", "m.onnx", "--split", "val"], "invalid value 'val'");
    says(&["extract", "--folder", "a", "--model", "m.onnx", "--whole-images"], "cannot be used with");
    says(&["extract", "--folder", "a", "--model", "m.onnx", "--seed", "1"], "--views <K>");
    let custom = ["extract", "--folder", "a", "--model", "m.onnx", "--mean", "0,0,0"];
    says(&custom, "--std <R,G,B>");
    says(&[&custom[..], &["--std", "1,1"]].concat(), "expected three numbers, as 0.5,0.5,0.5");
    says(&[&custom[..], &["--std", "1,1,1", "--normalise", "imagenet"]].concat(), "cannot be used with");
}

#[test]
fn help_says_what_it_takes() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let help = stdout(&arcos(directory.path(), &["extract", "--help"]));
    for text in ["--cub <DIR>", "--views <K>", "minus-one-one", "Needs a build with --features onnx", "Examples:"] {
        assert!(help.contains(text), "{text} is not in\n{help}");
    }
}

#[cfg(not(feature = "onnx"))]
#[test]
fn a_build_without_a_runtime_says_which_feature_it_lacks() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let message = complaint(&arcos(directory.path(), &["extract", "--cub", "a", "--model", "m.onnx"]), 1);
    let expected = "arcos: arcos extract needs an ONNX runtime, which this build lacks; build with `--features onnx`\n";
    assert_eq!(message, expected);
}

#[cfg(feature = "onnx")]
mod with_onnx {
    use super::*;
    use crate::command::command;
    use crate::{data_file, fixture};
    use ndarray::{Array1, Array2};
    use ndarray_npy::read_npy;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Stdio;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    const ARRAYS: [&str; 4] = ["train_features.npy", "train_labels.npy", "test_features.npy", "test_labels.npy"];

    fn network() -> String {
        data_file("efficientnet_tiny/model.onnx").to_str().expect("UTF-8").into()
    }

    fn data_set() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("temporary directory");
        let cub = directory.path().join("cub");
        fs::create_dir(&cub).expect("writable");
        fixture::write(&cub);
        directory
    }

    #[test]
    fn from_photographs_to_figures() {
        let directory = data_set();
        let network = network();
        let base = ["extract", "--cub", "cub", "--model", &network];
        let text = stdout(&arcos(directory.path(), &base));
        assert!(text.starts_with("7 images of 3 classes; "), "{text}");
        assert!(text.contains("64 x 64 pixels to 128 features, 1 at a time on each of "), "{text}");
        assert!(text.ends_with("train: 4 rows\ntest: 3 rows\nfeatures in features\n"), "{text}");
        let features: Array2<f32> = read_npy(directory.path().join("features/train_features.npy")).expect("written");
        assert_eq!(features.dim(), (4, 128));
        let labels: Array1<i64> = read_npy(directory.path().join("features/test_labels.npy")).expect("written");
        assert_eq!(labels, ndarray::array![0, 1, 2]);

        stdout(&arcos(
            directory.path(),
            &[&base[..], &["--out", "views", "--views", "6", "--split", "train"]].concat(),
        ));
        let features: Array2<f32> = read_npy(directory.path().join("views/train_features.npy")).expect("written");
        assert_eq!(features.dim(), (24, 128));
        assert!(!directory.path().join("views/test_features.npy").exists());

        // The manifest knows the names.
        let compare = ["compare", "--data", "features", "--heads", "softmax,adacos", "--epochs", "1"];
        let text = stdout(&arcos(directory.path(), &compare));
        assert!(text.contains("\nCuckoo "), "{text}");
        assert!(directory.path().join("arcos-compare/result.png").exists());
    }

    #[cfg(unix)]
    #[test]
    fn an_output_that_is_an_input_is_refused() {
        let directory = data_set();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("features")).expect("writable");
        fs::copy(network(), at("network.onnx")).expect("writable");
        let photograph = "cub/images/003.Cuckoo/Cuckoo_0003.jpg";
        for (input, output) in [
            ("network.onnx", "train_features.npy"),
            ("cub/images.txt", "manifest.json"),
            (photograph, "test_labels.npy"),
        ] {
            fs::hard_link(at(input), at("features").join(output)).expect("one file system");
            let before = fs::read(at(input)).expect("there");
            let extract = ["extract", "--cub", "cub", "--model", "network.onnx", "--overwrite"];
            let message = complaint(&arcos(directory.path(), &extract), 1);
            assert!(message.contains(&format!("{output}: is {input}, part of what this command reads")), "{message}");
            assert_eq!(fs::read(at(input)).expect("there"), before);
            fs::remove_file(at("features").join(output)).expect("there");
        }
    }

    #[test]
    fn bad_data_exits_with_1() {
        let directory = data_set();
        let network = network();
        let says = |arguments: &[&str], text: &str| {
            let complaint = complaint(&arcos(directory.path(), arguments), 1);
            assert!(complaint.contains(text), "{arguments:?}: {complaint}");
        };
        says(&["extract", "--cub", "nowhere", "--model", &network], "cannot read nowhere/images.txt");
        says(&["extract", "--cub", "cub", "--model", "nowhere.onnx"], "cannot read nowhere.onnx");
        says(&["extract", "--folder", "nowhere", "--model", &network], "cannot list nowhere");
        says(&["extract", "--cub", "cub", "--model", "cub/images.txt"], "cannot be loaded");
        fs::write(directory.path().join("cub/images/003.Cuckoo/Cuckoo_0003.jpg"), "no photograph").expect("writable");
        let extract = ["extract", "--cub", "cub", "--model", &network];
        says(&extract, "Cuckoo_0003.jpg: ");
        assert!(ARRAYS.iter().all(|name| !directory.path().join("features").join(name).exists()));
        let text = stdout(&arcos(directory.path(), &[&extract[..], &["--skip-bad"]].concat()));
        assert!(text.contains("skipped: cub/images/003.Cuckoo/Cuckoo_0003.jpg: "), "{text}");
        assert!(text.contains("test: 2 rows, 1 unusable image left out\n"), "{text}");
        let again = arcos(directory.path(), &[&extract[..], &["--skip-bad"]].concat());
        let expected =
            "class 003.Cuckoo has no row in features/test_features.npy: of its 1 test image, none can be used\n";
        assert_eq!(String::from_utf8_lossy(&again.stderr), format!("arcos: {expected}"));
        fs::remove_file(directory.path().join("cub/images/001.Albatross/Albatross_0001.jpg")).expect("there");
        says(
            &[&extract[..], &["--skip-bad"]].concat(),
            "1 missing of 4 train images, cub/images/001.Albatross/Albatross_0001.jpg",
        );
        let text = stdout(&arcos(directory.path(), &[&extract[..], &["--skip-bad", "--allow-missing"]].concat()));
        assert!(text.contains("train: 3 rows, 1 missing image left out\n"), "{text}");
        let complaint = super::complaint(&arcos(directory.path(), &[&extract[..], &["--views", "0"]].concat()), 2);
        assert!(complaint.contains("invalid value '0' for '--views <K>': expected at least 1"), "{complaint}");
        let too_many = arcos(directory.path(), &[&extract[..], &["--batch-size", "100000"]].concat());
        let complaint = super::complaint(&too_many, 2);
        assert!(complaint.contains("batch-size is 100000; expected 1 to 1024"), "{complaint}");
    }

    #[test]
    fn what_is_not_read_is_said() {
        let directory = data_set();
        let network = network();
        let said = |arguments: &[&str]| {
            let output = arcos(directory.path(), &[&["extract", "--model", &network], arguments].concat());
            let complaint = String::from_utf8(output.stderr.clone()).expect("UTF-8");
            stdout(&output);
            complaint
        };
        assert_eq!(said(&["--cub", "cub"]), "");
        assert_eq!(said(&["--cub", "cub", "--whole-images", "--out", "whole"]), "");
        let features = |run: &str| -> Array2<f32> {
            read_npy(directory.path().join(run).join("train_features.npy")).expect("written")
        };
        assert_ne!(features("features"), features("whole"));
        fs::remove_file(directory.path().join("cub/bounding_boxes.txt")).expect("there");
        let complaint = said(&["--cub", "cub", "--out", "no-boxes"]);
        assert_eq!(complaint, "arcos: cub has no bounding_boxes.txt: photographs are taken whole\n");
        assert_eq!(features("no-boxes"), features("whole"));

        let birds = directory.path().join("birds");
        for (file, format) in
            [("owl/a.webp", "webp"), ("owl/b.gif", "gif"), ("wren/deep/c.bmp", "bmp"), ("wren/d.tif", "tif")]
        {
            fs::create_dir_all(birds.join(file).parent().expect("a folder")).expect("writable");
            let format = image::ImageFormat::from_extension(format).expect("known");
            fixture::render((40, 30), 0, false).save_with_format(birds.join(file), format).expect("writable");
        }
        fs::write(birds.join("wren/\u{1b}[2J.txt"), "").expect("writable");
        let complaint = said(&["--folder", "birds", "--out", "of-birds", "--channels", "bgr"]);
        let expected = "arcos: birds: passed over files that are no photographs by their names: wren/\\u{1b}[2J.txt\n";
        assert_eq!(complaint, expected);
        let other = ["extract", "--folder", "birds", "--model", &network, "--out", "of-birds", "--split", "train"];
        let message = super::complaint(
            &arcos(directory.path(), &[&other[..], &["--mean", "0,0,0", "--std", "1,1,1"]].concat()),
            1,
        );
        assert!(message.contains("holds features of another network, preprocessing"), "{message}");
        fs::create_dir(birds.join("crow")).expect("writable");
        let message = super::complaint(&arcos(directory.path(), &other), 1);
        assert!(message.contains("birds/crow: holds no photograph; expected a class of at least one"), "{message}");
    }

    #[test]
    fn networks_that_take_bytes_get_them() {
        let directory = data_set();
        let path = |name: &str| data_file(&format!("networks/{name}.onnx")).to_str().expect("UTF-8").to_string();
        let extract = |network: &str, more: &[&str], status| {
            let model = path(network);
            let output = arcos(
                directory.path(),
                &[&["extract", "--cub", "cub", "--overwrite", "--model", &model], more].concat(),
            );
            if status > 0 {
                return complaint(&output, status);
            }
            let complaint = String::from_utf8(output.stderr.clone()).expect("UTF-8");
            stdout(&output);
            complaint
        };
        extract("bytes", &[], 0);
        let features: Array2<f32> = read_npy(directory.path().join("features/train_features.npy")).expect("written");
        assert!(features.iter().any(|&value| value > 10.0), "{features}");
        let message = extract("bytes", &["--normalise", "zero-one"], 2);
        assert!(message.contains("normalise is not zero-255; expected zero-255 or none: "), "{message}");
        let message = extract("several_outputs", &[], 0);
        assert!(
            message.ends_with("features come from features, the first of features, tokens; --output takes another\n"),
            "{message}"
        );
        assert_eq!(extract("several_outputs", &["--output", "tokens", "--tokens", "first"], 0), "");
        let message = extract("no_images", &[], 1);
        assert!(message.contains("its inputs are 0,3,8,8,F32") && !message.contains("batch-size"), "{message}");
    }

    /// A folder with `count` photographs in each of two classes.
    fn folder(count: u32) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("temporary directory");
        for class in ["owl", "wren"] {
            let folder = directory.path().join("birds").join(class);
            fs::create_dir_all(&folder).expect("writable");
            for number in 0..count {
                let photograph = fixture::render((70, 50 + number % 7), number, false);
                photograph.save(folder.join(format!("{number:04}.jpg"))).expect("writable");
            }
        }
        directory
    }

    fn shards(out: &Path) -> usize {
        let is_shard = |path: PathBuf| path.extension().is_some_and(|extension| extension == "npz");
        fs::read_dir(out.join(".arcos-partial")).map_or(0, |entries| {
            entries.filter(|entry| entry.as_ref().is_ok_and(|entry| is_shard(entry.path()))).count()
        })
    }

    #[cfg(unix)]
    #[test]
    fn an_interrupted_extraction_says_what_is_left() {
        let directory = folder(300);
        let network = network();
        let arguments = ["extract", "--folder", "birds", "--model", &network];
        let process = command(directory.path(), &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let start = Instant::now();
        while shards(&directory.path().join("features")) == 0 {
            assert!(start.elapsed() < Duration::from_secs(120), "no progress");
            sleep(Duration::from_millis(1));
        }
        stdout(&std::process::Command::new("kill").args(["-TERM", &process.id().to_string()]).output().expect("kill"));
        let output = process.wait_with_output().expect("ours");
        assert_eq!(output.status.code(), Some(143));
        let expected = "arcos: ended by a signal; features of images that are done stay in features, and the same command goes on after them\n";
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert!(shards(&directory.path().join("features")) > 0);
        let text = stdout(&arcos(directory.path(), &arguments));
        assert!(text.contains("going on after "), "{text}");
    }

    #[test]
    fn a_killed_extraction_goes_on_and_ends_with_the_same_bytes() {
        let directory = folder(300);
        let network = network();
        let arguments = |out| ["extract", "--folder", "birds", "--model", &network, "--out", out];
        stdout(&arcos(directory.path(), &arguments("whole")));

        let out = directory.path().join("killed");
        let mut kills = 0;
        // Each start gets one shard further than the one before, until one of them is done before it is killed.
        loop {
            let before = shards(&out);
            let mut process = command(directory.path(), &arguments("killed"))
                // So that there are shards left to kill it in, however many cores there are.
                .env("RAYON_NUM_THREADS", "2")
                .stdout(Stdio::null())
                .spawn()
                .expect("the program starts");
            let start = Instant::now();
            let status = loop {
                if let Some(status) = process.try_wait().expect("ours") {
                    break status;
                }
                if shards(&out) > before {
                    process.kill().expect("ours");
                    break process.wait().expect("ours");
                }
                assert!(start.elapsed() < Duration::from_secs(120), "no progress");
                sleep(Duration::from_millis(1));
            };
            if status.success() {
                break;
            }
            assert_eq!(status.code(), None, "it ends by a kill or well");
            kills += 1;
            assert!(kills < 100, "it does not get further");
            let is_whole = |name: &&&str| out.join(name).exists();
            // A kill between the last rename and the manifest leaves whole arrays.
            for name in ARRAYS.iter().filter(is_whole) {
                let path = |run: &str| directory.path().join(run).join(name);
                assert_eq!(fs::read(path("killed")).expect("there"), fs::read(path("whole")).expect("there"));
            }
        }
        assert!(kills >= 3, "{kills} kills");
        for name in ["train_features.npy", "train_labels.npy", "manifest.json"] {
            let path = |run: &str| directory.path().join(run).join(name);
            assert!(fs::read(path("killed")).expect(name) == fs::read(path("whole")).expect(name), "{name} differs");
        }
        assert!(!out.join(".arcos-partial").exists());
    }
}
