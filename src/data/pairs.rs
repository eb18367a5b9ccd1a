//! Lists of pairs for verification: `pairs.txt` of Labeled Faces in the Wild, or two rows or photographs a line.

use super::read_text;
use crate::metrics::verification::Pair;
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// The rows of photographs by their files, and by the stems of these: `Name_0001` for `Name/Name_0001.jpg`. Of several rows of one the first.
#[derive(Clone, Debug, Default)]
pub struct PhotographRows {
    by_file: HashMap<String, usize>,
    by_stem: HashMap<String, usize>,
}

impl PhotographRows {
    /// Of `files` in the order of rows.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a str>) -> Self {
        let mut rows = Self::default();
        for (row, file) in files.into_iter().enumerate() {
            rows.by_file.entry(file.into()).or_insert(row);
            if let Some(stem) = Path::new(file).file_stem().and_then(|stem| stem.to_str()) {
                rows.by_stem.entry(stem.into()).or_insert(row);
            }
        }
        rows
    }
}

/// A file of pairs on its way to rows.
struct PairsFile<'a> {
    path: &'a Path,
    row_count: usize,
    rows: &'a PhotographRows,
}

/// Reads pairs in their order. A plain list has two rows a line, and 1 for one class or 0 for two, separated by commas, tabs or spaces: numbers,
/// counted from 0, or photographs by their files in `rows`; names with spaces want commas or tabs. A first line whose third word is `same` is a
/// heading. A file whose first line has one or two numbers is LFW's: lines of a name and two numbers for one person, of two names with a number
/// each for two; `rows` finds the stem `Name_0001`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] for a malformed line, a row past `row_count`, or a photograph that `rows` does not have.
pub fn read_pairs(path: &Path, row_count: usize, rows: &PhotographRows) -> Result<Vec<Pair>> {
    let text = read_text(path)?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let Some(&(first, heading)) = lines.peek() else {
        return Err(Error::File { path: path.into(), found: "no lines".into(), expected: "a list of pairs".into() });
    };
    let file = PairsFile { path, row_count, rows };
    let numbers = words(heading).iter().all(|word| word.parse::<usize>().is_ok());
    match (&three(heading)[..], words(heading).len(), numbers) {
        ([_, _, same], ..) if same.eq_ignore_ascii_case("same") => {
            lines.skip(1).map(|(line, text)| file.plain(line, text)).collect()
        }
        ([_, _, "0" | "1"], ..) | (_, 3, true) => lines.map(|(line, text)| file.plain(line, text)).collect(),
        (_, 1 | 2, true) => lines.skip(1).map(|(line, text)| file.of_people(line, text)).collect(),
        _ => {
            Err(file.wrong(first, format!("{heading:?}"), "`i j same`, or the number of folds and of pairs as in LFW"))
        }
    }
}

impl PairsFile<'_> {
    fn wrong(&self, line: usize, found: String, expected: &str) -> Error {
        Error::Line { path: self.path.into(), line: line + 1, found, expected: expected.into() }
    }

    fn plain(&self, line: usize, text: &str) -> Result<Pair> {
        let expected = format!("two row numbers below {}, and 0 or 1", self.row_count);
        let malformed = || self.wrong(line, format!("{text:?}"), &expected);
        let [first, second, same @ ("0" | "1")] = three(text)[..] else { return Err(malformed()) };
        let same = same == "1";
        if let (Ok(first), Ok(second)) = (first.parse::<usize>(), second.parse::<usize>()) {
            let pair = Pair { first, second, same };
            return if first.max(second) < self.row_count { Ok(pair) } else { Err(malformed()) };
        }
        if self.rows.by_file.is_empty() {
            let expected = format!("{expected}; photographs only where it is listed which each row is of");
            return Err(self.wrong(line, format!("{text:?}"), &expected));
        }
        let row = |file: &str| self.row(line, file, &self.rows.by_file);
        Ok(Pair { first: row(first)?, second: row(second)?, same })
    }

    fn of_people(&self, line: usize, text: &str) -> Result<Pair> {
        let words = words(text);
        let [first, second] = stems(&words).ok_or_else(|| {
            self.wrong(line, format!("{text:?}"), "a name and two numbers, or two names with a number each")
        })?;
        let row = |stem: &str| self.row(line, stem, &self.rows.by_stem);
        Ok(Pair { first: row(&first)?, second: row(&second)?, same: words.len() == 3 })
    }

    fn row(&self, line: usize, name: &str, rows: &HashMap<String, usize>) -> Result<usize> {
        let missing = || self.wrong(line, format!("{name} has no row"), "a photograph that the manifest lists");
        rows.get(name).copied().ok_or_else(missing)
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).collect()
}

/// The three parts of a line, which may hold what separates them less than anything else does; else its words.
fn three(line: &str) -> Vec<&str> {
    let separated = [',', '\t'].map(|separator| line.split(separator).map(str::trim).collect::<Vec<_>>());
    let three = separated.into_iter().find(|parts| parts.len() == 3 && parts.iter().all(|part| !part.is_empty()));
    three.unwrap_or_else(|| words(line))
}

/// The stems of a line's two photographs.
fn stems(words: &[&str]) -> Option<[String; 2]> {
    let stem = |name: &str, number: &str| Some(format!("{name}_{:04}", number.parse::<usize>().ok()?));
    match words {
        [name, first, second] => Some([stem(name, first)?, stem(name, second)?]),
        [name, first, other, second] => Some([stem(name, first)?, stem(other, second)?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_and_names_of_photographs_are_taken() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("pairs.csv");
        let rows = PhotographRows::of(["a/1.jpg", "a/2 b.jpg", "c/1.jpg"]);
        let read = |text: &str| {
            std::fs::write(&path, text).expect("writable");
            let pairs = read_pairs(&path, 3, &rows).map_err(|error| error.to_string())?;
            Ok::<_, String>(pairs.into_iter().map(|pair| (pair.first, pair.second, pair.same)).collect::<Vec<_>>())
        };
        let expected = Ok(vec![(0, 1, true), (2, 0, false)]);
        for text in [
            "i,j,same\n0,1,1\n2,0,0\n",
            "first second Same\n0 1 1\n2 0 0",
            "\u{feff}i,j,same\r\n0,1,1\r\n2,0,0\r\n",
            "file,other,same\na/1.jpg,a/2 b.jpg,1\nc/1.jpg,a/1.jpg,0\n",
            "a/1.jpg\ta/2 b.jpg\t1\nc/1.jpg a/1.jpg 0\n",
            "0,1,1\nc/1.jpg , a/1.jpg , 0",
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
        // Files of one stem are two photographs, and a stem is no file.
        let refused = |text: &str| read(text).expect_err("refused");
        assert!(
            refused("1,1,1\n1.jpg,a/1.jpg,1")
                .ends_with("line 2: 1.jpg has no row; expected a photograph that the manifest lists")
        );
        assert!(refused("i,j,same\n0,3,1").contains("line 2: \"0,3,1\"; expected two row numbers below 3, and 0 or 1"));
        assert!(refused("i,j,label\n0,1,1").contains("line 1: \"i,j,label\"; expected `i j same`"));
        assert_eq!(read("i,j,same\n"), Ok(Vec::new()));
        // Nobody has said which row is of which photograph.
        std::fs::write(&path, "1.jpg 2.jpg 1\n").expect("writable");
        let message = read_pairs(&path, 3, &PhotographRows::default()).expect_err("no list").to_string();
        assert!(message.ends_with("and 0 or 1; photographs only where it is listed which each row is of"), "{message}");
    }
}
