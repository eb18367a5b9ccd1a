//! Top-k classification accuracy.

use crate::Real;
use crate::ops::Targets;
use ndarray::{ArrayView1, ArrayView2};

/// How many classes come before `class` when `logits` (C,) are sorted from the largest: 0 for the predicted class.
/// Of equal logits the class with the lower index comes first, as in `argmax`.
pub fn rank<F: Real>(logits: ArrayView1<F>, class: usize) -> usize {
    let target = logits[class];
    let before = |(j, &z): (usize, &F)| z > target || (z == target && j < class);
    logits.iter().enumerate().filter(|&(j, z)| before((j, z))).count()
}

/// How many labelled rows of `logits` (B, C) have their class among the `k` largest.
pub fn top_k_correct<F: Real>(logits: ArrayView2<F>, targets: &Targets, k: usize) -> usize {
    targets.iter().filter(|&(row, class)| rank(logits.row(row), class) < k).count()
}

/// The class with the largest logit in each row; the lowest index among equals.
pub fn predict<F: Real>(logits: ArrayView2<F>) -> Vec<usize> {
    let argmax = |row: ArrayView1<F>| (0..row.len()).fold(0, |best, j| if row[j] > row[best] { j } else { best });
    logits.rows().into_iter().map(argmax).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn ranks_count_classes_before_the_target() {
        let logits = array![[0.1, 0.9, 0.5], [0.3, 0.3, 0.3]];
        let targets = Targets::new(array![2, 1].view(), 2, 3).expect("labels in range");
        assert_eq!(rank(logits.row(0), 2), 1);
        assert_eq!(rank(logits.row(1), 1), 1, "equal logits: the lower index first");
        assert_eq!(top_k_correct(logits.view(), &targets, 1), 0);
        assert_eq!(top_k_correct(logits.view(), &targets, 2), 2);
        assert_eq!(predict(logits.view()), [1, 0]);
    }
}
