//! From a JPEG file to pixels, by the decoder that is right for its kind.
//!
//! `zune-jpeg`, the decoder of `image`, is right and fast for what cameras and nearly all programs write: grey, or YCbCr with the luminance sampled as finely as or more finely than
//! the chrominance, in one scan or progressive. Of other files it gives noise without a word: baseline ones of several scans, those where another component than the first is sampled
//! most finely, those whose markers disagree on their colours. `jpeg-decoder` is right there, once it is told the colours; what neither has right is refused.

mod header;

use super::decode::{check_memory, decoded};
use super::tags;
use header::{Colours, Component, Header};
use image::codecs::jpeg::JpegDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{ColorTransform, Decoder};
use std::io::Cursor;

/// The decoder that is right for a file.
enum Way {
    /// `zune-jpeg`.
    Usual,
    /// `jpeg-decoder`, once it is told the colours.
    Exact(Colours),
}

/// The pixels of a file as they are stored, and what turns them upright.
///
/// # Errors
/// What is wrong with a file that is cut off or damaged, or that neither decoder has right.
pub(super) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    // Decoders fill what is missing of a photograph with grey.
    if !header::is_whole(bytes) {
        return Err("it ends before its last pixel".into());
    }
    match way(&Header::read(bytes)?)? {
        Way::Usual => decoded(JpegDecoder::new(Cursor::new(bytes))),
        Way::Exact(colours) => decode_exactly(bytes, colours),
    }
}

/// Which decoder is right for a file that begins so.
fn way(header: &Header) -> Result<Way, String> {
    let components = header.components.as_slice();
    let count = components.len();
    let colours = header.colours().ok_or_else(|| format!("it has {count} components"))?;
    if header.bits != 8 {
        return Err(format!("it has {} bits a component", header.bits));
    }
    let is_usual = header.is_progressive || header.in_first_scan == count;
    let (across, down) = header.largest();
    if is_usual && has_usual_sampling(components) && (count == 1 || header.is_ycbcr_by_every_sign()) {
        return Ok(Way::Usual);
    }
    // `jpeg-decoder` takes a lone component in a scan for padded to whole units of the frame, which it is not.
    let is_alone_and_between = |&Component { across: a, down: d, .. }: &Component| {
        let is_in_one_scan = !header.is_progressive && header.in_first_scan == count;
        !is_in_one_scan && (![1, across].contains(&a) || ![1, down].contains(&d))
    };
    let is_fraction = |component: &Component| !divides(component.across, across) || !divides(component.down, down);
    if components.iter().any(is_alone_and_between) || components.iter().any(is_fraction) {
        let of = |component: &Component| format!("{}x{}", component.across, component.down);
        let factors = components.iter().map(of).collect::<Vec<_>>().join(", ");
        return Err(format!("its components are sampled {factors}, which cannot be decoded faithfully"));
    }
    Ok(Way::Exact(colours))
}

fn divides(part: u8, whole: u8) -> bool {
    whole.checked_rem(part) == Some(0)
}

/// Whether it is luminance, once, or as often as or more often than chrominance, in the ways that are held to Pillow.
fn has_usual_sampling(components: &[Component]) -> bool {
    let samples = |component: &Component| (component.across, component.down);
    match components {
        [luminance] => samples(luminance) == (1, 1),
        [luminance, chrominance @ ..] => {
            [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2)].contains(&samples(luminance))
                && chrominance.iter().all(|component| samples(component) == (1, 1))
        }
        [] => false,
    }
}

fn decode_exactly(bytes: &[u8], colours: Colours) -> Result<(DynamicImage, Orientation), String> {
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no frame")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_memory(u64::from(width) * u64::from(height) * info.pixel_format.pixel_bytes() as u64)?;
    decoder.set_color_transform(match colours {
        Colours::Grey => ColorTransform::Grayscale,
        Colours::YCbCr => ColorTransform::YCbCr,
        Colours::Rgb => ColorTransform::RGB,
        Colours::Cmyk => ColorTransform::CMYK,
        Colours::Ycck => ColorTransform::YCCK,
    });
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let image = match colours {
        Colours::Grey => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        Colours::YCbCr | Colours::Rgb => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        Colours::Cmyk | Colours::Ycck => {
            let pixels = pixels.as_chunks().0.iter().flat_map(of_inks).collect();
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
        }
    };
    let orientation = decoder.exif_data().map(|exif| tags::orientation(exif.to_vec()));
    Ok((image.ok_or("it lacks pixels")?, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Red, green and blue of light that cyan, magenta, yellow and black leave, as Pillow has them.
fn of_inks(&[cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let left = |ink: u8| (u16::from(255 - ink) * u16::from(255 - black) + 127) / 255;
    [cyan, magenta, yellow].map(|ink| left(ink) as u8)
}
