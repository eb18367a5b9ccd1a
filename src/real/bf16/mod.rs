//! Matrix products of bf16 numbers with sums in f32, an element of f32 in and an element of f32 out.
//!
//! Operands are rounded to bf16 (8 significant bits, the exponents of f32) to nearest, ties to even, and laid out in pairs along the dimension that is
//! summed over: one instruction multiplies 16 pairs with 16 others and adds both products to 16 sums of f32, or tiles of 16 times 16 pairs.
//! A product `a b` takes `a` (M, K) as [`Rows`] and `b` (K, N) as [`Panels`]; K is filled up to whole tiles with zeros.

// Without the instruction operands are never laid out.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(test)]
mod portable;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use absent::Native;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Native;

/// Columns of a panel: the widest tile that fits into registers with 6 rows.
const PANEL: usize = 64;

/// Pairs that are summed up before the next: a panel of so many takes 128 KiB, an eighth of what a core's own cache holds.
const DEPTH: usize = 512;

/// Rows of a tile, and pairs of each: whole cache lines.
const TILE: usize = 16;

/// Rows and columns of a square of two times two tiles, which are summed up at a time.
const SQUARE: usize = 2 * TILE;

/// A pair of bf16 numbers, the first in the lower half.
type Pair = u32;

/// The left operand (M, K): each row's pairs, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// `pairs` of each row from `start` on, of whole squares of rows, and maybe more. Rows past the last are of no use.
    elements: Vec<Pair>,
    /// Where a cache line begins.
    start: usize,
    rows: usize,
    /// Whole tiles.
    pairs: usize,
}

/// The right operand (K, N): 64 columns at a time, pair by pair.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    /// `pairs` of each panel, and maybe more. Columns past the last are of no use.
    lanes: Vec<Lanes>,
    columns: usize,
    /// Whole tiles.
    pairs: usize,
}

/// One pair of each column of a panel, in whole cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Lanes([Pair; PANEL]);

impl Rows {
    /// Makes room for (`rows`, 2 `pairs`).
    fn resize(&mut self, rows: usize, pairs: usize) {
        (self.rows, self.pairs) = (rows, pairs.next_multiple_of(TILE));
        let length = rows.next_multiple_of(SQUARE) * self.pairs + TILE;
        if self.elements.len() < length {
            self.elements.resize(length, 0);
        }
        self.start = self.elements.as_ptr().align_offset(align_of::<Lanes>()).min(TILE);
    }

    fn row(&self, row: usize) -> &[Pair] {
        &self.elements[self.start + row * self.pairs..][..self.pairs]
    }

    /// The rows, and no more.
    fn all_mut(&mut self) -> &mut [Pair] {
        &mut self.elements[self.start..][..self.rows * self.pairs]
    }

    /// The rows of a square.
    fn square(&self, first: usize) -> &[Pair] {
        &self.elements[self.start + first * self.pairs..][..SQUARE * self.pairs]
    }
}

impl Panels {
    /// Makes room for (2 `pairs`, `columns`).
    fn resize(&mut self, pairs: usize, columns: usize) {
        (self.columns, self.pairs) = (columns, pairs.next_multiple_of(TILE));
        let lanes = columns.div_ceil(PANEL) * self.pairs;
        if self.lanes.len() < lanes {
            self.lanes.resize(lanes, Lanes([0; PANEL]));
        }
    }

    fn panel(&self, panel: usize) -> &[Lanes] {
        &self.lanes[panel * self.pairs..][..self.pairs]
    }

    fn panel_mut(&mut self, panel: usize) -> &mut [Lanes] {
        &mut self.lanes[panel * self.pairs..][..self.pairs]
    }
}

/// Puts `alpha sums`, or what was there plus that, into a row of the result.
fn put(sums: &[f32], alpha: f32, accumulate: bool, row: &mut [f32]) {
    if accumulate {
        row.iter_mut().zip(sums).for_each(|(element, &sum)| *element += alpha * sum);
    } else {
        row.iter_mut().zip(sums).for_each(|(element, &sum)| *element = alpha * sum);
    }
}
