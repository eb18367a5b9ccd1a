//! What a head remembers, and the numbers that it trains, as arguments: `NAME=VALUE`.

use arcos::heads::{OptionRange, Parameters, StateValue};
use arcos::wording::number;
use arcos::{AnyHead, Error, Head, Real, Result};

/// Numbers that a head has beside class vectors and bias.
#[derive(clap::Args)]
pub(super) struct HeadNumbers {
    /// A number that the head trains: log_scale of --scale learned, alpha of l2-softmax, threshold of a loss that has one [default: where
    /// training begins]
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_number)]
    pub parameter: Vec<(String, f64)>,
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_number, help = help())]
    pub state: Vec<(String, f64)>,
}

/// The state of heads whose scale follows the batch.
pub(super) const PREVIOUS_SCALE: StateValue = StateValue {
    name: "scale",
    help: "the scale of the step before, where it follows the batch",
    first: 1.0,
    range: OptionRange { from: 1e-9, to: 1e9, words: "a number from 1e-9 to 1e9" },
    is_whole: false,
};

/// What is remembered under each name, and the heads that remember it.
fn remembered() -> Vec<(StateValue, Vec<&'static str>)> {
    let mut remembered = vec![(PREVIOUS_SCALE, Vec::new())];
    for name in AnyHead::names() {
        let head = AnyHead::new(name, &[]).expect("a listed head with its defaults");
        for value in head.state() {
            match remembered.iter_mut().find(|(known, _)| known.name == value.name) {
                Some((_, heads)) => heads.push(name),
                None => remembered.push((*value, vec![name])),
            }
        }
    }
    remembered
}

/// The names with what they are and the heads that remember them, for `--help`.
fn help() -> String {
    let line = |(value, heads): &(StateValue, Vec<&str>)| {
        let StateValue { name, help, range, .. } = value;
        let of = if heads.is_empty() { String::new() } else { format!(" ({})", heads.join(", ")) };
        format!("{name}{of}, {help}: {}", range.words)
    };
    let lines: Vec<_> = remembered().iter().map(line).collect();
    format!("What the head remembers of the step before [default: as at the first step]: {}", lines.join("; "))
}

/// A name and a number, of `NAME=VALUE`.
fn name_and_number(text: &str) -> Result<(String, f64), String> {
    let expected = || "a name and a finite number: NAME=VALUE".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(expected)?;
    let value = value.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(expected)?;
    Ok((name.trim().to_owned(), value))
}

/// Gives a head's parameters what it is to remember.
///
/// # Errors
/// [`Error::UnknownOption`] for what the head does not remember, [`Error::Setting`] for a number that it cannot come to remember, and for a name that is
/// there twice.
pub(super) fn set_state<F>(parameters: &mut Parameters<F>, head: &AnyHead, given: &[(String, f64)]) -> Result<()> {
    check_once("--state", given)?;
    for (name, value) in given {
        let Some(own) = parameters.state.get_mut(name) else {
            return Err(unknown(
                head,
                format!("state {name}"),
                parameters.state.keys(),
                "nothing: it remembers nothing",
            ));
        };
        let known = head.state().iter().find(|known| known.name == name).unwrap_or(&PREVIOUS_SCALE);
        let OptionRange { from, to, words } = known.range;
        if !(from..=to).contains(value) || (known.is_whole && value.fract() != 0.0) {
            let expected = format!("{}, {words}", known.help);
            return Err(Error::Setting { name: "--state", value: format!("{name}={}", number(*value)), expected });
        }
        *own = *value;
    }
    Ok(())
}

/// Gives a head's parameters the numbers that it trains.
///
/// # Errors
/// [`Error::UnknownOption`] for what is no such number of the head, [`Error::Setting`] for a name that is there twice.
pub(super) fn set_trained<F: Real>(
    parameters: &mut Parameters<F>,
    head: &AnyHead,
    given: &[(String, f64)],
) -> Result<()> {
    check_once("--parameter", given)?;
    for (name, value) in given {
        match parameters.vectors.get_mut(name) {
            Some(own) if name != "bias" => own.fill(F::of(*value)),
            _ => {
                let names = parameters.vectors.keys().filter(|name| *name != "bias");
                return Err(unknown(
                    head,
                    format!("parameter {name}"),
                    names,
                    "none: weights and bias have arguments of their own",
                ));
            }
        }
    }
    Ok(())
}

fn unknown<'a>(head: &AnyHead, option: String, names: impl Iterator<Item = &'a String>, none: &str) -> Error {
    let names: Vec<_> = names.map(String::as_str).collect();
    let takes = if names.is_empty() { none.into() } else { names.join(", ") };
    Error::UnknownOption { head: head.name(), option, takes }
}

fn check_once(option: &'static str, given: &[(String, f64)]) -> Result<()> {
    let twice =
        given.iter().enumerate().find(|(index, (name, _))| given[..*index].iter().any(|(known, _)| known == name));
    match twice {
        None => Ok(()),
        Some((_, (name, value))) => {
            Err(Error::Setting { name: option, value: format!("{name}={value}"), expected: format!("{name} once") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_heads_remember_is_in_the_help_and_begins_in_its_range() {
        let help = help();
        for (value, heads) in remembered() {
            let StateValue { name, first, range, .. } = value;
            assert!((range.from..=range.to).contains(&first), "{name} begins at {first}");
            assert!(help.contains(&format!("{name}{}", if heads.is_empty() { "," } else { " (" })), "{help}");
        }
    }
}
