//! The validation split: some training rows of every class do not train, and say which epoch is best.

use super::Dataset;
use crate::ops::IGNORE_LABEL;
use crate::wording::{counted, number};
use crate::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// A stream of the seed's generator that training does not draw from: first weights, orders of rows, dropout and samples of classes have those
/// before.
const SPLIT_STREAM: u64 = 1 << 34;

/// Training rows without those that are held out, and these.
#[derive(Clone, Debug)]
pub struct ValidationSplit {
    /// Rows to train on, those without label among them.
    pub train: Dataset,
    /// Rows to validate on.
    pub validation: Dataset,
}

/// Holds out the `share` of the rows of every class: of n rows n · `share`, rounded, but at least one to train and one to validate. Which ones
/// depends on `seed`, labels and weights alone; rows of weight 0 are left among those that train, where they take no part. Rows in a file stay there.
///
/// # Errors
/// [`Error::Setting`] unless 0 < `share` < 1; [`Error::NotDefined`] where a class has one row that counts.
pub fn validation_split(data: &Dataset, share: f64, seed: u64) -> Result<ValidationSplit> {
    if !(share > 0.0 && share < 1.0) {
        let expected = "a number above 0 and below 1".into();
        return Err(Error::Setting { name: "the share of validation rows", value: number(share), expected });
    }
    let counts = |row: usize| data.sample_weights().is_none_or(|weights| weights[row] > 0.0);
    let mut rows_of_class: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, &label) in data.labels.iter().enumerate().filter(|&(row, &label)| label != IGNORE_LABEL && counts(row)) {
        rows_of_class.entry(label).or_default().push(row);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(SPLIT_STREAM);
    let mut is_held_out = vec![false; data.rows()];
    for (class, mut rows) in rows_of_class {
        if rows.len() < 2 {
            let label = data.class_table().label(class as usize).quoted();
            return Err(Error::NotDefined {
                what: "a validation split",
                found: format!("class {label} with {} that counts", counted(rows.len(), "row")),
                expected: "two of every class, one to train and one to validate",
            });
        }
        rows.shuffle(&mut rng);
        let held_out = (rows.len() as f64 * share).round() as usize;
        rows[..held_out.clamp(1, rows.len() - 1)].iter().for_each(|&row| is_held_out[row] = true);
    }
    let (validation, train): (Vec<usize>, Vec<usize>) = (0..data.rows()).partition(|&row| is_held_out[row]);
    Ok(ValidationSplit { train: data.part(&train)?, validation: data.part(&validation)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    fn rows(labels: &[i64]) -> Dataset {
        let features = Array2::from_shape_fn((labels.len(), 1), |(row, _)| row as f32);
        Dataset::new(features.into(), Array1::from(labels.to_vec())).expect("well-formed")
    }

    /// The rows of `data` that a part is made of, by the feature that numbers them.
    fn numbers(part: &Dataset) -> Vec<usize> {
        part.features.rows().all().expect("in memory").iter().map(|&number| number as usize).collect()
    }

    #[test]
    fn every_class_gives_its_share_and_every_row_is_in_one_part() {
        // Classes of 2, 4, 15 and 100 rows; 0.1 of them rounded is 0, 0, 2 and 10.
        let sizes = [2, 4, 15, 100];
        let labels: Vec<i64> =
            (0..4).flat_map(|class| vec![class as i64; sizes[class]]).chain([IGNORE_LABEL]).collect();
        let data = rows(&labels);
        let split = validation_split(&data, 0.1, 0).expect("two rows of each");
        let of_class = |class| split.validation.labels.iter().filter(|&&label| label == class).count();
        assert_eq!([0, 1, 2, 3].map(of_class), [1, 1, 2, 10]);
        let mut all = [numbers(&split.train), numbers(&split.validation)].concat();
        all.sort_unstable();
        assert_eq!(all, (0..data.rows()).collect::<Vec<_>>());
        assert_eq!(split.train.unlabelled_rows(), 1);
        assert_eq!(split.train.class_table(), data.class_table());
        for (share, held_out) in [(1e-9, [1, 1, 1, 1]), (0.999, [1, 3, 14, 99])] {
            let validation = validation_split(&data, share, 0).expect("two rows of each").validation;
            let of_class = |class| validation.labels.iter().filter(|&&label| label == class).count();
            assert_eq!([0, 1, 2, 3].map(of_class), held_out);
        }
    }

    #[test]
    fn the_seed_says_which_rows() {
        let data = rows(&(0..200).map(|row| row % 5).collect::<Vec<_>>());
        let held_out = |seed| numbers(&validation_split(&data, 0.2, seed).expect("40 rows of each").validation);
        assert_eq!(held_out(3), held_out(3));
        assert_ne!(held_out(3), held_out(4));
    }

    #[test]
    fn rows_that_do_not_count_are_not_held_out() {
        let data = rows(&[0, 0, 0, 1, 1, 1]);
        let weights = ndarray::array![0.0, 1.0, 2.0, 1.0, 0.0, 0.5];
        let weighted = data.clone().with_sample_weights(weights).expect("one a row");
        for seed in 0..20 {
            let split = validation_split(&weighted, 0.5, seed).expect("two rows of each");
            let held_out = numbers(&split.validation);
            assert!(held_out.iter().all(|row| ![0, 4].contains(row)) && held_out.len() == 2, "{held_out:?}");
            assert_eq!(split.train.sample_weights().map(|weights| weights.len()), Some(4));
        }
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let data = rows(&[0, 0, 1, 2, 2]);
        let error = validation_split(&data, 0.5, 0).map(drop).expect_err("one row").to_string();
        let expected = "a validation split of class 1 with 1 row that counts is not defined; expected two of every class, one to train and one to \
                        validate";
        assert_eq!(error, expected);
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            let error = validation_split(&data, share, 0).map(drop).expect_err("no share").to_string();
            assert!(error.ends_with("expected a number above 0 and below 1"), "{error}");
        }
    }
}
