//! What is to be done: which photographs are there, and in which shards they are worked on.

use super::manifest::{FORMAT, Manifest, Tokens, sha256};
use super::options::Options;
use crate::data::image::{BoundingBox, Preprocessing};
use crate::data::{ImageSet, LabelledImage, Split};
use crate::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{fs, io};

/// Rows of a shard, about, and whole batches: what a killed run loses for each thread.
const SHARD_ROWS: usize = 64;

/// What the names of shards end in.
const SHARD_EXTENSION: &str = "npz";

/// One split's work.
pub(super) struct SplitPlan<'a> {
    pub split: Split,
    /// Augmented views of each image; none for the image itself.
    pub views: Option<usize>,
    pub shards: Vec<Shard<'a>>,
    /// Of all images and labels.
    pub fingerprint: String,
    /// Images that are not there.
    pub missing: usize,
}

/// Some images of a split.
pub(super) struct Shard<'a> {
    pub images: Vec<&'a LabelledImage>,
    /// The beginning of its file's name.
    prefix: String,
    /// Hash of all that the features depend on.
    pub fingerprint: String,
}

impl Shard<'_> {
    /// Where its features are kept.
    pub fn file(&self, partial: &Path) -> PathBuf {
        partial.join(format!("{}{}", self.prefix, &self.fingerprint[..32])).with_extension(SHARD_EXTENSION)
    }
}

/// What the names of files with shards of a split begin with, if they are of one kind with `manifest`.
pub(super) fn shard_prefix(split: Split, manifest: &Manifest) -> String {
    format!("{}-{}-", split.name(), &manifest.kind()[..16])
}

/// Whether files with shards have such names.
pub(super) fn is_shard(name: &str) -> bool {
    let of_split = |split: Split| name.strip_prefix(split.name())?.strip_prefix('-');
    let hashes = Split::ALL
        .into_iter()
        .find_map(of_split)
        .and_then(|rest| rest.strip_suffix(SHARD_EXTENSION)?.strip_suffix('.'));
    let is_hash = |hash: &str, digits| hash.len() == digits && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    hashes
        .and_then(|hashes| hashes.split_once('-'))
        .is_some_and(|(kind, shard)| is_hash(kind, 16) && is_hash(shard, 32))
}

/// What a shard's features depend on.
#[derive(Serialize)]
struct Dependencies<'a> {
    /// Of pixels and files.
    format: &'static str,
    model: (&'a str, Option<&'a str>, Option<Tokens>),
    preprocessing: &'a Preprocessing,
    views: Option<(usize, u64)>,
    images: Vec<(String, Option<BoundingBox>, FileVersion)>,
}

/// Length and time of modification of a file, the latter in nanoseconds.
#[derive(Clone, Copy, Serialize)]
struct FileVersion(u64, u128);

/// The shards of a split; `None` if the set has no image for it.
///
/// # Errors
/// [`Error::MissingImages`], unless they may be missing; [`Error::Io`].
pub(super) fn plan<'a>(
    set: &'a ImageSet,
    split: Split,
    options: &Options,
    manifest: &Manifest,
) -> Result<Option<SplitPlan<'a>>> {
    let images: Vec<&LabelledImage> = set.images.iter().filter(|image| image.split == split).collect();
    if images.is_empty() {
        return Ok(None);
    }
    let mut present = Vec::new();
    let mut missing: Vec<PathBuf> = Vec::new();
    for image in &images {
        let path = set.root.join(&image.path);
        match version(&path) {
            Ok(version) => present.push((*image, version)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
    if let Some(path) = missing.first().filter(|_| !options.allow_missing || present.is_empty()) {
        return Err(Error::MissingImages {
            path: path.clone(),
            missing: missing.len(),
            images: images.len(),
            split: split.name(),
        });
    }
    let views = options.views.filter(|_| split == Split::Train);
    let seeded_views = views.map(|views| (views, options.seed));
    let rows = SHARD_ROWS.next_multiple_of(options.batch_size);
    let prefix = shard_prefix(split, manifest);
    let shard = |images: &[(&'a LabelledImage, FileVersion)]| Shard {
        images: images.iter().map(|&(image, _)| image).collect(),
        prefix: prefix.clone(),
        fingerprint: fingerprint(images, seeded_views, manifest),
    };
    let shards = present.chunks((rows / views.unwrap_or(1)).max(1)).map(shard).collect();
    let labels: String = present.iter().map(|(image, _)| format!(" {}", image.label)).collect();
    let fingerprint = sha256([fingerprint(&present, seeded_views, manifest).as_bytes(), labels.as_bytes()]);
    Ok(Some(SplitPlan { split, views, shards, fingerprint, missing: missing.len() }))
}

fn version(path: &Path) -> io::Result<FileVersion> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(FileVersion(metadata.len(), modified.as_nanos()))
}

fn fingerprint(images: &[(&LabelledImage, FileVersion)], views: Option<(usize, u64)>, manifest: &Manifest) -> String {
    let image = |&(image, version): &(&LabelledImage, FileVersion)| {
        (image.path.to_string_lossy().into_owned(), image.bounding_box, version)
    };
    let dependencies = Dependencies {
        format: FORMAT,
        model: manifest.model.kind(),
        preprocessing: &manifest.preprocessing,
        views,
        images: images.iter().map(image).collect(),
    };
    let bytes = serde_json::to_vec(&dependencies).expect("numbers and strings are JSON");
    sha256([bytes.as_slice()])
}
