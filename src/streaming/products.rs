//! The inner products of a group's blocks, kept as far as memory allows.

use super::batch::{Batch, grow};
use super::block_products::Operands;
use crate::Real;
use crate::ops::rows;
use ndarray::ArrayView2;
use std::ops::Range;

/// Inner products with bias, (B, columns) a block.
///
/// In mixed precision, unless centres are mixed, they are rounded to multiples of a power of two, by a 32767th of the largest of a row in the block at most, so that those of a block that is kept
/// take 16 bits each.
#[derive(Debug, Default)]
pub(super) struct Products<F> {
    /// A slot for each of the first `kept` blocks of the group, and one that the others share; of rounded products the shared one alone.
    slots: Vec<F>,
    /// The derivatives of mixtures by the products that were in their places, in as many slots; where centres are mixed.
    slopes: Vec<F>,
    /// The multiples, in slots as those above of products that are not rounded.
    codes: Vec<i16>,
    /// For each slot of `codes` and row, what they are multiples of.
    steps: Vec<F>,
    kept: usize,
    are_rounded: bool,
    /// The block in the shared slot.
    shared_by: Option<usize>,
}

impl<F: Real> Products<F> {
    /// Forgets all products; from now on those of the group's first blocks are kept, as many as `bytes` hold of (`rows`, `width`).
    pub fn clear(&mut self, bytes: usize, rows: usize, width: usize, are_rounded: bool) {
        let row = if are_rounded { width * size_of::<i16>() + size_of::<F>() } else { width * size_of::<F>() };
        self.kept = bytes / (rows * row);
        self.are_rounded = are_rounded;
        self.shared_by = None;
    }

    /// Whether the products of `block`, computed in this step, are still there.
    pub fn has(&self, batch: &Batch<F>, block: usize) -> bool {
        self.place(batch, block) < self.kept || self.shared_by == Some(block)
    }

    /// Whether the products of `block` are where [`of`](Self::of) finds them.
    pub fn are_at_hand(&self, batch: &Batch<F>, block: usize) -> bool {
        self.has(batch, block) && (!self.are_rounded || self.shared_by == Some(block))
    }

    /// The products of `block`, which are at hand.
    pub fn of(&mut self, batch: &Batch<F>, block: usize) -> &mut [F] {
        let slot = self.slot(batch, block);
        &mut self.slots[slot]
    }

    /// Computes the products of `block` from its class vectors w̃.
    pub fn compute(
        &mut self,
        batch: &Batch<F>,
        block: usize,
        class_vectors: ArrayView2<F>,
        operands: &mut Operands,
    ) -> &mut [F] {
        let in_group = batch.blocks.in_group();
        let slots = self.kept.min(in_group);
        let slots = slots + usize::from(slots < in_group);
        let elements = batch.rows() * batch.blocks.width();
        grow(&mut self.slots, if self.are_rounded { elements } else { slots * elements });
        if self.are_rounded {
            self.codes.resize((slots * elements).max(self.codes.len()), 0);
            grow(&mut self.steps, slots * batch.rows());
        }
        if self.are_rounded || self.place(batch, block) >= self.kept {
            self.shared_by = Some(block);
        }
        let slot = self.slot(batch, block);
        let products = &mut self.slots[slot];
        batch.multiply_scores(operands, class_vectors, products);
        if let Some(bias) = batch.bias {
            let (bias, centres) = (&bias[batch.blocks.classes_of(block)], batch.blocks.centres());
            for row in products.chunks_exact_mut(bias.len() * centres) {
                match centres {
                    1 => rows::add(row, bias),
                    _ => row.iter_mut().enumerate().for_each(|(column, product)| *product += bias[column / centres]),
                }
            }
        }
        products
    }

    /// Leaves of the products of `block`, just computed, with each class's centres the largest, or their mixture; the rest become -∞. Rounds them if they are to be rounded.
    pub fn choose_centres(&mut self, batch: &Batch<F>, block: usize) -> &mut [F] {
        let (slot, centres) = (self.slot(batch, block), batch.blocks.centres());
        let (codes, steps) = self.places_of_codes(batch, block);
        let products = &mut self.slots[slot.clone()];
        match batch.centre_temperature {
            None => rows::keep_largest(products, centres),
            Some(temperature) => {
                grow(&mut self.slopes, slot.end);
                rows::mix_centres(products, &mut self.slopes[slot.clone()], centres, temperature);
            }
        }
        if self.are_rounded {
            let width = batch.blocks.columns_of(block).len();
            let codes = self.codes[codes].chunks_exact_mut(width).zip(&mut self.steps[steps]);
            for (row, (codes, step)) in products.chunks_exact_mut(width).zip(codes) {
                *step = rows::round_to_codes(row, codes);
            }
        }
        &mut self.slots[slot]
    }

    /// Turns the derivatives by the mixtures of `block`, which are in the place of its products, into those by its products.
    pub fn unmix_centres(&mut self, batch: &Batch<F>, block: usize) {
        if batch.centre_temperature.is_some() {
            let slot = self.slot(batch, block);
            rows::unmix_centres(&mut self.slots[slot.clone()], &self.slopes[slot], batch.blocks.centres());
        }
    }

    /// Makes kept products of `block` of their multiples.
    pub fn restore(&mut self, batch: &Batch<F>, block: usize) -> &mut [F] {
        self.shared_by = Some(block);
        let slot = self.slot(batch, block);
        let (codes, steps) = self.places_of_codes(batch, block);
        let products = &mut self.slots[slot];
        let width = batch.blocks.columns_of(block).len();
        let codes = self.codes[codes].chunks_exact(width).zip(&self.steps[steps]);
        for (row, (codes, &step)) in products.chunks_exact_mut(width).zip(codes) {
            rows::of_codes(codes, step, row);
        }
        products
    }

    fn place(&self, batch: &Batch<F>, block: usize) -> usize {
        block % batch.blocks.in_group()
    }

    /// The place of `block` among slots for those that are kept and a shared one.
    fn number_of_slot(&self, batch: &Batch<F>, block: usize) -> usize {
        self.place(batch, block).min(self.kept)
    }

    fn slot(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let number = if self.are_rounded { 0 } else { self.number_of_slot(batch, block) };
        let start = number * batch.rows() * batch.blocks.width();
        start..start + batch.rows() * batch.blocks.columns_of(block).len()
    }

    /// Of the block's `codes`, and of its `steps`.
    fn places_of_codes(&self, batch: &Batch<F>, block: usize) -> (Range<usize>, Range<usize>) {
        let (number, rows) = (self.number_of_slot(batch, block), batch.rows());
        let start = number * rows * batch.blocks.width();
        (start..start + rows * batch.blocks.columns_of(block).len(), number * rows..(number + 1) * rows)
    }
}
