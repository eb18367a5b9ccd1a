//! Hyper-parameters by name, for callers that choose the head at run time.

use super::PastPi;
use crate::{Error, Result};

/// The hyper-parameters of all heads; what is left out takes the head's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadOptions {
    /// Scale s of the logits. For AdaCos: none; its scale is in [`Parameters`](super::Parameters).
    pub scale: Option<f64>,
    /// Margin m: radians (ArcFace), a cosine (CosFace), a factor of the angle (SphereFace).
    pub margin: Option<f64>,
    /// Factor m1 of the angle (combined margin).
    pub m1: Option<f64>,
    /// Angle m2 added, in radians (combined margin).
    pub m2: Option<f64>,
    /// Cosine m3 subtracted (combined margin).
    pub m3: Option<f64>,
    /// Norm α of the features (L2-softmax); where it starts, if it is learned.
    pub alpha: Option<f64>,
    /// Whether α is learned (L2-softmax).
    pub learn_alpha: Option<bool>,
    /// What ArcFace does past θ = π - m.
    pub past_pi: Option<PastPi>,
    /// Largest scale AdaCos may reach.
    pub max_scale: Option<f64>,
}

impl HeadOptions {
    /// Sets the option called `name` from text, as on a command line.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that is no option's, or a value that is not of its kind.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |name, expected: &str| Error::Setting { name, value: value.into(), expected: expected.into() };
        let value = value.trim();
        let number = |name| value.parse().map(Some).map_err(|_| wrong(name, "a number"));
        match name {
            "scale" => self.scale = number("scale")?,
            "margin" => self.margin = number("margin")?,
            "m1" => self.m1 = number("m1")?,
            "m2" => self.m2 = number("m2")?,
            "m3" => self.m3 = number("m3")?,
            "alpha" => self.alpha = number("alpha")?,
            "max-scale" => self.max_scale = number("max-scale")?,
            "learn-alpha" => {
                self.learn_alpha =
                    value.to_lowercase().parse().map(Some).map_err(|_| wrong("learn-alpha", "true or false"))?;
            }
            "past-pi" => {
                let policy = PastPi::ALL.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(value));
                let names = PastPi::ALL.map(PastPi::name).join(", ");
                self.past_pi = Some(policy.ok_or_else(|| wrong("past-pi", &names))?);
            }
            _ => {
                let names = self.by_name().map(|(name, _)| name).join(", ");
                return Err(Error::Setting { name: "a head's option", value: name.into(), expected: names });
            }
        }
        Ok(())
    }

    fn by_name(&self) -> [(&'static str, bool); 9] {
        [
            ("scale", self.scale.is_some()),
            ("margin", self.margin.is_some()),
            ("m1", self.m1.is_some()),
            ("m2", self.m2.is_some()),
            ("m3", self.m3.is_some()),
            ("alpha", self.alpha.is_some()),
            ("learn-alpha", self.learn_alpha.is_some()),
            ("past-pi", self.past_pi.is_some()),
            ("max-scale", self.max_scale.is_some()),
        ]
    }

    /// The names of the options that are set.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        self.by_name().into_iter().filter_map(|(name, given)| given.then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Head;

    #[test]
    fn options_are_set_by_the_names_they_are_given_by() {
        let mut options = HeadOptions::default();
        for name in HeadOptions::default().by_name().map(|(name, _)| name) {
            let value = match name {
                "learn-alpha" => "true",
                "past-pi" => "easy",
                _ => "0.5",
            };
            options.set(name, value).expect("a well-formed option");
            assert!(options.given().any(|given| given == name), "{name}");
        }
        assert_eq!(options.given().count(), 9);
    }

    #[test]
    fn every_option_that_a_head_takes_exists() {
        let names = HeadOptions::default().by_name().map(|(name, _)| name);
        for head in Head::names() {
            let takes = Head::options_of(head).expect("a listed head");
            assert!(takes.iter().all(|option| names.contains(option)), "{head}: {takes:?}");
        }
    }

    #[test]
    fn a_misspelt_option_or_value_says_what_is_expected() {
        let mut options = HeadOptions::default();
        let error = options.set("margn", "0.5").expect_err("no such option").to_string();
        assert!(error.starts_with("a head's option is margn; expected scale, margin,"), "{error}");
        let error = options.set("past-pi", "soft").expect_err("no such policy").to_string();
        assert_eq!(error, "past-pi is soft; expected monotone, continuous, easy, plain");
    }
}
