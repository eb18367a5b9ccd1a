//! Labels as a file gives them.

use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Result};
use ndarray::Array1;
use std::fmt;

/// The label of each row, as its file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Of a file of integers; [`IGNORE_LABEL`] means no label.
    Integers(Array1<i64>),
    /// Of a file of floating-point numbers that are whole; [`IGNORE_LABEL`] means no label.
    WholeFloats(Array1<i64>),
    /// Of a file of strings; an empty one means no label, and so does `-100`.
    Strings(Vec<String>),
}

/// The label of a class: numbers before strings, strings by their characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label<'a> {
    /// Of labels that are numbers.
    Number(i64),
    /// Of labels that are strings.
    String(&'a str),
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(string) => string.fmt(f),
        }
    }
}

impl Label<'_> {
    /// A string in quotes, with control characters escaped: for messages.
    pub(crate) fn quoted(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::String(string) => format!("{string:?}"),
        }
    }
}

impl Labels {
    /// N
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(numbers) | Self::WholeFloats(numbers) => numbers.len(),
            Self::Strings(strings) => strings.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they are strings.
    pub fn are_strings(&self) -> bool {
        matches!(self, Self::Strings(_))
    }

    /// Checks that there is no string among labels most of which are numbers: where numbers are expected, it is what is wrong, not they.
    ///
    /// # Errors
    /// [`Error::Label`] for the first such string.
    pub fn check_strays(&self) -> Result<()> {
        let labelled = || self.iter().enumerate().filter_map(|(row, label)| Some((row, label?)));
        let is_stray = |label: Label| matches!(label, Label::String(string) if string.parse::<i64>().is_err());
        let strays = labelled().filter(|&(_, label)| is_stray(label)).count();
        let first = labelled().find(|&(_, label)| is_stray(label)).filter(|_| 2 * strays < labelled().count());
        let Some((row, label)) = first else { return Ok(()) };
        let expected = format!("a number, as all but {strays} of {} are", counted(self.len(), "label"));
        Err(Error::Label { row, label: label.quoted(), expected })
    }

    /// The label of each row; `None` for a row without one.
    pub fn iter(&self) -> impl Iterator<Item = Option<Label<'_>>> {
        (0..self.len()).map(move |row| match self {
            Self::Integers(numbers) | Self::WholeFloats(numbers) => {
                Some(numbers[row]).filter(|&number| number != IGNORE_LABEL).map(Label::Number)
            }
            Self::Strings(strings) => {
                Some(strings[row].as_str()).filter(|string| !["", "-100"].contains(string)).map(Label::String)
            }
        })
    }
}
