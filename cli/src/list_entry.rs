//! One entry of a list that commas divide: spaces around it do not matter, and a comma may be the last.

use arcos::{Error, Result};
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use std::ffi::OsStr;

/// Takes what `P` takes, and nothing at all.
#[derive(Clone)]
pub(super) struct ListEntry<P>(pub P);

impl<P: TypedValueParser> TypedValueParser for ListEntry<P> {
    type Value = Option<P::Value>;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> clap::error::Result<Self::Value> {
        match value.to_str().map(str::trim) {
            Some("") => Ok(None),
            Some(text) => self.0.parse_ref(command, argument, text.as_ref()).map(Some),
            None => self.0.parse_ref(command, argument, value).map(Some),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// The entries that there are.
///
/// # Errors
/// [`Error::Setting`] if there is none.
pub(super) fn entries<T: Clone>(name: &'static str, given: &[Option<T>]) -> Result<Vec<T>> {
    let entries: Vec<T> = given.iter().flatten().cloned().collect();
    match entries.is_empty() {
        true => Err(Error::Setting { name, value: "empty".into(), expected: "at least one".into() }),
        false => Ok(entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    #[derive(clap::Args)]
    struct Numbers {
        #[arg(long, value_delimiter = ',', value_parser = ListEntry(clap::value_parser!(u8)), default_values = ["7"])]
        numbers: Vec<Option<u8>>,
    }

    #[test]
    fn spaces_and_commas_do_not_matter() {
        let parse = |words: &[&str]| {
            let command = Numbers::augment_args(Command::new("count"));
            let matches = command.try_get_matches_from([&["count"], words].concat()).ok()?;
            let given: Vec<Option<u8>> = matches.get_many("numbers")?.copied().collect();
            entries("--numbers", &given).ok()
        };
        assert_eq!(parse(&[]), Some(vec![7]));
        for text in ["1,2", "1, 2", "1,2,", " ,1 , 2,,"] {
            assert_eq!(parse(&["--numbers", text]), Some(vec![1, 2]), "{text:?}");
        }
        for text in ["", ",", "1,x", "1 2", "256"] {
            assert_eq!(parse(&["--numbers", text]), None, "{text:?}");
        }
    }
}
