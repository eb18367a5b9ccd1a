//! Labelled photographs on disk.

use super::image::BoundingBox;
use std::fmt;
use std::path::PathBuf;

/// What a photograph is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Training.
    Train,
    /// Testing.
    Test,
}

impl Split {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// The one that this is not.
    pub fn other(self) -> Self {
        match self {
            Self::Train => Self::Test,
            Self::Test => Self::Train,
        }
    }

    /// `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// Photographs with their classes; nothing is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSet {
    /// The directory that paths start from.
    pub root: PathBuf,
    /// Names of the classes; a label is a position here.
    pub classes: Vec<String>,
    /// The photographs.
    pub images: Vec<LabelledImage>,
    /// What is in the directory and not in the set.
    pub passed_over: Vec<PassedOver>,
}

/// A photograph and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledImage {
    /// The file, from the root of its set.
    pub path: PathBuf,
    /// Its class, from 0.
    pub label: usize,
    /// What it is for.
    pub split: Split,
    /// Where the subject is, if that is known.
    pub bounding_box: Option<BoundingBox>,
}

/// Files or folders of one kind that are not in a set.
#[derive(Clone, Debug, PartialEq)]
pub struct PassedOver {
    /// What they are, in the plural.
    pub kind: &'static str,
    /// How many.
    pub count: usize,
    /// The first of them, from the root of the set.
    pub first: PathBuf,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, count, first } = self;
        match count {
            1 => write!(f, "{kind}: {}", first.display()),
            _ => write!(f, "{kind}: {count}, {} the first", first.display()),
        }
    }
}
