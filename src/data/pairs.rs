//! Lists of pairs for verification: `pairs.txt` of Labeled Faces in the Wild, or `i j same` a line.

use super::read_text;
use crate::metrics::verification::Pair;
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// The row of each photograph by the stem of its file, `Name_0001` for `Name/Name_0001.jpg`.
pub type RowOfStem = HashMap<String, usize>;

/// The rows of photographs, by the stems of their `files` in the order of rows; of several rows of one file the first.
pub fn rows_of_stems<'a>(files: impl IntoIterator<Item = &'a str>) -> RowOfStem {
    let mut rows = RowOfStem::new();
    for (row, file) in files.into_iter().enumerate() {
        if let Some(stem) = Path::new(file).file_stem().and_then(|stem| stem.to_str()) {
            rows.entry(stem.into()).or_insert(row);
        }
    }
    rows
}

/// Reads pairs in their order. A file whose first line has three numbers is a plain list: numbers of two rows, counted from 0, and 1 for one
/// class or 0 for two, separated by spaces, tabs or commas. A file whose first line has one or two numbers is LFW's: lines of a name and two
/// numbers for one person, of two names with a number each for two; `rows` finds `Name_0001`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] for a malformed line, a row past `row_count`, or a photograph that `rows` does not have.
pub fn read_pairs(path: &Path, row_count: usize, rows: &RowOfStem) -> Result<Vec<Pair>> {
    let text = read_text(path)?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let Some(&(first, heading)) = lines.peek() else {
        return Err(Error::File { path: path.into(), found: "no lines".into(), expected: "a list of pairs".into() });
    };
    let wrong = |line: usize, found: String, expected: &str| Error::Line {
        path: path.into(),
        line: line + 1,
        found,
        expected: expected.into(),
    };
    let fields = |line: &'_ str| -> Vec<String> {
        let separated = line.split(|c: char| c.is_whitespace() || c == ',');
        separated.filter(|field| !field.is_empty()).map(str::to_owned).collect()
    };
    let heading_fields = fields(heading);
    let numbers = heading_fields.iter().all(|field| field.parse::<usize>().is_ok());
    match (heading_fields.len(), numbers) {
        (3, true) => lines
            .map(|(line, text)| {
                let expected = format!("two row numbers below {row_count}, and 0 or 1");
                let pair = pair_of_rows(&fields(text)).filter(|pair| pair.first.max(pair.second) < row_count);
                pair.ok_or_else(|| wrong(line, format!("{text:?}"), &expected))
            })
            .collect(),
        (1 | 2, true) => lines
            .skip(1)
            .map(|(line, text)| {
                let fields = fields(text);
                let [first, second] = photographs(&fields).ok_or_else(|| {
                    wrong(line, format!("{text:?}"), "a name and two numbers, or two names with a number each")
                })?;
                let row = |stem: &String| {
                    let missing = || wrong(line, format!("{stem} has no row"), "a photograph that the manifest lists");
                    rows.get(stem).copied().ok_or_else(missing)
                };
                Ok(Pair { first: row(&first)?, second: row(&second)?, same: fields.len() == 3 })
            })
            .collect(),
        _ => Err(wrong(first, format!("{heading:?}"), "`i j same`, or the number of folds and of pairs as in LFW")),
    }
}

fn pair_of_rows(fields: &[String]) -> Option<Pair> {
    let [first, second, same] = fields else { return None };
    let same = match same.as_str() {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    Some(Pair { first: first.parse().ok()?, second: second.parse().ok()?, same })
}

/// The stems of a line's two photographs.
fn photographs(fields: &[String]) -> Option<[String; 2]> {
    let stem = |name: &str, number: &str| Some(format!("{name}_{:04}", number.parse::<usize>().ok()?));
    match fields {
        [name, first, second] => Some([stem(name, first)?, stem(name, second)?]),
        [name, first, other, second] => Some([stem(name, first)?, stem(other, second)?]),
        _ => None,
    }
}
