//! What extraction is asked to do, and what it says while it does.

use crate::Error;
use crate::data::Split;
use crate::data::image::Preprocessing;

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
