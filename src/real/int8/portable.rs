//! What the instruction does, in plain Rust: for the tests.

use super::{BIAS, Codes, PANEL, Panels, put};
use std::ops::Range;

/// The products of `rows` of `a` with the columns of `b`, (rows, columns) in row-major order.
pub fn product(a: &Codes, rows: Range<usize>, b: &Panels, c: &mut [f32]) {
    for (row, c) in rows.zip(c.chunks_exact_mut(b.columns)) {
        for (column, element) in c.iter_mut().enumerate() {
            let quads = a.row(row).iter().zip(b.panel(column / PANEL));
            let sum_of_quad = |(a, b): (&[u8; 4], &super::Lanes)| {
                let b = b.0[column % PANEL].to_le_bytes();
                a.iter().zip(b).map(|(&a, b)| i32::from(a) * i32::from(b as i8)).sum::<i32>()
            };
            let sum = quads.map(sum_of_quad).fold(0, i32::wrapping_add);
            let (step, offset) = (b.steps[column], b.offsets[column]);
            put(&[sum], a.steps[row], &[step], &[offset], std::slice::from_mut(element));
        }
    }
}

/// The codes of a row.
pub fn codes(codes: &Codes, row: usize) -> Vec<i32> {
    codes.row(row).as_flattened().iter().map(|&byte| i32::from(byte) - i32::from(BIAS)).collect()
}
