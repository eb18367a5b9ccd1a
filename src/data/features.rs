//! Features in memory or in their file.

use super::arrays::{is_archive, read_f32_matrix};
use super::feature_file::FeatureFile;
use crate::Result;
use crate::files::{atomic_file::directory_of, replacement::check_whole};
use ndarray::parallel::prelude::*;
use ndarray::{ArcArray2, Array2, ArrayView2, Axis, CowArray, Ix2, s};
use std::path::Path;
use std::sync::Arc;

/// Rows that are in memory at a time, where features are in a file.
pub(super) const ROWS_AT_A_TIME: usize = 1024;

/// Features (N, D) in single precision. Clones share the data.
#[derive(Clone)]
pub struct Features(Storage);

#[derive(Clone)]
enum Storage {
    Memory(ArcArray2<f32>),
    File(Arc<FeatureFile>),
    /// Those rows of a file.
    RowsOfFile(Arc<FeatureFile>, Arc<[usize]>),
}

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.is_in_file() { "in a file" } else { "in memory" };
        write!(f, "Features({:?}, {place})", self.rows().dim())
    }
}

impl From<Array2<f32>> for Features {
    fn from(features: Array2<f32>) -> Self {
        Self(Storage::Memory(features.into_shared()))
    }
}

impl Features {
    /// The features (N, D), to be looked through.
    pub fn rows(&self) -> FeatureRows<'_> {
        FeatureRows(match &self.0 {
            Storage::Memory(features) => Source::Memory(features.view()),
            Storage::File(file) => Source::File(file),
            Storage::RowsOfFile(file, rows) => Source::RowsOfFile(file, rows),
        })
    }

    /// Some rows: of a file they stay there, of memory they are copied.
    pub(super) fn part(&self, rows: &[usize]) -> Result<Self> {
        Ok(Self(match &self.0 {
            Storage::Memory(_) => return self.select(rows),
            Storage::File(file) => Storage::RowsOfFile(file.clone(), rows.into()),
            Storage::RowsOfFile(file, of_file) => {
                Storage::RowsOfFile(file.clone(), rows.iter().map(|&row| of_file[row]).collect())
            }
        }))
    }

    /// A copy of some rows.
    ///
    /// # Errors
    /// As [`FeatureRows::all`].
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        Ok(self.rows().select(rows)?.into())
    }

    /// Whether rows are read from their file as they are used.
    pub fn is_in_file(&self) -> bool {
        matches!(self.0, Storage::File(_) | Storage::RowsOfFile(..))
    }

    /// Calls `each` with the first row's number and a few rows at a time. Of a file a check sum is remembered, by which it is known not to have
    /// changed where it has only been touched.
    ///
    /// # Errors
    /// As [`FeatureRows::all`], and what `each` returns.
    pub(super) fn look_through(&self, mut each: impl FnMut(usize, ArrayView2<f32>) -> Result<()>) -> Result<()> {
        match &self.0 {
            Storage::File(file) => file.look_through(each),
            _ => self.rows().chunks(ROWS_AT_A_TIME).try_for_each(|chunk| {
                let (first, rows) = chunk?;
                each(first, rows.view())
            }),
        }
    }
}

/// Features (N, D) in memory or in a file that may be larger than memory.
#[derive(Clone, Copy)]
pub struct FeatureRows<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Memory(ArrayView2<'a, f32>),
    File(&'a FeatureFile),
    RowsOfFile(&'a FeatureFile, &'a [usize]),
}

impl<'a> From<ArrayView2<'a, f32>> for FeatureRows<'a> {
    fn from(features: ArrayView2<'a, f32>) -> Self {
        Self(Source::Memory(features))
    }
}

impl<'a> From<&'a Features> for FeatureRows<'a> {
    fn from(features: &'a Features) -> Self {
        features.rows()
    }
}

impl<'a> FeatureRows<'a> {
    /// (N, D)
    pub fn dim(&self) -> (usize, usize) {
        match &self.0 {
            Source::Memory(features) => features.dim(),
            Source::File(file) => file.shape(),
            Source::RowsOfFile(file, rows) => (rows.len(), file.shape().1),
        }
    }

    /// (N, D), as errors have it.
    pub fn shape(&self) -> [usize; 2] {
        self.dim().into()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// All rows; those of a file are read into memory.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) where the file has changed since it was opened, by its length or by its time of modification; one that was
    /// looked through, as that of a [`Dataset`](super::Dataset), has not changed if it holds what it held. [`Error::Io`](crate::Error::Io).
    pub fn all(&self) -> Result<CowArray<'a, f32, Ix2>> {
        self.part(0, self.dim().0)
    }

    /// A copy of some rows.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn select(&self, rows: &[usize]) -> Result<Array2<f32>> {
        let features = match &self.0 {
            Source::Memory(features) => features,
            Source::File(file) => return file.gather(rows),
            Source::RowsOfFile(file, of_file) => {
                return file.gather(&rows.iter().map(|&row| of_file[row]).collect::<Vec<_>>());
            }
        };
        let mut gathered = Array2::zeros((rows.len(), features.ncols()));
        let pairs = gathered.axis_iter_mut(Axis(0)).into_par_iter().zip(rows);
        pairs.with_min_len(16).for_each(|(mut target, &row)| target.assign(&features.row(row)));
        Ok(gathered)
    }

    /// All rows, so many at a time and fewer at the end, each with the number of the first.
    ///
    /// # Errors
    /// Each as [`all`](Self::all).
    pub fn chunks(self, rows: usize) -> impl Iterator<Item = Result<(usize, CowArray<'a, f32, Ix2>)>> {
        let (all, _) = self.dim();
        (0..all).step_by(rows).map(move |first| Ok((first, self.part(first, rows.min(all - first))?)))
    }

    fn part(&self, first: usize, count: usize) -> Result<CowArray<'a, f32, Ix2>> {
        match self.0 {
            Source::Memory(features) => Ok(features.slice_move(s![first..first + count, ..]).into()),
            Source::File(file) => Ok(file.read(first, count)?.into()),
            Source::RowsOfFile(file, rows) => Ok(file.gather(&rows[first..first + count])?.into()),
        }
    }
}

/// Reads features (N, D) of f16, f32, f64 or integers, in C or Fortran order, of either endianness. `path` is a `.npy` file, an `.npz`
/// archive of one array, or `archive.npz:name`. Rows of a `.npy` file that is f32 in C order already are read as they are used; it must
/// not change until then.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::File`](crate::Error::File) for a file that is not such an array.
pub fn read_features(path: &Path) -> Result<Features> {
    check_whole(directory_of(path))?;
    // What cannot stay in its file can still be read, or else the reading says what is wrong.
    if !is_archive(path)
        && let Some(file) = FeatureFile::open(path)
    {
        return Ok(Features(Storage::File(Arc::new(file))));
    }
    Ok(read_f32_matrix(path)?.into())
}
