//! Features that stay in their `.npy` file: rows are read from it as they are used. Nothing is mapped: a file that is cut off while rows are read is
//! an error, where a mapping would end the process.

use super::npy_header;
use crate::{Error, Result};
use ndarray::Array2;
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file, and what it was when it was opened: its header is not read again.
pub(super) struct FeatureFile {
    path: PathBuf,
    file: File,
    /// (N, D)
    shape: (usize, usize),
    /// Where the elements begin.
    offset: u64,
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

impl FeatureFile {
    /// The file as a matrix, if it is f32 in C order and of this machine's endianness.
    pub fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        // What is read from a pipe is gone.
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let stamp = Stamp::of(&file).ok()?;
        let mut start = Vec::new();
        (&file).take(npy_header::START as u64).read_to_end(&mut start).ok()?;
        let (shape, offset) = npy_header::native_f32_matrix(&start)?;
        let is_whole = stamp.length == offset as u64 + (size_of::<f32>() * shape.0 * shape.1) as u64;
        let file = Self { path: path.into(), file, shape, offset: offset as u64, stamp };
        (is_whole && shape.0 > 0 && shape.1 > 0).then_some(file)
    }

    /// (N, D)
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// `count` rows from `first` on.
    pub fn read(&self, first: usize, count: usize) -> Result<Array2<f32>> {
        let mut rows = Array2::zeros((count, self.shape.1));
        self.read_into(first, rows.as_slice_mut().expect("in C order"))?;
        Ok(rows)
    }

    /// Some rows.
    pub fn gather(&self, rows: &[usize]) -> Result<Array2<f32>> {
        let mut gathered = Array2::zeros((rows.len(), self.shape.1));
        let elements = gathered.as_slice_mut().expect("in C order");
        let targets = elements.par_chunks_exact_mut(self.shape.1).zip(rows).with_min_len(16);
        targets.try_for_each(|(target, &row)| self.read_into(row, target))?;
        Ok(gathered)
    }

    fn read_into(&self, row: usize, elements: &mut [f32]) -> Result<()> {
        let offset = self.offset + (size_of::<f32>() * self.shape.1 * row) as u64;
        let outcome = read_exact_at(&self.file, bytemuck::cast_slice_mut(elements), offset);
        // That the file was cut off says more than that its end came too early.
        outcome.map_err(|error| self.check_unchanged().err().unwrap_or(Error::io("read", &self.path, error)))
    }

    /// Checks that the file has the length and the modification time that it had.
    pub fn check_unchanged(&self) -> Result<()> {
        let now = Stamp::of(&self.file).map_err(|error| Error::io("look at", &self.path, error))?;
        let found = match now {
            _ if now == self.stamp => return Ok(()),
            Stamp { length, .. } if length != self.stamp.length => {
                format!("had {} bytes when it was opened and has {length}", self.stamp.length)
            }
            _ => "has been written to since it was opened".into(),
        };
        let expected = "a file that does not change while it is in use: f32 in C order is read as it is needed".into();
        Err(Error::File { path: self.path.clone(), found, expected })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::sync::{Mutex, PoisonError};
    // A file has one cursor.
    static CURSOR: Mutex<()> = Mutex::new(());
    let _alone = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
