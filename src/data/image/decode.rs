//! From a file to pixels.

use crate::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, Rgb, RgbImage};
use memchr::memchr;
use std::fs;
use std::io::Cursor;
use std::path::Path;

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;

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

/// Whether the image's end-of-image marker is there. What follows it, another image or a film, does not matter.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = memchr(0xFF, rest) {
        rest = &rest[at + 1..];
        match rest.first().copied() {
            // Pixels hold no marker: after 0xFF they have a zero or a restart marker. Any number of 0xFF may go before one.
            None | Some(0x00 | 0xFF | 0xD0..=0xD7 | START_OF_IMAGE) => {}
            Some(END_OF_IMAGE) => return true,
            // The length of the segment after its marker; a thumbnail's markers are inside.
            Some(_) => {
                let length = rest.get(1..3).map_or(0, |length| u16::from_be_bytes([length[0], length[1]]));
                rest = rest.get(1 + usize::from(length)..).unwrap_or_default();
            }
        }
    }
    false
}
