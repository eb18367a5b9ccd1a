//! A name out of a list, written as `--heads` takes it: spaces around it and empty entries beside it are passed over.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use std::ffi::OsStr;

/// Takes one of these names.
#[derive(Clone)]
pub(super) struct ListedName(pub PossibleValuesParser);

impl TypedValueParser for ListedName {
    type Value = String;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        let name = value.to_str().map_or(value, |text| only_name(text).as_ref());
        self.0.parse_ref(command, argument, name).map_err(|error| {
            match value.to_str().and_then(|text| text.split_once(':')) {
                Some((name, options)) => {
                    let options = options.split(':').map(|option| format!(" --{}", option.replace('=', " ")));
                    let arguments = format!("{name}{}", options.collect::<String>());
                    Error::raw(
                        ErrorKind::InvalidValue,
                        format!("{} has options in it; here they are arguments: {arguments}\n", value.display()),
                    )
                }
                None => error,
            }
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// The name in such a text.
pub(super) fn only_name(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_commas_around_a_name_do_not_matter() {
        let parse = |text: &str| {
            let parser = ListedName(PossibleValuesParser::new(["arcface", "cosface"]));
            parser.parse_ref(&Command::new("train"), None, text.as_ref()).ok()
        };
        for text in ["arcface", "arcface ", " arcface", "arcface,", ", arcface , "] {
            assert_eq!(parse(text).as_deref(), Some("arcface"), "{text:?}");
        }
        for text in ["", ",", "arc face", "arcface,cosface", "arcface:"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
