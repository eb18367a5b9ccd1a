//! Heads with options of their own, as `compare` takes them: `NAME[:OPTION=VALUE]...`.

use super::head_args::{borrowed, head, takes};
use arcos::{AnyHead, Error, Result};

/// The heads of `NAME[:OPTION=VALUE]...`, each with those of the shared options that it has, under the spec that it was given by. Spaces
/// around names and empty specs are passed over.
///
/// # Errors
/// What is wrong with a spec; [`Error::Setting`] for a shared option that has no effect on any head, for no heads, and for a head that is
/// there twice.
pub(super) fn named_heads(specs: &[&str], shared: &[(&'static str, String)]) -> Result<Vec<(String, AnyHead)>> {
    let specs = specs.iter().map(|spec| spec.trim()).filter(|spec| !spec.is_empty());
    let specs = specs.map(Spec::parse).collect::<Result<Vec<_>>>()?;
    for (option, _) in shared {
        if !specs.iter().any(|spec| spec.borrows(option, shared)) {
            let expected = "one of the heads to have it, without a value of its own".into();
            return Err(Error::Setting { name: option, value: "given".into(), expected });
        }
    }
    let mut heads: Vec<(String, AnyHead)> = Vec::new();
    for spec in &specs {
        let shared = borrowed(shared).filter(|(option, _)| spec.borrows(option, shared));
        let text = spec.text();
        let head = head(&spec.name, shared.chain(spec.own())).map_err(|error| of_head(error, &text))?;
        let same =
            |(known_text, known): &&(String, AnyHead)| *known == head || directory(known_text) == directory(&text);
        if let Some((known, _)) = heads.iter().find(same) {
            let expected = "each head once: these are the same".into();
            return Err(Error::Setting { name: "--heads", value: format!("{known} and {text}"), expected });
        }
        heads.push((text, head));
    }
    if heads.is_empty() {
        return Err(Error::Setting { name: "--heads", value: "empty".into(), expected: "at least one head".into() });
    }
    Ok(heads)
}

/// An error about a setting as one about that of the head given by this spec.
fn of_head(error: Error, spec: &str) -> Error {
    match error {
        Error::Setting { name, value, expected } => {
            Error::Setting { name, value: format!("{value} in {spec}"), expected }
        }
        other => other,
    }
}

/// The name of the run directory of a head given by this spec.
pub(super) fn directory(spec: &str) -> String {
    spec.replace([':', '='], "-")
}

struct Spec {
    name: String,
    options: Vec<(String, String)>,
}

impl Spec {
    fn parse(text: &str) -> Result<Self> {
        let wrong = |value: &str, expected: &str| Error::Setting {
            name: "a head's option",
            value: value.into(),
            expected: expected.into(),
        };
        let mut parts = text.split(':').map(str::trim);
        let name = parts.next().unwrap_or_default().to_lowercase();
        let mut options: Vec<(String, String)> = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let (option, value) = part.split_once('=').ok_or_else(|| wrong(part, "OPTION=VALUE"))?;
            let (option, value) = (option.trim().to_lowercase(), value.trim().to_lowercase());
            if options.iter().any(|(known, _)| *known == option) {
                return Err(wrong(part, &format!("{option} once")));
            }
            options.push((option, value));
        }
        Ok(Self { name, options })
    }

    fn text(&self) -> String {
        let options = self.options.iter().map(|(option, value)| format!(":{option}={value}"));
        self.name.clone() + &options.collect::<String>()
    }

    fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(option, value)| (option.as_str(), value.as_str()))
    }

    /// Whether the head takes an option, given what it borrows of the other shared ones, and the spec has no value for it.
    fn borrows(&self, option: &str, shared: &[(&'static str, String)]) -> bool {
        let is_missing = |option: &str| self.options.iter().all(|(own, _)| own != option);
        let is_borrowed = |&(name, _): &(&str, &str)| AnyHead::takes(&self.name, name) && is_missing(name);
        is_missing(option) && takes(&self.name, option, borrowed(shared).filter(is_borrowed).chain(self.own()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arcos::Head;
    use arcos::heads::{ArcFace, CosFace, Scale};

    #[test]
    fn spaces_capitals_and_trailing_commas_do_not_matter() -> Result<()> {
        let heads = named_heads(&["ArcFace : Margin = 0.1", " cosface", ""], &[("scale", "16".into())])?;
        let arcface = AnyHead::from(ArcFace { scale: Scale::Fixed(16.0), margin: 0.1, ..ArcFace::default() });
        let cosface = AnyHead::from(CosFace { scale: Scale::Fixed(16.0), ..CosFace::default() });
        assert_eq!(heads, [("arcface:margin=0.1".into(), arcface), ("cosface".into(), cosface)]);
        Ok(())
    }

    #[test]
    fn a_largest_scale_goes_to_every_head_with_that_of_adacos() -> Result<()> {
        let bounded = |scale: Scale| matches!(scale, Scale::AdaCos { max: Some(max) } if max == 3.0);
        let max_scale = ("max-scale", "3".to_owned());
        let specs = ["adacos", "arcface:scale=adacos", "cosface:scale=AdaCos:max-scale=5", "softmax", "norm-softmax"];
        let heads = named_heads(&specs, std::slice::from_ref(&max_scale))?;
        assert_eq!(
            heads.iter().map(|(_, head)| bounded(head.scale())).collect::<Vec<_>>(),
            [true, true, false, false, false]
        );
        let heads =
            named_heads(&["softmax", "cosface", "arcface:scale=8"], &[max_scale.clone(), ("scale", "adacos".into())])?;
        assert_eq!(heads.iter().map(|(_, head)| bounded(head.scale())).collect::<Vec<_>>(), [false, true, false]);
        assert!(named_heads(&["arcface:scale=8", "softmax"], &[max_scale]).is_err());
        Ok(())
    }

    #[test]
    fn what_has_no_effect_or_is_there_twice_is_refused() {
        let complaint = |specs: &[&str], shared: &[(&'static str, String)]| {
            named_heads(specs, shared).expect_err("refused").to_string()
        };
        let scale = [("scale", "16".into())];
        assert!(complaint(&["softmax"], &scale).starts_with("scale is given; expected one of the heads to have it"));
        assert!(complaint(&["arcface:scale=8"], &scale).starts_with("scale is given; "));
        for twice in
            [["arcface", "arcface"], ["arcface", "ArcFace:margin=0.5"], ["cosface:margin=0.2", "cosface:margin=0.20"]]
        {
            assert!(complaint(&twice, &[]).contains("expected each head once"), "{twice:?}");
        }
        assert_eq!(
            complaint(&["arcface:margin=0.1:margin=0.2"], &[]),
            "a head's option is margin=0.2; expected margin once"
        );
        assert_eq!(complaint(&["", " "], &[]), "--heads is empty; expected at least one head");
    }
}
