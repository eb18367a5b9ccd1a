//! What a head remembers, and the numbers that it trains, as arguments: `NAME=VALUE`.

use arcos::heads::Parameters;
use arcos::{AnyHead, Error, Head, Real, Result};
use std::ops::RangeInclusive;

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

/// What a number that is remembered may be.
struct Remembered {
    name: &'static str,
    what: &'static str,
    range: RangeInclusive<f64>,
    is_whole: bool,
}

const fn remembered(name: &'static str, what: &'static str, range: RangeInclusive<f64>) -> Remembered {
    Remembered { name, what, range, is_whole: false }
}

const REMEMBERED: [Remembered; 5] = [
    remembered(
        "scale",
        "the scale of the step before, where it follows the batch: a number from 1e-9 to 1e9",
        1e-9..=1e9,
    ),
    remembered("t", "a mean of cosines, from -1 to 1", -1.0..=1.0),
    remembered("norm_mean", "a mean of norms, from 0 to 1e9", 0.0..=1e9),
    remembered("norm_std", "a standard deviation of norms, from 0 to 1e9", 0.0..=1e9),
    Remembered {
        name: "step",
        what: "steps that were taken, a whole number from 0 to 1e15",
        range: 0.0..=1e15,
        is_whole: true,
    },
];

/// The names with what they are and the heads that remember them, for `--help`.
fn help() -> String {
    let line = |remembered: &Remembered| {
        let remembers = |name: &&str| {
            let head = AnyHead::new(name, &[]).expect("a listed head with its defaults");
            head.state().iter().any(|(own, _)| *own == remembered.name)
        };
        let heads: Vec<_> = AnyHead::names().filter(remembers).collect();
        let of = if heads.is_empty() { String::new() } else { format!(" ({})", heads.join(", ")) };
        format!("{}{of}, {}", remembered.name, remembered.what)
    };
    let lines: Vec<_> = REMEMBERED.iter().map(line).collect();
    format!("What the head remembers of the step before [default: as at the first step]: {}", lines.join("; "))
}

/// A name and a number, of `NAME=VALUE`.
pub(super) fn name_and_number(text: &str) -> Result<(String, f64), String> {
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
        let known = REMEMBERED.iter().find(|remembered| remembered.name == name);
        if let Some(Remembered { what, range, is_whole, .. }) = known
            && !(range.contains(value) && (!is_whole || value.fract() == 0.0))
        {
            return Err(Error::Setting { name: "--state", value: format!("{name}={value}"), expected: (*what).into() });
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
                return Err(unknown(head, format!("parameter {name}"), names, "none, but weights and bias"));
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
    fn all_that_heads_remember_is_known() {
        for name in AnyHead::names() {
            let head = AnyHead::new(name, &[]).expect("a head");
            for (state, first) in head.state() {
                let known = REMEMBERED.iter().find(|remembered| remembered.name == *state).expect(state);
                assert!(known.range.contains(first) && help().contains(&format!("{state} (")), "{name}: {state}");
            }
        }
    }
}
