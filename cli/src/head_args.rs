//! The hyper-parameters of heads as arguments, made from the heads' own tables of options.

use super::listed_name::ListedName;
use arcos::heads::{OptionInfo, Scale};
use arcos::{AnyHead, Error, Head, Result};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Command, FromArgMatches};

/// `--scale`, `--margin` and the like, as they were given. A head takes some of them, and has defaults for all.
pub(super) struct HeadArgs(Vec<(&'static str, String)>);

impl HeadArgs {
    /// The options given, by name.
    pub fn given(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

/// Every option of any head, with the heads that take it.
fn options() -> Vec<(&'static str, Vec<(&'static str, OptionInfo)>)> {
    let mut options: Vec<(&str, Vec<_>)> = Vec::new();
    for head in AnyHead::names() {
        for option in AnyHead::options_of(head).expect("a listed head") {
            match options.iter_mut().find(|(name, _)| *name == option.name) {
                Some((_, takers)) => takers.push((head, option)),
                None => options.push((option.name, vec![(head, option)])),
            }
        }
    }
    options
}

/// What an option is, for each of the heads that take it, with their defaults.
fn help(takers: &[(&str, OptionInfo)]) -> String {
    let parts = takers.chunk_by(|(_, one), (_, other)| (one.help, &one.default) == (other.help, &other.default));
    let part = |part: &[(&str, OptionInfo)]| {
        let heads: Vec<_> = part.iter().map(|(head, _)| *head).collect();
        let (_, OptionInfo { help, default, .. }) = &part[0];
        format!("{}: {help} [default: {default}]", heads.join(", "))
    };
    parts.map(part).collect::<Vec<_>>().join("; ")
}

impl clap::Args for HeadArgs {
    fn augment_args(command: Command) -> Command {
        options().into_iter().fold(command, |command, (name, takers)| {
            let is_switch = takers.iter().all(|(_, option)| option.default == "false");
            let also = if name == MAX_SCALE { "; of other heads with --scale adacos" } else { "" };
            let help = help(&takers) + also;
            let argument = Arg::new(name.replace('-', "_")).long(name).help(help).help_heading("Head");
            command.arg(match is_switch {
                true => argument.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL"),
                false => argument.allow_hyphen_values(true).value_name("VALUE"),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for HeadArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = options()
            .into_iter()
            .filter_map(|(name, _)| Some((name, matches.get_one::<String>(&name.replace('-', "_"))?.clone())));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The names of all heads, with their training logits for `--help`. For arguments that ignore case.
pub(super) fn head_names() -> impl TypedValueParser<Value = String> {
    let possible = |&(name, formula): &(&'static str, &'static str)| PossibleValue::new(name).help(formula);
    ListedName(PossibleValuesParser::new(AnyHead::LIST.iter().map(possible))).map(|name| name.to_lowercase())
}

/// The option of AdaCos's largest scale, which other heads whose scale is AdaCos's have, too.
const MAX_SCALE: &str = "max-scale";

/// Whether the head called `name` with these other options has one more: the largest scale is of any whose scale is AdaCos's.
pub(super) fn takes<'a>(name: &str, option: &str, others: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    let others: Vec<_> = others.into_iter().collect();
    let is_bounded = || AnyHead::new(name, &others).is_ok_and(|head| matches!(head.scale(), Scale::AdaCos { .. }));
    AnyHead::takes(name, option) || option == MAX_SCALE && is_bounded()
}

/// The head called `name` with options by name.
pub(super) fn head<'a>(name: &str, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<AnyHead> {
    let options: Vec<_> = options.into_iter().collect();
    let (bounds, others): (Vec<_>, Vec<_>) = options.iter().partition(|(option, _)| *option == MAX_SCALE);
    let ([(_, bound)], false) = (&bounds[..], AnyHead::takes(name, MAX_SCALE)) else {
        return AnyHead::new(name, &options);
    };
    let mut head = AnyHead::new(name, &others)?;
    if !matches!(head.scale(), Scale::AdaCos { .. }) {
        return AnyHead::new(name, &options);
    }
    let wrong = |_| Error::Setting { name: MAX_SCALE, value: (*bound).into(), expected: "a number".into() };
    head.bound_scale(bound.parse().map_err(wrong)?);
    head.scale().check(head.name(), usize::MAX)?;
    Ok(head)
}

/// Options with their values borrowed.
pub(super) fn borrowed<'a>(given: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    given.iter().map(|(name, value)| (*name, value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args as _;

    #[test]
    fn every_option_of_every_head_is_an_argument() {
        let command = HeadArgs::augment_args(Command::new("heads"));
        for (name, takers) in options() {
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(name));
            let help = argument.and_then(|argument| argument.get_help()).expect("an argument with help").to_string();
            assert!(takers.iter().all(|(head, _)| help.contains(head)), "{name}: {help}");
        }
        let words = "heads --scale adacos --margin -0.5 --learn-alpha --past-pi Easy".split(' ');
        let matches = command.try_get_matches_from(words).expect("good usage");
        let HeadArgs(mut given) = HeadArgs::from_arg_matches(&matches).expect("good usage");
        given.sort();
        let expected = [("learn-alpha", "true"), ("margin", "-0.5"), ("past-pi", "Easy"), ("scale", "adacos")];
        assert_eq!(given, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
