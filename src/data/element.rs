//! Array elements of any width and either endianness, read into the one type that is computed with.

use half::f16;
use ndarray_npy::{ReadDataError, ReadableElement};
use py_literal::Value as PyValue;
use std::io::Read;

/// An element as it is wanted, whatever the file holds: `f32` of any float up to double and any integer, `f64` of doubles alone, `i64`
/// of any integer, `String` of Unicode or of bytes in UTF-8.
pub(super) struct Wanted<T>(pub T);

impl ReadableElement for Wanted<f32> {
    fn read_to_end_exact_vec<R: Read>(reader: R, dtype: &PyValue, len: usize) -> Result<Vec<Self>, ReadDataError> {
        match code(dtype) {
            ("f2", order) => decode(reader, len, order, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ("f4", order) => decode(reader, len, order, f32::from_le_bytes),
            ("f8", order) => decode(reader, len, order, |bytes| f64::from_le_bytes(bytes) as f32),
            ("i1", order) => decode(reader, len, order, |bytes| i8::from_le_bytes(bytes).into()),
            ("i2", order) => decode(reader, len, order, |bytes| i16::from_le_bytes(bytes).into()),
            ("i4", order) => decode(reader, len, order, |bytes| i32::from_le_bytes(bytes) as f32),
            ("i8", order) => decode(reader, len, order, |bytes| i64::from_le_bytes(bytes) as f32),
            ("u1", order) => decode(reader, len, order, |bytes| u8::from_le_bytes(bytes).into()),
            ("u2", order) => decode(reader, len, order, |bytes| u16::from_le_bytes(bytes).into()),
            ("u4", order) => decode(reader, len, order, |bytes| u32::from_le_bytes(bytes) as f32),
            ("u8", order) => decode(reader, len, order, |bytes| u64::from_le_bytes(bytes) as f32),
            _ => Err(ReadDataError::WrongDescriptor(dtype.clone())),
        }
    }
}

impl ReadableElement for Wanted<f64> {
    fn read_to_end_exact_vec<R: Read>(reader: R, dtype: &PyValue, len: usize) -> Result<Vec<Self>, ReadDataError> {
        match code(dtype) {
            ("f8", order) => decode(reader, len, order, f64::from_le_bytes),
            _ => Err(ReadDataError::WrongDescriptor(dtype.clone())),
        }
    }
}

impl ReadableElement for Wanted<i64> {
    fn read_to_end_exact_vec<R: Read>(reader: R, dtype: &PyValue, len: usize) -> Result<Vec<Self>, ReadDataError> {
        match code(dtype) {
            ("i1", order) => decode(reader, len, order, |bytes| i8::from_le_bytes(bytes).into()),
            ("i2", order) => decode(reader, len, order, |bytes| i16::from_le_bytes(bytes).into()),
            ("i4", order) => decode(reader, len, order, |bytes| i32::from_le_bytes(bytes).into()),
            ("i8", order) => decode(reader, len, order, i64::from_le_bytes),
            ("u1", order) => decode(reader, len, order, |bytes| u8::from_le_bytes(bytes).into()),
            ("u2", order) => decode(reader, len, order, |bytes| u16::from_le_bytes(bytes).into()),
            ("u4", order) => decode(reader, len, order, |bytes| u32::from_le_bytes(bytes).into()),
            // The largest stands for all that are too large, and is refused.
            ("u8", order) => {
                decode(reader, len, order, |bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX))
            }
            _ => Err(ReadDataError::WrongDescriptor(dtype.clone())),
        }
    }
}

/// The text that the bytes of an element are, if they are any.
type Text = fn(&[u8], ByteOrder) -> Option<String>;

impl ReadableElement for Wanted<String> {
    fn read_to_end_exact_vec<R: Read>(reader: R, dtype: &PyValue, len: usize) -> Result<Vec<Self>, ReadDataError> {
        let (code, order) = code(dtype);
        let width = |code: &str| code.get(1..)?.parse::<usize>().ok().filter(|&width| width > 0);
        let wrong = || ReadDataError::WrongDescriptor(dtype.clone());
        let characters = width(code).ok_or_else(wrong)?;
        let (width, text): (usize, Text) = match code.as_bytes()[0] {
            b'U' => (characters.checked_mul(4).ok_or(ReadDataError::MissingData)?, from_utf_32),
            b'S' => (characters, |bytes, _| str::from_utf8(without_padding(bytes, &0)).ok().map(str::to_owned)),
            _ => return Err(wrong()),
        };
        let bytes = read_exactly(reader, len, width)?;
        let strings = bytes.chunks_exact(width).enumerate().map(|(row, bytes)| {
            let no_text = || ReadDataError::ParseData(format!("holds no Unicode text in row {row}").into());
            text(bytes, order).map(Wanted).ok_or_else(no_text)
        });
        strings.collect()
    }
}

/// The text of four bytes a character, filled up with zeros.
fn from_utf_32(bytes: &[u8], order: ByteOrder) -> Option<String> {
    let (characters, _) = bytes.as_chunks::<4>();
    let code_point = |&bytes: &[u8; 4]| match order {
        ByteOrder::Little => u32::from_le_bytes(bytes),
        ByteOrder::Big => u32::from_be_bytes(bytes),
    };
    let code_points: Vec<u32> = characters.iter().map(code_point).collect();
    without_padding(&code_points, &0).iter().map(|&code_point| char::from_u32(code_point)).collect()
}

fn without_padding<'a, T: PartialEq>(elements: &'a [T], padding: &T) -> &'a [T] {
    let end = elements.iter().rposition(|element| element != padding).map_or(0, |last| last + 1);
    &elements[..end]
}

#[derive(Clone, Copy, PartialEq)]
enum ByteOrder {
    Little,
    Big,
}

/// NumPy's type code without the byte order, and the byte order.
fn code(dtype: &PyValue) -> (&str, ByteOrder) {
    let PyValue::String(dtype) = dtype else { return ("", ByteOrder::Little) };
    match dtype.strip_prefix('>') {
        Some(code) => (code, ByteOrder::Big),
        None => (dtype.trim_start_matches(['<', '|', '=']), ByteOrder::Little),
    }
}

/// Reads `len` elements of `WIDTH` bytes and no more.
fn decode<T, const WIDTH: usize>(
    reader: impl Read,
    len: usize,
    order: ByteOrder,
    from_little_endian: impl Fn([u8; WIDTH]) -> T,
) -> Result<Vec<Wanted<T>>, ReadDataError> {
    let bytes = read_exactly(reader, len, WIDTH)?;
    let (elements, _) = bytes.as_chunks::<WIDTH>();
    let element = |&(mut bytes): &[u8; WIDTH]| {
        if order == ByteOrder::Big {
            bytes.reverse();
        }
        Wanted(from_little_endian(bytes))
    };
    Ok(elements.iter().map(element).collect())
}

/// Reads `len` elements of `width` bytes and no more. Memory grows with what is there, not with what `len` claims.
fn read_exactly(mut reader: impl Read, len: usize, width: usize) -> Result<Vec<u8>, ReadDataError> {
    let wanted = len.checked_mul(width).ok_or(ReadDataError::MissingData)?;
    let mut bytes = Vec::new();
    reader.by_ref().take(wanted as u64).read_to_end(&mut bytes)?;
    if bytes.len() < wanted {
        return Err(ReadDataError::MissingData);
    }
    // One is as bad as a gigabyte, and takes less memory.
    let extra = reader.take(1).read_to_end(&mut Vec::new())?;
    if extra > 0 {
        return Err(ReadDataError::ExtraBytes(extra));
    }
    Ok(bytes)
}
