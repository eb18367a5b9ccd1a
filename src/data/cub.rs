//! Caltech-UCSD Birds-200-2011 in its official layout: `images.txt`, `image_class_labels.txt`, `train_test_split.txt`,
//! `bounding_boxes.txt`, `classes.txt` and `images/`.
//!
//! A line of each file begins with an id; what belongs together is found by id, whatever the order of lines. Ids that
//! `images.txt` does not list are passed over, so that a part of the data set is one too.

use super::image::BoundingBox;
use super::{ImageSet, LabelledImage, Split, read_text};
use crate::files::stays_inside;
use crate::wording::counted;
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

const IMAGES: &str = "images.txt";
const LABELS: &str = "image_class_labels.txt";
const SPLIT: &str = "train_test_split.txt";
const BOXES: &str = "bounding_boxes.txt";
const CLASSES: &str = "classes.txt";

/// The lists that [`read`] reads.
pub const LISTS: [&str; 5] = [IMAGES, LABELS, SPLIT, BOXES, CLASSES];

/// Reads the metadata in `directory`. Images come in the order of their ids, classes in the order of theirs: the class with the
/// smallest id has label 0. Where `bounding_boxes.txt` is not there, no image has a box. Whether the photographs are there is not looked
/// at, nor whether their boxes hold a pixel.
///
/// # Errors
/// [`Error::Io`] for a missing file; [`Error::Line`] for a malformed line, an id or a photograph given twice, a class that `classes.txt` does not
/// list, or a photograph outside `images/`; [`Error::File`] where a file says nothing of an image.
pub fn read(directory: &Path) -> Result<ImageSet> {
    let path = directory.join(IMAGES);
    let mut records = unique_records(&path)?;
    if records.is_empty() {
        return Err(Error::File { path, found: "lists no image".into(), expected: "lines of an id and a file".into() });
    }
    records.sort_by_key(|record| record.id);
    for record in &records {
        // Links are what its user made.
        if !stays_inside(Path::new(&record.rest)) {
            return Err(record.error(&path, format!("{:?}", record.rest), "a path inside images/".into()));
        }
    }
    let mut id_of: HashMap<PathBuf, u64> = HashMap::new();
    for record in &records {
        // One photograph of two ids could be in both splits. `./` in a path is no other place.
        let file = Path::new(&record.rest).components().filter(|part| *part != Component::CurDir).collect();
        if let Some(first) = id_of.insert(file, record.id) {
            let found = format!("{:?}, as of id {first}", record.rest);
            return Err(record.error(&path, found, "each photograph once".into()));
        }
    }
    let listed: HashSet<u64> = records.iter().map(|record| record.id).collect();

    let class_records = class_records(directory)?;
    let label_of: HashMap<u64, usize> =
        class_records.iter().enumerate().map(|(label, record)| (record.id, label)).collect();
    let classes = class_records.into_iter().map(|record| record.rest).collect();
    let labels = Table::read(directory, LABELS, &listed, |record, path| {
        let malformed = |_| record.error(path, format!("{:?}", record.rest), "a class id".into());
        let id: u64 = record.rest.parse().map_err(malformed)?;
        let expected = || format!("one of {} in {CLASSES}", counted(label_of.len(), "id"));
        label_of.get(&id).copied().ok_or_else(|| record.error(path, format!("class {id}"), expected()))
    })?;
    let splits = Table::read(directory, SPLIT, &listed, |record, path| match record.rest.as_str() {
        "1" => Ok(Split::Train),
        "0" => Ok(Split::Test),
        other => Err(record.error(path, format!("{other:?}"), "1 (training image) or 0 (test image)".into())),
    })?;
    let boxes = match directory.join(BOXES).try_exists() {
        Ok(false) => None,
        _ => Some(Table::read(directory, BOXES, &listed, bounding_box)?),
    };

    let image = |Record { id, rest, .. }: Record| {
        let bounding_box = boxes.as_ref().map(|boxes| boxes.get(id)).transpose()?;
        Ok(LabelledImage { path: rest.into(), label: labels.get(id)?, split: splits.get(id)?, bounding_box })
    };
    let images = records.into_iter().map(image).collect::<Result<_>>()?;
    Ok(ImageSet { root: directory.join("images"), classes, images, passed_over: Vec::new() })
}

/// The names in `classes.txt` of `directory`, in the order of labels.
///
/// # Errors
/// As [`read`].
pub fn read_classes(directory: &Path) -> Result<Vec<String>> {
    Ok(class_records(directory)?.into_iter().map(|record| record.rest).collect())
}

fn class_records(directory: &Path) -> Result<Vec<Record>> {
    let path = directory.join(CLASSES);
    let mut records = unique_records(&path)?;
    records.sort_by_key(|record| record.id);
    let mut id_of: HashMap<&str, u64> = HashMap::new();
    for record in &records {
        if let Some(first) = id_of.insert(&record.rest, record.id) {
            let found = format!("{:?}, as of id {first}", record.rest);
            return Err(record.error(&path, found, "each name once".into()));
        }
    }
    Ok(records)
}

fn bounding_box(record: &Record, path: &Path) -> Result<BoundingBox> {
    let numbers: Option<Vec<f64>> = record.rest.split_whitespace().map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[x, y, width, height]) if [x, y, width, height].iter().all(|number| number.is_finite()) => {
            Ok(BoundingBox { x, y, width, height })
        }
        _ => Err(record.error(path, format!("box {:?}", record.rest), "x, y, width and height in pixels".into())),
    }
}

/// What a file says of each listed id.
struct Table<T> {
    path: PathBuf,
    by_id: HashMap<u64, T>,
}

impl<T: Copy> Table<T> {
    fn read(
        directory: &Path,
        file: &str,
        listed: &HashSet<u64>,
        parse: impl Fn(&Record, &Path) -> Result<T>,
    ) -> Result<Self> {
        let path = directory.join(file);
        let parse = |record: Record| Ok((record.id, parse(&record, &path)?));
        let records = unique_records(&path)?.into_iter().filter(|record| listed.contains(&record.id));
        let by_id = records.map(parse).collect::<Result<_>>()?;
        Ok(Self { path, by_id })
    }

    fn get(&self, id: u64) -> Result<T> {
        let missing = || Error::File {
            path: self.path.clone(),
            found: format!("no line for id {id}"),
            expected: format!("one for each image of {IMAGES}"),
        };
        self.by_id.get(&id).copied().ok_or_else(missing)
    }
}

/// A line: an id and what follows it.
struct Record {
    /// Counted from 1.
    line: usize,
    id: u64,
    rest: String,
}

impl Record {
    fn error(&self, path: &Path, found: String, expected: String) -> Error {
        Error::Line { path: path.into(), line: self.line, found, expected }
    }
}

/// The lines of a file that are not blank; no id may come twice.
fn unique_records(path: &Path) -> Result<Vec<Record>> {
    let text = read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
    let mut first_lines = HashMap::new();
    let parse = |(index, text): (usize, &str)| {
        let line = index + 1;
        let malformed =
            |found, expected: &str| Error::Line { path: path.into(), line, found, expected: expected.into() };
        let (id, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let id = match id.parse() {
            Ok(id) if !rest.is_empty() => id,
            _ => return Err(malformed(format!("{text:?}"), "an id, a space, and a value")),
        };
        match first_lines.insert(id, line) {
            None => Ok(Record { line, id, rest: rest.trim_start().into() }),
            Some(first) => Err(malformed(format!("id {id}, as on line {first}"), "each id once")),
        }
    };
    lines.map(parse).collect()
}
