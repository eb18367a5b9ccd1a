//! The array and the row that an error is about.

use super::Error;

impl Error {
    /// The array that it is about, as named in the signature, if it is about the values or the shape of one.
    pub fn subject(&self) -> Option<&'static str> {
        match self {
            Self::Shape { what, .. } | Self::Empty { what, .. } | Self::Weight { what, .. } => Some(what),
            Self::NotFinite { what, .. } | Self::ZeroNorm { what, .. } | Self::NormOverflow { what, .. } => Some(what),
            Self::Label { .. } | Self::LabelOutOfRange { .. } | Self::NothingLabelled { .. } => Some("labels"),
            _ => None,
        }
    }

    /// The row of its subject that it is about.
    #[cfg(feature = "train")]
    pub(crate) fn row(&self) -> Option<usize> {
        match self {
            Self::NotFinite { row, .. } | Self::ZeroNorm { row, .. } | Self::NormOverflow { row, .. } => Some(*row),
            Self::Label { row, .. } | Self::LabelOutOfRange { row, .. } => Some(*row),
            _ => None,
        }
    }

    /// This error about row r of some features, which are called `name`, or of their labels as one about row `row_of(r)`; other errors stay as
    /// they are.
    pub fn of_row(mut self, name: &'static str, row_of: impl Fn(usize) -> usize) -> Self {
        if !self.is_of_rows(name) {
            return self;
        }
        match &mut self {
            Self::NotFinite { what, row, .. }
            | Self::ZeroNorm { what, row, .. }
            | Self::NormOverflow { what, row, .. } => {
                (*what, *row) = (name, row_of(*row));
            }
            Self::Label { row, .. } | Self::LabelOutOfRange { row, .. } => *row = row_of(*row),
            _ => {}
        }
        self
    }

    /// Whether it is about rows of features, which are called `name` or, by what is given nothing else, features; or about their labels.
    pub fn is_of_rows(&self, name: &str) -> bool {
        self.subject().is_some_and(|subject| ["features", "labels", name].contains(&subject))
    }
}
