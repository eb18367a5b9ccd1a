//! How classes are cut: into groups, one a task, and groups into blocks. A column is a class vector; a class has K of them.

use std::ops::Range;

/// Columns in a block, at most: with D = 512 in `f32` its class vectors take 1 MiB, what a core's own cache holds.
const MOST_COLUMNS: usize = 512;

/// Columns in a block below which another thread costs more than it brings.
const FEWEST_COLUMNS: usize = 48;

/// A division of the classes into blocks that differ by at most one class. Every group has the same number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    classes: usize,
    centres: usize,
    groups: usize,
    blocks_in_group: usize,
}

impl Blocks {
    pub fn new(classes: usize, centres: usize, threads: usize) -> Self {
        let groups = threads.min(classes * centres / FEWEST_COLUMNS).clamp(1, classes);
        let most_classes = (MOST_COLUMNS / centres).max(1);
        // No block is without a class.
        let blocks_in_group = classes.div_ceil(most_classes * groups).min(classes / groups);
        Self { classes, centres, groups, blocks_in_group }
    }

    /// Class vectors a class.
    pub fn centres(&self) -> usize {
        self.centres
    }

    pub fn count(&self) -> usize {
        self.groups * self.blocks_in_group
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    pub fn in_group(&self) -> usize {
        self.blocks_in_group
    }

    /// The most columns that a block has.
    pub fn width(&self) -> usize {
        self.classes.div_ceil(self.count()) * self.centres
    }

    /// The classes of a block.
    pub fn classes_of(&self, block: usize) -> Range<usize> {
        self.start(block)..self.start(block + 1)
    }

    /// The classes of a group.
    pub fn classes_of_group(&self, group: usize) -> Range<usize> {
        self.start(group * self.blocks_in_group)..self.start((group + 1) * self.blocks_in_group)
    }

    /// The columns of a block.
    pub fn columns_of(&self, block: usize) -> Range<usize> {
        self.start(block) * self.centres..self.start(block + 1) * self.centres
    }

    /// The block of a column.
    pub fn block_of(&self, column: usize) -> usize {
        let class = column / self.centres;
        let (each, left) = (self.classes / self.count(), self.classes % self.count());
        if class < left * (each + 1) { class / (each + 1) } else { left + (class - left * (each + 1)) / each }
    }

    fn start(&self, block: usize) -> usize {
        let (each, left) = (self.classes / self.count(), self.classes % self.count());
        block * each + block.min(left)
    }

    /// `whole`, which has `length` elements a column, cut into the parts of the groups.
    pub fn split<'a, T>(&self, whole: &'a [T], length: usize) -> Vec<&'a [T]> {
        (0..self.groups)
            .map(|group| self.classes_of_group(group))
            .map(|r| &whole[r.start * self.centres * length..r.end * self.centres * length])
            .collect()
    }

    /// As [`split`](Self::split). What is empty is cut into empty parts.
    pub fn split_mut<'a, T>(&self, whole: &'a mut [T], length: usize) -> Vec<&'a mut [T]> {
        let mut rest = whole;
        let part = |group| {
            let elements = (self.classes_of_group(group).len() * self.centres * length).min(rest.len());
            let (part, after) = std::mem::take(&mut rest).split_at_mut(elements);
            rest = after;
            part
        };
        (0..self.groups).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_class_once_and_are_balanced() {
        for classes in [1, 2, 47, 95, 96, 97, 200, 511, 513, 1000, 10_007, 50_000, 1_000_003] {
            for (centres, threads) in [1, 2, 3, 7, 64].map(|threads| (1, threads)).into_iter().chain([(3, 2), (600, 3)])
            {
                let blocks = Blocks::new(classes, centres, threads);
                let mut next = 0;
                for block in 0..blocks.count() {
                    let range = blocks.classes_of(block);
                    assert_eq!(range.start, next);
                    let columns = blocks.columns_of(block);
                    assert_eq!(columns, range.start * centres..range.end * centres);
                    assert!(
                        !range.is_empty() && columns.len() <= MOST_COLUMNS.max(2 * centres),
                        "{blocks:?} {range:?}"
                    );
                    assert!(columns.len() + centres >= blocks.width() && columns.len() <= blocks.width());
                    assert!(columns.clone().all(|column| blocks.block_of(column) == block));
                    next = range.end;
                }
                assert_eq!(next, classes);
                assert!(blocks.groups() <= threads);
            }
        }
    }

    #[test]
    fn few_classes_are_not_cut_into_slivers() {
        assert_eq!(Blocks::new(200, 1, 2).classes_of(0), 0..100);
        assert_eq!(Blocks::new(200, 1, 64).count(), 4);
        assert_eq!(Blocks::new(10, 1, 8).count(), 1);
    }
}
