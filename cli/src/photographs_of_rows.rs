//! Which photograph each row of features is of.

use arcos::data::{file_of, read_text};
use arcos::extract::Manifest;
use arcos::files::atomic_file::directory_of;
use arcos::wording::counted;
use arcos::{Error, Result};
use std::path::Path;

/// The photographs of `rows` rows of the file `features`, by what is `given`: a manifest or the directory that it is in, or a text file with a line
/// for each row. Where nothing is given, by the manifest beside the features, if that is of as many rows.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for what is given and does not say it.
pub(super) fn photographs_of_rows(given: Option<&Path>, features: &Path, rows: usize) -> Result<Vec<String>> {
    let features = file_of(features);
    let Some(path) = given else {
        // Nobody asked for it: one of another program, or of other features, is none of our business.
        let manifest = Manifest::read(directory_of(&features)).unwrap_or_default();
        return Ok(manifest.and_then(|manifest| of_split(manifest, &features, rows).ok()).unwrap_or_default());
    };
    let is_manifest = path.is_dir() || path.extension().is_some_and(|extension| extension == "json");
    if !is_manifest {
        let files: Vec<String> = read_text(path)?.lines().map(|line| line.trim().to_owned()).collect();
        let found = counted(files.len(), "line");
        let expected = format!("{rows}, one for each row of embeddings");
        return if files.len() == rows { Ok(files) } else { Err(Error::File { path: path.into(), found, expected }) };
    }
    let file = if path.is_dir() { Manifest::path(path) } else { path.into() };
    let wrong = |found: String| Error::File {
        path: file.clone(),
        found,
        expected: format!("one split of {}, as many as there are features", counted(rows, "row")),
    };
    let manifest = Manifest::read_file(&file)?.ok_or_else(|| wrong("is not there".into()))?;
    of_split(manifest, &features, rows).map_err(|fitting| wrong(format!("has {}", counted(fitting, "such split"))))
}

/// The photographs of the split that has as many rows; of several that whose features have this name. Else how many have.
fn of_split(manifest: Manifest, features: &Path, rows: usize) -> Result<Vec<String>, usize> {
    let mut fitting: Vec<_> = manifest.splits.into_iter().filter(|(_, split)| split.rows.len() == rows).collect();
    if fitting.len() > 1 {
        let has_name = |name: &str| features.file_name().is_some_and(|found| *found == *format!("{name}_features.npy"));
        if let Some(of_name) = fitting.iter().position(|(name, _)| has_name(name)) {
            fitting = vec![fitting.swap_remove(of_name)];
        }
    }
    let [(_, split)] = <[_; 1]>::try_from(fitting).map_err(|fitting| fitting.len())?;
    Ok(split.rows.into_iter().map(|row| row.file).collect())
}
