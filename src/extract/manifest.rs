//! What a directory of features is made of: `manifest.json`.

use crate::data::image::Preprocessing;
use crate::data::{ImageSet, Split, without_byte_order_mark};
use crate::files::replacement::MANIFEST;
use crate::files::{atomic_file, regular_file};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version of the format, and of what is done to pixels: features of another do not stand beside new ones, shards of another are not
/// taken up.
pub(super) const FORMAT: &str = "arcos features 3";

/// Without check sums of the arrays, and with unusual JPEGs decoded wrong.
const FORMER_FORMAT: &str = "arcos features 2";

/// What the features of a directory are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    /// The network.
    pub model: ModelFile,
    /// What was done to photographs.
    pub preprocessing: Preprocessing,
    /// Whether they were cut to bounding boxes.
    pub boxes: bool,
    /// Names of the classes; a label is a position here.
    pub classes: Vec<String>,
    /// `train` and `test`, those of them that are there.
    pub splits: BTreeMap<String, SplitManifest>,
}

/// The network that made the features.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its file.
    pub file: String,
    /// Hash of all its bytes, those of files it refers to included.
    pub sha256: String,
    /// Which of its tensors the features come from, where there may be several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How they come from a tensor (N, T, D).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

impl ModelFile {
    /// All that features depend on.
    pub(super) fn kind(&self) -> (&str, Option<&str>, Option<Tokens>) {
        (&self.sha256, self.output.as_deref(), self.tokens)
    }
}

/// How an image's features come from a tensor (N, T, D), with a vector for each of T tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Tokens {
    /// They are the first: the class token of vision transformers.
    First,
    /// They are the mean of all.
    Mean,
}

/// What `train_features.npy` or `test_features.npy` is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitManifest {
    /// Hash of all that the features depend on: network, preprocessing, views, seed, and the photographs' names, sizes and times.
    pub fingerprint: String,
    /// Seed of the views, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The photograph of each row.
    pub rows: Vec<Row>,
    /// Photographs that were left out because they are unusable.
    pub skipped: Vec<String>,
    /// Photographs that were left out because they are not there.
    pub missing: usize,
    /// The CRC-32C of the file of features; none of those that were extracted before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features_crc32c: Option<u32>,
    /// The CRC-32C of the file of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_crc32c: Option<u32>,
}

/// Where a row of features comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The photograph, from the root of its set.
    pub file: String,
    /// Which of its augmented views, from 0; none for the photograph itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<usize>,
}

impl Manifest {
    /// A manifest without splits.
    pub(super) fn new(model: ModelFile, preprocessing: Preprocessing, set: &ImageSet) -> Self {
        let boxes = set.images.iter().any(|image| image.bounding_box.is_some());
        let classes = set.classes.clone();
        Self { format: FORMAT.into(), model, preprocessing, boxes, classes, splits: BTreeMap::new() }
    }

    /// Reads the manifest of the features in `directory`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] for a file that is no manifest.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        Self::read_file(&Self::path(directory))
    }

    /// [`read`](Self::read) of the file `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_file(path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = regular_file::read_if_there(path)? else { return Ok(None) };
        let unusable = |found: String| Error::File { path: path.into(), found, expected: FORMAT.into() };
        let manifest: Self =
            serde_json::from_slice(without_byte_order_mark(&bytes)).map_err(|error| unusable(error.to_string()))?;
        if ![FORMAT, FORMER_FORMAT].contains(&manifest.format.as_str()) {
            return Err(unusable(manifest.format));
        }
        Ok(Some(manifest))
    }

    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        atomic_file::write(&Self::path(directory), |file| Ok(serde_json::to_writer_pretty(file, self)?))
    }

    /// Where the manifest of the features in `directory` is.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(MANIFEST)
    }

    /// Whether features of both can stand beside each other: one network, one preprocessing, the same classes.
    pub(super) fn is_of_one_kind_with(&self, other: &Self) -> bool {
        self.format == other.format
            && self.model.kind() == other.model.kind()
            && self.preprocessing == other.preprocessing
            && self.boxes == other.boxes
            && self.classes == other.classes
    }

    pub(super) fn is_of_former_format(&self) -> bool {
        self.format == FORMER_FORMAT
    }

    /// The hash of what features of one kind have in common, whatever their classes.
    pub(super) fn kind(&self) -> String {
        let kind = (FORMAT, self.model.kind(), &self.preprocessing, self.boxes);
        sha256([serde_json::to_vec(&kind).expect("numbers and strings are JSON").as_slice()])
    }
}

/// The names of the two arrays of a split.
pub(super) fn array_names(split: Split) -> [String; 2] {
    ["features", "labels"].map(|what| format!("{}_{what}.npy", split.name()))
}

/// The hexadecimal SHA-256 of `parts`, one after the other.
pub(super) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
