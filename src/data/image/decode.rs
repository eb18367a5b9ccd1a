//! From a file to pixels.

use super::{jpeg, tags};
use crate::wording::number;
use crate::{Error, Result, files::regular_file};
use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits, Luma, Rgb, RgbImage, Rgba,
};
use std::io::Cursor;
use std::path::Path;

/// The upright picture in a JPEG, PNG, WebP, BMP, TIFF or GIF file, of an animation the first frame: EXIF orientation is applied, grey becomes RGB, transparency is dropped.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadImage`] for what is no regular file, and for a file that is no such image, or not a whole one.
pub fn decode(path: &Path) -> Result<RgbImage> {
    let bad = |found: String| {
        let expected = "a whole JPEG, PNG, WebP, BMP, TIFF or GIF image".into();
        Error::BadImage { path: path.into(), found, expected }
    };
    match regular_file::read(path) {
        Ok(bytes) => from_bytes(&bytes).map_err(bad),
        Err(Error::File { found, .. }) => Err(bad(format!("it {found}"))),
        Err(error) => Err(error),
    }
}

fn from_bytes(bytes: &[u8]) -> Result<RgbImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let format = reader.format();
    let (mut image, mut orientation) = match format {
        Some(ImageFormat::Jpeg) => jpeg::decode(bytes)?,
        None if is_bitmap_without_file_header(bytes) => {
            decoded(BmpDecoder::new_without_file_header(Cursor::new(bytes)))?
        }
        _ => decoded(reader.into_decoder())?,
    };
    if format == Some(ImageFormat::Tiff) {
        check_range(&image)?;
        if !is_big_tiff(bytes) {
            orientation = tags::orientation(bytes.to_vec());
        }
        if tags::has_premultiplied_colours(bytes) {
            divide_by_alpha(&mut image)?;
        }
    }
    image.apply_orientation(orientation);
    Ok(match image {
        // Many times as fast as the conversion that knows colour spaces, to the same bytes.
        DynamicImage::ImageLuma8(grey) => RgbImage::from_fn(grey.width(), grey.height(), |x, y| {
            let Luma([value]) = *grey.get_pixel(x, y);
            Rgb([value; 3])
        }),
        image => image.into_rgb8(),
    })
}

/// The pixels of a file as they are stored, and what turns them upright.
pub(super) fn decoded(decoder: ImageResult<impl ImageDecoder>) -> Result<(DynamicImage, Orientation), String> {
    let said = |error: ImageError| error.to_string();
    let mut decoder = decoder.map_err(said)?;
    check_memory(decoder.total_bytes())?;
    let orientation = match decoder.exif_metadata().map_err(said)? {
        Some(exif) => tags::orientation(exif),
        None => decoder.orientation().map_err(said)?,
    };
    Ok((DynamicImage::from_decoder(decoder).map_err(said)?, orientation))
}

/// Whether it is a TIFF of 64-bit offsets, which EXIF does not have.
fn is_big_tiff(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk(), Some(b"II\x2B\0" | b"MM\0\x2B"))
}

/// # Errors
/// Floats that are no fractions of white: what they are a fraction of is not known.
fn check_range(image: &DynamicImage) -> Result<(), String> {
    let floats: &[f32] = match image {
        DynamicImage::ImageRgb32F(image) => image,
        DynamicImage::ImageRgba32F(image) => image,
        _ => &[],
    };
    match floats.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        Some(value) => {
            Err(format!("it has the float {}, and those from 0 to 1 alone are pixels", number((*value).into())))
        }
        None => Ok(()),
    }
}

/// Gives colours that were multiplied by their opacity their own light again, as Pillow does; what cannot be seen at all stays black.
fn divide_by_alpha(image: &mut DynamicImage) -> Result<(), String> {
    let DynamicImage::ImageRgba8(image) = image else {
        return Err("its colours are multiplied by their opacity, and not of 8 bits".into());
    };
    for Rgba([colours @ .., alpha]) in image.pixels_mut() {
        for colour in colours {
            *colour = (255 * u16::from(*colour)).checked_div(u16::from(*alpha)).unwrap_or(0).min(255) as u8;
        }
    }
    Ok(())
}

/// Refuses to decode to so many bytes: a file of a few can claim gigabytes of pixels.
pub(super) fn check_memory(bytes: u64) -> Result<(), String> {
    Limits::default().reserve(bytes).map_err(|error| error.to_string())
}

/// Whether they begin as a Windows bitmap does in memory, and in some files that end in `.dib`: with the header's size, and one plane. After the
/// larger headers of later versions nothing says where pixels begin.
fn is_bitmap_without_file_header(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk(), Some([40, 0, 0, 0, _, _, _, _, _, _, _, _, 1, 0]))
}
