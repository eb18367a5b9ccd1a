//! Measures of embeddings against other implementations, and against their definitions.

mod definitions;
mod reference;
