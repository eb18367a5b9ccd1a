//! From arguments to features.

use super::progress::Progress;
use super::{Args, SplitName};
use crate::cli::tell;
use crate::data::image::Preprocessing;
use crate::data::{ImageSet, Split, cub, image_folder};
use crate::extract::{Event, Manifest, Network, Options, extract};
use crate::{Error, Result};
use ndarray::ArrayView4;

pub(in crate::cli) fn run(args: &Args) -> Result<()> {
    let set = read_set(args)?;
    let network = Network::load(&args.model, args.batch_size)?;
    let (width, height) = network.image_size();
    tell(format_args!(
        "{} images of {} classes; {}: {width} x {height} pixels to {} features, {} at a time on each of {} threads",
        set.images.len(),
        set.classes.len(),
        args.model.display(),
        network.dimension(),
        network.batch_size(),
        rayon::current_num_threads(),
    ))?;
    let options = Options {
        splits: match args.split {
            SplitName::All => Split::ALL.to_vec(),
            SplitName::Train => vec![Split::Train],
            SplitName::Test => vec![Split::Test],
        },
        preprocessing: Preprocessing {
            interpolation: args.interpolation,
            normalisation: args.normalise,
            ..Preprocessing::new(width, height, network.layout())
        },
        views: args.views,
        seed: args.seed,
        batch_size: network.batch_size(),
        skip_bad: args.skip_bad,
        allow_missing: args.allow_missing,
        overwrite: args.overwrite,
    };
    let progress = Progress::new();
    let on_event = |event: Event| match event {
        Event::Start { images, resumed } => progress.start(images, resumed),
        Event::Done => progress.done(),
        Event::Skipped(error) => progress.remark(&format!("skipped: {error}")),
    };
    let embed = |images: ArrayView4<f32>| network.features(images);
    let manifest = extract(&set, &options, network.file(), &embed, &args.out, &on_event);
    progress.finish();
    describe(&manifest?, &options, args)
}

fn read_set(args: &Args) -> Result<ImageSet> {
    match (&args.cub, &args.folder) {
        (Some(cub), _) => cub::read(cub),
        (None, Some(folder)) => {
            let whole = if args.split == SplitName::Test { Split::Test } else { Split::Train };
            image_folder::read(folder, whole)
        }
        (None, None) => {
            let expected = "--cub or --folder".into();
            Err(Error::Setting { name: "the images", value: "missing".into(), expected })
        }
    }
}

/// What is there now.
fn describe(manifest: &Manifest, options: &Options, args: &Args) -> Result<()> {
    for split in &options.splits {
        let Some(made) = manifest.splits.get(split.name()) else { continue };
        let mut line = format!("{}: {} rows", split.name(), made.rows.len());
        let left_out = [("unusable", made.skipped.len()), ("missing", made.missing)];
        for (what, count) in left_out.into_iter().filter(|&(_, count)| count > 0) {
            line += &format!(", {count} {what} images left out");
        }
        tell(line)?;
    }
    tell(format_args!("features in {}", args.out.display()))
}
