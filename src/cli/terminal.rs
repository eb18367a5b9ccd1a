//! What the program says on stdout and stderr.
//!
//! Names of classes, of files and of tensors are what others chose: of what is said, characters that steer a terminal are escaped.

use crate::{Error, Result};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints lines on stdout.
///
/// # Errors
/// [`Error::Io`], also where whoever reads our output has read enough.
pub(super) fn print(lines: impl Display) -> Result<()> {
    let lines = lines.to_string();
    let escaped: Vec<_> = lines.split('\n').map(escaped).collect();
    writeln!(io::stdout(), "{}", escaped.join("\n")).map_err(|error| Error::io("write to", "standard output", error))
}

/// [`print`] for commands that have more to do than to print: it is no error if nobody reads our output any more.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn tell(lines: impl Display) -> Result<()> {
    match print(lines) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Says something on stderr.
pub(super) fn complain(message: impl Display) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "arcos: {}", escaped(&message.to_string()));
}

/// A text in one line: control characters, and those that change the direction of what follows, by their numbers.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    let steers = |letter: char| {
        let changes_direction =
            matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        letter.is_control() || changes_direction || matches!(letter, '\u{2028}' | '\u{2029}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escape = |letter: char| match steers(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_steers_a_terminal_is_shown_and_all_else_is_left() {
        assert_eq!(escaped("Kleiber, 五, ±30°, \u{1f426}"), "Kleiber, 五, ±30°, \u{1f426}");
        assert_eq!(escaped("\u{1b}[2J\u{1b}]0;x\u{7}"), "\\u{1b}[2J\\u{1b}]0;x\\u{7}");
        assert_eq!(escaped("a\nb\rc\td"), "a\\nb\\rc\\td");
        assert_eq!(escaped("\u{9b}31m \u{7f} \u{202e}txt.exe"), "\\u{9b}31m \\u{7f} \\u{202e}txt.exe");
    }
}
