//! The options that stand on the command line, apart from those that have a default.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

/// Options that were given, by their names with `_`, with their values as they were written, several with commas between them. Flattened into arguments before all others: their
/// parsing takes the values away.
pub(super) struct Given(Vec<(String, String)>);

impl Given {
    pub fn has(&self, option: &str) -> bool {
        self.iter().any(|(given, _)| given == option)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(option, value)| (option.as_str(), value.as_str()))
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.ids().filter_map(|id| {
            let option = id.as_str();
            let values: Vec<_> = matches.try_get_raw(option).ok()??.map(|value| value.to_string_lossy()).collect();
            let is_given = matches.value_source(option) == Some(ValueSource::CommandLine) && !values.is_empty();
            is_given.then(|| (option.to_owned(), values.join(",")))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
