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
    /// Augmented views of each training image, in place of the image itself; at most [`MOST_VIEWS`](Self::MOST_VIEWS).
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
    /// The most views of an image: far past all use.
    pub const MOST_VIEWS: usize = 1024;

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
        self.views.map_or(Ok(()), |views| check_number("views", views, Self::MOST_VIEWS))?;
        self.preprocessing.normalisation.check()?;
        check_batch_size(self.batch_size)
    }
}

pub(super) fn check_batch_size(batch_size: usize) -> Result<()> {
    check_number("batch-size", batch_size, Options::MOST_AT_A_TIME)
}

fn check_number(name: &'static str, value: usize, most: usize) -> Result<()> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(Error::Setting { name, value: value.to_string(), expected: format!("1 to {most}") }),
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
