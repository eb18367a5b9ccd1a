//! Arrays of other frameworks: the archives in `tests/reference`.

use ndarray::{Array, Dimension};
use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::File;
use std::path::Path;

pub struct Archive(pub NpzReader<File>);

impl Archive {
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
        Self(NpzReader::new(File::open(path).expect("the archive is committed")).expect("an archive"))
    }

    pub fn read<A: ReadableElement, D: Dimension>(&mut self, case: &str, name: &str) -> Array<A, D> {
        self.0.by_name(&format!("{case}/{name}")).unwrap_or_else(|error| panic!("{case}/{name}: {error}"))
    }
}
