//! Which labels may be wrong, by probabilities of models that have not seen the row: confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).
//!
//! The threshold of class j is the mean probability that rows labelled j have of j (equation 2). A row is suspect where another class is the likeliest and at least
//! as likely as its threshold: as sure as the models are of rows that bear its label. Classes of which models are less sure have lower thresholds.

use std::collections::BTreeMap;

/// What a model that was not trained on a row says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutOfSample {
    /// The row.
    pub row: usize,
    /// The class that it is labelled with.
    pub label: usize,
    /// The probability of that class.
    pub of_label: f64,
    /// The likeliest class.
    pub predicted: usize,
    /// Its probability.
    pub of_predicted: f64,
}

impl OutOfSample {
    /// By how much the label is likelier than the likeliest class: 0 or less.
    pub fn margin(&self) -> f64 {
        self.of_label - self.of_predicted
    }
}

/// The suspects among `rows`, the least likely labels first: by [margin](OutOfSample::margin), of equals in the order of `rows`.
pub fn suspects(rows: &[OutOfSample]) -> Vec<OutOfSample> {
    let mut sums: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for row in rows {
        let (sum, count) = sums.entry(row.label).or_default();
        *sum += row.of_label;
        *count += 1;
    }
    // A class that no row is labelled with has no threshold to pass.
    let threshold = |class: usize| sums.get(&class).map(|&(sum, count)| sum / count as f64);
    let is_suspect = |row: &&OutOfSample| {
        row.predicted != row.label && threshold(row.predicted).is_some_and(|threshold| row.of_predicted >= threshold)
    };
    let mut suspects: Vec<OutOfSample> = rows.iter().filter(is_suspect).copied().collect();
    suspects.sort_by(|a, b| a.margin().total_cmp(&b.margin()));
    suspects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_suspect_where_another_class_is_as_likely_as_to_rows_of_that_class() {
        let of = |row, label, of_label, predicted, of_predicted| OutOfSample {
            row,
            label,
            of_label,
            predicted,
            of_predicted,
        };
        // Thresholds by hand: class 0 (0.9 + 0.7 + 0.2) / 3 = 0.6, class 1 (0.5 + 0.3 + 0.1) / 3 = 0.3, class 2 0.05.
        let rows = [
            of(0, 0, 0.9, 0, 0.9),
            of(1, 0, 0.7, 0, 0.7),
            of(2, 0, 0.2, 1, 0.3),
            of(3, 1, 0.5, 1, 0.5),
            of(4, 1, 0.3, 0, 0.59),
            of(5, 1, 0.1, 0, 0.6),
            of(6, 2, 0.05, 3, 0.9),
        ];
        let found: Vec<usize> = suspects(&rows).iter().map(|suspect| suspect.row).collect();
        // Row 4 is below the threshold of class 0; no row is labelled with class 3.
        assert_eq!(found, [5, 2]);
        assert!(suspects(&[]).is_empty());
    }
}
