//! Brightness, hue and saturation, as TensorFlow's `tf.image` defines them.
//!
//! Each takes an image (H, W, 3) of values in [0, 1] and gives one; images of other than three channels are not for them.

use ndarray::{Array3, ArrayView3, Axis};

/// `value + delta`, cut off at 0 and 1. `delta` is in units of the whole range; 0 changes nothing.
pub fn brightness(image: ArrayView3<f32>, delta: f32) -> Array3<f32> {
    image.mapv(|value| (value + delta).clamp(0.0, 1.0))
}

/// Turns the hue by `delta` turns of the colour circle (red to green is 1/3); whole numbers change nothing.
pub fn hue(image: ArrayView3<f32>, delta: f32) -> Array3<f32> {
    if delta.fract() == 0.0 {
        return image.to_owned();
    }
    map_pixels(image, |[red, green, blue]| {
        let (largest, smallest) = (red.max(green).max(blue), red.min(green).min(blue));
        let chroma = largest - smallest;
        if chroma == 0.0 {
            return [red, green, blue];
        }
        // In sixths of a turn, from red.
        let hue = if largest == red {
            (green - blue) / chroma
        } else if largest == green {
            2.0 + (blue - red) / chroma
        } else {
            4.0 + (red - green) / chroma
        };
        let hue = hue + 6.0 * delta;
        // Each channel is 1 for two sixths on either side of its own hue's neighbourhood, then falls to 0 within one.
        let channel = |offset: f32| {
            let distance = (offset + hue).rem_euclid(6.0);
            largest - chroma * distance.min(4.0 - distance).clamp(0.0, 1.0)
        };
        [channel(5.0), channel(3.0), channel(1.0)]
    })
}

/// Multiplies the saturation (of hue, saturation, value) by `factor`, cut off at full saturation; 1 changes nothing, 0 gives
/// greys.
pub fn saturation(image: ArrayView3<f32>, factor: f32) -> Array3<f32> {
    map_pixels(image, |pixel| {
        let [red, green, blue] = pixel;
        let (largest, smallest) = (red.max(green).max(blue), red.min(green).min(blue));
        if largest == smallest {
            return pixel;
        }
        // Saturation is (largest - smallest) / largest, at most 1.
        let factor = factor.clamp(0.0, largest / (largest - smallest));
        pixel.map(|value| (value + (largest - value) * (1.0 - factor)).clamp(0.0, 1.0))
    })
}

fn map_pixels(image: ArrayView3<f32>, map: impl Fn([f32; 3]) -> [f32; 3]) -> Array3<f32> {
    let mut mapped = image.to_owned();
    for mut pixel in mapped.lanes_mut(Axis(2)) {
        let [red, green, blue] = map([pixel[0], pixel[1], pixel[2]]);
        (pixel[0], pixel[1], pixel[2]) = (red, green, blue);
    }
    mapped
}
