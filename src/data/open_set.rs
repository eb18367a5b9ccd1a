//! The open-set split: some classes train, others are retrieved.

use super::Dataset;
use crate::Result;

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
/// [`Error::Empty`](crate::Error::Empty), [`Error::NothingLabelled`](crate::Error::NothingLabelled) where one side has no rows.
pub fn open_set_split(train: &Dataset, test: Option<&Dataset>) -> Result<OpenSetSplit> {
    let classes = train.classes().max(test.map_or(0, Dataset::classes));
    let known = classes.div_ceil(2) as i64;
    let unseen = train.select(|label| label >= known);
    let unseen_test = test.map(|test| test.select(|label| label >= known)).transpose();
    let unseen = match (unseen, unseen_test) {
        (Ok(unseen), Ok(Some(test))) => unseen.joined(&test)?,
        // One of the two may have no rows of these classes.
        (Err(_), Ok(Some(unseen))) | (Ok(unseen), _) => unseen,
        (Err(error), _) => return Err(error),
    };
    let is_known = |label| (0..known).contains(&label);
    let test = test.map(|test| test.select(is_known)).transpose()?;
    Ok(OpenSetSplit { train: train.select(is_known)?, test, unseen })
}
