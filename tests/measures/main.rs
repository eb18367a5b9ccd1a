//! Measures of embeddings against other implementations, and against their definitions.

#[path = "../common/archive.rs"]
mod archive;
mod centre_angles;
mod definitions;
mod reference;
