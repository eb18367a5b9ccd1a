//! Which classes are taken for which, and how well each is told from all others.

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

/// How often a class was meant and how often it was predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassScore {
    /// The class.
    pub class: usize,
    /// Rows of it.
    pub rows: usize,
    /// Rows that were predicted to be of it.
    pub predicted: usize,
    /// Rows of it that were predicted right.
    pub correct: usize,
}

impl ClassScore {
    /// Share of its rows that were predicted right; `None` without rows.
    pub fn recall(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.correct as f64 / self.rows as f64)
    }

    /// Share of the rows predicted to be of it that are; `None` where none were.
    pub fn precision(&self) -> Option<f64> {
        (self.predicted > 0).then(|| self.correct as f64 / self.predicted as f64)
    }

    /// The harmonic mean of precision and recall, `2 correct / (rows + predicted)`.
    pub fn f1(&self) -> f64 {
        2.0 * self.correct as f64 / (self.rows + self.predicted) as f64
    }
}

/// Means over classes, each class counting as much as any other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassAverages {
    /// Of recall over the classes with rows.
    pub balanced_accuracy: f64,
    /// Of precision over the classes that occur, as a label or a prediction; that of a class that was never predicted is 0.
    pub precision: f64,
    /// Of recall over the same classes; that of a class without rows is 0.
    pub recall: f64,
    /// Of F1 over the same classes.
    pub f1: f64,
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

    /// Of each class that occurs, as a label or a prediction, in the order of classes.
    pub fn scores(&self) -> Vec<ClassScore> {
        let mut scores: BTreeMap<usize, ClassScore> = BTreeMap::new();
        for (&(label, prediction), &rows) in &self.counts {
            let mut score_of = |class, add: fn(&mut ClassScore, usize)| {
                let none = ClassScore { class, rows: 0, predicted: 0, correct: 0 };
                add(scores.entry(class).or_insert(none), rows);
            };
            score_of(label, |score, rows| score.rows += rows);
            score_of(prediction, |score, rows| score.predicted += rows);
            if label == prediction {
                score_of(label, |score, rows| score.correct += rows);
            }
        }
        scores.into_values().collect()
    }

    /// `None` without a row. They are `balanced_accuracy_score` and the macro averages of scikit-learn.
    pub fn averages(&self) -> Option<ClassAverages> {
        let scores = self.scores();
        let with_rows = scores.iter().filter(|score| score.rows > 0).count();
        let mean =
            |of: &dyn Fn(&ClassScore) -> f64, classes: usize| scores.iter().map(of).sum::<f64>() / classes as f64;
        let recall = |score: &ClassScore| score.recall().unwrap_or(0.0);
        (with_rows > 0).then(|| ClassAverages {
            balanced_accuracy: mean(&recall, with_rows),
            precision: mean(&|score| score.precision().unwrap_or(0.0), scores.len()),
            recall: mean(&recall, scores.len()),
            f1: mean(&ClassScore::f1, scores.len()),
        })
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

    /// scikit-learn 1.9: `precision_recall_fscore_support(..., average="macro", zero_division=0)` and `balanced_accuracy_score`.
    #[test]
    fn scores_and_averages_are_those_of_scikit_learn() {
        let labels = [0, 0, 0, 0, 1, 1, 1, 5, 5, 7];
        let predicted = [0, 0, 1, 9, 1, 1, 0, 5, 1, 0];
        let mut confusion = Confusion::default();
        labels.into_iter().zip(predicted).for_each(|(label, predicted)| confusion.add(label, predicted));
        let score = |class, rows, predicted, correct| ClassScore { class, rows, predicted, correct };
        let expected = [score(0, 4, 4, 2), score(1, 3, 4, 2), score(5, 2, 1, 1), score(7, 1, 0, 0), score(9, 0, 1, 0)];
        assert_eq!(confusion.scores(), expected);
        let recalls = expected.map(|score| score.recall());
        assert_eq!(recalls, [Some(0.5), Some(2.0 / 3.0), Some(0.5), Some(0.0), None]);
        assert_eq!(expected.map(|score| score.precision()), [Some(0.5), Some(0.5), Some(1.0), None, Some(0.0)]);
        let ClassAverages { balanced_accuracy, precision, recall, f1 } = confusion.averages().expect("ten rows");
        let found = [balanced_accuracy, precision, recall, f1];
        let expected = [0.41666666666666663, 0.4, 0.3333333333333333, 0.3476190476190476];
        approx::assert_relative_eq!(found[..], expected[..], max_relative = 1e-12);
        assert_eq!(Confusion::default().averages(), None);
    }
}
