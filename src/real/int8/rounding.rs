//! Rounding of a row to whole multiples of a step, in 8 bits.

use super::BIAS;
use pulp::{Arch, Simd, WithSimd};

/// The largest code.
const LARGEST: f32 = 127.0;

/// Adding 1.5·2^23 rounds to an integer and leaves that integer in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// Independent partial sums.
const LANES: usize = 32;

/// What is more than a distance, computed in `f32`, can be off by for up to 2^16 elements.
const SLACK: f32 = 1.001;

/// What became of a row.
pub(super) struct Rounded {
    pub step: f32,
    /// What the distance to the row does not exceed.
    pub error: f32,
    /// The sum of the codes.
    pub sum: i32,
}

/// Rounds `row` to multiples of a 127th of its largest magnitude; these and [`BIAS`] go into `bytes`, which may be more.
pub(super) fn round(row: &[f32], bytes: &mut [u8]) -> Rounded {
    bytes[row.len()..].fill(BIAS);
    Arch::new().dispatch(Round { row, bytes })
}

struct Round<'a> {
    row: &'a [f32],
    bytes: &'a mut [u8],
}

impl WithSimd for Round<'_> {
    type Output = Rounded;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Rounded {
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let mut largest = [0.0; LANES];
        for chunk in chunks {
            for (lane, value) in largest.iter_mut().zip(chunk) {
                *lane = larger(*lane, value.abs());
            }
        }
        let largest = largest.into_iter().chain(rest.iter().map(|value| value.abs())).fold(0.0, larger);
        let step = largest / LARGEST;
        // Of a row of zeros, or nearly so, all codes are 0.
        let steps = if step < f32::MIN_POSITIVE { 0.0 } else { LARGEST / largest };
        let (mut squares, mut sums) = ([0.0; LANES], [0; LANES]);
        let mut round = |lane: usize, value: f32, byte: &mut u8| {
            let rounded = value * steps + ROUNDER;
            let code = rounded.to_bits() as i32 - ROUNDER.to_bits() as i32;
            let difference = value - (rounded - ROUNDER) * step;
            *byte = (code + i32::from(BIAS)) as u8;
            squares[lane] += difference * difference;
            sums[lane] += code;
        };
        // Of a length that is known, so that it vectorises.
        let (byte_chunks, byte_rest) = self.bytes[..self.row.len()].as_chunks_mut::<LANES>();
        for (chunk, bytes) in chunks.iter().zip(byte_chunks) {
            for lane in 0..LANES {
                round(lane, chunk[lane], &mut bytes[lane]);
            }
        }
        for (lane, (&value, byte)) in rest.iter().zip(byte_rest).enumerate() {
            round(lane, value, byte);
        }
        let square: f32 = squares.iter().sum();
        // Of a row of length 1, multiples of the step are rounded by half a unit in the last place.
        let error = square.sqrt() * SLACK + f32::EPSILON;
        Rounded { step, error, sum: sums.iter().sum() }
    }
}
