//! Measures of embeddings against other implementations, and against their definitions.

#[path = "../common/archive.rs"]
mod archive;
mod definitions;
mod reference;
