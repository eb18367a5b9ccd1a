//! What extraction is asked to do, and what it says while it does.

use crate::data::Split;
use crate::data::image::Preprocessing;
use crate::{Error, Result};

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
    /// Images given to the network at a time, on each thread: at most [`MOST_AT_A_TIME`](Self::MOST_AT_A_TIME).
    pub batch_size: usize,
    /// Whether unusable images are left out; else the first one ends the run.
    pub skip_bad: bool,
    /// Whether images that are not there are left out; else they end the run before it begins.
    pub allow_missing: bool,
    /// Whether features of another network, preprocessing or set of classes are replaced, those of the other split included; else they
    /// end the run.
    pub overwrite: bool,
}

impl Options {
    /// The largest batch.
    pub const MOST_AT_A_TIME: usize = 1024;

    /// Both splits, one image at a time, each as it is; whatever is wrong ends the run.
    pub fn new(preprocessing: Preprocessing) -> Self {
        Self {
            splits: Split::ALL.to_vec(),
            preprocessing,
            views: None,
            seed: 0,
            batch_size: 1,
            skip_bad: false,
            allow_missing: false,
            overwrite: false,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse =
            |name, value: usize, expected: String| Err(Error::Setting { name, value: value.to_string(), expected });
        match (self.views, self.batch_size) {
            (Some(0), _) => refuse("views", 0, "at least 1".into()),
            (_, 1..=Self::MOST_AT_A_TIME) => Ok(()),
            (_, batch_size) => refuse("batch-size", batch_size, format!("1 to {}", Self::MOST_AT_A_TIME)),
        }
    }
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
