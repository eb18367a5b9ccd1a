//! Whether an image's features are its own: a network that normalises batches by their own mean, as in training, or draws numbers at random,
//! gives it others beside other images.

use super::network::Network;
use crate::{Error, Result};
use ndarray::{Array2, Array4, ArrayView1, ArrayView4, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;
use std::path::Path;

/// Runs a network on a batch of noise and on two more: in the first of them every other image of that batch is one place further, among new and brighter
/// ones, in the second the rest of them are, among darker ones. A batch of one image is run three times.
///
/// # Errors
/// [`Error::File`] where one of these images has other features in the one than in the other.
pub(crate) fn check_on_noise(network: &Network) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // Each image has a brightness of its own: what a network makes of noise alone hardly differs from one to the next.
    let mut noise = |range: Range<f32>| {
        let mut images = Array4::zeros(network.input_shape());
        for mut image in images.outer_iter_mut() {
            let level = rng.random_range(range.clone());
            image.mapv_inplace(|_: f32| 0.6 * level + 0.4 * rng.random_range(range.clone()));
        }
        images
    };
    let [usual, bright, dark] = match network.takes_bytes() {
        true => [64.0..192.0, 0.0..255.0, 0.0..64.0],
        false => [-2.0..2.0, -20.0..20.0, -0.2..0.2],
    };
    let images = noise(usual);
    let before = network.run(images.view())?;
    let count = network.batch_size();
    for (first, others) in [(0, bright), (1, dark)] {
        let mut batch = noise(others);
        let moved: Vec<(usize, usize)> = (first..count).step_by(2).map(|place| (place, (place + 1) % count)).collect();
        for &(place, other) in &moved {
            batch.index_axis_mut(Axis(0), other).assign(&images.index_axis(Axis(0), place));
        }
        let after = network.run(batch.view())?;
        let largest = largest_by_feature(&before);
        if moved.iter().any(|&(place, other)| differ(network, before.row(place), after.row(other), &largest)) {
            return Err(mixes_images(network));
        }
    }
    Ok(())
}

/// Runs a network on the first and the last of these images alone, whose features together are `together`.
///
/// # Errors
/// [`Error::File`] where one of them has other features alone.
pub(super) fn check_on_images(network: &Network, images: ArrayView4<f32>, together: &Array2<f32>) -> Result<()> {
    let largest = largest_by_feature(together);
    for place in [0, together.nrows() - 1] {
        let alone = network.run(images.slice(s![place..=place, .., .., ..]))?;
        if differ(network, together.row(place), alone.row(0), &largest) {
            return Err(mixes_images(network));
        }
    }
    Ok(())
}

/// Whether two rows of features, of one image, differ by more than rounding, which is a share of the largest value that a feature has and of
/// the largest that the image has.
fn differ(network: &Network, one: ArrayView1<f32>, other: ArrayView1<f32>, largest_by_feature: &[f32]) -> bool {
    let (of_feature, of_image) = if network.is_half() { (3e-2, 3e-3) } else { (1e-3, 1e-5) };
    let least = of_image * largest(one);
    let mut features = one.iter().zip(other).zip(largest_by_feature);
    features.any(|((one, other), largest)| (one - other).abs() > least.max(of_feature * largest))
}

fn largest_by_feature(features: &Array2<f32>) -> Vec<f32> {
    features.columns().into_iter().map(largest).collect()
}

/// The largest absolute value.
fn largest(values: ArrayView1<f32>) -> f32 {
    values.fold(0.0, |largest: f32, value| largest.max(value.abs()))
}

fn mixes_images(network: &Network) -> Error {
    Error::File {
        path: Path::new(&network.file().file).into(),
        found: "gives an image other features beside other images, or at another time".into(),
        expected: "one that treats each image by itself and alike (exported for evaluation, not for training)".into(),
    }
}
