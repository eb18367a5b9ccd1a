//! Which classes are taken for which.

use crate::ops::Targets;
use std::collections::BTreeMap;

/// How many rows of each class were predicted to be of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// By class and prediction; only what occurred, since most of C x C never does.
    counts: BTreeMap<(usize, usize), usize>,
}

/// Rows of one class that were predicted to be of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What they are.
    pub class: usize,
    /// What they were taken for.
    pub predicted: usize,
    /// How many.
    pub rows: usize,
}

impl Confusion {
    /// Counts the labelled rows of `targets`; `predicted` has the class that each row is taken for.
    pub fn new(targets: &Targets, predicted: &[usize]) -> Self {
        let mut confusion = Self::default();
        targets.iter().for_each(|(row, class)| confusion.add(class, predicted[row]));
        confusion
    }

    /// Counts a row of `class`.
    pub fn add(&mut self, class: usize, predicted: usize) {
        *self.counts.entry((class, predicted)).or_default() += 1;
    }

    /// Rows of `class` that were predicted to be of `predicted`.
    pub fn count(&self, class: usize, predicted: usize) -> usize {
        self.counts.get(&(class, predicted)).copied().unwrap_or(0)
    }

    /// Rows of `class`.
    pub fn rows(&self, class: usize) -> usize {
        self.counts.range((class, 0)..=(class, usize::MAX)).map(|(_, rows)| rows).sum()
    }

    /// Share of rows of `class` that were predicted right; `None` without rows.
    pub fn accuracy(&self, class: usize) -> Option<f64> {
        let rows = self.rows(class);
        (rows > 0).then(|| self.count(class, class) as f64 / rows as f64)
    }

    /// All mistakes, the most frequent first; of equals the one with the lower class.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mistakes = self.counts.iter().filter(|((class, predicted), _)| class != predicted);
        let mut mistakes: Vec<_> =
            mistakes.map(|(&(class, predicted), &rows)| Mistake { class, predicted, rows }).collect();
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.rows));
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_accuracies_and_mistakes() {
        let mut confusion = Confusion::default();
        for (class, predicted) in [(0, 0), (0, 2), (2, 0), (2, 0), (2, 2), (2, 3), (0, 2), (0, 0)] {
            confusion.add(class, predicted);
        }
        assert_eq!([0, 1, 2, 3].map(|class| confusion.rows(class)), [4, 0, 4, 0]);
        assert_eq!([0, 1, 2].map(|class| confusion.accuracy(class)), [Some(0.5), None, Some(0.25)]);
        let mistake = |class, predicted, rows| Mistake { class, predicted, rows };
        assert_eq!(confusion.mistakes(), [mistake(0, 2, 2), mistake(2, 0, 2), mistake(2, 3, 1)]);
        assert!(Confusion::default().mistakes().is_empty());
    }
}
