//! Names of classes whose labels are numbers.

use super::{ClassTable, Label, read_text};
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Reads one name a line; blank lines at the end are passed over.
///
/// # Errors
/// Those of [`read_text`]; [`Error::Line`] for a blank line between names, and for a name that is there twice.
pub fn read_class_names(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let mut first_lines = HashMap::new();
    let name = |(index, name): (usize, &str)| {
        let (line, name) = (index + 1, name.trim());
        let wrong =
            |found, expected: &str| Err(Error::Line { path: path.into(), line, found, expected: expected.into() });
        match first_lines.insert(name.to_owned(), line) {
            _ if name.is_empty() => wrong("is blank".into(), "a name"),
            Some(first) => wrong(format!("{name:?}, as on line {first}"), "each name once"),
            None => Ok(name.to_owned()),
        }
    };
    text.trim_end().lines().enumerate().map(name).collect()
}

/// The names of the classes of `table`, if `names` begin with that of the label `start`; `None` where there is one whose label
/// has no name.
pub fn names_by_label(table: &ClassTable, names: &[String], start: i64) -> Option<Vec<String>> {
    let name = |class| match table.label(class) {
        Label::Number(label) => names.get(usize::try_from(label.checked_sub(start)?).ok()?).cloned(),
        Label::String(_) => None,
    };
    (0..table.len()).map(name).collect()
}
