//! Arrays from `.npy` and `.npz` files.

use super::element::Wanted;
use super::{Labels, npy_header, read_text, safetensors_file};
use crate::files::{atomic_file::directory_of, regular_file, replacement::check_whole};
use crate::ops::IGNORE_LABEL;
use crate::wording::{counted, number};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayD, ArrayView1, Axis};
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

/// A matrix in the precision of its file.
#[derive(Clone, Debug, PartialEq)]
pub enum Matrix {
    /// Of an f32 file, or of one of f16 or integers, converted.
    F32(Array2<f32>),
    /// Of an f64 file.
    F64(Array2<f64>),
}

impl Matrix {
    /// [rows, columns]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(matrix) => matrix.shape(),
            Self::F64(matrix) => matrix.shape(),
        }
    }

    /// Some of its rows.
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::F32(matrix) => Self::F32(matrix.select(Axis(0), rows)),
            Self::F64(matrix) => Self::F64(matrix.select(Axis(0), rows)),
        }
    }

    /// In double precision.
    pub fn into_f64(self) -> Array2<f64> {
        match self {
            Self::F32(matrix) => matrix.mapv(f64::from),
            Self::F64(matrix) => matrix,
        }
    }

    /// `f32` or `f64`.
    pub fn precision(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
        }
    }
}

/// Reads a matrix in its own precision; f16 and integers become f32. `path` is a `.npy` file, an `.npz` archive of one array,
/// `archive.npz:name`, or a `.safetensors` file with or without `:name`, whose bf16 become f32, too.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for a file that is not such an array.
pub fn read_matrix(path: &Path) -> Result<Matrix> {
    let shape = "a matrix of f16, f32, f64 or integers";
    check_whole(directory_of(path))?;
    if let Some((file, name)) = safetensors_file::file_and_name(path) {
        return safetensors_file::read_matrix(&file, name.as_deref());
    }
    match read::<Wanted<f64>>(path) {
        Ok(array) => Ok(Matrix::F64(matrix(path, array.map(|element| element.0), shape)?)),
        Err(Failure::Dtype(_)) => {
            let array = read::<Wanted<f32>>(path).map_err(|failure| failure.into_error(path, shape))?;
            Ok(Matrix::F32(matrix(path, array.map(|element| element.0), shape)?))
        }
        Err(failure) => Err(failure.into_error(path, shape)),
    }
}

/// Reads a vector of f16, f32, f64 or integers as f64.
///
/// # Errors
/// As [`read_matrix`].
pub fn read_vector(path: &Path) -> Result<Array1<f64>> {
    let shape = "a vector of f16, f32, f64 or integers";
    if let Some((file, name)) = safetensors_file::file_and_name(path) {
        return Ok(safetensors_file::read_vector(&file, name.as_deref())?.into());
    }
    read_floats(path).map_err(|failure| failure.into_error(path, shape))
}

/// Reads labels (N,) or (N, 1) of any integer type, or of floating-point numbers that are whole. `start` is the label of the first class: it
/// is subtracted from all but [`IGNORE_LABEL`]. For labels of any kind see [`read_class_labels`].
///
/// # Errors
/// As [`read_matrix`]; [`Error::File`] for a label below `start` or past the largest i64, and for one that is not whole.
pub fn read_labels(path: &Path, start: i64) -> Result<Array1<i64>> {
    let expected = "a vector of integers, one label for each row of features";
    check_whole(directory_of(path))?;
    let integers = match read_integers(path) {
        Err(Failure::Dtype(_)) => read_whole_floats(path),
        integers => integers,
    };
    let mut labels = integers.map_err(|failure| failure.into_error(path, expected))?;
    for (row, label) in labels.iter_mut().enumerate().filter(|(_, label)| **label != IGNORE_LABEL) {
        *label = label.checked_sub(start).filter(|&class| class >= 0).ok_or_else(|| Error::File {
            path: path.into(),
            found: format!("label {label} in row {row}"),
            expected: format!("labels from {start} (the label of the first class), or {IGNORE_LABEL} for none"),
        })?;
    }
    Ok(labels)
}

/// Reads labels (N,) or (N, 1) as they are: any integers, whole floating-point numbers, or strings (`U` or `S` to NumPy). Of a file whose
/// name ends in `.txt` each line is a label; they are numbers if all are, and a blank line is no label.
///
/// # Errors
/// As [`read_matrix`]; [`Error::File`] for a number that is not whole or past the largest i64, and for a string that is no Unicode.
pub fn read_class_labels(path: &Path) -> Result<Labels> {
    if path.extension().is_some_and(|extension| extension == "txt") {
        return Ok(labels_of_lines(&read_text(path)?));
    }
    check_whole(directory_of(path))?;
    let expected =
        "a vector of integers, of whole floating-point numbers or of strings, one label for each row of features";
    let strings = || read::<Wanted<String>>(path).and_then(|array| vector(array.map(|element| element.0.clone())));
    let labels = match read_integers(path) {
        Err(Failure::Dtype(_)) => match read_whole_floats(path) {
            Err(Failure::Dtype(_)) => strings().map(|strings| Labels::Strings(strings.to_vec())),
            floats => floats.map(Labels::WholeFloats),
        },
        integers => integers.map(Labels::Integers),
    };
    labels.map_err(|failure| failure.into_error(path, expected))
}

fn labels_of_lines(text: &str) -> Labels {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let number = |line: &&str| if line.is_empty() { Some(IGNORE_LABEL) } else { line.parse().ok() };
    match lines.iter().map(number).collect::<Option<Vec<i64>>>() {
        Some(numbers) => Labels::Integers(numbers.into()),
        None => Labels::Strings(lines.into_iter().map(str::to_owned).collect()),
    }
}

fn read_integers(path: &Path) -> Result<Array1<i64>, Failure> {
    let labels = vector(read::<Wanted<i64>>(path)?.map(|element| element.0))?;
    match labels.iter().position(|&label| label == i64::MAX) {
        Some(row) => {
            Err(Failure::Other(format!("row {row} has a label past {}, the largest that there can be", i64::MAX - 1)))
        }
        None => Ok(labels),
    }
}

fn read_whole_floats(path: &Path) -> Result<Array1<i64>, Failure> {
    /// Floating-point numbers past this leave out whole ones: different labels could have become one.
    const LARGEST: f64 = (1u64 << 53) as f64;
    let labels = read_floats(path)?;
    let is_whole = |label: f64| label.fract() == 0.0 && label.abs() < LARGEST;
    match labels.iter().position(|&label| !is_whole(label)) {
        Some(row) => Err(Failure::Other(format!("label {} in row {row}", number(labels[row])))),
        None => Ok(labels.mapv(|label| label as i64)),
    }
}

/// Reads features (N, D) into memory as f32.
pub(super) fn read_f32_matrix(path: &Path) -> Result<Array2<f32>> {
    let shape = "a matrix of f16, f32, f64 or integers";
    let features = match safetensors_file::file_and_name(path) {
        None => {
            let array = read::<Wanted<f32>>(path).map_err(|failure| failure.into_error(path, shape))?;
            matrix(path, array.map(|element| element.0), shape)?
        }
        Some(_) => match read_matrix(path)? {
            Matrix::F32(features) => features,
            Matrix::F64(features) => features.mapv(|value| value as f32),
        },
    };
    // Few files have such numbers: they are read once more, rather than all of them in twice the memory.
    let has_vanished = |row: ArrayView1<f32>| row.iter().all(|&value| value == 0.0);
    let is_suspect = features.iter().any(|value| value.is_infinite()) || features.rows().into_iter().any(has_vanished);
    if is_suspect && let Matrix::F64(numbers) = read_matrix(path)? {
        if let Some(((row, column), &value)) = numbers.indexed_iter().find(|(_, value)| is_too_large(**value)) {
            return Err(too_large(path, value, &format!("row {row}, column {column}")));
        }
        let largest = |row: usize| numbers.row(row).iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let mut vanished = (0..features.nrows()).filter(|&row| has_vanished(features.row(row)));
        if let Some(row) = vanished.find(|&row| largest(row) > 0.0) {
            let found = format!("{} at most in row {row}", number(largest(row)));
            let expected = "rows that single precision tells from 0, for which 1e-45 is too little".into();
            return Err(Error::File { path: path.into(), found, expected });
        }
    }
    Ok(features)
}

/// Whether a number is finite in double precision alone.
fn is_too_large(value: f64) -> bool {
    value.is_finite() && (value as f32).is_infinite()
}

fn too_large(path: &Path, value: f64, place: &str) -> Error {
    let expected = format!("numbers that single precision holds, up to {}", number(f32::MAX.into()));
    Error::File { path: path.into(), found: format!("{} in {place}", number(value)), expected }
}

/// Reads a vector as [`read_vector`] does, for use in single precision.
///
/// # Errors
/// As [`read_matrix`]; [`Error::File`] for a number that single precision does not hold.
pub fn read_f32_vector(path: &Path) -> Result<Array1<f32>> {
    let numbers = read_vector(path)?;
    match numbers.iter().position(|&value| is_too_large(value)) {
        Some(row) => Err(too_large(path, numbers[row], &format!("row {row}"))),
        None => Ok(numbers.mapv(|value| value as f32)),
    }
}

/// Why an array could not be read.
enum Failure {
    /// Its elements are of another type, which NumPy calls thus.
    Dtype(String),
    Io(std::io::Error),
    Other(String),
}

impl Failure {
    fn into_error(self, path: &Path, expected: &str) -> Error {
        let file = |found| Error::File { path: path.into(), found, expected: expected.into() };
        match self {
            Self::Io(error) => Error::io("read", path, error),
            Self::Dtype(dtype) => file(format!("holds elements of dtype {dtype}")),
            Self::Other(found) => file(found),
        }
    }
}

impl From<ReadNpyError> for Failure {
    fn from(error: ReadNpyError) -> Self {
        match error {
            ReadNpyError::WrongDescriptor(dtype) => Self::Dtype(dtype.to_string()),
            ReadNpyError::MissingData => Self::Other("ends before its last element".into()),
            ReadNpyError::ExtraBytes(_) => Self::Other("has bytes after its last element".into()),
            ReadNpyError::ParseData(error) => Self::Other(error.to_string()),
            ReadNpyError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Self::Io(error),
            other => Self::Other(format!("is no .npy array ({other})")),
        }
    }
}

fn read<A: ReadableElement>(path: &Path) -> Result<ArrayD<A>, Failure> {
    match archive_and_name(path) {
        Some((archive, name)) => read_from_archive(&archive, name.as_deref()),
        None => read_array(BufReader::new(open(path)?)),
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    regular_file::open(path).map_err(|error| match error {
        Error::Io { cause, .. } => Failure::Io(cause),
        Error::File { found, .. } => Failure::Other(found),
        other => Failure::Other(other.to_string()),
    })
}

/// Reads an array once its header has been looked at.
fn read_array<A: ReadableElement>(mut reader: impl Read) -> Result<ArrayD<A>, Failure> {
    let mut start = Vec::new();
    reader.by_ref().take(npy_header::START as u64).read_to_end(&mut start).map_err(Failure::Io)?;
    npy_header::without_long_suffixes(&mut start);
    npy_header::check(&start).map_err(|found| Failure::Other(format!("is no .npy array ({found})")))?;
    Ok(ArrayD::read_npy(start.chain(reader))?)
}

/// Whether a path is that of a file of several arrays or of an array in one.
pub(super) fn is_archive(path: &Path) -> bool {
    file_and_name(path).is_some()
}

/// The file that an array is in: of `archive.npz:name` the archive.
pub fn file_of(path: &Path) -> PathBuf {
    file_and_name(path).map_or_else(|| path.into(), |(file, _)| file)
}

fn file_and_name(path: &Path) -> Option<(PathBuf, Option<String>)> {
    archive_and_name(path).or_else(|| safetensors_file::file_and_name(path))
}

/// The archive and, after a colon, the array of `archive.npz` or `archive.npz:name`.
fn archive_and_name(path: &Path) -> Option<(PathBuf, Option<String>)> {
    let text = path.to_str()?;
    match text.rsplit_once(".npz:") {
        Some((stem, name)) => Some((format!("{stem}.npz").into(), Some(name.into()))),
        None => text.ends_with(".npz").then(|| (path.into(), None)),
    }
}

fn read_from_archive<A: ReadableElement>(archive: &Path, name: Option<&str>) -> Result<ArrayD<A>, Failure> {
    let no_archive = |error: ZipError| Failure::Other(format!("is no .npz archive ({error})"));
    let file = BufReader::new(open(archive)?);
    let mut reader = ZipArchive::new(file).map_err(no_archive)?;
    let names: Vec<String> = reader.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name).into()).collect();
    let name = match (name, &names[..]) {
        (Some(name), _) if names.iter().any(|known| known == name) => name,
        (None, [only]) => only,
        (name, _) => {
            let asked = name.map_or("no array is named".into(), |name| format!("no array is called {name:?}"));
            let archive = archive.display();
            return Err(Failure::Other(format!("{asked}; say {archive}:NAME with one of {}", names.join(", "))));
        }
    };
    let index = names.iter().position(|known| known == name).expect("the name is one of them");
    let member = reader.by_index(index).map_err(no_archive)?;
    let (size, packed) = (member.size(), member.compressed_size());
    if size > LARGE && size / packed.max(1) > LARGEST_RATIO {
        return Err(Failure::Other(format!("holds {name:?}, {} that unpack to {size}", counted(packed, "byte"))));
    }
    // What it says of itself is all that it gives; its end has to be reached for its checksum to be looked at.
    read_array(member.take(size.saturating_add(1)))
}

/// Members of archives that unpack to more than this many times their size, and to more bytes than this, are made to fill memory:
/// features of which most are zero shrink to a tenth or a fiftieth.
const LARGEST_RATIO: u64 = 200;
const LARGE: u64 = 16 << 20;

fn matrix<T>(path: &Path, array: ArrayD<T>, expected: &str) -> Result<Array2<T>> {
    let found = format!("has shape {:?}", array.shape());
    array.into_dimensionality().map_err(|_| Error::File { path: path.into(), found, expected: expected.into() })
}

fn vector<T: Clone>(array: ArrayD<T>) -> Result<Array1<T>, Failure> {
    match array.shape() {
        [_] | [_, 1] => Ok(array.iter().cloned().collect()),
        shape => Err(Failure::Other(format!("has shape {shape:?}"))),
    }
}

fn read_floats(path: &Path) -> Result<Array1<f64>, Failure> {
    let array = match read::<Wanted<f64>>(path) {
        Err(Failure::Dtype(_)) => read::<Wanted<f32>>(path)?.map(|element| element.0.into()),
        array => array?.map(|element| element.0),
    };
    vector(array)
}
