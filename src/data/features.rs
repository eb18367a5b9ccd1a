//! Features in memory or mapped from disk.

use super::arrays::{is_archive, read_f32_matrix};
use super::npy_header;
use crate::Result;
use mmap_io::MemoryMappedFile;
use ndarray::{ArcArray2, Array2, ArrayView2};
use ndarray_npy::ViewNpyExt;
use std::path::Path;

/// Features (N, D) in single precision. Clones share the data.
#[derive(Clone)]
pub struct Features(Storage);

#[derive(Clone)]
enum Storage {
    Memory(ArcArray2<f32>),
    /// A whole `.npy` file, checked when it was mapped.
    Mapped(MemoryMappedFile),
}

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.is_mapped() { "mapped" } else { "in memory" };
        write!(f, "Features({:?}, {place})", self.view().dim())
    }
}

impl From<Array2<f32>> for Features {
    fn from(features: Array2<f32>) -> Self {
        Self(Storage::Memory(features.into_shared()))
    }
}

impl Features {
    /// The features (N, D).
    pub fn view(&self) -> ArrayView2<'_, f32> {
        match &self.0 {
            Storage::Memory(features) => features.view(),
            Storage::Mapped(file) => mapped_view(file).expect("the same bytes were viewed when they were mapped"),
        }
    }

    /// Whether rows are read from disk as they are used.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Storage::Mapped(_))
    }
}

/// Reads features (N, D) of f16, f32 or f64, in C or Fortran order, of either endianness. `path` is a `.npy` file, an `.npz`
/// archive of one array, or `archive.npz:name`. A `.npy` file that is f32 in C order already is mapped, not read; it must
/// not change while it is in use.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::File`](crate::Error::File) for a file that is not such an array.
pub fn read_features(path: &Path) -> Result<Features> {
    // Whatever cannot be mapped can still be read, or else the reading says what is wrong.
    if !is_archive(path)
        && let Ok(file) = MemoryMappedFile::open_ro(path)
        && mapped_view(&file).is_some()
    {
        return Ok(Features(Storage::Mapped(file)));
    }
    Ok(read_f32_matrix(path)?.into())
}

/// The matrix in a mapped `.npy` file, if it is f32 in C order and of this machine's endianness.
fn mapped_view(file: &MemoryMappedFile) -> Option<ArrayView2<'_, f32>> {
    let bytes = file.as_slice_bytes(0, file.len()).ok()?;
    npy_header::check(&bytes[..bytes.len().min(npy_header::START)]).ok()?;
    ArrayView2::view_npy(bytes).ok().filter(|features: &ArrayView2<f32>| features.is_standard_layout())
}
