//! `.npy` files that are damaged or made to do harm.

use super::command::{arcos, complaint};
use super::hostile::{adacos, data, header, noise, npy, refusal, taken, trained, written};
use super::numpy_file;
use arcos::data::{Dataset, open_set_split, read_class_labels, read_features, read_labels, read_matrix, read_vector};
use arcos::train::{TrainConfig, Trainer};
use arcos::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What is said of a file that no reader takes.
fn refused(path: &Path) -> String {
    refusal(read_labels(path, 0), path);
    refusal(read_vector(path), path);
    refusal(read_matrix(path), path);
    refusal(read_features(path), path)
}

/// What the program says of embeddings and labels that it must refuse.
fn refused_by_program(path: &Path) -> String {
    let file = path.to_str().expect("UTF-8");
    let output = arcos(Path::new("."), &["evaluate", "--embeddings", file, "--labels", file]);
    let message = complaint(&output, 1);
    assert!(message.contains(file), "{message}");
    message
}

/// [`refused_by_program`] in 512 MiB of address space.
#[cfg(target_os = "linux")]
fn refused_in_little_memory(path: &Path) -> String {
    let file = path.to_str().expect("UTF-8");
    let script = "ulimit -v 524288 && exec \"$0\" evaluate --embeddings \"$1\" --labels \"$1\"";
    let mut command = std::process::Command::new("sh");
    // Each thread would take address space of its own.
    command.env("RAYON_NUM_THREADS", "1").env("MALLOC_ARENA_MAX", "1");
    let output = command.args(["-c", script, env!("CARGO_BIN_EXE_arcos"), file]).output().expect("a shell");
    let message = complaint(&output, 1);
    assert!(message.contains(file), "{message}");
    message
}

#[test]
fn files_of_another_format_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = npy(&header("'<f4'", "(4, 3)"), &[0; 48]);
        file[at..][..bytes.len()].copy_from_slice(bytes);
        file
    };
    let of_version_2 = |length: u32| changed(6, &[&[2u8, 0][..], &length.to_le_bytes()].concat());
    for (name, bytes, found) in [
        ("first", changed(0, b"\x94"), "magic string"),
        ("last", changed(5, b"y"), "magic string"),
        ("pickle", changed(0, b"\x80\x04\x95"), "magic string"),
        ("noise", noise(1_000_000), "magic string"),
        ("version-9", changed(6, &[9, 9]), "unknown version number: 9.9"),
        ("version-0", changed(6, &[0, 0]), "unknown version number: 0.0"),
        ("no-header", changed(8, &[0, 0]), "newline missing"),
        ("short-header", changed(8, &[50, 0]), "newline missing"),
        ("long-header", changed(8, &[0xff, 0xff]), "no .npy array"),
        ("longer-header", of_version_2(1 << 31), "no .npy array"),
        ("longest-header", of_version_2(u32::MAX), "no .npy array"),
        ("not-ascii", changed(20, b"\xff"), "non-ascii"),
    ] {
        let path = written(directory.path(), &format!("{name}.npy"), &bytes);
        let message = refused(&path);
        assert!(message.contains(found), "{message}");
    }
}

#[test]
fn headers_that_describe_no_array_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let with_shape = |shape: &str| header("'<f4'", shape);
    for (header, found) in [
        (String::new(), "syntax error"),
        ("__import__('os').abort()".into(), "syntax error"),
        (with_shape("(4, 3"), "syntax error"),
        ("(4, 3)".into(), "not a dict"),
        ("{}".into(), "missing key"),
        ("{'fortran_order': False, 'shape': (4, 3)}".into(), "missing key: descr"),
        ("{'descr': '<f4', 'shape': (4, 3)}".into(), "missing key: fortran_order"),
        ("{'descr': '<f4', 'fortran_order': False}".into(), "missing key: shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), 'more': 1}".into(), "unknown key: 'more'"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (4, 3)}".into(), "key fortran_order"),
        (with_shape("(-4, 3)"), "key shape"),
        (with_shape("(4.0, 3)"), "key shape"),
        (with_shape("(1e999, 3)"), "key shape"),
        (with_shape("['4', 3]"), "key shape"),
        (with_shape("None"), "key shape"),
        (with_shape(&format!("(1{}, 3)", "0".repeat(400))), "key shape"),
        (with_shape("(1152921504606846976, 4)"), "claims the shape"),
        (with_shape("(4294967296, 4294967296)"), "claims the shape"),
    ] {
        let path = written(directory.path(), "header.npy", &npy(&header, &[0; 48]));
        let message = refused(&path);
        assert!(message.contains(found), "{header}: {message}");
    }
    for descr in ["'<f2'", "'<f4'", "'<f8'"] {
        let path = written(directory.path(), "claims.npy", &npy(&header(descr, "(1073741824, 1073741824)"), &[0; 48]));
        let message = refusal(read_features(&path), &path);
        assert!(message.contains("ends before its last element"), "{message}");
    }
}

#[test]
fn of_duplicate_keys_the_last_counts_as_in_python() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let header = "{'descr': '<i8', 'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), 'shape': (4, 3)}";
    let path = written(directory.path(), "duplicates.npy", &npy(header, &[0; 48]));
    assert_eq!(read_features(&path).expect("four rows").rows().dim(), (4, 3));
}

#[test]
fn no_elements_of_absurd_shapes_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for descr in ["'<f4'", "'<f8'", "'<i8'"] {
        for shape in ["(0, 9223372036854775808)", "(9223372036854775808, 0)", "(0, 4294967296, 4294967296)"] {
            let path = written(directory.path(), "empty.npy", &npy(&header(descr, shape), &[]));
            refused(&path);
        }
    }
}

#[test]
fn features_without_columns_have_no_embeddings() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = written(directory.path(), "tall.npy", &npy(&header("'<f4'", "(1152921504606846976, 0)"), &[]));
    let trainer = trained(TrainConfig::new(adacos()));
    let result = read_features(&path).and_then(|features| trainer.model().embeddings(&features));
    assert!(matches!(result, Err(Error::File { .. } | Error::Shape { .. } | Error::Empty { .. })), "{result:?}");
}

#[test]
fn features_without_rows_or_columns_are_no_data() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for descr in ["'<f4'", "'<f8'"] {
        for (rows, columns) in [(0, 3), (4, 0), (0, 0)] {
            let shape = format!("({rows}, {columns})");
            let features = written(directory.path(), "x.npy", &npy(&header(descr, &shape), &[]));
            let labels = npy(&header("'|i1'", &format!("({rows},)")), &vec![0; rows]);
            let labels = written(directory.path(), "y.npy", &labels);
            let result = Dataset::read(&features, &labels, None);
            assert!(refusal(result, &features).contains("is empty"), "{shape}");
        }
    }
}

#[test]
fn arrays_of_other_dimensions_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (shape, length) in [("()", 1), ("(4,)", 4), ("(2, 2, 3)", 12)] {
        for (descr, width) in [("'<f4'", 4), ("'<f8'", 8)] {
            let path = written(directory.path(), "x.npy", &npy(&header(descr, shape), &vec![0; length * width]));
            for message in [refusal(read_features(&path), &path), refusal(read_matrix(&path), &path)] {
                assert!(message.contains("has shape ["), "{message}");
            }
        }
    }
    for (shape, length) in [("()", 1), ("(2, 2)", 4), ("(1, 4)", 4), ("(4, 1, 1)", 4)] {
        let labels = written(directory.path(), "y.npy", &npy(&header("'<i8'", shape), &vec![0; 8 * length]));
        assert!(refusal(read_labels(&labels, 0), &labels).contains("has shape ["));
        let vector = written(directory.path(), "v.npy", &npy(&header("'<f8'", shape), &vec![0; 8 * length]));
        assert!(refusal(read_vector(&vector), &vector).contains("has shape ["));
    }
}

#[test]
fn elements_that_are_no_numbers_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let strings = ["'|O'", "'<U8'", "'|S4'", "'|V4'", "'|b1'", "'<c8'", "'<c16'", "'<f16'", "'<M8[ns]'", "''"];
    for descr in [&strings[..], &["[('x', '<f4'), ('y', '<i4')]", "('<f4', (3,))", "b'<f4'", "4", "None"]].concat() {
        let path = written(directory.path(), "x.npy", &npy(&header(descr, "(4, 3)"), &[0; 48]));
        let message = refused(&path);
        assert!(message.contains("holds elements of dtype"), "{message}");
    }
}

#[test]
fn files_that_are_cut_off_anywhere_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let each_prefix = |name: &str, read: &dyn Fn(&Path) -> Result<()>| {
        let whole = fs::read(numpy_file(name)).expect("committed");
        for length in 0..whole.len() {
            let path = written(directory.path(), name, &whole[..length]);
            refusal(read(&path), &path);
        }
        read(&written(directory.path(), name, &whole)).expect(name);
        let path = written(directory.path(), name, &whole.repeat(2));
        assert!(refusal(read(&path), &path).contains("bytes after its last element"));
    };
    each_prefix("features_f4_little_c.npy", &|path| read_features(path).map(|_| ()));
    each_prefix("features_f8_little_fortran.npy", &|path| read_features(path).map(|_| ()));
    each_prefix("labels_i8_little.npy", &|path| read_labels(path, 0).map(|_| ()));
}

#[test]
fn a_byte_that_has_changed_does_no_harm() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for name in ["features_f4_little_c.npy", "features_f8_little_fortran.npy", "labels_i8_little.npy"] {
        let whole = fs::read(numpy_file(name)).expect("committed");
        for (at, byte) in (0..whole.len()).flat_map(|at| [0, b'(', b'0', b'9', 0xff].map(|byte| (at, byte))) {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let path = written(directory.path(), name, &bytes);
            taken(read_features(&path), &path);
            taken(read_labels(&path, 0), &path);
            taken(read_class_labels(&path), &path);
        }
    }
}

#[test]
fn empty_files_and_directories_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    refused(&written(directory.path(), "empty.npy", b""));
    let folder = directory.path().join("folder.npy");
    fs::create_dir(&folder).expect("writable");
    assert!(refused(&folder).contains(": is a directory; expected a matrix"));
}

#[test]
fn headers_of_a_thousand_brackets_do_not_overflow_the_stack() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (name, header) in [
        ("lists", "[".repeat(60_000)),
        ("tuples", format!("{}1{}", "(".repeat(20_000), ",)".repeat(20_000))),
        ("shape", header("'<f4'", &format!("{}1{}", "(".repeat(10_000), ",)".repeat(10_000)))),
    ] {
        // A stack that overflows ends a process: that of the program rather than that of the tests.
        refused_by_program(&written(directory.path(), &format!("{name}.npy"), &npy(&header, &[])));
    }
}

#[test]
fn headers_of_forty_brackets_do_not_take_forever() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (open, close) in [("[", "]"), ("{", "}"), ("[", "")] {
        let header = header(&format!("{}{}", open.repeat(40), close.repeat(40)), "(4, 3)");
        let path = written(directory.path(), "brackets.npy", &npy(&header, &[0; 48]));
        refusal(in_ten_seconds(path.clone(), |path| read_matrix(path).map(|_| ())), &path);
    }
}

fn in_ten_seconds<T: Send + 'static>(path: PathBuf, read: fn(&Path) -> T) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(read(&path)));
    receiver.recv_timeout(Duration::from_secs(10)).expect("an answer within ten seconds")
}

#[cfg(target_os = "linux")]
#[test]
fn a_header_that_claims_gigabytes_takes_no_memory() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let claims = [&b"\x93NUMPY\x02\0"[..], &u32::MAX.to_le_bytes(), b"{}"].concat();
    assert!(refused_in_little_memory(&written(directory.path(), "claims.npy", &claims)).contains("no .npy array"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_gigabyte_after_the_last_element_takes_no_memory() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = written(directory.path(), "tail.npy", &npy(&header("'<f8'", "(4, 3)"), &[0; 96]));
    // A hole in a file takes no room on the disk.
    fs::File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 30)).expect("writable");
    let message = refused_in_little_memory(&path);
    assert!(message.contains("after its last element"), "{message}");
}

/// A file of labels.
fn labels<const WIDTH: usize>(directory: &Path, descr: &str, labels: &[[u8; WIDTH]]) -> PathBuf {
    let header = header(descr, &format!("({},)", labels.len()));
    written(directory, "y.npy", &npy(&header, labels.as_flattened()))
}

#[test]
fn labels_that_no_class_can_have_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let below = [(i64::MIN, 0), (i64::MIN, 1), (i64::MIN, i64::MAX), (-1, 0), (-101, 0), (i64::MAX - 1, i64::MAX)];
    for (label, start) in below.into_iter().chain([(i64::MAX, -1), (i64::MAX, i64::MIN)]) {
        let path = labels(directory.path(), "'<i8'", &[i64::MAX, label].map(i64::to_le_bytes));
        refusal(read_labels(&path, start), &path);
    }
    for label in [u64::MAX, 1 << 63] {
        let path = labels(directory.path(), "'<u8'", &[0, label].map(u64::to_le_bytes));
        refusal(read_labels(&path, -1), &path);
    }
}

#[test]
fn labels_past_any_class_are_refused_by_whatever_counts_classes() -> Result<()> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let trainer = trained(TrainConfig::new(adacos()));
    for label in [20_001, 1 << 62, (1 << 63) - 2] {
        let mut all = [0u64, 1, 2, 3, 4].repeat(4);
        all[7] = label;
        let all: Vec<_> = all.into_iter().map(u64::to_le_bytes).collect();
        let read = read_labels(&labels(directory.path(), "'<u8'", &all), 0)?;
        let data = Dataset::new(data().features, read)?;
        let refused = Trainer::new(TrainConfig::new(adacos()), data.clone(), None).map(|_| ());
        assert!(matches!(refused, Err(Error::Label { row: 7, .. })), "{label}: {refused:?}");
        let model = trainer.model();
        assert!(matches!(model.evaluate(&data), Err(Error::Label { row: 7, .. })), "{label}");
        assert!(matches!(model.confusion(&data), Err(Error::Label { row: 7, .. })), "{label}");
        assert!(matches!(open_set_split(&data, None), Err(Error::NotDefined { .. })), "{label}");
    }
    Ok(())
}

#[test]
fn labels_of_other_rows_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for rows in [0, 1, 3, 5, 4000] {
        let path = labels(directory.path(), "'|u1'", &vec![[0]; rows]);
        let result = Dataset::read(&numpy_file("features_f4_little_c.npy"), &path, None);
        let message = refusal(result, &path);
        assert!(message.contains(&format!("labels has shape [{rows}]; expected (4,)")), "{message}");
    }
}
