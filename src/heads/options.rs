//! Hyper-parameters by name: one table a head, from which arguments, help, errors and tests follow.

use super::range::{LARGEST_FACTOR, check_hyper_parameter};
use super::{Head, Scale};
use crate::{Error, Result};

/// A head that can be asked for by name, with its options.
pub trait NamedHead: Head + Clone + Default + 'static {
    /// The training logits, in a line.
    const FORMULA: &'static str;
    /// Its options.
    const OPTIONS: &'static [HeadOption<Self>];
}

/// A hyper-parameter of a head.
pub struct HeadOption<H> {
    /// The name, in lower case.
    pub name: &'static str,
    /// What it is, in a few words, with its unit.
    pub help: &'static str,
    /// Of a number.
    pub range: Option<OptionRange>,
    /// Where it is kept.
    pub field: fn(&mut H) -> &mut dyn OptionValue,
}

impl<H> HeadOption<H> {
    /// The option of heads that go with any scale.
    pub const fn scale(field: fn(&mut H) -> &mut dyn OptionValue) -> Self {
        let help = "scale s of the logits: a number, fixed-adacos, adacos or learned";
        Self { name: "scale", help, range: Some(OptionRange::POSITIVE), field }
    }

    /// The option of heads with several class vectors a class.
    pub(super) const fn centres(field: fn(&mut H) -> &mut dyn OptionValue) -> Self {
        let range = OptionRange { from: 1.0, to: 1e6, words: "a whole number from 1 to 1,000,000" };
        Self { name: "centres", help: "class vectors a class, K", range: Some(range), field }
    }

    /// The option of heads that can leave suspicious negatives out.
    pub(super) const fn interclass_filter(field: fn(&mut H) -> &mut dyn OptionValue) -> Self {
        let help = "cosine above which another class counts as 0 and has no gradient, or none";
        Self { name: "interclass-filter", help, range: Some(OptionRange::FILTER), field }
    }
}

/// The numbers that an option may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionRange {
    /// The smallest.
    pub from: f64,
    /// The largest.
    pub to: f64,
    /// The same in words.
    pub words: &'static str,
}

impl OptionRange {
    /// Above 0, and far past all use.
    pub const POSITIVE: Self =
        Self { from: f64::from_bits(1), to: LARGEST_FACTOR, words: "a positive number of at most 1e9" };
    /// Cosines above which a class is left out.
    const FILTER: Self = Self { from: f64::from_bits(1), to: 1.0, words: "a cosine above 0 and at most 1" };
    /// Zero, or above.
    pub const NOT_NEGATIVE: Self = Self { from: 0.0, to: LARGEST_FACTOR, words: "a number from 0 to 1e9" };
    /// Part of a whole.
    pub const SHARE: Self = Self { from: 0.0, to: 1.0, words: "a number from 0 to 1" };
    /// Norms of features that are divided by.
    pub const NORM: Self = Self { from: 1e-6, to: LARGEST_FACTOR, words: "a norm from 1e-6 to 1e9" };
    /// Temperatures of a choice among centres. Smaller ones would multiply the rounding of cosines too much.
    pub const TEMPERATURE: Self = Self { from: 0.01, to: LARGEST_FACTOR, words: "a number from 0.01 to 1e9" };
    /// Angles of margins.
    pub const ANGLE: Self = Self { from: 0.0, to: std::f64::consts::PI, words: "an angle in [0, π] radians" };
    /// Cosines.
    pub const COSINE: Self = Self { from: -1.0, to: 1.0, words: "a number from -1 to 1" };
    /// Numbers of steps.
    pub const STEPS: Self = Self { from: 0.0, to: 1e15, words: "a whole number from 0 to 1e15" };
    /// Differences of cosines.
    pub const COSINE_DIFFERENCE: Self = Self { from: 0.0, to: 2.0, words: "a cosine difference in [0, 2]" };
}

/// A value that an option can have.
pub trait OptionValue {
    /// Sets it from text, as on a command line.
    ///
    /// # Errors
    /// What is expected.
    fn set(&mut self, text: &str) -> Result<(), String>;

    /// The value as [`set`](Self::set) takes it.
    fn text(&self) -> String;

    /// The value, if it is a number.
    fn number(&self) -> Option<f64> {
        None
    }

    /// Whether it is a number without fractions.
    fn is_whole(&self) -> bool {
        false
    }

    /// The words that it may be, besides numbers.
    fn words(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A value that is one of a few, each with a name.
pub trait Choice: Copy + PartialEq + 'static {
    /// All, by their names in lower case.
    const ALL: &'static [(&'static str, Self)];

    /// The name, in lower case.
    fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|&&(_, choice)| choice == self);
        named.expect("ALL has every choice").0
    }
}

impl<C: Choice> OptionValue for C {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let named = Self::ALL.iter().find(|&&(name, _)| name == text);
        *self = named.ok_or_else(|| self.words().join(", "))?.1;
        Ok(())
    }

    fn text(&self) -> String {
        self.name().into()
    }

    fn words(&self) -> Vec<&'static str> {
        Self::ALL.iter().map(|&(name, _)| name).collect()
    }
}

impl OptionValue for f64 {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse().map_err(|_| "a number".to_owned())?;
        Ok(())
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl OptionValue for usize {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse().map_err(|_| "a whole number, not negative".to_owned())?;
        Ok(())
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl OptionValue for u64 {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse().map_err(|_| "a whole number, not negative".to_owned())?;
        Ok(())
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl OptionValue for Option<f64> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = match text {
            "none" => None,
            _ => Some(text.parse().map_err(|_| "a number, or none".to_owned())?),
        };
        Ok(())
    }

    fn text(&self) -> String {
        self.map_or("none".into(), |value| value.to_string())
    }

    fn number(&self) -> Option<f64> {
        *self
    }
}

impl OptionValue for bool {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse().map_err(|_| "true or false".to_owned())?;
        Ok(())
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn words(&self) -> Vec<&'static str> {
        vec!["true", "false"]
    }
}

impl OptionValue for Scale {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let rule = Self::RULES.into_iter().find_map(|(name, rule)| (name == text).then_some(rule));
        let names = || Self::RULES.map(|(name, _)| name).join(", ");
        let number = || text.parse().map(Self::Fixed).map_err(|_| format!("a number, or one of {}", names()));
        *self = rule.map_or_else(number, Ok)?;
        Ok(())
    }

    fn text(&self) -> String {
        let rule =
            Self::RULES.into_iter().find(|(_, rule)| std::mem::discriminant(rule) == std::mem::discriminant(self));
        match (self, rule) {
            (Self::Fixed(scale) | Self::Alpha { start: scale, .. }, _) => scale.to_string(),
            (_, Some((name, _))) => name.into(),
            (_, None) => unreachable!("every rule has a name"),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Fixed(scale) => Some(*scale),
            _ => None,
        }
    }

    fn words(&self) -> Vec<&'static str> {
        Self::RULES.map(|(name, _)| name).into()
    }
}

/// An option of one of the heads, for tables and help.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionInfo {
    /// The name, in lower case.
    pub name: &'static str,
    /// What it is, in a few words, with its unit.
    pub help: &'static str,
    /// The head's default, as text.
    pub default: String,
    /// Of a number.
    pub range: Option<OptionRange>,
    /// The words that it may be.
    pub words: Vec<&'static str>,
    /// Whether it is a number without fractions.
    pub whole: bool,
}

/// Checks every number among a head's options against its range.
///
/// # Errors
/// [`Error::HyperParameter`].
pub fn check_options<H: NamedHead>(head: &H) -> Result<()> {
    let mut head = head.clone();
    H::OPTIONS.iter().try_for_each(|option| {
        let value = (option.field)(&mut head).number();
        let (Some(OptionRange { from, to, words }), Some(value)) = (option.range, value) else { return Ok(()) };
        check_hyper_parameter(head.name(), option.name, value, value >= from && value <= to, words)
    })
}

/// A head with some options set from text, and its defaults for the rest.
///
/// # Errors
/// [`Error::UnknownOption`] for an option that the head does not have, [`Error::Setting`] for a value that is not of its kind,
/// [`Error::HyperParameter`] for one out of range.
pub(super) fn with_options<H: NamedHead>(options: &[(&str, &str)]) -> Result<H> {
    let mut head = H::default();
    for &(name, value) in options {
        let Some(option) = H::OPTIONS.iter().find(|option| option.name == name) else {
            let takes: Vec<_> = H::OPTIONS.iter().map(|option| option.name).collect();
            let takes = if takes.is_empty() { "no options".into() } else { takes.join(", ") };
            return Err(Error::UnknownOption { head: head.name(), option: name.into(), takes });
        };
        let value = value.to_lowercase();
        let set = (option.field)(&mut head).set(&value);
        set.map_err(|of_kind| {
            // The range says more than the kind.
            let range = option.range.filter(|_| (option.field)(&mut head).is_whole());
            let expected = range.map_or(of_kind, |range| range.words.into());
            // Spaces must be seen where they are what is wrong.
            let value = if value.trim() == value { value } else { format!("{value:?}") };
            Error::Setting { name: option.name, value, expected }
        })?;
    }
    // The number of classes is not known yet: any large one will do.
    head.check(usize::MAX)?;
    head.scale().check(head.name(), usize::MAX)?;
    Ok(head)
}

pub(super) fn options_of<H: NamedHead>() -> Vec<OptionInfo> {
    let mut head = H::default();
    let info = |option: &HeadOption<H>| {
        let value = (option.field)(&mut head);
        let (default, words, whole) = (value.text(), value.words(), value.is_whole());
        OptionInfo { name: option.name, help: option.help, default, range: option.range, words, whole }
    };
    H::OPTIONS.iter().map(info).collect()
}
