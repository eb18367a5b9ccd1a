//! Arrays that NumPy wrote, of every type, order and endianness, and files that are no such arrays.

use super::command::{arcos, complaint};
use super::numpy_file;
use super::program::with_data;
use arcos::data::{Dataset, Matrix, read_features, read_labels, read_matrix, read_vector};
use arcos::{Error, Result};
use ndarray::{Array1, Array2, ShapeBuilder, array};
use ndarray_npy::{read_npy, write_npy};
use std::fs;
use std::path::PathBuf;

fn expected() -> Array2<f32> {
    Array2::from_shape_fn((4, 3), |(row, column)| (3 * row + column) as f32 / 8.0 - 0.5)
}

#[test]
fn features_of_every_float_order_and_endianness() {
    for code in ["f2", "f4", "f8"] {
        for endian in ["little", "big"] {
            for order in ["c", "fortran"] {
                let name = format!("features_{code}_{endian}_{order}.npy");
                let features = read_features(&numpy_file(&name)).expect(&name);
                assert_eq!(features.rows().all().expect("readable"), expected(), "{name}");
                let stays = cfg!(target_endian = "little") && name == "features_f4_little_c.npy";
                assert_eq!(features.is_in_file(), stays, "{name}");
            }
        }
    }
    assert_eq!(
        read_features(&numpy_file("features_format_2.npy")).expect("version 2").rows().all().expect("readable"),
        expected()
    );
}

#[test]
fn integers_are_features_and_whole_numbers_labels() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("x.npy");
    write_npy(&path, &array![[0u8, 255], [7, 1]]).expect("writable");
    assert_eq!(read_features(&path).expect("u8").rows().all().expect("readable"), array![[0.0, 255.0], [7.0, 1.0]]);
    write_npy(&path, &array![[-3i64, 1 << 20]]).expect("writable");
    assert_eq!(read_features(&path).expect("i64").rows().all().expect("readable"), array![[-3.0, 1_048_576.0]]);
    assert_eq!(read_matrix(&path).expect("i64"), Matrix::F32(array![[-3.0, 1_048_576.0]]));
    for code in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"] {
        for endian in ["little", "big"] {
            let name = format!("labels_{code}_{endian}.npy");
            assert_eq!(read_vector(&numpy_file(&name)).expect(&name), array![0.0, 2.0, 1.0, 2.0], "{name}");
        }
    }
    assert_eq!(read_labels(&numpy_file("labels_float.npy"), 0).expect("whole"), array![0, 2, 1, 2]);
    let refused = [f64::NAN, 0.5, -1e300].map(|label| {
        write_npy(&path, &array![1.0, label]).expect("writable");
        read_labels(&path, 0).expect_err("not whole").to_string()
    });
    for (message, found) in refused.iter().zip(["NaN", "0.5", "-1e300"]) {
        assert!(message.contains(&format!("label {found} in row 1; expected")), "{message}");
    }
}

#[test]
fn shapes_of_python_2_are_read() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let whole = fs::read(numpy_file("features_f4_little_c.npy")).expect("committed");
    let text = String::from_utf8_lossy(&whole[10..128]).replace("(4, 3), }  ", "(4L, 3L), }");
    let path = directory.path().join("x.npy");
    fs::write(&path, [&whole[..10], text.as_bytes(), &whole[128..]].concat()).expect("writable");
    assert_eq!(read_features(&path).expect("Python 2").rows().all().expect("readable"), expected());
}

/// Batches are shuffled; row 91 is of a class that trains in an open set, too.
#[test]
fn a_row_without_direction_is_named_by_its_row_in_the_file() {
    let directory = with_data();
    let path = directory.path().join("data/train_features.npy");
    let mut features: Array2<f32> = read_npy(&path).expect("written");
    features.row_mut(91).fill(0.0);
    write_npy(&path, &features).expect("writable");
    let train = ["train", "--head", "arcface", "--data", "data", "--transform", "none", "--epochs", "1"];
    for more in [&[][..], &["--kernel", "explicit"], &["--batch-size", "7"]] {
        let message = complaint(&arcos(directory.path(), &[&train, more].concat()), 1);
        let expected =
            "arcos: data/train_features.npy: features row 91 has norm 0; expected a norm above 9.8607613e-32, ";
        assert!(message.starts_with(expected), "{message}");
    }
    features.row_mut(91).fill(1.0);
    write_npy(&path, &features).expect("writable");
    let test = directory.path().join("data/test_features.npy");
    let mut features: Array2<f32> = read_npy(&test).expect("written");
    features.row_mut(57).fill(1e-38);
    write_npy(&test, &features).expect("writable");
    let output = arcos(directory.path(), &train);
    let message = complaint(&output, 1);
    assert!(message.starts_with("arcos: data/test_features.npy: features row 57 has norm 5.6568"), "{message}");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!said.contains("epoch"), "before training: {said}");
    // Heads that take a feature's length as it is have no need of a direction; a comparison goes on with them.
    let heads = ["compare", "--heads", "arcface,softmax", "--data", "data", "--transform", "none", "--epochs", "1"];
    let output = arcos(directory.path(), &heads);
    let message = complaint(&output, 1);
    assert!(message.contains("arcface failed: data/test_features.npy: features row 57"), "{message}");
    assert!(message.ends_with("1 of 2 heads failed: arcface\n"), "{message}");
    // Row 0 is one that the other open set does not have.
    features.row_mut(57).fill(1.0);
    write_npy(&test, &features).expect("writable");
    let mut features: Array2<f32> = read_npy(&path).expect("written");
    features.row_mut(91).fill(0.0);
    write_npy(&path, &features).expect("writable");
    let open = ["--open-set", "--epochs", "2"];
    let file_row = complaint(&arcos(directory.path(), &[&train[..7], &open].concat()), 1);
    assert!(file_row.contains("row 91 has norm 0"), "{file_row}");
}

#[test]
fn a_number_that_single_precision_does_not_hold_is_said_as_it_stands() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let features: Array2<f32> = read_npy(at("data/train_features.npy")).expect("written");
    let mut features = features.mapv(f64::from);
    features[[91, 3]] = -1e300;
    let expected = "data/train_features.npy: -1e300 in row 91, column 3; expected numbers that single precision holds, up to \
                    3.4028235e38";
    let mut in_fortran_order = Array2::zeros(features.dim().f());
    in_fortran_order.assign(&features);
    for written in [&features, &in_fortran_order] {
        write_npy(at("data/train_features.npy"), written).expect("writable");
        let train = ["train", "--head", "adacos", "--data", "data"];
        let message = complaint(&arcos(directory.path(), &train), 1);
        assert_eq!(message, format!("arcos: {expected}\n"));
    }
    features[[5, 0]] = f64::INFINITY;
    features[[91, 3]] = 0.0;
    write_npy(at("data/train_features.npy"), &features).expect("writable");
    let message = complaint(&arcos(directory.path(), &["train", "--head", "adacos", "--data", "data"]), 1);
    assert!(message.ends_with("features[5, 0] is inf; expected a finite number\n"), "{message}");
    features[[5, 0]] = 1e-300;
    features.row_mut(91).fill(0.0);
    features[[91, 4]] = -1e-60;
    write_npy(at("data/train_features.npy"), &features).expect("writable");
    let message = complaint(&arcos(directory.path(), &["train", "--head", "adacos", "--data", "data"]), 1);
    let expected = "train_features.npy: 1e-60 at most in row 91; expected rows that single precision tells from 0";
    assert!(message.contains(expected), "{message}");

    write_npy(at("w.npy"), &array![[1.0f32, 0.0], [0.0, 1.0]]).expect("writable");
    write_npy(at("y.npy"), &array![0i64, 1]).expect("writable");
    write_npy(at("b.npy"), &array![0.5, 1e39]).expect("writable");
    let grad =
        ["grad", "--head", "softmax", "--features", "w.npy", "--weights", "w.npy", "--labels", "y.npy", "--out", "g"];
    let message = complaint(&arcos(directory.path(), &[&grad[..], &["--bias", "b.npy"]].concat()), 1);
    assert!(message.contains("b.npy: 1e39 in row 1; expected numbers that single precision holds"), "{message}");
}

#[test]
fn features_and_labels_in_archives() {
    let named = |archive: &str, name: &str| PathBuf::from(format!("{}:{name}", numpy_file(archive).display()));
    assert_eq!(
        read_features(&named("stored.npz", "features")).expect("named").rows().all().expect("readable"),
        expected()
    );
    assert_eq!(read_labels(&named("stored.npz", "labels"), 0).expect("named"), array![0, 2, 1, 2]);
    assert_eq!(
        read_features(&numpy_file("deflated.npz")).expect("the only one").rows().all().expect("readable"),
        expected()
    );

    let message = read_features(&numpy_file("stored.npz")).expect_err("two arrays").to_string();
    assert!(message.contains("no array is named") && message.contains("features, labels"), "{message}");
    let message = read_features(&named("stored.npz", "x")).expect_err("no such array").to_string();
    assert!(message.contains("no array is called \"x\"") && message.contains("features, labels"), "{message}");
}

#[test]
fn labels_of_every_integer_type() {
    for code in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"] {
        for endian in ["little", "big"] {
            let name = format!("labels_{code}_{endian}.npy");
            assert_eq!(read_labels(&numpy_file(&name), 0).expect(&name), array![0, 2, 1, 2], "{name}");
        }
    }
    assert_eq!(read_labels(&numpy_file("labels_column.npy"), 0).expect("one column"), array![0, 2, 1, 2]);
}

#[test]
fn labels_from_one_leave_the_ignore_value_alone() {
    let labels = read_labels(&numpy_file("labels_ignored.npy"), 1).expect("labels from 1");
    assert_eq!(labels, array![0, -100, 1, 2]);
    assert!(read_labels(&numpy_file("labels_i8_little.npy"), i64::MIN).is_err(), "no room for the difference");
    let message = read_labels(&numpy_file("labels_i8_little.npy"), 1).expect_err("a label 0").to_string();
    assert!(
        message.ends_with("label 0 in row 0; expected labels from 1 (the label of the first class), or -100 for none"),
        "{message}"
    );
}

#[test]
fn matrices_keep_their_precision() {
    assert_eq!(
        read_matrix(&numpy_file("features_f8_big_fortran.npy")).expect("f64"),
        Matrix::F64(expected().mapv(f64::from))
    );
    assert_eq!(read_matrix(&numpy_file("features_f4_little_c.npy")).expect("f32"), Matrix::F32(expected()));
    assert_eq!(read_matrix(&numpy_file("features_f2_little_c.npy")).expect("f16"), Matrix::F32(expected()));
    assert_eq!(read_vector(&numpy_file("labels_float.npy")).expect("f64"), array![0.0, 2.0, 1.0, 2.0]);
}

fn assert_file_error<T: std::fmt::Debug>(result: Result<T>, found: &str) {
    match result {
        Err(error @ Error::File { .. }) => assert!(error.to_string().contains(found), "{error}"),
        other => panic!("{found}: {other:?}"),
    }
}

#[test]
fn arrays_of_the_wrong_kind() {
    assert_file_error(
        read_features(&numpy_file("features_three_dimensions.npy")),
        "has shape [2, 2, 2]; expected a matrix",
    );
    assert_file_error(
        read_features(&numpy_file("features_complex.npy")),
        "dtype '<c8'; expected a matrix of f16, f32, f64 or integers",
    );
    assert_file_error(read_features(&numpy_file("labels_i8_little.npy")), "has shape [4]; expected a matrix");
    assert_file_error(
        read_labels(&numpy_file("features_complex.npy"), 0),
        "dtype '<c8'; expected a vector of integers",
    );
    assert_file_error(read_labels(&numpy_file("features_f4_little_c.npy"), 0), "has shape [4, 3]; expected a vector");
    assert_file_error(read_matrix(&numpy_file("labels_float.npy")), "has shape [4]");
}

#[test]
fn files_that_are_no_arrays() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("writable");
        path
    };
    let whole = fs::read(numpy_file("features_f4_little_c.npy")).expect("committed");
    assert_file_error(read_features(&write("empty.npy", b"")), "no .npy array");
    assert_file_error(
        read_features(&write("text.npy", b"1.0,2.0\n3.0,4.0\n, and more than ten bytes")),
        "no .npy array",
    );
    assert_file_error(read_features(&write("header.npy", &whole[..40])), "no .npy array");
    assert_file_error(read_features(&write("short.npy", &whole[..whole.len() - 1])), "ends before its last element");
    assert_file_error(
        read_features(&write("long.npy", &[&whole[..], b"x"].concat())),
        "has bytes after its last element",
    );
    assert_file_error(read_features(&write("text.npz", b"not an archive")), "no .npz archive");
    // A header that claims terabytes is refused for what is missing, not for lack of memory.
    let claims = String::from_utf8_lossy(&whole[..128]).into_owned();
    let claims: Vec<u8> =
        [&whole[..10], claims[claims.find('{').expect("a header")..].replace("(4, 3)", "(4000000000, 300)").as_bytes()]
            .concat();
    assert!(read_features(&write("claims.npy", &claims)).is_err());

    let missing = directory.path().join("missing.npy");
    let message = read_features(&missing).expect_err("no such file").to_string();
    assert!(message.starts_with("cannot read ") && message.contains("missing.npy"), "{message}");
}

#[test]
fn features_and_labels_that_do_not_belong_together() {
    let features = || read_features(&numpy_file("features_f4_little_c.npy")).expect("committed");
    let refused = |labels: Array1<i64>| Dataset::new(features(), labels).expect_err("refused");
    assert!(matches!(refused(array![0, 1]), Error::Shape { what: "labels", .. }));
    assert_eq!(refused(array![0, 1, -1, 0]).to_string(), "labels[2] is -1; expected 0 or more, or -100 for none");
    assert!(matches!(refused(array![-100, -100, -100, -100]), Error::NothingLabelled { .. }));
    let data = Dataset::new(features(), array![0, 1, -100, 4]).expect("well-formed");
    assert_eq!((data.rows(), data.dimension(), data.classes()), (4, 3, 5));

    let with = |value: f32| Dataset::new(array![[1.0, value]].into(), array![0]).expect_err("refused").to_string();
    assert_eq!(with(f32::NAN), "features[0, 1] is NaN; expected a finite number");
    assert_eq!(with(f32::INFINITY), "features[0, 1] is inf; expected a finite number");
}

/// A device without end, and a socket: a pipe would do as well, but for the process that makes it, which inherits other tests' locks.
#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    use super::command::stdout;
    use std::os::unix::fs::symlink;
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let train = ["train", "--head", "softmax", "--data", "data", "--epochs", "1"];
    stdout(&arcos(directory.path(), &train));
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a short path");
    for (name, target) in
        [("zero", "/dev/zero"), ("of.npy", "/dev/zero"), ("of.npz", "/dev/zero"), ("of.txt", "socket")]
    {
        symlink(target, at(name)).expect("writable");
    }
    let says = |arguments: &[&str], file: &str| {
        let message = complaint(&arcos(directory.path(), arguments), 1);
        let expected = format!("{file}: is no regular file; expected ");
        assert!(message.contains(&expected), "{arguments:?}: {message}");
    };
    let (features, labels) = ("data/test_features.npy", "data/test_labels.npy");
    for file in ["zero", "socket", "of.npy", "of.npz", "of.txt"] {
        says(&["predict", "--features", file], file);
        says(&["embed", "--features", file, "--out", "e.npy"], file);
        says(&["evaluate", "--features", file, "--labels", labels], file);
        says(&["evaluate", "--features", features, "--labels", file], file);
        says(&["evaluate", "--embeddings", features, "--pairs", file], file);
        says(&[&train[..], &["--out", "other", "--class-names", file]].concat(), file);
        says(&[&train[..], &["--out", "other", "--sample-weights", file]].concat(), file);
        says(
            &["grad", "--head", "softmax", "--features", file, "--weights", file, "--labels", file, "--out", "g"],
            file,
        );
    }
    for file in ["of.txt", "of.npz"] {
        let pairs = ["evaluate", "--embeddings", features, "--pairs", "p.txt", "--manifest", file];
        fs::write(at("p.txt"), "a b 1\n").expect("writable");
        says(&pairs, file);
    }
    // Files of a run, and those of data.
    for (file, arguments) in [
        ("arcos-run/checkpoints/epoch-0001.safetensors", &["predict", "--features", features][..]),
        ("arcos-run/checkpoints/epoch-0001.json", &["predict", "--features", features]),
        ("arcos-run/run.json", &["train", "--resume", "--epochs", "2"]),
        ("data/train_labels.npy", &["compare", "--data", "data", "--epochs", "1"]),
    ] {
        fs::rename(at(file), at("kept")).expect("there");
        symlink("/dev/zero", at(file)).expect("writable");
        says(arguments, file);
        fs::rename(at("kept"), at(file)).expect("there");
    }
}
