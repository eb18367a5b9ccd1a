//! Whole arrays from shards.

use super::manifest::{Manifest, Row, SplitManifest, array_names};
use super::options::Options;
use super::plan::{Shard, SplitPlan};
use super::shard::ShardFeatures;
use crate::data::{LabelledImage, Split, read_features, read_labels};
use crate::{Error, Result, files::atomic_file};
use ndarray::Array1;
use ndarray_npy::{WriteNpyExt, write_zeroed_npy};
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
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
    let [features_name, labels_name] = array_names(plan.split);
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
        rows: match plan.views {
            None => images.into_iter().map(|image| row(image, None)).collect(),
            Some(views) => {
                images.into_iter().flat_map(|image| (0..views).map(move |view| row(image, Some(view)))).collect()
            }
        },
    })
}

/// Whether `directory` has the arrays of a split, with so many rows.
pub(super) fn are_whole(split: Split, rows: usize, directory: &Path) -> bool {
    let [features, labels] = array_names(split).map(|name| directory.join(name));
    read_features(&features).is_ok_and(|features| features.rows().dim().0 == rows)
        && read_labels(&labels, 0).is_ok_and(|labels| labels.len() == rows)
}

/// Puts the arrays in `partial` in their place in `out`, if its manifest is there, which is written once they are whole. What a run
/// was ended in can be done again.
pub(super) fn publish(partial: &Path, out: &Path) -> Result<()> {
    let Some(manifest) = Manifest::read(partial)? else { return Ok(()) };
    let (stay, go): (Vec<_>, Vec<_>) =
        Split::ALL.into_iter().partition(|split| manifest.splits.contains_key(split.name()));
    for name in stay.into_iter().flat_map(array_names) {
        let path = out.join(&name);
        match fs::rename(partial.join(&name), &path) {
            // Not a new one, or in its place already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(|error| Error::io("write", path, error))?,
        }
    }
    go.into_iter().flat_map(array_names).try_for_each(|name| remove(&out.join(name)))?;
    let path = Manifest::path(out);
    fs::rename(Manifest::path(partial), &path).map_err(|error| Error::io("write", path, error))
}

/// Removes the files in `partial` but those whose names are kept: arrays without a manifest, files that a kill left half written,
/// shards that nothing will take up.
pub(super) fn remove_all_but(partial: &Path, is_kept: impl Fn(&str) -> bool) -> Result<()> {
    let failed = |error| Error::io("list", partial, error);
    let entries = match fs::read_dir(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !is_kept(&entry.file_name().to_string_lossy()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// A photograph's path as text, which JSON needs.
fn name(image: &LabelledImage) -> String {
    image.path.to_string_lossy().into_owned()
}
