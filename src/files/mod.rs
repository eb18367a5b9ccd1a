//! Files that are whole or not there, locked directories, and what is taken away after a failure: for whoever writes beside the trainer.

pub mod atomic_file;
pub mod directory_lock;
mod new_places;

pub use new_places::NewPlaces;
