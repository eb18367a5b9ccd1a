//! The open-set split: some classes train, others are retrieved.

use super::Dataset;
use crate::{Error, Result};

/// Data of known classes and of classes that training does not see.
#[derive(Clone, Debug)]
pub struct OpenSetSplit {
    /// Training rows of the first half of the classes.
    pub train: Dataset,
    /// Test rows of the first half, where there are test rows.
    pub test: Option<Dataset>,
    /// All rows of the second half, those for training first.
    pub unseen: Dataset,
}

/// The standard split of metric learning (Oh Song et al. 2016, arXiv 1511.06452): the first half of the classes trains, the
/// second is retrieved; of an odd number of classes the middle one trains. Test rows of the first half stay out of training, for the
/// accuracy on known classes: to train on all rows of the first half, give all rows as training rows.
///
/// # Errors
/// [`Error::Empty`], [`Error::NothingLabelled`] where no row trains; [`Error::Unmeasurable`] unless there are two classes to
/// retrieve, one of them with two rows.
pub fn open_set_split(train: &Dataset, test: Option<&Dataset>) -> Result<OpenSetSplit> {
    let classes = train.classes().max(test.map_or(0, Dataset::classes));
    let known = classes.div_ceil(2) as i64;
    let (is_known, is_unseen) = (|label| (0..known).contains(&label), |label| label >= known);
    let parts = [Some(train), test].into_iter().flatten().filter(|data| data.has_rows(is_unseen));
    let unseen = parts.map(|data| data.select(is_unseen)).reduce(|joined, part| joined?.joined(&part?));
    let found = format!("{classes} classes, of which {} are retrieved", classes / 2);
    let expected = "two classes to retrieve, one of them with two rows at least";
    let unmeasurable = || Error::Unmeasurable { what: "an open set", found, expected };
    let unseen = match unseen.transpose()? {
        Some(unseen) if can_be_retrieved(&unseen) => unseen,
        _ => return Err(unmeasurable()),
    };
    let known_test = test.filter(|test| test.has_rows(is_known)).map(|test| test.select(is_known));
    Ok(OpenSetSplit { train: train.select(is_known)?, test: known_test.transpose()?, unseen })
}

/// Whether there are rows of two classes, and two of one.
fn can_be_retrieved(unseen: &Dataset) -> bool {
    let classes = unseen.classes_present();
    classes > 1 && unseen.rows() > classes
}
