//! Text files.

use crate::{Error, Result, files::regular_file};
use std::path::Path;

/// Reads a text file. A byte order mark before UTF-8, which spreadsheets and editors on Windows leave, is passed over.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for what is no regular file, and for a file that is no UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = regular_file::read(path)?;
    let wrong = |found: String| Error::File { path: path.into(), found, expected: "text in UTF-8".into() };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(wrong("begins as text in UTF-16 does".into()));
    }
    let text = str::from_utf8(without_byte_order_mark(&bytes));
    text.map(str::to_owned).map_err(|error| wrong(format!("byte {} is not of UTF-8", error.valid_up_to())))
}

/// What follows a byte order mark of UTF-8: no JSON begins with one, and editors on Windows put it there.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::read_text;
    use std::fs;

    #[test]
    fn a_byte_order_mark_is_no_text_and_what_is_no_utf_8_is_said() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("lines.txt");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("writable");
            read_text(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbf1 a\n").expect("UTF-8"), "1 a\n");
        assert_eq!(read("1 \u{feff}\n".as_bytes()).expect("UTF-8"), "1 \u{feff}\n");
        assert!(read(b"\xff\xfe1\x00").is_err_and(|error| error.contains("lines.txt: begins as text in UTF-16 does")));
        assert!(
            read(b"Tr\xe4umer").is_err_and(|error| error.ends_with("byte 2 is not of UTF-8; expected text in UTF-8"))
        );
    }
}
