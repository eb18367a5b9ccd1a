//! What a photograph of CUB-200-2011's size costs on its way to a network: decoding, resizing beside what `image` itself does, one
//! augmented view, and the numbers that the network takes.

use arcos::data::image::{
    BoundingBox, Interpolation, Layout, Normalisation, PixelBox, Preprocessing, decode, resize_with_padding,
    to_unit_range,
};
use criterion::{Criterion, criterion_group, criterion_main};
use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

const SIZE: (u32, u32) = (500, 375);
const REGION: PixelBox = PixelBox { left: 60, top: 27, width: 325, height: 304 };

fn preprocessing_speed(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("bird.jpg");
    photograph().save_with_format(&path, ImageFormat::Jpeg).expect("writable");
    let image = decode(&path).expect("just written");
    let preprocessing = Preprocessing::new(224, 224, Layout::Nchw);
    let mut group = criterion.benchmark_group("preprocessing");
    group.bench_function("decode", |bencher| bencher.iter(|| decode(&path)));
    for (name, interpolation, filter) in [
        ("bilinear", Interpolation::Bilinear, FilterType::Triangle),
        ("bicubic", Interpolation::Bicubic, FilterType::CatmullRom),
    ] {
        group.bench_function(format!("resize/{name}"), |bencher| {
            bencher.iter(|| resize_with_padding(black_box(&image), REGION, (224, 224), interpolation));
        });
        group.bench_function(format!("resize/{name}, image's own"), |bencher| {
            let PixelBox { left, top, width, height } = REGION;
            bencher.iter(|| imageops::resize(&*imageops::crop_imm(&image, left, top, width, height), 224, 209, filter));
        });
    }
    let bounding_box = BoundingBox { x: 60.0, y: 27.0, width: 325.0, height: 304.0 };
    group.bench_function("file to pixels", |bencher| bencher.iter(|| preprocessing.read(&path, Some(bounding_box))));

    let pixels = preprocessing.read(&path, Some(bounding_box)).expect("just written");
    let mut input = Array3::zeros(preprocessing.input_shape());
    group.bench_function("pixels to input", |bencher| {
        bencher.iter(|| {
            let pixels = to_unit_range(black_box(&pixels));
            Normalisation::Imagenet.write(pixels.view(), Layout::Nchw, input.view_mut())
        });
    });
    let pixels = to_unit_range(&pixels);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    group.bench_function("augmented view", |bencher| {
        bencher.iter(|| preprocessing.augmentation.draw(224, 224, &mut rng).of(pixels.view()));
    });
    group.finish();
}

/// Smooth, with some noise: about as many bytes a pixel as the real ones have.
fn photograph() -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let wave =
            |period: f32, phase: f32| 100.0 + 60.0 * ((x as f32 / period).sin() + (y as f32 / period + phase).cos());
        let noise: f32 = rng.random_range(-12.0..12.0);
        image::Rgb(
            [wave(30.0, 0.0), wave(45.0, 1.0), wave(70.0, 2.0)].map(|value| (value + noise).clamp(0.0, 255.0) as u8),
        )
    })
}

criterion_group!(benches, preprocessing_speed);
criterion_main!(benches);
