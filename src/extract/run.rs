//! The run: shards in parallel, then whole arrays.

use super::arrays::{are_whole, assemble};
use super::manifest::{Manifest, ModelFile, array_names};
use super::options::{Event, Options};
use super::partial::Partial;
use super::plan::{Shard, SplitPlan, is_shard, plan, shard_prefix};
use super::shard::{Maker, ShardFeatures};
use crate::data::{ImageSet, Split};
use crate::files::NewPlaces;
use crate::files::directory_lock::lock;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView4};
use rayon::prelude::*;
use std::fs;
use std::path::Path;

/// Extracts features of `set` with `embed`, from images (n, 3, H, W) or (n, H, W, 3) to features (n, D), and writes
/// `train_features.npy` (N, D), `train_labels.npy` (N,), the same for `test`, and `manifest.json` into `out`. `model` says what
/// `embed` is.
///
/// Finished shards are kept in a folder of `out` until all are done: a run that was ended goes on where it was if it is started
/// again with the same images and options. What `out` held before stays as it is until all new arrays are whole.
///
/// # Errors
/// [`Error::MissingImages`], [`Error::BadImage`]; [`Error::File`] where `out` holds features that these
/// cannot stand beside, or anything where unfinished work goes that no extraction has made, where another run is writing there, or where features are not finite; [`Error::Shape`] for features that are
/// not (n, D); [`Error::Setting`]; [`Error::Io`]; what `embed` returns.
pub fn extract(
    set: &ImageSet,
    options: &Options,
    model: &ModelFile,
    embed: &(impl Fn(ArrayView4<f32>) -> Result<Array2<f32>> + Sync),
    out: &Path,
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<Manifest> {
    options.check()?;
    let manifest = Manifest::new(model.clone(), options.preprocessing.clone(), set);
    let plans = options.splits.iter().map(|&split| plan(set, split, options, &manifest));
    let plans: Vec<_> = plans.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    if plans.is_empty() {
        return Err(Error::File {
            path: set.root.clone(),
            found: "holds no image of this split".into(),
            expected: "at least one".into(),
        });
    }

    let mut new = NewPlaces::default();
    new.directory(out)?;
    // Where another process has the lock, the directory is that one's.
    let _lock = lock(out)?;
    let outcome = Partial::of(out).and_then(|partial| {
        let outcome = extract_into(&partial, manifest, plans, set, options, embed, on_event);
        // With shards in it it stays, for the run that goes on.
        partial.remove_if_empty();
        outcome
    });
    outcome.inspect_err(|_| new.remove())
}

/// [`extract`] into a directory that is there and locked.
fn extract_into(
    partial: &Partial,
    mut manifest: Manifest,
    mut plans: Vec<SplitPlan>,
    set: &ImageSet,
    options: &Options,
    embed: &(impl Fn(ArrayView4<f32>) -> Result<Array2<f32>> + Sync),
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<Manifest> {
    let out = partial.out();
    partial.check_places()?;
    // A run may have been ended while it put whole arrays in their place, or before all of them were whole.
    partial.publish()?;
    partial.remove_all_but(is_shard)?;
    let before = match Manifest::read(out) {
        // What is to be replaced anyway may be anything.
        Err(Error::File { .. }) if options.overwrite => None,
        before => before?,
    };
    check_replaceable(&manifest, before.as_ref(), options, out)?;
    if let Some(before) = before.filter(|before| before.is_of_one_kind_with(&manifest)) {
        manifest.splits = before.splits;
    }
    plans.retain(|plan| !is_done(plan, &manifest, options, out));
    fs::create_dir_all(partial.path()).map_err(|error| Error::io("create", partial.path(), error))?;

    let shards: Vec<(&SplitPlan, &Shard)> =
        plans.iter().flat_map(|plan| plan.shards.iter().map(move |shard| (plan, shard))).collect();
    let found: Vec<Option<Vec<usize>>> =
        shards.par_iter().map(|(plan, shard)| kept_before(plan, shard, options, partial.path())).collect();
    let images = |(_, shard): &(&SplitPlan, &Shard)| shard.images.len();
    on_event(Event::Start {
        images: shards.iter().map(images).sum(),
        resumed: shards.iter().zip(&found).filter(|(_, found)| found.is_some()).map(|(shard, _)| images(shard)).sum(),
    });
    let make = |(&(plan, shard), found): (&(&SplitPlan, &Shard), Option<Vec<usize>>)| {
        if let Some(kept) = found {
            return Ok(kept);
        }
        let maker = Maker {
            root: &set.root,
            preprocessing: &options.preprocessing,
            views: plan.views.map(|views| (views, options.seed)),
            skip_bad: options.skip_bad,
            batch_size: options.batch_size,
            embed,
            on_event,
        };
        let made = maker.make(shard)?;
        made.write(&shard.file(partial.path()))?;
        Ok(made.kept)
    };
    let mut kept = shards.par_iter().zip(found).map(make).collect::<Result<Vec<_>>>()?.into_iter();

    if !plans.is_empty() {
        for plan in &plans {
            let kept: Vec<Vec<usize>> = kept.by_ref().take(plan.shards.len()).collect();
            let split = assemble(plan, &kept, options, &set.root, partial.path())?;
            manifest.splits.insert(plan.split.name().into(), split);
        }
        partial.check_places()?;
        manifest.write(partial.path())?;
        partial.publish()?;
    }
    // Those of runs that were ended are of use only to a split of this kind that is not done.
    let unfinished = Split::ALL.into_iter().filter(|split| !options.splits.contains(split));
    let prefixes: Vec<String> = unfinished.map(|split| shard_prefix(split, &manifest)).collect();
    partial.remove_all_but(|name| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())))?;
    Ok(manifest)
}

/// The images with features, if an earlier run did this shard. One with images left out is done again if none may be.
fn kept_before(plan: &SplitPlan, shard: &Shard, options: &Options, partial: &Path) -> Option<Vec<usize>> {
    let ShardFeatures { kept, features } = ShardFeatures::read(&shard.file(partial))?;
    let images = shard.images.len();
    let is_whole = features.nrows() == kept.len() * plan.views.unwrap_or(1)
        && kept.is_sorted_by(|a, b| a < b)
        && kept.last().is_none_or(|&last| last < images);
    (is_whole && (options.skip_bad || kept.len() == images)).then_some(kept)
}

/// Whether `out` may be written to: it holds nothing, or features that the new ones can stand beside, or may be overwritten.
fn check_replaceable(manifest: &Manifest, before: Option<&Manifest>, options: &Options, out: &Path) -> Result<()> {
    if options.overwrite {
        return Ok(());
    }
    let found = match before {
        Some(before) if before.is_of_one_kind_with(manifest) => return Ok(()),
        Some(before) if before.is_of_former_format() => "features that were extracted before unusual JPEGs were right",
        Some(_) => "features of another network, preprocessing or set of classes",
        None if Split::ALL.iter().flat_map(|&split| array_names(split)).any(|name| out.join(name).exists()) => {
            "features without a manifest.json"
        }
        None => return Ok(()),
    };
    Err(Error::File {
        path: out.into(),
        found: format!("holds {found}"),
        expected: "another directory, or the option overwrite".into(),
    })
}

/// Whether the arrays of a split are there already, whole and made of the same.
fn is_done(plan: &SplitPlan, manifest: &Manifest, options: &Options, out: &Path) -> bool {
    manifest.splits.get(plan.split.name()).is_some_and(|done| {
        done.fingerprint == plan.fingerprint
            && (options.skip_bad || done.skipped.is_empty())
            && are_whole(plan.split, done, out)
    })
}
