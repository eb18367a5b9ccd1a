//! From a photograph to a network's input, with all settings in one place.

use super::{Augmentation, BoundingBox, Interpolation, Layout, Normalisation, PixelBox, decode, resize_with_padding};
use crate::{Error, Result};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How photographs become a network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Columns of the input.
    pub width: u32,
    /// Rows of the input.
    pub height: u32,
    /// Where the channels are.
    pub layout: Layout,
    /// How the photograph is scaled.
    pub interpolation: Interpolation,
    /// What the network expects of its values.
    pub normalisation: Normalisation,
    /// Where views come from.
    pub augmentation: Augmentation,
}

impl Preprocessing {
    /// For images of this size, bilinear, normalised as ImageNet's; views as the Keras project draws them.
    pub fn new(width: u32, height: u32, layout: Layout) -> Self {
        Self {
            width,
            height,
            layout,
            interpolation: Interpolation::default(),
            normalisation: Normalisation::default(),
            augmentation: Augmentation::default(),
        }
    }

    /// Decodes the photograph in `path`, cuts out `bounding_box`, or nothing, and scales it to the size of the input, padded.
    ///
    /// # Errors
    /// Those of [`decode`]; [`Error::EmptyBox`] for a box outside the image.
    pub fn read(&self, path: &Path, bounding_box: Option<BoundingBox>) -> Result<RgbImage> {
        let image = decode(path)?;
        let (width, height) = image.dimensions();
        let region = match bounding_box {
            None => PixelBox::whole(width, height),
            Some(found) => found.pixels(width, height).ok_or_else(|| Error::EmptyBox {
                path: path.into(),
                found: found.to_string(),
                width,
                height,
            })?,
        };
        Ok(resize_with_padding(&image, region, (self.width, self.height), self.interpolation))
    }

    /// The shape of one image as the network expects it: (3, H, W) or (H, W, 3).
    pub fn input_shape(&self) -> [usize; 3] {
        self.layout.shape(self.width as usize, self.height as usize)
    }
}
