//! Features that stay in their `.npy` file: rows are read from it as they are used. Nothing is mapped: a file that is cut off while rows are read is
//! an error, where a mapping would end the process.

use super::features::ROWS_AT_A_TIME;
use super::npy_header;
use crate::{Error, Result, files::regular_file};
use crc32c::{crc32c, crc32c_append};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// A file, and what it was when it was opened: its header is not read again.
pub(super) struct FeatureFile {
    path: PathBuf,
    file: File,
    /// (N, D)
    shape: (usize, usize),
    /// Where the elements begin.
    offset: u64,
    /// Of when it was last known to hold what it held at first.
    stamp: Mutex<Stamp>,
    /// The CRC-32C of what is before the elements.
    header: u32,
    /// The CRC-32C of all of it, once all rows have been looked through.
    contents: OnceLock<u32>,
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
        let file = regular_file::open(path).ok()?;
        let stamp = Stamp::of(&file).ok()?;
        let mut start = Vec::new();
        (&file).take(npy_header::START as u64).read_to_end(&mut start).ok()?;
        let (shape, offset) = npy_header::native_f32_matrix(&start)?;
        let is_whole = stamp.length == offset as u64 + (size_of::<f32>() * shape.0 * shape.1) as u64;
        let header = crc32c(start.get(..offset)?);
        let stamp = Mutex::new(stamp);
        let (offset, contents) = (offset as u64, OnceLock::new());
        let file = Self { path: path.into(), file, shape, offset, stamp, header, contents };
        (is_whole && shape.0 > 0 && shape.1 > 0).then_some(file)
    }

    /// (N, D)
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Calls `each` with the first row's number and a few rows at a time. The check sum of all of them is remembered: a file that is written to and
    /// holds the same afterwards has not changed.
    pub fn look_through(&self, each: impl FnMut(usize, ArrayView2<f32>) -> Result<()>) -> Result<()> {
        let contents = self.checksum(each)?;
        self.contents.get_or_init(|| contents);
        Ok(())
    }

    /// The CRC-32C of the header as it was and of all rows as they are, with which `each` is called.
    fn checksum(&self, mut each: impl FnMut(usize, ArrayView2<f32>) -> Result<()>) -> Result<u32> {
        let (all, _) = self.shape;
        (0..all).step_by(ROWS_AT_A_TIME).try_fold(self.header, |checksum, first| {
            let rows = self.rows_now(first, ROWS_AT_A_TIME.min(all - first))?;
            each(first, rows.view())?;
            Ok(crc32c_append(checksum, bytemuck::cast_slice(rows.as_slice().expect("in C order"))))
        })
    }

    /// `count` rows from `first` on, of a file that has not changed.
    pub fn read(&self, first: usize, count: usize) -> Result<Array2<f32>> {
        let rows = self.rows_now(first, count)?;
        self.check_unchanged()?;
        Ok(rows)
    }

    /// `count` rows from `first` on, as they are now.
    fn rows_now(&self, first: usize, count: usize) -> Result<Array2<f32>> {
        let mut rows = Array2::zeros((count, self.shape.1));
        self.read_into(first, rows.as_slice_mut().expect("in C order"))?;
        Ok(rows)
    }

    /// Some rows, of a file that has not changed.
    pub fn gather(&self, rows: &[usize]) -> Result<Array2<f32>> {
        let mut gathered = Array2::zeros((rows.len(), self.shape.1));
        let elements = gathered.as_slice_mut().expect("in C order");
        let targets = elements.par_chunks_exact_mut(self.shape.1).zip(rows).with_min_len(16);
        targets.try_for_each(|(target, &row)| self.read_into(row, target))?;
        self.check_unchanged()?;
        Ok(gathered)
    }

    fn read_into(&self, row: usize, elements: &mut [f32]) -> Result<()> {
        let offset = self.offset + (size_of::<f32>() * self.shape.1 * row) as u64;
        let outcome = read_exact_at(&self.file, bytemuck::cast_slice_mut(elements), offset);
        // That the file was cut off says more than that its end came too early.
        outcome.map_err(|error| self.check_length().err().unwrap_or(Error::io("read", &self.path, error)))
    }

    /// Checks that the file has the length and the modification time that it had, or at least holds what it held.
    fn check_unchanged(&self) -> Result<()> {
        let now = self.check_length()?;
        let stamp = || self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if now == *stamp() {
            return Ok(());
        }
        if self.holds_the_same()? && self.check_length()? == now {
            *stamp() = now;
            return Ok(());
        }
        Err(self.changed("has been written to since it was opened".into()))
    }

    /// Checks that the file has the length that it had; what it is now.
    fn check_length(&self) -> Result<Stamp> {
        let now = Stamp::of(&self.file).map_err(|error| Error::io("look at", &self.path, error))?;
        let had = self.offset + (size_of::<f32>() * self.shape.0 * self.shape.1) as u64;
        match now.length {
            length if length == had => Ok(now),
            length => Err(self.changed(format!("had {had} bytes when it was opened and has {length}"))),
        }
    }

    fn changed(&self, found: String) -> Error {
        let expected = "a file that does not change while it is in use: f32 in C order is read as it is needed".into();
        Error::File { path: self.path.clone(), found, expected }
    }

    /// Whether all of it is known and the same.
    fn holds_the_same(&self) -> Result<bool> {
        let Some(&contents) = self.contents.get() else { return Ok(false) };
        let mut header = vec![0; self.offset as usize];
        read_exact_at(&self.file, &mut header, 0).map_err(|error| Error::io("read", &self.path, error))?;
        Ok(crc32c(&header) == self.header && self.checksum(|_, _| Ok(()))? == contents)
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
