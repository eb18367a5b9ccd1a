//! Rows in folds, each with its share of every class.

use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Result};
use ndarray::ArrayView1;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// (N,) the fold of each row, from 0 to `folds` - 1, drawn so that no two folds differ by more than one row of any class, nor by more than one row
/// in all. Rows labelled [`IGNORE_LABEL`] are in fold 0.
///
/// # Errors
/// [`Error::Setting`] for fewer than two folds or more than labelled rows.
pub fn stratified_folds(labels: ArrayView1<i64>, folds: usize, rng: &mut impl Rng) -> Result<Vec<usize>> {
    let mut rows_of_class: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, &label) in labels.iter().enumerate().filter(|&(_, &label)| label != IGNORE_LABEL) {
        rows_of_class.entry(label).or_default().push(row);
    }
    let labelled: usize = rows_of_class.values().map(Vec::len).sum();
    if folds < 2 || folds > labelled {
        let expected = format!("from 2 to {labelled}, for {}", counted(labelled, "labelled row"));
        return Err(Error::Setting { name: "the number of folds", value: folds.to_string(), expected });
    }
    let mut fold_of_row = vec![0; labels.len()];
    // Where one class ends the next goes on, so that what is left over does not all go to the first folds.
    let mut next = 0;
    for rows in rows_of_class.values_mut() {
        rows.shuffle(rng);
        for &row in rows.iter() {
            fold_of_row[row] = next;
            next = (next + 1) % folds;
        }
    }
    Ok(fold_of_row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_fold_has_its_share_of_every_class() {
        let labels: Array1<i64> = (0..103).map(|row| if row % 10 == 9 { IGNORE_LABEL } else { row % 7 }).collect();
        let drawn =
            |seed| stratified_folds(labels.view(), 5, &mut ChaCha8Rng::seed_from_u64(seed)).expect("five folds");
        let folds = drawn(0);
        let count = |fold: usize, class: Option<i64>| {
            let rows = folds.iter().zip(&labels).filter(|&(&of_row, &label)| of_row == fold && label != IGNORE_LABEL);
            rows.filter(|&(_, &label)| class.is_none_or(|class| class == label)).count()
        };
        for class in (0..7).map(Some).chain([None]) {
            let counts: Vec<usize> = (0..5).map(|fold| count(fold, class)).collect();
            assert!(
                counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(),
                "{class:?}: {counts:?}"
            );
        }
        assert!(folds == drawn(0) && folds != drawn(1));
    }

    #[test]
    fn as_many_folds_as_there_can_be() {
        let labels = Array1::from(vec![0, 1, IGNORE_LABEL, 1]);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        assert!(stratified_folds(labels.view(), 3, &mut rng).is_ok());
        for folds in [0, 1, 4] {
            let error = stratified_folds(labels.view(), folds, &mut rng).expect_err("refused").to_string();
            assert!(error.contains("from 2 to 3, for 3 labelled rows"), "{error}");
        }
    }
}
