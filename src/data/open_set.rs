//! The open-set split: some classes train, others are retrieved.

use super::Dataset;
use crate::wording::counted;
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
/// Both count the same classes, of which one may have fewer.
///
/// # Errors
/// [`Error::NotDefined`] where no row trains, and unless there are two classes to retrieve, one of them with two rows; [`Error::Label`] where labels of the two are of different classes.
pub fn open_set_split(train: &Dataset, test: Option<&Dataset>) -> Result<OpenSetSplit> {
    let most = test.filter(|test| test.classes() > train.classes()).unwrap_or(train).class_table();
    let counted_alike = |data: &Dataset| data.clone().with_classes_of(most);
    let (train, test) = (&counted_alike(train)?, test.map(counted_alike).transpose()?);
    let (test, classes) = (test.as_ref(), most.len());
    let known = classes.div_ceil(2) as i64;
    let (is_known, is_unseen) = (|label| (0..known).contains(&label), |label| label >= known);
    let parts = [Some(train), test].into_iter().flatten().filter(|data| data.has_rows(is_unseen));
    let unseen = parts.map(|data| data.select(is_unseen)).reduce(|joined, part| joined?.joined(&part?));
    let found = format!("{}, {} of them to retrieve", counted(classes, "class"), classes / 2);
    let expected = "two classes to retrieve, one of them with two rows at least";
    let unmeasurable = || Error::NotDefined { what: "an open set", found, expected };
    let unseen = match unseen.transpose()? {
        Some(unseen) if can_be_retrieved(&unseen) => unseen,
        _ => return Err(unmeasurable()),
    };
    if !train.has_rows(is_known) {
        let found = format!("{} of which none of the first {known} has a training row", counted(classes, "class"));
        return Err(Error::NotDefined { what: "an open set", found, expected: "training rows of these" });
    }
    let select_known = |data: &Dataset| Ok::<_, Error>(data.select(is_known)?.with_first_classes(known as usize));
    let known_test = test.filter(|test| test.has_rows(is_known)).map(select_known);
    Ok(OpenSetSplit { train: select_known(train)?, test: known_test.transpose()?, unseen })
}

/// Whether there are rows of two classes, and two of one.
fn can_be_retrieved(unseen: &Dataset) -> bool {
    let classes = unseen.classes_present();
    classes > 1 && unseen.rows() > classes
}
