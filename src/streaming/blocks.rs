//! How classes are cut: into groups, one a task, and groups into blocks.

use std::ops::Range;

/// Classes in a block, at most: with D = 512 in `f32` its class vectors take 1 MiB, what a core's own cache holds.
const MOST_CLASSES: usize = 512;

/// Classes in a block below which another thread costs more than it brings.
const FEWEST_CLASSES: usize = 48;

/// A division of the classes into blocks that differ by at most one class. Every group has the same number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    classes: usize,
    groups: usize,
    blocks_in_group: usize,
}

impl Blocks {
    pub fn new(classes: usize, threads: usize) -> Self {
        let groups = threads.min(classes / FEWEST_CLASSES).max(1);
        Self { classes, groups, blocks_in_group: classes.div_ceil(MOST_CLASSES * groups) }
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

    /// The most classes that a block has.
    pub fn width(&self) -> usize {
        self.classes.div_ceil(self.count())
    }

    /// The classes of a block.
    pub fn classes_of(&self, block: usize) -> Range<usize> {
        self.start(block)..self.start(block + 1)
    }

    /// The classes of a group.
    pub fn classes_of_group(&self, group: usize) -> Range<usize> {
        self.start(group * self.blocks_in_group)..self.start((group + 1) * self.blocks_in_group)
    }

    /// The block of a class.
    pub fn block_of(&self, class: usize) -> usize {
        let (each, left) = (self.classes / self.count(), self.classes % self.count());
        if class < left * (each + 1) { class / (each + 1) } else { left + (class - left * (each + 1)) / each }
    }

    fn start(&self, block: usize) -> usize {
        let (each, left) = (self.classes / self.count(), self.classes % self.count());
        block * each + block.min(left)
    }

    /// `whole`, which has `length` elements a class, cut into the parts of the groups.
    pub fn split<'a, T>(&self, whole: &'a [T], length: usize) -> Vec<&'a [T]> {
        (0..self.groups)
            .map(|group| self.classes_of_group(group))
            .map(|r| &whole[r.start * length..r.end * length])
            .collect()
    }

    /// As [`split`](Self::split). What is empty is cut into empty parts.
    pub fn split_mut<'a, T>(&self, whole: &'a mut [T], length: usize) -> Vec<&'a mut [T]> {
        let mut rest = whole;
        let part = |group| {
            let elements = (self.classes_of_group(group).len() * length).min(rest.len());
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
            for threads in [1, 2, 3, 7, 64] {
                let blocks = Blocks::new(classes, threads);
                let mut next = 0;
                for block in 0..blocks.count() {
                    let range = blocks.classes_of(block);
                    assert_eq!(range.start, next);
                    assert!(!range.is_empty() && range.len() <= MOST_CLASSES, "{blocks:?} {range:?}");
                    assert!(range.len() + 1 >= blocks.width() && range.len() <= blocks.width());
                    assert!(range.clone().all(|class| blocks.block_of(class) == block));
                    next = range.end;
                }
                assert_eq!(next, classes);
                assert!(blocks.groups() <= threads);
            }
        }
    }

    #[test]
    fn few_classes_are_not_cut_into_slivers() {
        assert_eq!(Blocks::new(200, 2).classes_of(0), 0..100);
        assert_eq!(Blocks::new(200, 64).count(), 4);
        assert_eq!(Blocks::new(10, 8).count(), 1);
    }
}
