//! What the program says on stdout and stderr.
//!
//! Names of classes, of files and of tensors are what others chose: of what is said, characters that steer a terminal are escaped.

use arcos::shell::steers_terminal;
use arcos::{Error, Result};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Prints lines on stdout.
///
/// # Errors
/// [`Error::Io`], also where whoever reads our output has read enough.
pub(super) fn print(lines: impl Display) -> Result<()> {
    let lines = lines.to_string();
    let escaped: Vec<_> = lines.split('\n').map(escaped).collect();
    writeln!(io::stdout(), "{}", escaped.join("\n")).map_err(|error| Error::io("write to", "standard output", error))
}

/// Why some of what [`tell`] was to say is nowhere: the first time.
static UNTOLD: OnceLock<Error> = OnceLock::new();

/// [`print()`] for commands that have more to do than to print, and go on where it fails. It is no error if nobody reads our output any more;
/// any other is there at the end, for [`untold`].
pub(super) fn tell(lines: impl Display) {
    match print(lines) {
        Err(Error::Io { cause, .. }) if cause.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => drop(UNTOLD.set(error)),
        Ok(()) => {}
    }
}

/// Why some of what [`tell`] was to say is nowhere.
pub(super) fn untold() -> Option<&'static Error> {
    UNTOLD.get()
}

/// Says something on stderr.
pub(super) fn complain(message: impl Display) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "arcos: {}", escaped(&message.to_string()));
}

/// A text in one line: control characters, and those that change the direction of what follows, by their numbers.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(steers_terminal) {
        return Cow::Borrowed(text);
    }
    let escape = |letter: char| match steers_terminal(letter) {
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
