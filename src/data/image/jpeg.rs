//! What the markers of a JPEG file say, and the one kind of JPEG that needs a decoder of its own.
//!
//! `zune-jpeg`, the decoder of `image`, is right and fast for files of one scan and for progressive ones. Baseline files with several scans, one for each
//! component mostly, it takes for something else and gives noise without a word; `jpeg-decoder` is right there.

use image::RgbImage;
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};
use memchr::memchr;

const BASELINE: u8 = 0xC0;
const EXTENDED_SEQUENTIAL: u8 = 0xC1;
const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const JFIF: u8 = 0xE0;
const ADOBE: u8 = 0xEE;

/// The markers of a file with their segments, in order. What follows the end of the image, another image or a film, is left out.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    let mut is_ended = false;
    std::iter::from_fn(move || {
        while let (Some(at), false) = (memchr(0xFF, rest), is_ended) {
            rest = &rest[at + 1..];
            match rest.first().copied() {
                // Pixels hold no marker: after 0xFF they have a zero or a restart marker. Any number of 0xFF may go before one.
                None | Some(0x00 | 0xFF | 0xD0..=0xD7 | START_OF_IMAGE) => {}
                Some(END_OF_IMAGE) => {
                    is_ended = true;
                    return Some((END_OF_IMAGE, &[][..]));
                }
                // The length of the segment after its marker; a thumbnail's markers are inside.
                Some(marker) => {
                    let length = rest.get(1..3).map_or(0, |length| u16::from_be_bytes([length[0], length[1]]));
                    let segment = rest.get(3..1 + usize::from(length)).unwrap_or_default();
                    rest = rest.get(1 + usize::from(length)..).unwrap_or_default();
                    return Some((marker, segment));
                }
            }
        }
        None
    })
}

/// Whether the image's end is there.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    segments(bytes).any(|(marker, _)| marker == END_OF_IMAGE)
}

/// Whether the frame is sequential, and its first scan has not all of its components.
pub(super) fn is_sequential_in_scans(bytes: &[u8]) -> bool {
    let components_of_frame = segments(bytes).find_map(|(marker, segment)| match marker {
        BASELINE | EXTENDED_SEQUENTIAL => segment.get(5).copied(),
        _ => None,
    });
    let first_scan = segments(bytes).find(|(marker, _)| *marker == START_OF_SCAN);
    let components_of_scan = first_scan.and_then(|(_, segment)| segment.first().copied());
    components_of_frame.zip(components_of_scan).is_some_and(|(frame, scan)| scan < frame)
}

/// The pixels of a file that [`is_sequential_in_scans`], as they are stored.
pub(super) fn decode_scans(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no frame")?;
    if info.pixel_format != PixelFormat::RGB24 {
        return Err("it has several scans of colours other than YCbCr and RGB".into());
    }
    if stores_rgb(bytes) {
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    RgbImage::from_raw(info.width.into(), info.height.into(), pixels).ok_or_else(|| "it lacks pixels".into())
}

/// Whether Adobe's marker says that components are red, green and blue. JFIF's, where it is there, says that they are not.
fn stores_rgb(bytes: &[u8]) -> bool {
    let mut before_pixels = segments(bytes).take_while(|(marker, _)| *marker != START_OF_SCAN);
    let has_jfif = before_pixels.any(|(marker, segment)| marker == JFIF && segment.starts_with(b"JFIF\0"));
    let adobe = segments(bytes).find(|(marker, segment)| *marker == ADOBE && segment.starts_with(b"Adobe"));
    !has_jfif && adobe.is_some_and(|(_, segment)| segment.get(11) == Some(&0))
}
