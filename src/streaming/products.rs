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

    fn place(&self, batch: &Batch<F>, block: usize) -> usize {
        block % batch.blocks.in_group()
    }

    fn slot(&self, batch: &Batch<F>, block: usize) -> Range<usize> {
        let start = self.place(batch, block).min(self.kept) * batch.rows() * batch.blocks.width();
        start..start + batch.rows() * batch.blocks.columns_of(block).len()
    }
}
