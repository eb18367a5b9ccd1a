//! From a file to pixels.

use super::jpeg;
use crate::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Luma, Rgb, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// The upright picture in a JPEG, PNG, WebP, BMP, TIFF or GIF file, of an animation the first frame: EXIF orientation is applied, grey becomes RGB, transparency is dropped.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadImage`] for what is no regular file, and for a file that is no such image, or not a whole one.
pub fn decode(path: &Path) -> Result<RgbImage> {
    let failed = |error| Error::io("read", path, error);
    let bad = |found: String| {
        let expected = "a whole JPEG, PNG, WebP, BMP, TIFF or GIF image".into();
        Error::BadImage { path: path.into(), found, expected }
    };
    // Whoever opens a pipe waits for its other end, and a device may go on for ever.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(bad("it is no regular file".into()));
    }
    let bytes = fs::read(path).map_err(failed)?;
    from_bytes(&bytes).map_err(bad)
}

fn from_bytes(bytes: &[u8]) -> Result<RgbImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    // The decoder fills what is missing of a photograph with grey.
    if is_jpeg && !jpeg::is_whole(bytes) {
        return Err("it ends before its last pixel".into());
    }
    let in_scans = is_jpeg && jpeg::is_sequential_in_scans(bytes);
    let said = |error: ImageError| error.to_string();
    let mut decoder = reader.into_decoder().map_err(said)?;
    // A file of a few bytes can claim gigabytes of pixels.
    Limits::default().reserve(decoder.total_bytes()).map_err(said)?;
    let orientation = decoder.orientation().map_err(said)?;
    let mut image = match in_scans {
        true => jpeg::decode_scans(bytes)?.into(),
        false => DynamicImage::from_decoder(decoder).map_err(said)?,
    };
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
