//! Files that are whole or not there, or no files at all, locked directories, and what is taken away after a failure: for whoever writes beside the trainer.

pub mod atomic_file;
pub mod directory_lock;
mod new_places;
pub mod regular_file;
pub mod replacement;

pub use new_places::NewPlaces;

use std::path::{Component, Path};

/// Whether `path`, which begins at some directory, stays in it by its words: a list or a network from somewhere else is not to say which file
/// of this machine is read.
pub fn stays_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
