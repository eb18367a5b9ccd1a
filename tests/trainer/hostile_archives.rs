//! `.npz` archives that are damaged or made to do harm.

use super::hostile::{header, noise, npy, refusal, taken, written};
use super::numpy_file;
use arcos::data::{read_features, read_labels};
use ndarray::Array2;
use ndarray_npy::NpzWriter;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// An archive of one array, and what it says of it.
struct Archive<'a> {
    data: &'a [u8],
    flags: u16,
    /// 0 for data as they are, 8 for deflated ones.
    method: u16,
    crc32: u32,
    /// Bytes in the archive, and after decompression.
    sizes: [u32; 2],
}

impl<'a> Archive<'a> {
    /// As it should be.
    fn of(data: &'a [u8]) -> Self {
        Self { data, flags: 0, method: 0, crc32: crc32(data), sizes: [data.len() as u32; 2] }
    }

    /// The archive, whose array is called `x`.
    fn bytes(&self) -> Vec<u8> {
        let name = b"x.npy";
        let [compressed, uncompressed] = self.sizes.map(u32::to_le_bytes);
        let [flags, method, name_length] = [self.flags, self.method, name.len() as u16].map(u16::to_le_bytes);
        // What both headers have: version, flags, method, time and date, checksum, sizes, lengths of name and extra.
        let common = [
            &[20u8, 0][..],
            &flags,
            &method,
            &[0; 4],
            &self.crc32.to_le_bytes(),
            &compressed,
            &uncompressed,
            &name_length,
            &[0; 2],
        ];
        let common = common.concat();
        let local = [&b"PK\x03\x04"[..], &common[..], name, self.data].concat();
        let central = [&b"PK\x01\x02\x14\0"[..], &common[..], &[0; 14], name].concat();
        let [size, offset] = [central.len(), local.len()].map(|length| (length as u32).to_le_bytes());
        let end = [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &size, &offset, &[0; 2]].concat();
        [local, central, end].concat()
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    let with_byte = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| shifted(crc));
    !bytes.iter().fold(u32::MAX, with_byte)
}

/// Four rows of three features.
fn array() -> Vec<u8> {
    npy(&header("'<f4'", "(4, 3)"), &[0; 48])
}

/// What is said of features in an archive, whether they are asked for by name or not.
fn refused(archive: &Path) -> String {
    let named = named(archive, "x");
    refusal(read_features(&named), &named);
    refusal(read_features(archive), archive)
}

fn named(archive: &Path, name: &str) -> PathBuf {
    format!("{}:{name}", archive.display()).into()
}

#[test]
fn archives_that_are_cut_off_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (name, array) in [("stored.npz", "features"), ("stored.npz", "labels"), ("deflated.npz", "features")] {
        let whole = fs::read(numpy_file(name)).expect("committed");
        for length in (0..whole.len()).step_by(7) {
            let path = named(&written(directory.path(), name, &whole[..length]), array);
            refusal(read_features(&path), &path);
            refusal(read_labels(&path, 0), &path);
        }
    }
}

#[test]
fn a_byte_of_an_archive_that_has_changed_does_no_harm() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for name in ["stored.npz", "deflated.npz"] {
        let whole = fs::read(numpy_file(name)).expect("committed");
        for (at, byte) in (0..whole.len()).flat_map(|at| [0, 1, 0x7f, 0xff].map(|byte| (at, byte))) {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let path = named(&written(directory.path(), name, &bytes), "features");
            taken(read_features(&path), &path);
        }
    }
}

#[test]
fn arrays_that_are_not_in_the_archive_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let archive = written(directory.path(), "one.npz", &Archive::of(&array()).bytes());
    assert_eq!(read_features(&archive).expect("the only one").rows().dim(), (4, 3));
    assert_eq!(read_features(&named(&archive, "x")).expect("by name").rows().dim(), (4, 3));
    for name in ["", "y", "x.npy.npy", "../x", ":", "x.npz:x"] {
        let path = named(&archive, name);
        refusal(read_features(&path), &path);
    }
    let end = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let message = refused(&written(directory.path(), "none.npz", &end));
    assert!(message.contains("no array is named"), "{message}");
}

#[test]
fn files_that_are_no_archives_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    refused(&written(directory.path(), "empty.npz", b""));
    refused(&written(directory.path(), "array.npz", &array()));
    refused(&written(directory.path(), "noise.npz", &noise(1_000_000)));
    // The end of a directory of files, again and again.
    refused(&written(directory.path(), "ends.npz", &b"PK\x05\x06\x01\0\0\0\x01\0\x01\0".repeat(1000)));
    let folder = directory.path().join("folder.npz");
    fs::create_dir(&folder).expect("writable");
    refused(&folder);
}

#[test]
fn arrays_in_archives_that_claim_what_is_not_there_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for shape in
        ["(1073741824, 1073741824)", "(1152921504606846976, 4)", "(4, 4)", "(4, 2)", "(0, 9223372036854775808)"]
    {
        let array = npy(&header("'<f4'", shape), &[0; 48]);
        refused(&written(directory.path(), "shape.npz", &Archive::of(&array).bytes()));
    }
    let claims = [&b"\x93NUMPY\x02\0"[..], &u32::MAX.to_le_bytes(), b"{}"].concat();
    refused(&written(directory.path(), "header.npz", &Archive::of(&claims).bytes()));
    let without_data = npy(&header("'<f4'", "(0, 9223372036854775808)"), &[]);
    refused(&written(directory.path(), "nothing.npz", &Archive::of(&without_data).bytes()));
}

#[test]
fn archives_that_say_wrong_things_of_an_array_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (array, huge) = (array(), u32::MAX - 1);
    let whole = || Archive::of(&array);
    let length = array.len() as u32;
    for (name, archive) in [
        ("checksum", Archive { crc32: 0, ..whole() }),
        ("encrypted", Archive { flags: 1, ..whole() }),
        ("aes", Archive { method: 99, ..whole() }),
        ("bzip2", Archive { method: 12, ..whole() }),
        ("shrunk", Archive { method: 1, sizes: [length, huge], ..whole() }),
        ("imploded", Archive { method: 6, sizes: [length, huge], ..whole() }),
        ("not-deflated", Archive { method: 8, ..whole() }),
        ("cut-off", Archive { sizes: [length - 1, length], ..whole() }),
        ("nothing", Archive { sizes: [0, 0], ..whole() }),
        ("bomb", Archive { sizes: [huge, huge], ..whole() }),
        ("deflated-bomb", Archive { method: 8, sizes: [length, huge], ..whole() }),
    ] {
        refused(&written(directory.path(), &format!("{name}.npz"), &archive.bytes()));
    }
    // Of an array that is stored as it is, the other size is that of the data; who reads it need not believe either.
    let bomb = Archive { sizes: [length, huge], ..whole() };
    let path = written(directory.path(), "bomb.npz", &bomb.bytes());
    taken(read_features(&path), &path);
}

#[test]
fn an_archive_that_is_made_to_fill_memory_is_refused_unread() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let pack = |name: &str, array: &Array2<f32>| {
        let path = directory.path().join(name);
        let mut writer = NpzWriter::new_compressed(File::create(&path).expect("writable"));
        writer.add_array("x", array).expect("writable");
        writer.finish().expect("writable");
        path
    };
    let bomb = pack("bomb.npz", &Array2::zeros((5 << 20, 1)));
    assert!(refusal(read_features(&bomb), &bomb).contains("bytes that unpack to"));
    // Features of which nine in ten are zero are no bomb, nor is a small array of zeros.
    let sparse = Array2::from_shape_fn((5 << 20, 1), |(row, _)| if row % 10 == 0 { (row as f32).sin() } else { 0.0 });
    for path in [pack("sparse.npz", &sparse), pack("small.npz", &Array2::zeros((1 << 20, 1)))] {
        read_features(&path).expect("an ordinary archive");
    }
}
