//! Features and labels: reading them, keeping them together, transforming them; and the photographs that features come from.

#[cfg(feature = "images")]
pub mod cub;
#[cfg(feature = "images")]
pub mod image;
#[cfg(feature = "images")]
pub mod image_folder;
pub mod synthetic;

mod arrays;
mod class_names;
mod class_table;
mod dataset;
mod element;
mod feature_file;
mod features;
mod folds;
#[cfg(feature = "images")]
mod image_set;
mod labels;
mod npy_header;
mod open_set;
mod pairs;
pub(crate) mod safetensors_file;
mod text;
mod transform;
mod validation;

pub use arrays::{Matrix, read_class_labels, read_labels, read_matrix, read_vector};
pub use arrays::{file_of, read_f32_vector};
pub use class_names::{names_by_label, read_class_names};
pub use class_table::ClassTable;
pub use dataset::Dataset;
pub use features::{FeatureRows, Features, read_features};
pub use folds::stratified_folds;
#[cfg(feature = "images")]
pub use image_set::{ImageSet, LabelledImage, PassedOver, Split};
pub use labels::{Label, Labels};
pub use open_set::{OpenSetSplit, open_set_split};
pub use pairs::{PhotographRows, read_pairs};
pub use text::read_text;
pub use text::without_byte_order_mark;
pub use transform::{Transform, TransformKind};
pub use validation::{ValidationSplit, validation_split};
