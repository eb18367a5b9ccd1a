//! Resizing that keeps the aspect.

use super::PixelBox;
use fast_image_resize::images::{CroppedImage, CroppedImageMut, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// How pixels between pixels are made. Both average over all source pixels where the image shrinks (antialiasing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Interpolation {
    /// A triangle; what the Keras project's networks were trained with.
    #[default]
    Bilinear,
    /// Catmull and Rom's spline, a = -1/2; what torchvision's EfficientNets were trained with.
    Bicubic,
}

/// Scales the part of `region` that is inside `image` to fit into (`width`, `height`), keeps its aspect, and centres it on black.
pub fn resize_with_padding(
    image: &RgbImage,
    region: PixelBox,
    (width, height): (u32, u32),
    interpolation: Interpolation,
) -> RgbImage {
    let mut resized = RgbImage::new(width, height);
    let source = (image.as_raw().as_slice(), image.dimensions());
    resize(PixelType::U8x3, source, region, (&mut resized, (width, height)), interpolation);
    resized
}

/// [`resize_with_padding`] of an image (H, W, 3) of floats, to its own size.
pub(super) fn resize_floats(image: ArrayView3<f32>, region: PixelBox, interpolation: Interpolation) -> Array3<f32> {
    let (height, width, _) = image.dim();
    let size = (width as u32, height as u32);
    let image = image.as_standard_layout();
    let mut resized = Array3::zeros(image.raw_dim());
    let source = bytemuck::cast_slice(image.as_slice().expect("in standard layout"));
    let target = bytemuck::cast_slice_mut(resized.as_slice_mut().expect("made in standard layout"));
    resize(PixelType::F32x3, (source, size), region, (target, size), interpolation);
    resized
}

fn resize(
    pixel_type: PixelType,
    (source, (source_width, source_height)): (&[u8], (u32, u32)),
    region: PixelBox,
    (target, (width, height)): (&mut [u8], (u32, u32)),
    interpolation: Interpolation,
) {
    let Some(region) = region.inside(source_width, source_height).filter(|_| width > 0 && height > 0) else { return };
    let fitting = fitted((region.width, region.height), (width, height));
    let source = ImageRef::new(source_width, source_height, source, pixel_type).expect("the buffer is of this size");
    // A view, not the resizer's own crop: that one lets pixels beyond the region in at its edges.
    let source =
        CroppedImage::new(&source, region.left, region.top, region.width, region.height).expect("the region is inside");
    let mut target = Image::from_slice_u8(width, height, target, pixel_type).expect("the buffer is of this size");
    let mut target = CroppedImageMut::new(&mut target, fitting.left, fitting.top, fitting.width, fitting.height)
        .expect("what was fitted in is inside");
    let filter = match interpolation {
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize(&source, &mut target, &options).expect("both have one pixel type");
}

/// Where an image (`width`, `height`) comes to lie when it is scaled into `into`: the longer side fills it, the shorter is rounded
/// down to whole pixels, at least one, and centred, as TensorFlow's `resize_with_pad` does.
fn fitted((width, height): (u32, u32), into: (u32, u32)) -> PixelBox {
    let ratio = (f64::from(width) / f64::from(into.0)).max(f64::from(height) / f64::from(into.1));
    // A quotient that is a whole number but for rounding is that number.
    let side = |length: u32, most: u32| ((f64::from(length) / ratio + 1e-9).floor() as u32).clamp(1, most);
    let (width, height) = (side(width, into.0), side(height, into.1));
    PixelBox { left: (into.0 - width) / 2, top: (into.1 - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_fills_and_the_shorter_is_centred() {
        let fits = |size, into| {
            let PixelBox { left, top, width, height } = fitted(size, into);
            (left, top, width, height)
        };
        assert_eq!(fits((224, 224), (224, 224)), (0, 0, 224, 224));
        assert_eq!(fits((500, 375), (224, 224)), (0, 28, 224, 168));
        assert_eq!(fits((333, 500), (224, 224)), (37, 0, 149, 224));
        assert_eq!(fits((20, 10), (224, 224)), (0, 56, 224, 112));
        assert_eq!(fits((500, 333), (1, 1)), (0, 0, 1, 1));
        assert_eq!(fits((5000, 1), (224, 224)), (0, 111, 224, 1));
        assert_eq!(fits((100, 100), (80, 40)), (20, 0, 40, 40));
        for size in 1..2000 {
            assert_eq!(fits((size, size), (224, 224)), (0, 0, 224, 224), "{size}");
        }
    }

    #[test]
    fn padding_is_black_and_a_plain_picture_stays_plain() {
        let image = RgbImage::from_pixel(300, 100, image::Rgb([200, 100, 50]));
        let region = PixelBox { left: 50, top: 10, width: 200, height: 80 };
        let outside = PixelBox { left: 300, ..region };
        assert!(resize_with_padding(&image, outside, (4, 4), Interpolation::Bilinear).iter().all(|&value| value == 0));
        assert_eq!(resize_with_padding(&image, region, (0, 4), Interpolation::Bilinear).dimensions(), (0, 4));
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            let resized = resize_with_padding(&image, region, (64, 64), interpolation);
            for (_, y, pixel) in resized.enumerate_pixels() {
                let inside = (19..44).contains(&y);
                assert_eq!(pixel.0, if inside { [200, 100, 50] } else { [0; 3] }, "row {y}");
            }
        }
    }
}
