//! The inner products of a group's blocks, kept as far as memory allows.

use super::batch::{Batch, grow};
use super::block_products::Operands;
use crate::Real;
use crate::ops::rows;
use ndarray::ArrayView2;
use std::ops::Range;

/// Inner products with bias, (B, columns) a block.
#[derive(Debug, Default)]
pub(super) struct Products<F> {
    /// A slot for each of the first `kept` blocks of the group, and one that the others share.
    slots: Vec<F>,
    /// The derivatives of mixtures by the products that were in their places, in as many slots; where centres are mixed.
    slopes: Vec<F>,
    kept: usize,
    /// The block in the shared slot.
    shared_by: Option<usize>,
}

impl<F: Real> Products<F> {
    /// Forgets all products; from now on those of the group's first `kept` blocks are kept.
    pub fn clear(&mut self, kept: usize) {
        self.kept = kept;
        self.shared_by = None;
    }

    /// Whether the products of `block`, computed in this step, are still there.
    pub fn has(&self, batch: &Batch<F>, block: usize) -> bool {
        self.place(batch, block) < self.kept || self.shared_by == Some(block)
    }

    /// The products of `block`, which are there.
    pub fn of(&mut self, batch: &Batch<F>, block: usize) -> &mut [F] {
        let slot = self.slot(batch, block);
        &mut self.slots[slot]
    }

    /// Computes the products of `block` from its class vectors w̃.
    pub fn compute(
        &mut self,
        batch: &Batch<F>,
        block: usize,
        operand: ArrayView2<F>,
        operands: &mut Operands,
    ) -> &mut [F] {
        let (slots, in_group) = (self.kept.min(batch.blocks.in_group()), batch.blocks.in_group());
        grow(&mut self.slots, (slots + usize::from(slots < in_group)) * batch.rows() * batch.blocks.width());
        if self.place(batch, block) >= self.kept {
            self.shared_by = Some(block);
        }
        let slot = self.slot(batch, block);
        let products = &mut self.slots[slot];
        batch.multiply_scores(operands, operand, products);
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

    /// Leaves of the products of `block` with each class's centres the largest, or their mixture; the rest become -∞.
    pub fn choose_centres(&mut self, batch: &Batch<F>, block: usize) -> &mut [F] {
        let (slot, centres) = (self.slot(batch, block), batch.blocks.centres());
        match batch.centre_temperature {
            None => rows::keep_largest(&mut self.slots[slot.clone()], centres),
            Some(temperature) => {
                grow(&mut self.slopes, self.slots.len());
                let slopes = &mut self.slopes[slot.clone()];
                rows::mix_centres(&mut self.slots[slot.clone()], slopes, centres, temperature);
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

    fn place(&self, batch: &Batch<F>, block: usize) -> usize {
        block % batch.blocks.in_group()
    }

    fn slot(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let start = self.place(batch, block).min(self.kept) * batch.rows() * batch.blocks.width();
        start..start + batch.rows() * batch.blocks.columns_of(block).len()
    }
}
