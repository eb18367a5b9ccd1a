//! The run: shards in parallel, then whole arrays.

use super::manifest::{Manifest, ModelFile, Row, SplitManifest, array_names};
use super::plan::{Shard, SplitPlan, plan};
use super::shard::{Maker, ShardFeatures};
use crate::data::image::Preprocessing;
use crate::data::{ImageSet, LabelledImage, Split};
use crate::{Error, Result, atomic_file};
use ndarray::{Array1, Array2, ArrayView4};
use ndarray_npy::{WriteNpyExt, write_zeroed_npy};
use rayon::prelude::*;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What is extracted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Which splits; one that the set has no image for is left out.
    pub splits: Vec<Split>,
    /// How photographs become the network's input.
    pub preprocessing: Preprocessing,
    /// Augmented views of each training image, in place of the image itself.
    pub views: Option<usize>,
    /// Seed of the views.
    pub seed: u64,
    /// Images given to the network at a time, on each thread.
    pub batch_size: usize,
    /// Whether unusable images are left out; else the first one ends the run.
    pub skip_bad: bool,
    /// Whether images that are not there are left out; else the first one ends the run.
    pub allow_missing: bool,
    /// Whether features of another network, preprocessing or set of classes are replaced; else they end the run.
    pub overwrite: bool,
}

/// What happens while features are extracted.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Before anything else.
    Start {
        /// All images.
        images: usize,
        /// Those that an earlier run has done.
        resumed: usize,
    },
    /// An image is done, or was skipped.
    Done,
    /// An unusable image is left out.
    Skipped(&'a Error),
}

/// Extracts features of `set` with `embed`, from images (n, 3, H, W) or (n, H, W, 3) to features (n, D), and writes
/// `train_features.npy` (N, D), `train_labels.npy` (N,), the same for `test`, and `manifest.json` into `out`. `model` says what
/// `embed` is.
///
/// Finished shards are kept in a folder of `out` until all are done: a run that was ended goes on where it was if it is started
/// again with the same images and options. What `out` held before stays as it is until all new arrays are whole.
///
/// # Errors
/// [`Error::MissingImages`], [`Error::BadImage`], [`Error::EmptyBox`]; [`Error::File`] where `out` holds features that these
/// cannot stand beside, or where features are not finite; [`Error::Setting`]; [`Error::Io`]; what `embed` returns.
pub fn extract(
    set: &ImageSet,
    options: &Options,
    model: &ModelFile,
    embed: &(impl Fn(ArrayView4<f32>) -> Result<Array2<f32>> + Sync),
    out: &Path,
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<Manifest> {
    for (name, value) in [("views", options.views.unwrap_or(1)), ("batch-size", options.batch_size)] {
        if value == 0 {
            return Err(Error::Setting { name, value: "0".into(), expected: "at least 1".into() });
        }
    }
    let mut manifest = Manifest::new(model.clone(), options.preprocessing.clone(), set.classes.clone());
    let before = Manifest::read(out)?;
    check_replaceable(&manifest, before.as_ref(), options, out)?;
    if let Some(before) = before.filter(|before| before.is_of_one_kind_with(&manifest)) {
        manifest.splits = before.splits;
    }

    let plans = options.splits.iter().map(|&split| plan(set, split, options, &manifest));
    let mut plans: Vec<_> = plans.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    if plans.is_empty() {
        return Err(Error::File {
            path: set.root.clone(),
            found: "holds no image of this split".into(),
            expected: "some, or another --split".into(),
        });
    }
    plans.retain(|plan| !is_done(plan, &manifest, options, out));

    let partial = out.join("partial");
    fs::create_dir_all(&partial).map_err(|error| Error::io("create", &partial, error))?;
    let work: Vec<Work> = plans.iter().flat_map(|plan| plan.shards.iter().map(|shard| Work { plan, shard })).collect();
    let found: Vec<Option<Vec<usize>>> = work.par_iter().map(|work| work.kept_before(&partial, options)).collect();
    on_event(Event::Start {
        images: work.iter().map(|work| work.shard.images.len()).sum(),
        resumed: work
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_some())
            .map(|(work, _)| work.shard.images.len())
            .sum(),
    });
    let kept = work.par_iter().zip(found).map(|(work, found)| match found {
        Some(kept) => Ok(kept),
        None => {
            let maker = Maker {
                root: &set.root,
                preprocessing: &options.preprocessing,
                views: work.plan.views.map(|views| (views, options.seed)),
                skip_bad: options.skip_bad,
                batch_size: options.batch_size,
                embed,
                on_event,
            };
            let made = maker.make(work.shard)?;
            made.write(&work.file(&partial))?;
            Ok(made.kept)
        }
    });
    let mut kept = kept.collect::<Result<Vec<_>>>()?.into_iter();

    for plan in &plans {
        let kept: Vec<Vec<usize>> = kept.by_ref().take(plan.shards.len()).collect();
        let split = assemble(plan, &kept, options, &set.root, &partial)?;
        manifest.splits.insert(plan.split.name().into(), split);
    }
    publish(&plans, &manifest, &partial, out)?;
    fs::remove_dir_all(&partial).map_err(|error| Error::io("remove", &partial, error))?;
    Ok(manifest)
}

/// One shard of one split.
struct Work<'a> {
    plan: &'a SplitPlan<'a>,
    shard: &'a Shard<'a>,
}

impl Work<'_> {
    fn file(&self, partial: &Path) -> PathBuf {
        shard_file(self.shard, partial)
    }

    /// The images with features, if an earlier run did this shard. One with images left out is done again if none may be.
    fn kept_before(&self, partial: &Path, options: &Options) -> Option<Vec<usize>> {
        let ShardFeatures { kept, features } = ShardFeatures::read(&self.file(partial))?;
        let images = self.shard.images.len();
        let is_whole = features.nrows() == kept.len() * self.plan.views.unwrap_or(1)
            && kept.is_sorted_by(|a, b| a < b)
            && kept.last().is_none_or(|&last| last < images);
        (is_whole && (options.skip_bad || kept.len() == images)).then_some(kept)
    }
}

fn shard_file(shard: &Shard, partial: &Path) -> PathBuf {
    partial.join(&shard.fingerprint[..32]).with_extension("npz")
}

/// Whether `out` may be written to: it holds nothing, or features that the new ones can stand beside, or may be overwritten.
fn check_replaceable(manifest: &Manifest, before: Option<&Manifest>, options: &Options, out: &Path) -> Result<()> {
    if options.overwrite {
        return Ok(());
    }
    let found = match before {
        Some(before) if before.is_of_one_kind_with(manifest) => return Ok(()),
        Some(_) => "features of another network, preprocessing or set of classes",
        None if Split::ALL.iter().flat_map(|&split| array_names(split)).any(|name| out.join(name).exists()) => {
            "features without a manifest.json"
        }
        None => return Ok(()),
    };
    Err(Error::File {
        path: out.into(),
        found: format!("holds {found}"),
        expected: "another --out, or --overwrite to replace them".into(),
    })
}

/// Whether the arrays of a split are there already, made of the same.
fn is_done(plan: &SplitPlan, manifest: &Manifest, options: &Options, out: &Path) -> bool {
    manifest.splits.get(plan.split.name()).is_some_and(|done| {
        done.fingerprint == plan.fingerprint
            && (options.skip_bad || done.skipped.is_empty())
            && array_names(plan.split).iter().all(|name| out.join(name).exists())
    })
}

/// Writes the arrays of a split into `partial`; `kept` are the images with features, for each shard.
fn assemble(
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
        |shard| ShardFeatures::read(&shard_file(shard, partial)).ok_or_else(|| io::Error::other("a shard has gone"));
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
        shard.images.iter().enumerate().filter(is_skipped).map(|(_, image)| image.path.clone())
    });
    let row = |image: &LabelledImage, view| Row { file: image.path.clone(), view };
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

/// Puts the whole arrays in their place. In between there is no manifest, so that none stands beside arrays that it is not of.
fn publish(plans: &[SplitPlan], manifest: &Manifest, partial: &Path, out: &Path) -> Result<()> {
    let remove = |path: PathBuf| match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    };
    remove(Manifest::path(out))?;
    for split in Split::ALL.into_iter().filter(|split| !manifest.splits.contains_key(split.name())) {
        array_names(split).into_iter().try_for_each(|name| remove(out.join(name)))?;
    }
    for name in plans.iter().flat_map(|plan| array_names(plan.split)) {
        let path = out.join(&name);
        fs::rename(partial.join(&name), &path).map_err(|error| Error::io("write", path, error))?;
    }
    manifest.write(out)
}
