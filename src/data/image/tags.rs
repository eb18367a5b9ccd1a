//! What a photograph's tags say of its pixels.

use exif::{In, Reader, Tag};
use image::metadata::Orientation;
use std::io::Cursor;
use tiff::decoder::Decoder;
use tiff::tags::{ExtraSamples, Tag as TiffTag};

/// What turns pixels upright, by the orientation in an EXIF segment; nothing where there is none. As in Pillow, the number may be of
/// another type than the standard's: cameras are free with it.
pub(super) fn orientation(exif: Vec<u8>) -> Orientation {
    let tags = Reader::new().continue_on_error(true).read_raw(exif);
    let tags = tags.or_else(|error| error.distill_partial_result(|_| {}));
    let number = tags.ok().and_then(|tags| tags.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0));
    number.and_then(|number| Orientation::from_exif(number.try_into().ok()?)).unwrap_or(Orientation::NoTransforms)
}

/// Whether the first image in a TIFF file has colours that are multiplied by their opacity.
pub(super) fn has_premultiplied_colours(tiff: &[u8]) -> bool {
    let samples = Decoder::new(Cursor::new(tiff))
        .and_then(|mut decoder| decoder.find_tag_unsigned_vec::<u16>(TiffTag::ExtraSamples));
    samples.ok().flatten().is_some_and(|samples| samples.first() == Some(&ExtraSamples::AssociatedAlpha.to_u16()))
}
