//! Named f32 tensors as a safetensors file.

use super::checksum::little_endian;
use crate::data::safetensors_file::f32_tensors;
use crate::{Error, Result, files::regular_file};
use crc32c::crc32c_append;
use ndarray::{Array, ArrayD, Dimension};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Tensors that were read, by name.
pub(super) type Tensors = BTreeMap<String, ArrayD<f32>>;

/// A tensor to be stored.
pub(super) struct Tensor<'a> {
    pub shape: Vec<usize>,
    /// In row-major order.
    pub values: Cow<'a, [f32]>,
}

impl<'a> Tensor<'a> {
    pub fn of<D: Dimension>(array: &'a Array<f32, D>) -> Self {
        let values = array.as_slice().map_or_else(|| array.iter().copied().collect(), Cow::Borrowed);
        Self { shape: array.shape().to_vec(), values }
    }
}

/// Writes a safetensors file. The crate's own writer would not do: it makes a file of its own and renames it, which nobody has flushed then.
pub(super) fn write(file: &mut impl Write, tensors: &BTreeMap<String, Tensor>) -> io::Result<()> {
    let mut end = 0;
    let entries = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += size_of_val(&*tensor.values);
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: tensor.shape.clone(), data_offsets: (start, end) })
    });
    let metadata = Metadata::new(None, entries.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    // Elements begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    tensors.values().try_for_each(|tensor| file.write_all(&little_endian(&tensor.values)))
}

/// The CRC-32C of names, shapes and elements, from memory: what was written wrong is found out, too.
pub(super) fn checksum(tensors: &BTreeMap<String, Tensor>) -> u32 {
    tensors.iter().fold(0, |crc, (name, tensor)| {
        let crc = crc32c_append(crc, format!("{name} {:?}", tensor.shape).as_bytes());
        crc32c_append(crc, &little_endian(&tensor.values))
    })
}

/// The tensors of the file in `path`.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for what is no safetensors file, and for tensors that are not of f32.
pub(super) fn read(path: &Path) -> Result<Tensors> {
    let bytes = regular_file::read(path)?;
    let unusable =
        |found: String| Error::File { path: path.into(), found, expected: "the tensors of a checkpoint".into() };
    f32_tensors(&bytes).map_err(unusable)
}
