//! Photographs: decoding, cropping, resizing with padding, the augmentations of the Keras project, and the numbers a network wants.
//!
//! From a file to a network's input: [`decode`], [`BoundingBox::pixels`], [`resize_with_padding`], [`to_unit_range`], then
//! [`Normalisation::write`]. [`Preprocessing`] is all of it with its settings. The functions of [`colour`] and [`geometry`]
//! take an image (H, W, 3) of values in [0, 1] and give a new one; [`Augmentation`] draws their parameters.
//!
//! ```
//! use arcos::data::image::*;
//! use ndarray::Array3;
//! use rand::SeedableRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let photograph = image::RgbImage::from_pixel(500, 375, image::Rgb([90, 120, 60])); // or decode(path)?
//! let bird = BoundingBox { x: 60.0, y: 27.0, width: 325.0, height: 304.0 };
//! let region = bird.pixels(500, 375).ok_or("the box is outside")?;
//! let pixels = resize_with_padding(&photograph, region, (224, 224), Interpolation::Bilinear);
//! let pixels = to_unit_range(&pixels); // (224, 224, 3)
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let view = Augmentation::default().draw(224, 224, &mut rng).of(pixels.view());
//!
//! let mut input = Array3::zeros(Layout::Nchw.shape(224, 224)); // (3, 224, 224)
//! Normalisation::Imagenet.write(view.view(), Layout::Nchw, input.view_mut())?;
//! # Ok(())
//! # }
//! ```

pub mod colour;
pub mod geometry;

mod augmentation;
mod bounding_box;
mod decode;
mod jpeg;
mod normalisation;
mod preprocessing;
mod resize;
mod tags;

pub use augmentation::{Augmentation, View};
pub use bounding_box::{BoundingBox, PixelBox};
pub use decode::decode;
pub use normalisation::{ChannelOrder, Layout, Normalisation, to_unit_range};
pub use preprocessing::Preprocessing;
pub use resize::{Interpolation, resize_with_padding};
