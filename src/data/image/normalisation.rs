//! From pixels to the numbers that a network was trained on.

use crate::{Error, Result};
use image::RgbImage;
use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis};
use serde::{Deserialize, Serialize};

/// The image (H, W, 3) with values in [0, 1].
pub fn to_unit_range(image: &RgbImage) -> Array3<f32> {
    let (width, height) = image.dimensions();
    let values = image.as_raw().iter().map(|&value| f32::from(value) / 255.0).collect();
    Array3::from_shape_vec((height as usize, width as usize, 3), values).expect("three values a pixel")
}

/// What a network expects of values in [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Normalisation {
    /// ImageNet's mean subtracted, divided by its standard deviation, channel by channel: torchvision's networks.
    #[default]
    Imagenet,
    /// [0, 1]: TensorFlow Hub's networks.
    ZeroOne,
    /// [-1, 1]: MobileNets and Inceptions of Keras.
    MinusOneOne,
    /// [0, 255]: networks that take bytes or normalise themselves, Keras's EfficientNets among them.
    #[cfg_attr(feature = "clap", value(name = "zero-255"))]
    #[serde(rename = "zero-255")]
    Zero255,
    /// Another mean subtracted, divided by another standard deviation.
    #[cfg_attr(feature = "clap", value(skip))]
    Custom {
        /// Of red, green and blue, of values in [0, 1].
        mean: [f32; 3],
        /// The same; above 0.
        std: [f32; 3],
    },
}

/// In which order a network expects the colours of a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red: networks trained with OpenCV or Caffe.
    Bgr,
}

/// Where a network expects the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// (N, 3, H, W): PyTorch.
    Nchw,
    /// (N, H, W, 3): TensorFlow.
    Nhwc,
}

impl Layout {
    /// (3, H, W) or (H, W, 3)
    pub fn shape(self, width: usize, height: usize) -> [usize; 3] {
        match self {
            Self::Nchw => [3, height, width],
            Self::Nhwc => [height, width, 3],
        }
    }
}

impl Normalisation {
    /// Mean and standard deviation of red, green and blue.
    pub fn mean_and_std(self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::Imagenet => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Self::ZeroOne => ([0.0; 3], [1.0; 3]),
            Self::MinusOneOne => ([0.5; 3], [0.5; 3]),
            Self::Zero255 => ([0.0; 3], [1.0 / 255.0; 3]),
            Self::Custom { mean, std } => (mean, std),
        }
    }

    /// # Errors
    /// [`Error::Setting`] for a mean that is not finite, or a standard deviation that is not above 0.
    pub fn check(self) -> Result<()> {
        let (mean, std) = self.mean_and_std();
        let wrong = |name, values: [f32; 3], expected: &str| {
            Err(Error::Setting { name, value: format!("{values:?}"), expected: expected.into() })
        };
        if !mean.iter().all(|mean| mean.is_finite()) {
            return wrong("mean", mean, "three finite numbers");
        }
        // Values are in [0, 1], and so are their means.
        if mean.iter().any(|mean| *mean > 1.0) {
            return wrong(
                "mean",
                mean,
                "at most 1; figures for values from 0 to 255 are to be divided by 255, the std too",
            );
        }
        if !std.iter().all(|std| std.is_finite() && *std >= f32::MIN_POSITIVE) {
            return wrong("std", std, "three finite numbers above 0");
        }
        Ok(())
    }

    /// Writes `(image - mean) / std` of an image (H, W, 3) of values in [0, 1] to `target`: (3, H, W) or (H, W, 3), as `layout`
    /// says.
    ///
    /// # Errors
    /// [`Error::Shape`] if `target` is of another size, or `image` not of three channels.
    pub fn write(self, image: ArrayView3<f32>, layout: Layout, mut target: ArrayViewMut3<f32>) -> Result<()> {
        let (height, width, channels) = image.dim();
        let expected = layout.shape(width, height);
        if channels != 3 || *target.shape() != expected {
            return Err(Error::Shape {
                what: "the network's input",
                found: target.shape().to_vec(),
                expected: format!("{expected:?}, for an image (H, W, 3) of shape {:?}", image.shape()),
            });
        }
        let (mean, std) = self.mean_and_std();
        let channels = match layout {
            Layout::Nchw => Axis(0),
            Layout::Nhwc => Axis(2),
        };
        for (channel, mut target) in target.axis_iter_mut(channels).enumerate() {
            let source = image.index_axis(Axis(2), channel);
            let (mean, std) = (mean[channel], std[channel]);
            target.zip_mut_with(&source, |target, value| *target = (value - mean) / std);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    #[test]
    fn channels_are_normalised_each_by_its_own_figures_in_both_layouts() {
        let image = RgbImage::from_fn(4, 2, |x, y| image::Rgb([10 * x as u8, 100 + y as u8, 255]));
        let image = to_unit_range(&image);
        assert_eq!(image.dim(), (2, 4, 3));
        let (mut nchw, mut nhwc) = (Array3::zeros((3, 2, 4)), Array3::zeros((2, 4, 3)));
        Normalisation::Imagenet.write(image.view(), Layout::Nchw, nchw.view_mut()).expect("of one size");
        Normalisation::Imagenet.write(image.view(), Layout::Nhwc, nhwc.view_mut()).expect("of one size");
        assert_eq!(nchw, nhwc.view().permuted_axes([2, 0, 1]));
        approx::assert_relative_eq!(nchw[[0, 1, 3]], (30.0 / 255.0 - 0.485) / 0.229, max_relative = 1e-6);
        approx::assert_relative_eq!(nchw[[2, 0, 0]], (1.0 - 0.406) / 0.225, max_relative = 1e-6);

        Normalisation::ZeroOne.write(image.view(), Layout::Nhwc, nhwc.view_mut()).expect("of one size");
        assert_eq!(nhwc, image);
        Normalisation::MinusOneOne.write(image.view(), Layout::Nhwc, nhwc.view_mut()).expect("of one size");
        assert_eq!(nhwc.slice(s![.., .., 2]), Array3::<f32>::ones((2, 4, 1)).slice(s![.., .., 0]));
        assert_eq!(nhwc[[0, 0, 0]], -1.0);
        Normalisation::Zero255.write(image.view(), Layout::Nhwc, nhwc.view_mut()).expect("of one size");
        assert_eq!(nhwc.mapv(f32::round), image.mapv(|value| (255.0 * value).round()));
        let custom = Normalisation::Custom { mean: [0.1, 0.2, 0.3], std: [1.0, 2.0, 4.0] };
        custom.write(image.view(), Layout::Nhwc, nhwc.view_mut()).expect("of one size");
        approx::assert_relative_eq!(nhwc[[1, 3, 1]], (101.0 / 255.0 - 0.2) / 2.0, max_relative = 1e-6);
        approx::assert_relative_eq!(nhwc[[0, 0, 2]], 0.7 / 4.0, max_relative = 1e-6);
        let error =
            Normalisation::ZeroOne.write(image.view(), Layout::Nchw, nhwc.view_mut()).expect_err("another layout");
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }

    #[test]
    fn means_are_finite_and_deviations_above_0() {
        let check = |mean, std| Normalisation::Custom { mean: [0.5, mean, 0.5], std: [1.0, 1.0, std] }.check();
        check(-3.0, 1e-3).expect("well-formed");
        for (mean, std) in [(f32::NAN, 1.0), (f32::INFINITY, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, f32::NAN)] {
            assert!(matches!(check(mean, std), Err(Error::Setting { .. })), "{mean} {std}");
        }
    }
}
