//! The hyper-parameters of heads as arguments.

use super::listed_name::ListedName;
use crate::heads::PastPi;
use crate::{Head, HeadOptions, Result};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// `--scale`, `--margin` and the like. A head takes some of them, and has defaults for all.
#[derive(clap::Args)]
#[command(next_help_heading = "Head")]
pub(super) struct HeadArgs {
    /// Scale s of the logits [default: 16 norm-softmax, 64 sphereface, cosface, arcface, combined-margin]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub scale: Option<f64>,
    /// Margin m [default: 0.5 rad arcface, 0.35 cosface, 1.35 sphereface]
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub margin: Option<f64>,
    /// Factor of the angle in combined-margin [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    pub m1: Option<f64>,
    /// Angle added in combined-margin, radians [default: 0.3]
    #[arg(long, allow_negative_numbers = true)]
    pub m2: Option<f64>,
    /// Cosine subtracted in combined-margin [default: 0.2]
    #[arg(long, allow_negative_numbers = true)]
    pub m3: Option<f64>,
    /// Norm α of features in l2-softmax [default: 16]
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    pub alpha: Option<f64>,
    /// What arcface does past θ = π - m [default: monotone]
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(PastPi::ALL.map(PastPi::name)))]
    pub past_pi: Option<String>,
}

/// The hyper-parameters that matter only over many steps.
#[derive(clap::Args)]
#[command(next_help_heading = "Head")]
pub(super) struct TrainedHeadArgs {
    #[command(flatten)]
    pub head: HeadArgs,
    /// Train α by its gradient (l2-softmax)
    #[arg(long)]
    pub learn_alpha: bool,
    /// Largest scale adacos may reach [default: 64]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub max_scale: Option<f64>,
}

impl HeadArgs {
    /// The options given, by name.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let numbers = [
            ("scale", self.scale),
            ("margin", self.margin),
            ("m1", self.m1),
            ("m2", self.m2),
            ("m3", self.m3),
            ("alpha", self.alpha),
        ];
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name, value?.to_string())));
        numbers.chain(self.past_pi.iter().map(|policy| ("past-pi", policy.clone()))).collect()
    }
}

impl TrainedHeadArgs {
    /// The options given, by name.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let learn_alpha = self.learn_alpha.then(|| ("learn-alpha", "true".into()));
        let max_scale = self.max_scale.map(|bound| ("max-scale", bound.to_string()));
        self.head.given().into_iter().chain(learn_alpha).chain(max_scale).collect()
    }
}

/// The names of all heads, with their training logits for `--help`. For arguments that ignore case.
pub(super) fn head_names() -> impl TypedValueParser<Value = String> {
    let possible = |&(name, formula): &(&'static str, &'static str)| PossibleValue::new(name).help(formula);
    ListedName(PossibleValuesParser::new(Head::LIST.iter().map(possible))).map(|name| name.to_lowercase())
}

/// The head called `name` with options by name.
pub(super) fn head<'a>(name: &str, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Head> {
    let mut head_options = HeadOptions::default();
    options.into_iter().try_for_each(|(option, value)| head_options.set(option, value))?;
    Head::new(name, &head_options)
}

/// Options with their values borrowed.
pub(super) fn borrowed<'a>(given: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    given.iter().map(|(name, value)| (*name, value.as_str()))
}
