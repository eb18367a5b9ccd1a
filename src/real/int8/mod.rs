//! Inner products of unit rows in 8 bits: four times as many a second as in `f32` at best, and a bound on what they are off by.
//!
//! A row x is rounded to `q(x) = t c`, c whole numbers from -127 to 127 and t a step of its own. Products of such rows are sums of whole numbers, exact in 32 bits, so that
//!
//! ```text
//! |x·w - q(x)·q(w)| ≤ ‖x‖ ‖w - q(w)‖ + ‖x - q(x)‖ ‖q(w)‖
//! ```
//!
//! by Cauchy and Schwarz. Both distances are known once a row is rounded. At 512 dimensions of about the same size either is 0.007: not what two rows differ by as a rule, which is 0.0005,
//! but what no two can exceed. So whatever is further than that from mattering need not be looked at in full precision.

// Without the instruction nothing is rounded.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(test)]
mod portable;
mod rounding;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use absent::Native;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Native;

use std::ops::Range;

/// Columns of a panel: the widest tile that fits into registers with 6 rows.
const PANEL: usize = 64;

/// Elements that one instruction multiplies and adds up a lane.
const QUAD: usize = 4;

/// What is added to a code to make it a byte without a sign, which the instruction takes of one of both operands.
const BIAS: u8 = 128;

/// Sums of so many products of codes are below 2³¹.
pub(crate) const MOST_DIMENSIONS: usize = 1 << 16;

/// Unit rows in 8 bits.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    /// c + 128 of each row, filled up to whole quads with codes of 0.
    bytes: Vec<u8>,
    bytes_of_row: usize,
    dimension: usize,
    /// (N,) t
    steps: Vec<f32>,
    /// (N,) what ‖x - t c‖ does not exceed.
    errors: Vec<f32>,
    /// (N,) `128 Σ c`
    offsets: Vec<i32>,
}

/// Rows of [`Codes`] as the right operand (D, N): 64 columns at a time, quad by quad.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    /// As many of each panel as a row has quads, and maybe more. Columns past the last are of no use.
    lanes: Vec<Lanes>,
    quads: usize,
    columns: usize,
    steps: Vec<f32>,
    offsets: Vec<i32>,
}

/// One quad of codes of each column of a panel, in whole cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Lanes([u32; PANEL]);

impl Codes {
    /// Rounds the rows of `unit` (N, D), at most [`MOST_DIMENSIONS`], none of them longer than 1 but for rounding.
    pub fn assign(&mut self, unit: &[f32], dimension: usize) {
        assert!(dimension <= MOST_DIMENSIONS, "sums of products fit 32 bits");
        self.dimension = dimension;
        self.bytes_of_row = dimension.next_multiple_of(QUAD);
        let rows = unit.len() / dimension;
        self.bytes.resize(rows * self.bytes_of_row, BIAS);
        [&mut self.steps, &mut self.errors].into_iter().for_each(|values| values.clear());
        self.offsets.clear();
        for (row, bytes) in unit.chunks_exact(dimension).zip(self.bytes.chunks_exact_mut(self.bytes_of_row)) {
            let rounded = rounding::round(row, bytes);
            self.steps.push(rounded.step);
            self.errors.push(rounded.error);
            self.offsets.push(i32::from(BIAS) * rounded.sum);
        }
    }

    /// What `‖x - q(x)‖` does not exceed in any of `rows`.
    pub fn largest_error(&self, rows: Range<usize>) -> f32 {
        self.errors[rows].iter().fold(0.0, |largest, &error| largest.max(error))
    }

    /// What a [product](Native::product) is off by at most from the inner product of both rows in `f32`, rounding of both with it, where rows are rounded by no more than these.
    pub fn bound(&self, error: f32, other_error: f32) -> f32 {
        // D units in the last place for the sum, twice, and more for norms that are not quite 1.
        let rounding = (self.dimension + PANEL) as f32 * f32::EPSILON;
        other_error + error * (1.0 + other_error) + rounding
    }

    /// [`bound`](Self::bound) for one row and others that are rounded by no more than `other_error`.
    pub fn bound_of(&self, row: usize, other_error: f32) -> f32 {
        self.bound(self.errors[row], other_error)
    }

    fn row(&self, row: usize) -> &[[u8; QUAD]] {
        self.bytes[row * self.bytes_of_row..][..self.bytes_of_row].as_chunks().0
    }
}

impl Panels {
    /// Becomes `rows` of `codes`.
    pub fn assign(&mut self, codes: &Codes, rows: Range<usize>) {
        (self.quads, self.columns) = (codes.bytes_of_row / QUAD, rows.len());
        let lanes = self.columns.div_ceil(PANEL) * self.quads;
        if self.lanes.len() < lanes {
            self.lanes.resize(lanes, Lanes([0; PANEL]));
        }
        for (column, row) in rows.clone().enumerate() {
            let panel = &mut self.lanes[column / PANEL * self.quads..][..self.quads];
            for (lanes, &quad) in panel.iter_mut().zip(codes.row(row)) {
                lanes.0[column % PANEL] = u32::from_le_bytes(quad) ^ u32::from_le_bytes([BIAS; QUAD]);
            }
        }
        let columns = self.columns.next_multiple_of(PANEL);
        self.steps.clear();
        self.offsets.clear();
        self.steps.extend_from_slice(&codes.steps[rows.clone()]);
        self.offsets.extend_from_slice(&codes.offsets[rows]);
        self.steps.resize(columns, 0.0);
        self.offsets.resize(columns, 0);
    }

    fn panel(&self, panel: usize) -> &[Lanes] {
        &self.lanes[panel * self.quads..][..self.quads]
    }
}

/// Puts `t_x t_w Σ c_x c_w` into a row of the result, from the sums of biased products.
#[inline(always)]
fn put(sums: &[i32], step: f32, steps: &[f32], offsets: &[i32], row: &mut [f32]) {
    for (((element, &sum), &other_step), &offset) in row.iter_mut().zip(sums).zip(steps).zip(offsets) {
        *element = sum.wrapping_sub(offset) as f32 * step * other_step;
    }
}
