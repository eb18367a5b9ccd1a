//! Features in memory or mapped from disk.

use super::arrays::{is_archive, read_f32_matrix};
use super::npy_header;
use crate::wording::counted;
use crate::{Error, Result};
use mmap_io::{MemoryMappedFile, MmapMode};
use ndarray::{ArcArray2, Array2, ArrayView2, Axis};
use ndarray_npy::ViewNpyExt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Features (N, D) in single precision. Clones share the data.
#[derive(Clone)]
pub struct Features(Storage);

#[derive(Clone)]
enum Storage {
    Memory(ArcArray2<f32>),
    Mapped(Arc<Mapped>),
}

/// A `.npy` file, and what it was when it was mapped: its header is not read again.
struct Mapped {
    path: PathBuf,
    file: File,
    bytes: MemoryMappedFile,
    /// (N, D)
    shape: (usize, usize),
    /// Where the elements begin.
    offset: usize,
    stamp: Stamp,
}

/// What tells that a file has been written to.
#[derive(Clone, Copy, PartialEq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok() })
    }
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
            Storage::Mapped(mapped) => mapped.view(),
        }
    }

    /// A copy of some rows.
    pub fn select(&self, rows: &[usize]) -> Self {
        self.view().select(Axis(0), rows).into()
    }

    /// Whether rows are read from disk as they are used.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Storage::Mapped(_))
    }

    /// Checks that the file from which features are mapped has the length and the modification time that it had then. A file that is shortened
    /// while rows are read ends the process with SIGBUS: this narrows the time in which that can happen, and does not close it.
    ///
    /// # Errors
    /// [`Error::File`] where it has changed, [`Error::Io`].
    pub fn check_unchanged(&self) -> Result<()> {
        match &self.0 {
            Storage::Memory(_) => Ok(()),
            Storage::Mapped(mapped) => mapped.check_unchanged(),
        }
    }
}

impl Mapped {
    /// The file as a matrix, if it is f32 in C order and of this machine's endianness.
    fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let stamp = Stamp::of(&file).ok()?;
        let bytes = MemoryMappedFile::from_file(file.try_clone().ok()?, MmapMode::ReadOnly, path).ok()?;
        let all = bytes.as_slice_bytes(0, bytes.len()).ok()?;
        npy_header::check(&all[..all.len().min(npy_header::START)]).ok()?;
        let view = ArrayView2::<f32>::view_npy(all)
            .ok()
            .filter(|features| features.is_standard_layout() && !features.is_empty())?;
        // Elements are the end of the file: a view of more bytes is refused.
        let (shape, offset) = (view.dim(), all.len().checked_sub(size_of::<f32>() * view.len())?);
        let mapped = Self { path: path.into(), file, shape, offset, stamp, bytes };
        (stamp.length == mapped.bytes.len()).then_some(mapped)
    }

    fn view(&self) -> ArrayView2<'_, f32> {
        let length = self.bytes.len() - self.offset as u64;
        let bytes = self.bytes.as_slice_bytes(self.offset as u64, length).expect("a part of what is mapped");
        let elements = bytemuck::cast_slice(bytes);
        ArrayView2::from_shape(self.shape, elements).expect("the shape and the elements are those of the same header")
    }

    fn check_unchanged(&self) -> Result<()> {
        let now = Stamp::of(&self.file).map_err(|error| Error::io("look at", &self.path, error))?;
        let found = match now {
            _ if now == self.stamp => return Ok(()),
            Stamp { length, .. } if length != self.stamp.length => {
                format!("had {} when it was opened and has {length}", counted(self.stamp.length, "byte"))
            }
            _ => "has been written to since it was opened".into(),
        };
        let expected = "a file that does not change while it is in use: f32 in C order is read as it is needed".into();
        Err(Error::File { path: self.path.clone(), found, expected })
    }
}

/// Reads features (N, D) of f16, f32, f64 or integers, in C or Fortran order, of either endianness. `path` is a `.npy` file, an `.npz`
/// archive of one array, or `archive.npz:name`. A `.npy` file that is f32 in C order already is mapped, not read; it must
/// not change while it is in use ([`Features::check_unchanged`]).
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for a file that is not such an array.
pub fn read_features(path: &Path) -> Result<Features> {
    // Whatever cannot be mapped can still be read, or else the reading says what is wrong.
    if !is_archive(path)
        && let Some(mapped) = Mapped::open(path)
    {
        return Ok(Features(Storage::Mapped(Arc::new(mapped))));
    }
    Ok(read_f32_matrix(path)?.into())
}
