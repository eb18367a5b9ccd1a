//! Photographs in one folder a class.

use super::{ImageSet, LabelledImage, Split};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The endings that make a file a photograph, whatever their case.
const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Reads `directory/train/CLASS/*` and `directory/test/CLASS/*` (or `val` for `test`); without a folder `train`, `directory/CLASS/*`,
/// all of it as `whole`. Classes are the names of folders in alphabetical order, those of both splits together; files come in
/// alphabetical order. Files that are no `.jpg`, `.jpeg` or `.png`, and those whose name begins with a dot, are passed over.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] where there is no photograph.
pub fn read(directory: &Path, whole: Split) -> Result<ImageSet> {
    // A class may be called train.
    let has = |name: &str| {
        Ok(directory.join(name).is_dir() && entries(&directory.join(name))?.iter().any(|path| path.is_dir()))
    };
    let splits: Vec<(&str, Split)> = match (has("train")?, has("test")?, has("val")?) {
        (false, ..) => vec![("", whole)],
        (true, true, _) => vec![("train", Split::Train), ("test", Split::Test)],
        (true, false, true) => vec![("train", Split::Train), ("val", Split::Test)],
        (true, false, false) => vec![("train", Split::Train)],
    };
    let mut found = Vec::new();
    for (folder, split) in splits {
        for class in entries(&directory.join(folder))?.into_iter().filter(|path| path.is_dir()) {
            for file in entries(&class)?.into_iter().filter(|path| is_photograph(path)) {
                found.push((name(&class), split, file));
            }
        }
    }
    let names: BTreeSet<&String> = found.iter().map(|(class, ..)| class).collect();
    let classes: Vec<String> = names.into_iter().cloned().collect();
    if found.is_empty() {
        return Err(Error::File {
            path: directory.into(),
            found: "holds no photograph".into(),
            expected: "a folder for each class with .jpg, .jpeg or .png files, or folders train and test of such"
                .into(),
        });
    }
    let image = |(class, split, file): (String, Split, PathBuf)| LabelledImage {
        path: file.strip_prefix(directory).map(Path::to_path_buf).unwrap_or(file),
        label: classes.binary_search(&class).expect("the classes are those found"),
        split,
        bounding_box: None,
    };
    let images = found.into_iter().map(image).collect();
    Ok(ImageSet { root: directory.into(), classes, images })
}

/// What is in a folder, in alphabetical order, but for names that begin with a dot.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("list", directory, error);
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_photograph(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    EXTENSIONS.contains(&extension.as_str()) && path.is_file()
}
