//! Whole arrays from shards.

use super::manifest::{Row, SplitManifest, array_names};
use super::options::Options;
use super::plan::{Shard, SplitPlan};
use super::shard::ShardFeatures;
use crate::data::{LabelledImage, Split};
use crate::files::{atomic_file, regular_file};
use crate::{Error, Result};
use crc32c::crc32c_append;
use ndarray::Array1;
use ndarray_npy::{WriteNpyExt, write_zeroed_npy};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

/// Writes the arrays of a split into `partial`; `kept` are the images with features, for each shard.
pub(super) fn assemble(
    plan: &SplitPlan,
    kept: &[Vec<usize>],
    options: &Options,
    root: &Path,
    partial: &Path,
) -> Result<SplitManifest> {
    let with_kept = || plan.shards.iter().zip(kept);
    let images: Vec<&LabelledImage> =
        with_kept().flat_map(|(shard, kept)| kept.iter().map(|&position| shard.images[position])).collect();
    if images.is_empty() {
        return Err(Error::File {
            path: root.into(),
            found: format!("no {} image can be used", plan.split.name()),
            expected: "at least one".into(),
        });
    }
    let views = plan.views.unwrap_or(1);
    let [features_name, labels_name] = &array_names(plan.split);
    let labels: Array1<i64> = images.iter().flat_map(|image| std::iter::repeat_n(image.label as i64, views)).collect();
    atomic_file::write(&partial.join(labels_name), |file| labels.write_npy(file).map_err(io::Error::other))?;

    let read =
        |shard: &Shard| ShardFeatures::read(&shard.file(partial)).ok_or_else(|| io::Error::other("a shard has gone"));
    atomic_file::write(&partial.join(features_name), |file| {
        let mut dimension = 0;
        for (shard, _) in with_kept().filter(|(_, kept)| !kept.is_empty()) {
            let ShardFeatures { features, .. } = read(shard)?;
            if dimension == 0 {
                dimension = features.ncols();
                let shape = (labels.len(), dimension);
                write_zeroed_npy::<f32, _>(file.get_ref(), shape).map_err(io::Error::other)?;
                file.seek(SeekFrom::End(-((shape.0 * shape.1 * size_of::<f32>()) as i64)))?;
            }
            if features.ncols() != dimension {
                return Err(io::Error::other("the network's features differ in dimension"));
            }
            file.write_all(bytemuck::cast_slice(features.as_slice().expect("read in standard layout")))?;
        }
        Ok(())
    })?;

    let skipped = with_kept().flat_map(|(shard, kept)| {
        let is_skipped = |&(position, _): &(usize, _)| !kept.contains(&position);
        shard.images.iter().enumerate().filter(is_skipped).map(|(_, image)| name(image))
    });
    let row = |image: &LabelledImage, view| Row { file: name(image), view };
    Ok(SplitManifest {
        fingerprint: plan.fingerprint.clone(),
        seed: plan.views.map(|_| options.seed),
        skipped: skipped.collect(),
        missing: plan.missing,
        features_crc32c: Some(checksum(&partial.join(features_name))?),
        labels_crc32c: Some(checksum(&partial.join(labels_name))?),
        rows: match plan.views {
            None => images.into_iter().map(|image| row(image, None)).collect(),
            Some(views) => {
                images.into_iter().flat_map(|image| (0..views).map(move |view| row(image, Some(view)))).collect()
            }
        },
    })
}

/// Whether `directory` has the arrays of a split as they were written.
pub(super) fn are_whole(split: Split, made: &SplitManifest, directory: &Path) -> bool {
    let is_whole = |(name, written): (String, Option<u32>)| {
        written.is_some_and(|written| checksum(&directory.join(name)).is_ok_and(|found| found == written))
    };
    array_names(split).into_iter().zip([made.features_crc32c, made.labels_crc32c]).all(is_whole)
}

/// The CRC-32C of a file.
fn checksum(path: &Path) -> Result<u32> {
    let mut file = BufReader::with_capacity(1 << 20, regular_file::open(path)?);
    let mut checksum = 0;
    loop {
        let bytes = file.fill_buf().map_err(|error| Error::io("read", path, error))?;
        if bytes.is_empty() {
            return Ok(checksum);
        }
        checksum = crc32c_append(checksum, bytes);
        let length = bytes.len();
        file.consume(length);
    }
}

/// A photograph's path as text, which JSON needs.
fn name(image: &LabelledImage) -> String {
    image.path.to_string_lossy().into_owned()
}
