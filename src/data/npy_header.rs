//! What a `.npy` header may claim. The parser of headers takes exponential time for deep brackets, overflows the stack for deeper
//! ones, and trusts lengths and shapes; so they are looked at first. Nor does it know the long integers of Python 2.

use crate::wording::counted;
use num_traits::ToPrimitive;
use py_literal::Value;

/// Bytes of a header, at most: NumPy's own are some 118.
const LONGEST: usize = 1 << 16;

/// Bytes of a file that hold its header, if it is one that is taken.
pub(super) const START: usize = LONGEST + 12;

/// Brackets within brackets, at most: a structured type in a dictionary has four.
const DEEPEST: usize = 5;

/// Makes the shape `(100L, 3L)` that Python 2 writes `(100 , 3 )`, in the start of a file.
pub(super) fn without_long_suffixes(start: &mut [u8]) {
    let Some((b"\x93NUMPY", rest)) = start.split_at_checked(6) else { return };
    let is_shape = |window: &[u8]| window == b"shape";
    let Some(shape) = rest.windows(5).take(LONGEST).position(is_shape).map(|position| position + 11) else { return };
    let end = start[shape..].iter().position(|&byte| byte == b')').map_or(shape, |length| shape + length);
    for index in shape..end {
        if start[index] == b'L' && start[index - 1].is_ascii_digit() {
            start[index] = b' ';
        }
    }
}

/// Checks the header at the start of a file, of which the first [`START`] bytes are given or all there are. What is no header passes: whoever
/// parses it says so.
pub(super) fn check(start: &[u8]) -> Result<(), String> {
    let Some((length, header)) = length_and_rest(start) else { return Ok(()) };
    if length > LONGEST {
        return Err(format!("claims a header of {}", counted(length, "byte")));
    }
    let header = String::from_utf8_lossy(&header[..length.min(header.len())]);
    if depth(&header) > DEEPEST {
        return Err(format!("has a header with brackets more than {DEEPEST} deep"));
    }
    match shape(&header) {
        Some(shape) if elements(&shape).is_none() => Err(format!("claims the shape {shape:?}")),
        _ => Ok(()),
    }
}

/// The shape (N, D) that a header claims, and how many bytes come before the elements, if these are f32 in C order and of this machine's
/// endianness.
pub(super) fn native_f32_matrix(start: &[u8]) -> Option<((usize, usize), usize)> {
    check(start).ok()?;
    let (length, rest) = length_and_rest(start)?;
    let header = str::from_utf8(rest.get(..length)?).ok()?.strip_suffix('\n')?;
    let Value::Dict(entries) = header.trim().parse().ok()? else { return None };
    let entry =
        |key: &str| entries.iter().find(|(found, _)| *found == Value::String(key.into())).map(|(_, value)| value);
    let dtype = if cfg!(target_endian = "little") { "<f4" } else { ">f4" };
    let (Value::String(found), Value::Boolean(false), Value::Tuple(shape)) =
        (entry("descr")?, entry("fortran_order")?, entry("shape")?)
    else {
        return None;
    };
    let [Value::Integer(rows), Value::Integer(columns)] = &shape[..] else { return None };
    let is_plain = found == dtype && entries.len() == 3;
    is_plain.then_some(((rows.to_usize()?, columns.to_usize()?), start.len() - rest.len() + length))
}

/// The length of a header, and what follows in the start of a file.
fn length_and_rest(start: &[u8]) -> Option<(usize, &[u8])> {
    let (b"\x93NUMPY", rest) = start.split_at_checked(6)? else { return None };
    match *rest {
        [1, _, low, high, ref rest @ ..] => Some((u16::from_le_bytes([low, high]).into(), rest)),
        [2 | 3, _, a, b, c, d, ref rest @ ..] => Some((u32::from_le_bytes([a, b, c, d]) as usize, rest)),
        _ => None,
    }
}

fn depth(header: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for character in header.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The axes after the last `'shape'`, which is the one that counts.
fn shape(header: &str) -> Option<Vec<u128>> {
    let (_, after) = header.rsplit_once("shape")?;
    let (axes, _) = after.split_once('(')?.1.split_once(')')?;
    axes.split(',').map(str::trim).filter(|axis| !axis.is_empty()).map(|axis| axis.parse().ok()).collect()
}

/// The product of the axes that are not zero, if an array can have so many elements.
fn elements(shape: &[u128]) -> Option<u128> {
    let axes = shape.iter().filter(|&&axis| axis > 0);
    let product = axes.copied().try_fold(1u128, |product, axis| product.checked_mul(axis));
    product.filter(|&product| product <= isize::MAX as u128 / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(header: &str) -> Result<(), String> {
        let length = (header.len() as u16).to_le_bytes();
        check(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat())
    }

    #[test]
    fn long_integers_of_python_2_lose_their_suffix() {
        let mut start =
            *b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (100L, 3L), }\n 7L)";
        without_long_suffixes(&mut start);
        assert!(start.ends_with(b"'shape': (100 , 3 ), }\n 7L)"), "{}", String::from_utf8_lossy(&start));
    }

    #[test]
    fn ordinary_headers_pass_and_absurd_ones_do_not() {
        for shape in ["(3, 4)", "(3,)", "()", "(0, 5)", "(1000000, 1000000)"] {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
            assert_eq!(with_header(&header), Ok(()));
        }
        assert_eq!(with_header("{'descr': [('a', '<f4', (2,))], 'shape': (3,)}"), Ok(()));
        for shape in ["(0, 9223372036854775808)", "(1152921504606846976, 4)", "(4294967296, 4294967296, 4294967296)"] {
            let error = with_header(&format!("{{'shape': {shape}}}")).expect_err(shape);
            assert!(error.starts_with("claims the shape ["), "{error}");
        }
        assert!(with_header(&"[".repeat(40)).is_err_and(|error| error.contains("brackets")));
        let gigabytes = [b"\x93NUMPY\x02\x00", &u32::MAX.to_le_bytes()[..], b"{}"].concat();
        assert!(check(&gigabytes).is_err_and(|error| error.contains("claims a header of")));
        for other in [&b""[..], b"\x93NUMP", b"PK\x03\x04", b"\x93NUMPY\x09\x00"] {
            assert_eq!(check(other), Ok(()));
        }
    }
}
