//! From a file to pixels.

use crate::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, Rgb, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// The upright picture in a JPEG or PNG file: EXIF orientation is applied, grey becomes RGB, transparency is dropped.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadImage`] for a file that is no such image, or not a whole one.
pub fn decode(path: &Path) -> Result<RgbImage> {
    let bytes = fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let bad = |reason: String| Error::BadImage { path: path.into(), reason };
    from_bytes(&bytes).map_err(bad)
}

fn from_bytes(bytes: &[u8]) -> Result<RgbImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    // The decoder fills what is missing of a photograph with grey.
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_is_whole(bytes) {
        return Err("it ends before its last pixel".into());
    }
    let decode = || {
        let mut decoder = reader.into_decoder()?;
        // A file of a few bytes can claim gigabytes of pixels.
        Limits::default().reserve(decoder.total_bytes())?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(match image {
            // Many times as fast as the conversion that knows colour spaces, to the same bytes.
            DynamicImage::ImageLuma8(grey) => RgbImage::from_fn(grey.width(), grey.height(), |x, y| {
                let Luma([value]) = *grey.get_pixel(x, y);
                Rgb([value; 3])
            }),
            image => image.into_rgb8(),
        })
    };
    decode().map_err(|error: image::ImageError| error.to_string())
}

/// Whether there is an end-of-image marker with no start of a scan after it. Pixels hold neither: after 0xFF they have a zero or a
/// restart marker.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let end = bytes.windows(2).rposition(|pair| pair == END_OF_IMAGE);
    end.is_some_and(|end| bytes[end..].windows(2).all(|pair| pair != START_OF_SCAN))
}
