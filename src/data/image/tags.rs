//! What a photograph's tags say of its pixels.

use exif::{In, Reader, Tag, Value};
use image::metadata::Orientation;
use std::io::Cursor;
use tiff::decoder::Decoder;
use tiff::tags::{ExtraSamples, Tag as TiffTag};

/// What turns pixels upright, by the orientation in an EXIF segment; nothing where there is none. As in Pillow, the number may be of
/// any of EXIF's types but those of bytes and text: cameras are free with it. A TIFF file is such a segment.
pub(super) fn orientation(exif: Vec<u8>) -> Orientation {
    let tags = Reader::new().continue_on_error(true).read_raw(exif);
    let tags = tags.or_else(|error| error.distill_partial_result(|_| {}));
    let number = tags.ok().and_then(|tags| number(&tags.get_field(Tag::Orientation, In::PRIMARY)?.value));
    let whole = number.filter(|number| number.fract() == 0.0 && (1.0..=8.0).contains(number));
    whole.and_then(|number| Orientation::from_exif(number as u8)).unwrap_or(Orientation::NoTransforms)
}

fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Short(values) => (*values.first()?).into(),
        Value::Long(values) => (*values.first()?).into(),
        Value::SByte(values) => (*values.first()?).into(),
        Value::SShort(values) => (*values.first()?).into(),
        Value::SLong(values) => (*values.first()?).into(),
        Value::Rational(values) => values.first()?.to_f64(),
        Value::SRational(values) => values.first()?.to_f64(),
        Value::Float(values) => (*values.first()?).into(),
        Value::Double(values) => *values.first()?,
        Value::Byte(_) | Value::Ascii(_) | Value::Undefined(..) | Value::Unknown(..) => return None,
    })
}

/// Whether the first image in a TIFF file has colours that are multiplied by their opacity.
pub(super) fn has_premultiplied_colours(tiff: &[u8]) -> bool {
    let samples = Decoder::new(Cursor::new(tiff))
        .and_then(|mut decoder| decoder.find_tag_unsigned_vec::<u16>(TiffTag::ExtraSamples));
    samples.ok().flatten().is_some_and(|samples| samples.first() == Some(&ExtraSamples::AssociatedAlpha.to_u16()))
}
