//! From a photograph to a network's input, with all settings in one place.

use super::{
    Augmentation, BoundingBox, ChannelOrder, Interpolation, Layout, Normalisation, PixelBox, decode,
    resize_with_padding,
};
use crate::{Error, Result};
use image::RgbImage;
use ndarray::{ArrayView3, ArrayViewMut3, Axis};
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
    /// In which order they are.
    pub channel_order: ChannelOrder,
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
            channel_order: ChannelOrder::default(),
            interpolation: Interpolation::default(),
            normalisation: Normalisation::default(),
            augmentation: Augmentation::default(),
        }
    }

    /// Decodes the photograph in `path`, cuts out `bounding_box`, or nothing, and scales it to the size of the input, padded.
    ///
    /// # Errors
    /// Those of [`decode`]; [`Error::BadImage`] for a box outside the image.
    pub fn read(&self, path: &Path, bounding_box: Option<BoundingBox>) -> Result<RgbImage> {
        let image = decode(path)?;
        let (width, height) = image.dimensions();
        let region = match bounding_box {
            None => PixelBox::whole(width, height),
            Some(found) => found.pixels(width, height).ok_or_else(|| Error::BadImage {
                path: path.into(),
                found: format!("the bounding box ({found}) holds no pixel"),
                expected: format!("one that overlaps the image, {width} x {height} pixels"),
            })?,
        };
        Ok(resize_with_padding(&image, region, (self.width, self.height), self.interpolation))
    }

    /// Writes an image (H, W, 3) of red, green and blue in [0, 1] to `target` as the network expects it: normalised, in its layout and
    /// order of channels.
    ///
    /// # Errors
    /// Those of [`Normalisation::write`].
    pub fn write(&self, image: ArrayView3<f32>, mut target: ArrayViewMut3<f32>) -> Result<()> {
        if self.channel_order == ChannelOrder::Bgr {
            target.invert_axis(Axis(match self.layout {
                Layout::Nchw => 0,
                Layout::Nhwc => 2,
            }));
        }
        self.normalisation.write(image, self.layout, target)
    }

    /// The shape of one image as the network expects it: (3, H, W) or (H, W, 3).
    pub fn input_shape(&self) -> [usize; 3] {
        self.layout.shape(self.width as usize, self.height as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image::to_unit_range;
    use ndarray::{Array3, s};

    #[test]
    fn blue_comes_first_where_a_network_wants_it_and_each_colour_keeps_its_mean() {
        let image = to_unit_range(&RgbImage::from_fn(4, 2, |x, y| image::Rgb([10 * x as u8, 100 + y as u8, 255])));
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let rgb = Preprocessing::new(4, 2, layout);
            let bgr = Preprocessing { channel_order: ChannelOrder::Bgr, ..rgb.clone() };
            let [mut found, mut expected] = [(); 2].map(|()| Array3::zeros(rgb.input_shape()));
            bgr.write(image.view(), found.view_mut()).expect("of one size");
            rgb.write(image.view(), expected.view_mut()).expect("of one size");
            assert_ne!(found, expected);
            match layout {
                Layout::Nchw => assert_eq!(found.slice(s![..;-1, .., ..]), expected),
                Layout::Nhwc => assert_eq!(found.slice(s![.., .., ..;-1]), expected),
            }
        }
    }
}
