//! The instruction: AVX-512 with its VNNI extension.

#![allow(unsafe_code)]

use super::{Codes, Lanes, PANEL, Panels, QUAD, put};
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows of which sums stay in registers: with 4 vectors of columns 24 sums, 4 operands and a broadcast one take 29 of 32.
const STRIP: usize = 6;

/// 32-bit lanes of a vector.
const LANES: usize = 16;

/// That this processor has the instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native(());

impl Native {
    /// `None` if it has not.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")).then_some(Self(()))
    }

    /// The products of `rows` of `a` with the columns of `b`, (rows, columns) in row-major order.
    pub fn product(self, a: &Codes, rows: Range<usize>, b: &Panels, c: &mut [f32]) {
        assert!(a.bytes_of_row == QUAD * b.quads && c.len() == rows.len() * b.columns, "shapes fit");
        // SAFETY: `detect` has found the instruction.
        unsafe { product(a, rows, b, c) }
    }
}

// The functions below are safe but for their target features, which `Native` stands for, and for reinterpreting bits: a vector has the
// size of the array that it is made of or becomes, and every pattern of bits is a value of both.

#[target_feature(enable = "avx512f,avx512vnni")]
fn product(a: &Codes, rows: Range<usize>, b: &Panels, c: &mut [f32]) {
    let mut sums = [[0; PANEL]; STRIP];
    for first in (0..b.columns).step_by(PANEL) {
        let panel = b.panel(first / PANEL);
        let columns = first..(first + PANEL).min(b.columns);
        let (steps, offsets) = (&b.steps[first..first + PANEL], &b.offsets[first..first + PANEL]);
        for row in rows.clone().step_by(STRIP) {
            let strip = row..(row + STRIP).min(rows.end);
            let operands: [&[[u8; QUAD]]; STRIP] = std::array::from_fn(|i| a.row((row + i).min(strip.end - 1)));
            match columns.len().div_ceil(LANES) {
                4 => tile_of::<4>(&operands[..strip.len()], panel, &mut sums),
                3 => tile_of::<3>(&operands[..strip.len()], panel, &mut sums),
                2 => tile_of::<2>(&operands[..strip.len()], panel, &mut sums),
                _ => tile_of::<1>(&operands[..strip.len()], panel, &mut sums),
            }
            for (row, sums) in strip.zip(&sums) {
                let c = &mut c[(row - rows.start) * b.columns..][columns.clone()];
                // With a length that is known the loop is a few instructions.
                match c.first_chunk_mut::<PANEL>() {
                    Some(c) => put(sums, a.steps[row], steps, offsets, c),
                    None => put(sums, a.steps[row], steps, offsets, c),
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn tile_of<const VECTORS: usize>(rows: &[&[[u8; QUAD]]], panel: &[Lanes], sums: &mut [[i32; PANEL]; STRIP]) {
    match *rows {
        [a, b, c, d, e, f] => tile::<6, VECTORS>([a, b, c, d, e, f], panel, sums),
        [a, b, c, d, e] => tile::<5, VECTORS>([a, b, c, d, e], panel, sums),
        [a, b, c, d] => tile::<4, VECTORS>([a, b, c, d], panel, sums),
        [a, b, c] => tile::<3, VECTORS>([a, b, c], panel, sums),
        [a, b] => tile::<2, VECTORS>([a, b], panel, sums),
        [a] => tile::<1, VECTORS>([a], panel, sums),
        _ => {}
    }
}

/// The sums of some rows with the first `16 VECTORS` columns of a panel.
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const ROWS: usize, const VECTORS: usize>(
    rows: [&[[u8; QUAD]]; ROWS],
    panel: &[Lanes],
    sums: &mut [[i32; PANEL]; STRIP],
) {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut totals = [[_mm512_setzero_si512(); VECTORS]; ROWS];
    for (quad, lanes) in panel.iter().enumerate() {
        let (lanes, _) = lanes.0.as_chunks::<LANES>();
        let mut columns = [_mm512_setzero_si512(); VECTORS];
        for vector in 0..VECTORS {
            // SAFETY: a vector has the size of the array.
            columns[vector] = unsafe { std::mem::transmute::<[u32; LANES], __m512i>(lanes[vector]) };
        }
        for row in 0..ROWS {
            let element = _mm512_set1_epi32(i32::from_le_bytes(rows[row][quad]));
            for vector in 0..VECTORS {
                totals[row][vector] = _mm512_dpbusd_epi32(totals[row][vector], element, columns[vector]);
            }
        }
    }
    for row in 0..ROWS {
        let (sums, _) = sums[row].as_chunks_mut::<LANES>();
        for vector in 0..VECTORS {
            // SAFETY: a vector has the size of the array.
            sums[vector] = unsafe { std::mem::transmute::<__m512i, [i32; LANES]>(totals[row][vector]) };
        }
    }
}
