//! Tensors of safetensors files, as `file.safetensors` (of one tensor) or `file.safetensors:name` has them.

use super::Matrix;
use crate::wording::counted;
use crate::{Error, Result, files::regular_file};
use half::{bf16, f16};
use ndarray::{Array2, ArrayD};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXTENSION: &str = ".safetensors";

/// The file and, after a colon, the tensor; `None` for a path to something else.
pub(super) fn file_and_name(path: &Path) -> Option<(PathBuf, Option<String>)> {
    let text = path.to_str()?;
    match text.rsplit_once(&format!("{EXTENSION}:")) {
        Some((stem, name)) => Some((format!("{stem}{EXTENSION}").into(), Some(name.into()))),
        None => text.ends_with(EXTENSION).then(|| (path.into(), None)),
    }
}

/// Reads a matrix, f64 in its own precision, f16 and bf16 as f32.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for a file that is no such file, a tensor that is not there, and one that is no matrix of floats.
pub(super) fn read_matrix(file: &Path, name: Option<&str>) -> Result<Matrix> {
    let bytes = regular_file::read(file)?;
    let tensors = deserialize(&bytes).map_err(|found| unusable(file, found))?;
    let (name, tensor) = tensor(&tensors, file, name).map_err(|found| unusable(file, found))?;
    let &[rows, columns] = tensor.shape() else {
        return Err(unusable(file, format!("tensor {name:?} has shape {:?}", tensor.shape())));
    };
    const WHOLE: &str = "a tensor has the elements of its shape";
    match elements(&tensor) {
        Some(Elements::F32(values)) => Ok(Matrix::F32(Array2::from_shape_vec((rows, columns), values).expect(WHOLE))),
        Some(Elements::F64(values)) => Ok(Matrix::F64(Array2::from_shape_vec((rows, columns), values).expect(WHOLE))),
        None => Err(unusable(file, format!("tensor {name:?} holds {:?}", tensor.dtype()))),
    }
}

/// Reads a vector (n,) or (n, 1), or one number.
///
/// # Errors
/// As [`read_matrix`].
pub(super) fn read_vector(file: &Path, name: Option<&str>) -> Result<Vec<f64>> {
    let bytes = regular_file::read(file)?;
    let wrong =
        |found: String| Error::File { path: file.into(), found, expected: "a vector of f16, bf16, f32 or f64".into() };
    let tensors = deserialize(&bytes).map_err(wrong)?;
    let (name, tensor) = tensor(&tensors, file, name).map_err(wrong)?;
    if !matches!(tensor.shape(), [] | [_] | [_, 1]) {
        return Err(wrong(format!("tensor {name:?} has shape {:?}", tensor.shape())));
    }
    match elements(&tensor) {
        Some(Elements::F32(values)) => Ok(values.into_iter().map(f64::from).collect()),
        Some(Elements::F64(values)) => Ok(values),
        None => Err(wrong(format!("tensor {name:?} holds {:?}", tensor.dtype()))),
    }
}

fn unusable(file: &Path, found: String) -> Error {
    Error::File { path: file.into(), found, expected: "a matrix of f16, bf16, f32 or f64".into() }
}

/// The tensor of a name, or without a name the only one.
fn tensor<'a>(tensors: &SafeTensors<'a>, file: &Path, name: Option<&str>) -> Result<(String, TensorView<'a>), String> {
    let mut names: Vec<&str> = tensors.names();
    names.sort_unstable();
    let name = match (name, &names[..]) {
        (Some(name), _) if names.contains(&name) => name,
        (None, &[only]) => only,
        (name, _) => {
            let asked = name.map_or("no tensor is named".into(), |name| format!("no tensor is called {name:?}"));
            return Err(format!("{asked}; say {}:NAME with one of {}", file.display(), names.join(", ")));
        }
    };
    let view = tensors.tensor(name).map_err(|error: SafeTensorError| error.to_string())?;
    Ok((name.to_owned(), view))
}

enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// The elements of a tensor of floats.
fn elements(tensor: &TensorView) -> Option<Elements> {
    let bytes = tensor.data();
    let halves =
        |value: fn(u16) -> f32| bytes.as_chunks().0.iter().map(|&bytes| value(u16::from_le_bytes(bytes))).collect();
    match tensor.dtype() {
        Dtype::F16 => Some(Elements::F32(halves(|bits| f16::from_bits(bits).to_f32()))),
        Dtype::BF16 => Some(Elements::F32(halves(|bits| bf16::from_bits(bits).to_f32()))),
        Dtype::F32 => Some(Elements::F32(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())),
        Dtype::F64 => Some(Elements::F64(bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())),
        _ => None,
    }
}

/// All tensors of a file, each of which must be of f32.
///
/// # Errors
/// What is wrong with the file, in words.
pub(crate) fn f32_tensors(bytes: &[u8]) -> Result<BTreeMap<String, ArrayD<f32>>, String> {
    let file = deserialize(bytes)?;
    let tensor = |(name, view): (&str, TensorView)| {
        let (Dtype::F32, Some(Elements::F32(values))) = (view.dtype(), elements(&view)) else {
            return Err(format!("tensor {name:?} holds {:?}, not F32", view.dtype()));
        };
        let tensor = ArrayD::from_shape_vec(view.shape(), values);
        Ok((name.to_owned(), tensor.map_err(|error| format!("tensor {name:?}: {error}"))?))
    };
    file.iter().map(tensor).collect()
}

fn deserialize(bytes: &[u8]) -> Result<SafeTensors<'_>, String> {
    check_offsets(bytes)?;
    SafeTensors::deserialize(bytes).map_err(|error| error.to_string())
}

/// Checks that no tensor claims to reach past the end of the file: the format's own reader adds offsets up without care.
fn check_offsets(bytes: &[u8]) -> Result<(), String> {
    let (length, rest) = bytes.split_first_chunk().ok_or("ends before its header")?;
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let header = header.ok_or_else(|| format!("claims a header of {}", counted(length, "byte")))?;
    let tensors: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let past_the_end = |offset: &serde_json::Value| offset.as_u64().is_none_or(|offset| offset > bytes.len() as u64);
    for (name, tensor) in tensors {
        let offsets = tensor.get("data_offsets").and_then(|offsets| offsets.as_array());
        if offsets.is_some_and(|offsets| offsets.iter().any(past_the_end)) {
            return Err(format!("tensor {name:?} reaches past the end of the file"));
        }
    }
    Ok(())
}
