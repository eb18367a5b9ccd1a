//! Penalties against automatic differentiation, against finite differences, at the poles; and what they refuse.

#[path = "../common/archive.rs"]
mod archive;
mod differences;
mod edges;
mod reference;
