//! Photographs: decoding, cropping, resizing with padding, the augmentations of the Keras project, and the numbers a network wants.
//!
//! From a file to a network's input: [`decode`], [`BoundingBox::pixels`], [`resize_with_padding`], [`to_unit_range`], then
//! [`Normalisation::write`]. [`Preprocessing`] is all of it with its settings. The functions of [`colour`] and [`geometry`]
//! take an image (H, W, 3) of values in [0, 1] and give a new one; [`Augmentation`] draws their parameters.

pub mod colour;
pub mod geometry;

mod augmentation;
mod bounding_box;
mod decode;
mod normalisation;
mod preprocessing;
mod resize;

pub use augmentation::{Augmentation, View};
pub use bounding_box::{BoundingBox, PixelBox};
pub use decode::decode;
pub use normalisation::{Layout, Normalisation, to_unit_range};
pub use preprocessing::Preprocessing;
pub use resize::{Interpolation, resize_with_padding};
