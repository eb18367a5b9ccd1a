//! `arcos extract`

#[cfg(feature = "onnx")]
mod progress;
#[cfg(feature = "onnx")]
mod run;

use super::train_args::at_least_one;
use arcos::data::image::{ChannelOrder, Interpolation, Normalisation};
use arcos::extract::Tokens;
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
  arcos extract --folder birds --model mobilenet.onnx --normalise minus-one-one --skip-bad
  arcos extract --folder birds --model vit.onnx --output last_hidden_state --tokens first")]
pub(super) struct Args {
    /// CUB-200-2011 as its archive unpacks: images.txt, bounding_boxes.txt, ... and images/. Without bounding_boxes.txt photographs are
    /// taken whole
    #[arg(long, value_name = "DIR", required_unless_present = "folder")]
    cub: Option<PathBuf>,
    /// Photographs (JPEG, PNG, WebP, BMP, TIFF, GIF) in DIR/train/CLASS/ and DIR/test/CLASS/ and folders in those, or in DIR/CLASS/: those
    /// are all of --split, or training images. DIR/val (valid, validation) stands for DIR/test where that is not there. What is passed
    /// over is said on stderr
    #[arg(long, value_name = "DIR", conflicts_with = "cub")]
    folder: Option<PathBuf>,
    /// The frozen network: images in, one vector of features each out
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    /// Take features from this tensor of the network, an output or any other that it computes, in place of its first output
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// How features come from an output (N, T, D), a vector for each of T tokens: the first of them, or their mean
    #[arg(long, value_enum)]
    tokens: Option<Tokens>,
    /// Where the features go
    #[arg(long, value_name = "DIR", default_value = "features")]
    out: PathBuf,
    /// Which images
    #[arg(long, value_enum, default_value_t = SplitName::All)]
    split: SplitName,
    /// Extract K randomly augmented views of each training image in place of the image itself, each a row with its label
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    views: Option<usize>,
    /// Seed of the views
    #[arg(long, default_value_t = 0, requires = "views")]
    seed: u64,
    /// What the network was trained on [default: imagenet, or zero-255 for a network that takes bytes]
    #[arg(long, value_enum)]
    normalise: Option<Normalisation>,
    /// In place of --normalise: subtract this mean from values in [0, 1], of red, green and blue in this order, whatever --channels
    #[arg(long, value_name = "R,G,B", value_parser = three_numbers, allow_hyphen_values = true, requires = "std", conflicts_with = "normalise")]
    mean: Option<[f32; 3]>,
    /// With --mean: and divide by this standard deviation
    #[arg(long, value_name = "R,G,B", value_parser = three_numbers, allow_hyphen_values = true, requires = "mean", conflicts_with = "normalise")]
    std: Option<[f32; 3]>,
    /// In which order the network takes colours
    #[arg(long, value_enum, default_value_t)]
    channels: ChannelOrder,
    /// Take whole photographs, not their bounding boxes
    #[arg(long, conflicts_with = "folder")]
    whole_images: bool,
    /// How photographs are scaled
    #[arg(long, value_enum, default_value_t)]
    interpolation: Interpolation,
    /// Images given to the network at a time, on each thread, unless it was exported for a number of its own; one is fastest for
    /// EfficientNet-B0
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    batch_size: usize,
    /// Leave out images that cannot be decoded or have no pixel in their box, and say which
    #[arg(long)]
    skip_bad: bool,
    /// Leave out images that are listed and not there, or of a folder the links that lead nowhere
    #[arg(long)]
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

fn three_numbers(text: &str) -> Result<[f32; 3], String> {
    let numbers = text.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<f32>>>();
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| "expected three numbers, as 0.5,0.5,0.5".into())
}

/// Says that this build cannot.
#[cfg(not(feature = "onnx"))]
pub(super) fn run(_: &Args) -> arcos::Result<()> {
    Err(arcos::Error::NeedsFeature { what: "arcos extract", needs: "an ONNX runtime", feature: "onnx" })
}
