//! `arcos extract`

#[cfg(feature = "onnx")]
mod progress;
#[cfg(feature = "onnx")]
mod run;

use crate::data::image::{Interpolation, Normalisation};
#[cfg(feature = "onnx")]
pub(super) use run::run;
use std::path::PathBuf;

/// Arguments of `arcos extract`.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves train_features.npy, train_labels.npy, test_features.npy, test_labels.npy and manifest.json in the output directory: \
what `arcos train` and `arcos compare` take as --data. Features that are there already, of the same network, are replaced once \
the new ones are whole. A run that was ended goes on where it was when it is started again. \
Photographs are cut to their bounding box (--cub), scaled to the network's input with their aspect kept, and padded with black.

Needs a build with --features onnx. RAYON_NUM_THREADS sets the number of threads.

Examples:
  arcos extract --cub CUB_200_2011 --model efficientnet_b0.onnx --out features
  arcos extract --cub CUB_200_2011 --model efficientnet_b0.onnx --out features-5-views --views 5
  arcos extract --folder birds --model mobilenet.onnx --normalise minus-one-one --skip-bad")]
pub(super) struct Args {
    /// CUB-200-2011 as its archive unpacks: images.txt, bounding_boxes.txt, ... and images/
    #[arg(long, value_name = "DIR", required_unless_present = "folder")]
    cub: Option<PathBuf>,
    /// Photographs (.jpg, .jpeg, .png) in DIR/train/CLASS/ and DIR/test/CLASS/ (or val), or in DIR/CLASS/: those are all of --split, or
    /// training images
    #[arg(long, value_name = "DIR", conflicts_with = "cub")]
    folder: Option<PathBuf>,
    /// The frozen network: images in, one vector of features each out
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    /// Where the features go
    #[arg(long, value_name = "DIR", default_value = "features")]
    out: PathBuf,
    /// Which images
    #[arg(long, value_enum, default_value_t = SplitName::All)]
    split: SplitName,
    /// Extract K randomly augmented views of each training image in place of the image itself, each a row with its label
    #[arg(long, value_name = "K")]
    views: Option<usize>,
    /// Seed of the views
    #[arg(long, default_value_t = 0, requires = "views")]
    seed: u64,
    /// What the network was trained on
    #[arg(long, value_enum, default_value_t)]
    normalise: Normalisation,
    /// How photographs are scaled
    #[arg(long, value_enum, default_value_t)]
    interpolation: Interpolation,
    /// Images given to the network at a time, on each thread, unless it was exported for a number of its own; one is fastest for
    /// EfficientNet-B0
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch_size: usize,
    /// Leave out images that cannot be decoded, and say which
    #[arg(long)]
    skip_bad: bool,
    /// Leave out images that are listed and not there
    #[arg(long, conflicts_with = "folder")]
    allow_missing: bool,
    /// Replace features of another network, preprocessing or set of classes in the output directory, those of the other split included
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum SplitName {
    All,
    Train,
    Test,
}

/// Says that this build cannot.
#[cfg(not(feature = "onnx"))]
pub(super) fn run(_: &Args) -> crate::Result<()> {
    Err(crate::Error::NeedsFeature { what: "arcos extract", needs: "an ONNX runtime", feature: "onnx" })
}
