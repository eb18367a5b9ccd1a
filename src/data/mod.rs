//! Features and labels: reading them, keeping them together, transforming them.

pub mod synthetic;

mod arrays;
mod dataset;
mod element;
mod features;
mod transform;

pub use arrays::{Matrix, read_labels, read_matrix, read_vector};
pub use dataset::Dataset;
pub use features::{Features, read_features};
pub use transform::{Transform, TransformKind};
