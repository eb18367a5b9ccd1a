//! What a head remembers from step to step: one table a head, as of its options.

use super::OptionRange;

/// A number that a head remembers from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateValue {
    /// The name, in lower case.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    /// Before the first step.
    pub first: f64,
    /// What it can come to be.
    pub range: OptionRange,
    /// Whether it is a number without fractions.
    pub is_whole: bool,
}

impl StateValue {
    /// One that may be any finite number.
    pub const fn new(name: &'static str, first: f64) -> Self {
        let range = OptionRange { from: f64::MIN, to: f64::MAX, words: "a finite number" };
        Self { name, help: "what the head has seen", first, range, is_whole: false }
    }
}
