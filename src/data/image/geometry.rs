//! Flip, rotation and crop.
//!
//! Each takes an image (H, W, 3) and gives one of the same size; images of other than three channels are not for them.

use super::resize::resize_floats;
use super::{Interpolation, PixelBox};
use ndarray::{Array3, ArrayView3, s};

/// Left becomes right.
pub fn flip_horizontal(image: ArrayView3<f32>) -> Array3<f32> {
    image.slice(s![.., ..;-1, ..]).to_owned()
}

/// Turns the image by `angle` radians, counter-clockwise, about its centre: bilinear between pixels, black where there was no
/// image. 0 changes nothing.
pub fn rotate(image: ArrayView3<f32>, angle: f32) -> Array3<f32> {
    let (height, width, _) = image.dim();
    let (sin, cos) = f64::from(angle).sin_cos();
    let centre = |size: usize| (size as f64 - 1.0) / 2.0;
    let (centre_x, centre_y) = (centre(width), centre(height));
    let pixel = |x: i64, y: i64, channel: usize| match (usize::try_from(x), usize::try_from(y)) {
        (Ok(x), Ok(y)) if x < width && y < height => image[[y, x, channel]],
        _ => 0.0,
    };
    let mut rotated = Array3::zeros(image.raw_dim());
    for y in 0..height {
        for x in 0..width {
            // Rows count downwards: this is the clockwise turn that leads back to where the pixel comes from.
            let (from_x, from_y) = (x as f64 - centre_x, y as f64 - centre_y);
            let source_x = cos * from_x - sin * from_y + centre_x;
            let source_y = sin * from_x + cos * from_y + centre_y;
            let (left, top) = (source_x.floor(), source_y.floor());
            let (right_share, lower_share) = ((source_x - left) as f32, (source_y - top) as f32);
            let (left, top) = (left as i64, top as i64);
            for channel in 0..3 {
                let across =
                    |y: i64| (1.0 - right_share) * pixel(left, y, channel) + right_share * pixel(left + 1, y, channel);
                rotated[[y, x, channel]] = (1.0 - lower_share) * across(top) + lower_share * across(top + 1);
            }
        }
    }
    rotated
}

/// Cuts `region` out and scales it back to the size of the image, with padding where its aspect is another. The whole image as the
/// region changes nothing.
pub fn crop(image: ArrayView3<f32>, region: PixelBox) -> Array3<f32> {
    resize_floats(image, region, Interpolation::Bilinear)
}
