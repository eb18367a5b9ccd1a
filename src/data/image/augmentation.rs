//! Random views of a photograph.

use super::{PixelBox, colour, geometry};
use ndarray::{Array3, ArrayView3};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;

/// From what the parameters of a view are drawn, each uniformly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Smallest and largest brightness delta, in units of the whole range.
    pub brightness: (f32, f32),
    /// Largest turn of the hue to either side, in turns.
    pub hue: f32,
    /// Smallest and largest factor of the saturation.
    pub saturation: (f32, f32),
    /// Share of views that are flipped left to right.
    pub flip: f64,
    /// Largest rotation to either side, in radians.
    pub rotation: f32,
    /// The smallest part of a side that a crop keeps, in (0, 1]; width and height are drawn each by itself.
    pub smallest_crop: f32,
}

impl Default for Augmentation {
    /// The Keras project's. Its brightness delta is 0.5 to 1 where pixels range to 255: next to nothing.
    fn default() -> Self {
        Self {
            brightness: (0.5 / 255.0, 1.0 / 255.0),
            hue: 0.01,
            saturation: (0.9, 1.1),
            flip: 0.5,
            rotation: PI / 8.0,
            smallest_crop: 0.8,
        }
    }
}

/// The parameters of one view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// See [`colour::brightness`].
    pub brightness_delta: f32,
    /// See [`colour::hue`].
    pub hue_delta: f32,
    /// See [`colour::saturation`].
    pub saturation_factor: f32,
    /// See [`geometry::flip_horizontal`].
    pub flip: bool,
    /// See [`geometry::rotate`].
    pub angle: f32,
    /// See [`geometry::crop`].
    pub region: PixelBox,
}

impl Augmentation {
    /// Draws the parameters of a view of an image of this size.
    pub fn draw(&self, width: u32, height: u32, rng: &mut impl Rng) -> View {
        let mut uniform = |low: f32, high: f32| low + (high - low) * rng.random::<f32>();
        let brightness_delta = uniform(self.brightness.0, self.brightness.1);
        let hue_delta = uniform(-self.hue, self.hue);
        let saturation_factor = uniform(self.saturation.0, self.saturation.1);
        let angle = uniform(-self.rotation, self.rotation);
        let mut part = |size: u32| {
            let length = ((uniform(self.smallest_crop, 1.0) * size as f32).ceil() as u32).max(1).min(size);
            let start = (uniform(0.0, 1.0) * (size - length + 1) as f32) as u32;
            (start.min(size - length), length)
        };
        let ((left, crop_width), (top, crop_height)) = (part(width), part(height));
        let region = PixelBox { left, top, width: crop_width, height: crop_height };
        let flip = rng.random_bool(self.flip.clamp(0.0, 1.0));
        View { brightness_delta, hue_delta, saturation_factor, flip, angle, region }
    }
}

impl View {
    /// The view that is the image (`width`, `height`) itself.
    pub fn identity(width: u32, height: u32) -> Self {
        Self {
            brightness_delta: 0.0,
            hue_delta: 0.0,
            saturation_factor: 1.0,
            flip: false,
            angle: 0.0,
            region: PixelBox::whole(width, height),
        }
    }

    /// This view of an image (H, W, 3) of values in [0, 1]: of the same size and range.
    pub fn of(&self, image: ArrayView3<f32>) -> Array3<f32> {
        let coloured = colour::brightness(image, self.brightness_delta);
        let coloured = colour::hue(coloured.view(), self.hue_delta);
        let coloured = colour::saturation(coloured.view(), self.saturation_factor);
        let flipped = if self.flip { geometry::flip_horizontal(coloured.view()) } else { coloured };
        let rotated = geometry::rotate(flipped.view(), self.angle);
        geometry::crop(rotated.view(), self.region)
    }
}
