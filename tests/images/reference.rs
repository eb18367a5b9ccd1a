//! Pixels as Pillow, TensorFlow and SciPy find them: `tests/reference/make_images.py`.

use super::data_file;
use arcos::Error;
use arcos::data::image::{Interpolation, PixelBox, colour, decode, geometry, resize_with_padding};
use image::codecs::gif::GifEncoder;
use image::{Frame, ImageFormat, Rgb, Rgb32FImage, RgbImage, Rgba, RgbaImage};
use ndarray::Array3;
use ndarray_npy::{NpzReader, ReadableElement};
use std::fs::{self, File};
use tiff::encoder::{TiffEncoder, colortype::RGB8};
use tiff::tags::ExtraSamples;

fn expected<T: ReadableElement>(name: &str) -> Array3<T> {
    let archive = File::open(data_file("images/images.npz")).expect("committed");
    NpzReader::new(archive).expect("an archive").by_name(name).expect(name)
}

fn pixels(image: &RgbImage) -> Array3<u8> {
    let (width, height) = image.dimensions();
    Array3::from_shape_vec((height as usize, width as usize, 3), image.as_raw().clone()).expect("three values a pixel")
}

/// Largest and mean difference.
fn differences(found: &Array3<u8>, expected: &Array3<u8>) -> (u8, f64) {
    assert_eq!(found.dim(), expected.dim());
    let differences: Vec<u8> = found.iter().zip(expected).map(|(&a, &b)| a.abs_diff(b)).collect();
    let sum: u64 = differences.iter().map(|&difference| u64::from(difference)).sum();
    (differences.iter().copied().max().unwrap_or(0), sum as f64 / differences.len() as f64)
}

#[test]
fn png_images_of_every_kind() {
    for name in ["rgb.png", "grey.png", "palette.png", "rgba.png"] {
        let image = decode(&data_file(&format!("images/{name}"))).expect(name);
        assert_eq!(pixels(&image), expected::<u8>(name), "{name}");
    }
}

#[test]
fn other_formats_have_the_pixels_of_png_and_are_refused_where_they_end_early() {
    let image = decode(&data_file("images/palette.png")).expect("a PNG");
    let directory = tempfile::tempdir().expect("a directory");
    for format in [ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Gif] {
        let path = directory.path().join("photograph");
        image.save_with_format(&path, format).expect("encoded");
        assert_eq!(decode(&path).expect("an image"), image, "{format:?}");
        let bytes = fs::read(&path).expect("written");
        for length in [0, 1, 12, bytes.len() / 2, bytes.len() - 32] {
            fs::write(&path, &bytes[..length]).expect("written");
            let outcome = decode(&path);
            assert!(matches!(outcome, Err(Error::BadImage { .. })), "{format:?} of {length} bytes");
        }
    }
}

/// Device-independent bitmaps, files that end in `.dib`, may lack a bitmap's first 14 bytes.
#[test]
fn bitmaps_without_a_file_header_are_bitmaps() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("photograph.dib");
    for name in ["rgb.png", "grey.png"] {
        let image = image::open(data_file(&format!("images/{name}"))).expect(name);
        image.save_with_format(&path, ImageFormat::Bmp).expect("encoded");
        let whole = decode(&path).expect("a bitmap");
        let bytes = fs::read(&path).expect("written");
        fs::write(&path, &bytes[14..]).expect("writable");
        assert_eq!(decode(&path).expect("a bitmap"), whole, "{name}");
        for length in [0, 14, 40, bytes.len() / 2] {
            fs::write(&path, &bytes[14..][..length]).expect("writable");
            let outcome = decode(&path);
            assert!(matches!(outcome, Err(Error::BadImage { .. })), "{name} of {length} bytes");
        }
    }
}

#[test]
fn of_an_animation_the_first_frame() {
    let first = RgbaImage::from_pixel(7, 5, Rgba([200, 40, 40, 255]));
    let second = RgbaImage::from_pixel(7, 5, Rgba([40, 40, 200, 255]));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("film.gif");
    let mut encoder = GifEncoder::new(File::create(&path).expect("created"));
    encoder.encode_frames([first, second].map(Frame::new)).expect("encoded");
    drop(encoder);
    let found = decode(&path).expect("a GIF");
    assert!(found.pixels().all(|pixel| *pixel == Rgb([200, 40, 40])));
}

#[test]
fn jpeg_images_of_every_kind_and_orientation() {
    let orientations = (1..=8).map(|orientation| format!("orientation_{orientation}.jpg"));
    let kinds = ["baseline.jpg", "progressive.jpg", "full_chroma.jpg", "grey.jpg", "cmyk.jpg"].map(String::from);
    for name in kinds.into_iter().chain(orientations) {
        let image = decode(&data_file(&format!("images/{name}"))).expect(&name);
        let (largest, mean) = differences(&pixels(&image), &expected::<u8>(&name));
        println!("{name}: {largest}, {mean:.3}");
        // Decoders may differ in how they round, and in how they spread halved chroma.
        assert!(largest <= 5 && mean < 0.5, "{name}: {largest}, {mean}");
    }
}

/// Cameras write the orientation as other types than the standard's, too; Pillow reads them.
#[test]
fn the_orientation_may_be_a_number_of_any_type() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("photograph.jpg");
    for orientation in 1..=8_u8 {
        let name = format!("orientation_{orientation}.jpg");
        let bytes = fs::read(data_file(&format!("images/{name}"))).expect("committed");
        // Tag, type, number of values, value, big-endian.
        let short = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
        let at = bytes.windows(12).position(|window| window == short).expect("a tag of two bytes");
        let upright = decode(&data_file(&format!("images/{name}"))).expect(&name);
        let as_stored = decode(&data_file("images/orientation_1.jpg")).expect("without a turn");
        let [high, low, ..] = f32::from(orientation).to_be_bytes();
        for (kind, value, expected) in [
            (4, [0, 0, 0, orientation], &upright),
            (6, [orientation, 0, 0, 0], &upright),
            (8, [0, orientation, 0, 0], &upright),
            (9, [0, 0, 0, orientation], &upright),
            (11, [high, low, 0, 0], &upright),
            // As in Pillow, bytes are no number; nor is there a turn between two.
            (1, [orientation, 0, 0, 0], &as_stored),
            (11, [high, low, 1, 0], &as_stored),
        ] {
            let tag = [&[1, 0x12, 0, kind, 0, 0, 0, 1][..], &value].concat();
            fs::write(&path, [&bytes[..at], &tag, &bytes[at + 12..]].concat()).expect("writable");
            assert_eq!(&decode(&path).expect(&name), expected, "{name} of type {kind}, {value:?}");
        }
    }
}

/// Light is what Pillow makes of it: 255 times as much as is there, by the opacity, rounded down.
#[test]
fn premultiplied_colours_of_tiff_get_their_light_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("photograph.tif");
    let pixels = [[10, 20, 30, 255], [10, 20, 30, 60], [10, 20, 30, 0], [90, 20, 30, 60]];
    for (samples, expected) in [
        (ExtraSamples::UnassociatedAlpha, [[10, 20, 30], [10, 20, 30], [10, 20, 30], [90, 20, 30]]),
        (ExtraSamples::AssociatedAlpha, [[10, 20, 30], [42, 85, 127], [0, 0, 0], [255, 85, 127]]),
    ] {
        let mut encoder = TiffEncoder::new(File::create(&path).expect("created")).expect("a file");
        let mut image = encoder.new_image::<RGB8>(4, 1).expect("an image");
        image.extra_samples(&[samples]).expect("before pixels");
        image.write_data(pixels.as_flattened()).expect("written");
        let found = decode(&path).expect("a TIFF");
        assert_eq!(found.as_raw().as_slice(), expected.as_flattened(), "{samples:?}");
    }
}

#[test]
fn floats_are_fractions_of_white_or_no_photograph() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("photograph.tif");
    for (value, is_fraction) in
        [(0.0, true), (0.5, true), (1.0, true), (1.5, false), (255.0, false), (-0.1, false), (f32::NAN, false)]
    {
        let image = Rgb32FImage::from_pixel(3, 2, Rgb([0.2, value, 0.2]));
        image.save_with_format(&path, ImageFormat::Tiff).expect("encoded");
        match decode(&path) {
            Ok(image) => {
                assert!(is_fraction && image.pixels().all(|pixel| pixel[1] == (255.0 * value).round() as u8), "{value}")
            }
            Err(error) => {
                assert!(!is_fraction && error.to_string().contains("those from 0 to 1 alone"), "{value}: {error}")
            }
        }
    }
}

#[test]
fn resized_as_pillow_does() {
    let noise: Array3<u8> = expected("noise");
    let (height, width, _) = noise.dim();
    let image = RgbImage::from_raw(width as u32, height as u32, noise.iter().copied().collect()).expect("of this size");
    for (name, interpolation) in [("bilinear", Interpolation::Bilinear), ("bicubic", Interpolation::Bicubic)] {
        for (way, (left, top, width, height), size) in
            [("down", (5, 3, 50, 40), (24, 24)), ("up", (10, 20, 9, 14), (32, 24))]
        {
            let resized = resize_with_padding(&image, PixelBox { left, top, width, height }, size, interpolation);
            let (largest, mean) = differences(&pixels(&resized), &expected(&format!("{name}_{way}")));
            println!("{name}_{way}: {largest}, {mean:.3}");
            assert!(largest <= 1, "{name}_{way}: {largest}, {mean}");
        }
    }
}

fn assert_close(found: &Array3<f32>, name: &str) {
    let expected: Array3<f32> = expected(name);
    assert_eq!(found.dim(), expected.dim());
    for (index, value) in found.indexed_iter() {
        assert!((value - expected[index]).abs() < 2e-6, "{name} {index:?}: {value}, not {}", expected[index]);
    }
}

#[test]
fn recoloured_as_tensorflow_does() {
    let image: Array3<f32> = expected("floats");
    assert_close(&colour::brightness(image.view(), 0.3), "brightness");
    for delta in ["0.01", "-0.01", "0.4"] {
        assert_close(&colour::hue(image.view(), delta.parse().expect("a number")), &format!("hue_{delta}"));
    }
    for factor in ["0.0", "0.9", "1.1", "3.0"] {
        assert_close(
            &colour::saturation(image.view(), factor.parse().expect("a number")),
            &format!("saturation_{factor}"),
        );
    }
    assert_close(&geometry::flip_horizontal(image.view()), "flip");
}

#[test]
fn rotated_as_scipy_does() {
    use std::f32::consts::PI;
    let image: Array3<f32> = expected("floats");
    for (angle, name) in [(0.3, "0.3000"), (-PI / 8.0, "-0.3927"), (PI / 2.0, "1.5708")] {
        assert_close(&geometry::rotate(image.view(), angle), &format!("rotation_{name}"));
    }
}

#[test]
fn files_that_are_no_whole_images_are_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("bird.jpg");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("writable");
        let error = decode(&path).expect_err("refused");
        assert!(matches!(error, Error::BadImage { .. }), "{error}");
        assert!(error.to_string().contains("bird.jpg"), "{error}");
        error.to_string()
    };
    refused(b"");
    refused(b"no image at all, but some text");
    for name in ["baseline.jpg", "progressive.jpg", "orientation_6.jpg", "rgb.png"] {
        let whole = fs::read(data_file(&format!("images/{name}"))).expect("committed");
        // A PNG's last twelve bytes hold no pixel.
        let needed = whole.len() - if name.ends_with("png") { 12 } else { 0 };
        for length in 0..needed {
            refused(&whole[..length]);
        }
        // As in a photograph with a film behind it.
        let behind = b"bytes after the end \xFF\xDA \xFF\xD9 \xFF\xDA";
        fs::write(&path, [&whole[..], behind].concat()).expect("writable");
        decode(&path).expect("all pixels are there");
    }
    // The header of an image of 65,500 pixels a side.
    let mut claims = fs::read(data_file("images/baseline.jpg")).expect("committed");
    let frame = claims.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame");
    claims[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
    refused(&claims);
    assert!(matches!(decode(&directory.path().join("gone.jpg")), Err(Error::Io { .. })));
}
