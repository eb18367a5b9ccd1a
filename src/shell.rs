//! Paths as a shell takes them, in messages that hold commands.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

/// `path` as one word of a POSIX shell that is no option. It holds nothing that [`steers_terminal`]: such characters, and bytes that are no
/// text, are printed by the shell itself.
pub fn word(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    quoted(&if bytes.starts_with(b"-") { [b"./", bytes].concat() } else { bytes.to_vec() })
}

/// One word of a POSIX shell that may be an option, otherwise as [`word`].
pub fn argument(text: &OsStr) -> String {
    quoted(text.as_encoded_bytes())
}

fn quoted(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./=+,:@%".contains(byte);
    match str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| is_plain(&byte)) => text.into(),
        Ok(text) if !text.contains(steers_terminal) => format!("'{}'", text.replace('\'', "'\\''")),
        _ => printed(bytes),
    }
}

/// A word that the shell's `printf` puts together, what is no harmless text in octal numbers.
fn printed(bytes: &[u8]) -> String {
    let mut format = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '%' => format += "%%",
                letter if steers_terminal(letter) || "'\\".contains(letter) => {
                    add_octal(&mut format, letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                letter => format.push(letter),
            }
        }
        add_octal(&mut format, chunk.invalid());
    }
    // What a command prints loses line ends at its end: a slash after them keeps those of a directory, the only name of ours that can have them.
    let end = if bytes.ends_with(b"\n") { "/" } else { "" };
    format!("\"$(printf -- '{format}{end}')\"")
}

fn add_octal(format: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(format, "\\{byte:03o}").expect("a string takes everything");
    }
}

/// Whether a character moves a terminal's cursor or changes the direction of what follows.
pub fn steers_terminal(letter: char) -> bool {
    let changes_direction =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || changes_direction || matches!(letter, '\u{2028}' | '\u{2029}')
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    #[test]
    fn a_shell_takes_every_name_as_it_is_and_a_terminal_none_amiss() {
        let names: [&[u8]; 12] = [
            b"plain/a-b_c.1",
            b"",
            b"two words",
            b"it's $HOME `id` \"quoted\" \\n",
            b"\x1b[31mred\x1b[0m",
            b"100%d '\x07' \\033 \x1b9",
            b"line\nend\n",
            b"no UTF-8: \xff\xfe\x80",
            "五 \u{202e}txt \u{2028}".as_bytes(),
            b"-rf",
            b"-\x1b",
            b"tab\t",
        ];
        for name in names {
            let word = word(Path::new(OsStr::from_bytes(name)));
            assert!(!word.contains(steers_terminal), "{word:?}");
            let output = Command::new("sh").args(["-c", &format!("printf %s {word}")]).output().expect("a shell");
            let dashed = if name.starts_with(b"-") { [b"./", name].concat() } else { name.to_vec() };
            let expected = if name.ends_with(b"\n") { [&dashed, &b"/"[..]].concat() } else { dashed };
            assert_eq!(output.stdout, expected, "{word}");
        }
        assert_eq!(argument(OsStr::new("--two words")), "'--two words'");
        assert_eq!(argument(OsStr::new("--resume")), "--resume");
        for option in [&b"--out=c\nd"[..], b"-x\xff", b"--out=\x1b%"] {
            let word = argument(OsStr::from_bytes(option));
            let output = Command::new("sh").args(["-c", &format!("printf %s {word}")]).output().expect("a shell");
            assert_eq!(output.stdout, option, "{word}");
        }
    }
}
