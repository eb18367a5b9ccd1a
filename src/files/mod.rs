//! Files that are whole or not there, or no files at all, locked directories, and what is taken away after a failure: for whoever writes beside the trainer.

pub mod atomic_file;
pub mod directory_lock;
mod new_places;
pub mod regular_file;
pub mod replacement;

pub use new_places::NewPlaces;
