//! From arguments to features.

use super::progress::Progress;
use super::{Args, SplitName};
use crate::data_args::FILES;
use crate::outputs::refuse_inputs;
use crate::{complain, interrupt, tell};
use arcos::data::image::{Normalisation, Preprocessing};
use arcos::data::{ImageSet, Split, cub, image_folder};
use arcos::extract::{Event, Manifest, Network, NetworkOptions, Options, SplitManifest, extract};
use arcos::wording::counted;
use arcos::{Error, Result};
use ndarray::ArrayView4;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

pub(crate) fn run(args: &Args) -> Result<()> {
    if let (Some(views), SplitName::Test) = (args.views, args.split) {
        let expected = "none with --split test: views are of training images".into();
        return Err(Error::Setting { name: "views", value: views.to_string(), expected });
    }
    let set = read_set(args)?;
    let outputs = || FILES.into_iter().chain(["manifest.json"]).map(|name| args.out.join(name));
    refuse_inputs(outputs(), &inputs(args, &set))?;
    let options = NetworkOptions { batch_size: args.batch_size, output: args.output.clone(), tokens: args.tokens };
    let network = Network::load(&args.model, &options)?;
    refuse_inputs(outputs(), network.weight_files())?;
    if let (None, [first, _, ..]) = (&args.output, network.outputs()) {
        let outputs = network.outputs().join(", ");
        complain(format_args!(
            "{}: features come from {first}, the first of {outputs}; --output takes another",
            args.model.display()
        ));
    }
    let (width, height) = network.image_size();
    tell(format_args!(
        "{} of {}; {}: {width} x {height} pixels to {}, {} at a time on each of {}",
        counted(set.images.len(), "image"),
        counted(set.classes.len(), "class"),
        args.model.display(),
        counted(network.dimension(), "feature"),
        network.batch_size(),
        counted(rayon::current_num_threads(), "thread"),
    ));
    let options = Options {
        splits: match args.split {
            SplitName::All => Split::ALL.to_vec(),
            SplitName::Train => vec![Split::Train],
            SplitName::Test => vec![Split::Test],
        },
        preprocessing: Preprocessing {
            interpolation: args.interpolation,
            normalisation: normalisation(args, &network)?,
            channel_order: args.channels,
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
        Event::Start { images, resumed } => {
            interrupt::set_last_words(Some(format!(
                "ended by a signal; features of images that are done stay in {}, and the same command goes on after them",
                args.out.display()
            )));
            progress.start(images, resumed);
        }
        Event::Done => progress.done(),
        Event::Skipped(error) => progress.remark(&format!("skipped: {error}")),
    };
    let embed = |images: ArrayView4<f32>| network.features(images);
    let manifest = extract(&set, &options, network.file(), &embed, &args.out, &on_event);
    interrupt::set_last_words(None);
    progress.finish();
    describe(&manifest?, &set, &options, args);
    Ok(())
}

/// The classes that had images of a split and have no features, and how many images they had.
fn classes_without_rows<'a>(made: &SplitManifest, set: &'a ImageSet, split: Split) -> Vec<(&'a str, usize)> {
    let with_features: HashSet<&str> = made.rows.iter().map(|row| row.file.as_str()).collect();
    let (mut images, mut rows) = (vec![0; set.classes.len()], vec![0; set.classes.len()]);
    for image in set.images.iter().filter(|image| image.split == split) {
        images[image.label] += 1;
        rows[image.label] += usize::from(with_features.contains(&*image.path.to_string_lossy()));
    }
    let of_classes = set.classes.iter().zip(images).zip(rows);
    let without = of_classes.filter(|&((_, images), rows)| images > 0 && rows == 0);
    without.map(|((class, images), _)| (class.as_str(), images)).collect()
}

/// How many classes have images of this split alone, and the first of them.
fn classes_of_one_split(set: &ImageSet, split: Split) -> Option<(usize, &str)> {
    let classes = |split| set.images.iter().filter(move |image| image.split == split).map(|image| image.label);
    let others: HashSet<usize> = classes(split.other()).collect();
    let alone: BTreeSet<usize> = classes(split).filter(|label| !others.contains(label)).collect();
    alone.first().map(|&first| (alone.len(), set.classes[first].as_str()))
}

/// The files that are read.
fn inputs(args: &Args, set: &ImageSet) -> Vec<PathBuf> {
    let lists = args.cub.iter().flat_map(|cub| cub::LISTS.map(|name| cub.join(name)));
    let photographs = set.images.iter().map(|image| set.root.join(&image.path));
    [args.model.clone()].into_iter().chain(lists).chain(photographs).collect()
}

fn normalisation(args: &Args, network: &Network) -> Result<Normalisation> {
    let given = args.mean.zip(args.std).map(|(mean, std)| Normalisation::Custom { mean, std }).or(args.normalise);
    match given {
        Some(given) if network.takes_bytes() && given != Normalisation::Zero255 => Err(Error::Setting {
            name: "normalise",
            value: "not zero-255".into(),
            expected: format!("zero-255 or none: {} takes bytes", args.model.display()),
        }),
        Some(given) => given.check().map(|()| given),
        None if network.takes_bytes() => Ok(Normalisation::Zero255),
        None => Ok(Normalisation::default()),
    }
}

/// The photographs; what is not among them is said on stderr.
fn read_set(args: &Args) -> Result<ImageSet> {
    let (mut set, directory) = match (&args.cub, &args.folder) {
        (Some(cub), _) => (cub::read(cub)?, cub),
        (None, Some(folder)) => {
            let whole = if args.split == SplitName::Test { Split::Test } else { Split::Train };
            (image_folder::read(folder, whole, Some(&args.out))?, folder)
        }
        (None, None) => {
            let expected = "--cub or --folder".into();
            return Err(Error::Setting { name: "the images", value: "missing".into(), expected });
        }
    };
    for passed_over in &set.passed_over {
        complain(format_args!("{}: passed over {passed_over}", directory.display()));
    }
    if Split::ALL.into_iter().all(|split| set.images.iter().any(|image| image.split == split)) {
        // A name that is spelt in two ways is two classes.
        for split in Split::ALL {
            if let Some((count, first)) = classes_of_one_split(&set, split) {
                complain(format_args!(
                    "{} with photographs in {} and none in {}, {first} the first",
                    counted(count, "class"),
                    split.name(),
                    split.other().name(),
                ));
            }
        }
    }
    if args.cub.is_some() && !args.whole_images && set.images.iter().all(|image| image.bounding_box.is_none()) {
        complain(format_args!("{} has no bounding_boxes.txt: photographs are taken whole", directory.display()));
    }
    if args.whole_images {
        set.images.iter_mut().for_each(|image| image.bounding_box = None);
    }
    Ok(set)
}

/// What is there now.
fn describe(manifest: &Manifest, set: &ImageSet, options: &Options, args: &Args) {
    for &split in &options.splits {
        let Some(made) = manifest.splits.get(split.name()) else { continue };
        let without_rows = classes_without_rows(made, set, split);
        if let Some(&(class, images)) = without_rows.first() {
            let others = match without_rows.len() - 1 {
                0 => String::new(),
                others => format!("; nor have {} more", counted(others, "class")),
            };
            complain(format_args!(
                "class {class} has no row in {}: of its {}, none can be used{others}",
                args.out.join(format!("{}_features.npy", split.name())).display(),
                counted(images, &format!("{} image", split.name())),
            ));
        }
        let mut line = format!("{}: {}", split.name(), counted(made.rows.len(), "row"));
        let left_out = [("unusable", made.skipped.len()), ("missing", made.missing)];
        for (what, count) in left_out.into_iter().filter(|&(_, count)| count > 0) {
            line += &format!(", {} left out", counted(count, &format!("{what} image")));
        }
        tell(line);
    }
    tell(format_args!("features in {}", args.out.display()));
}
