//! Words of messages.

use num_traits::One;
use std::fmt::Display;

/// A number with its noun: `1 class`, `2 classes`.
pub fn counted<N: Display + One + PartialEq>(number: N, noun: &str) -> String {
    let hisses = ["s", "x", "ch", "sh"].iter().any(|ending| noun.ends_with(ending)) && !noun.ends_with("epoch");
    let ending = match number.is_one() {
        true => "",
        false if hisses => "es",
        false => "s",
    };
    format!("{number} {noun}{ending}")
}

/// A number in the fewest digits that no other number has, with an exponent where zeros would be many; of what single precision holds, no
/// other number of single precision.
pub fn number(value: f64) -> String {
    let single = value as f32;
    let is_plain = value == 0.0 || !value.is_finite() || (1e-4..1e9).contains(&value.abs());
    match (f64::from(single) == value, is_plain) {
        // Not -0.
        (true, true) => (single + 0.0).to_string(),
        (true, false) => format!("{single:e}"),
        (false, true) => value.to_string(),
        (false, false) => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{counted, number};

    #[test]
    fn one_is_singular() {
        let count = |noun| [0usize, 1, 2].map(|number| counted(number, noun));
        assert_eq!(count("row"), ["0 rows", "1 row", "2 rows"]);
        assert_eq!(count("class"), ["0 classes", "1 class", "2 classes"]);
        assert_eq!(count("search"), ["0 searches", "1 search", "2 searches"]);
        assert_eq!(count("epoch"), ["0 epochs", "1 epoch", "2 epochs"]);
        assert_eq!(counted(1u64, "genuine pair"), "1 genuine pair");
    }

    #[test]
    fn numbers_are_short_and_no_others() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-0.25, "-0.25"),
            (0.1, "0.1"),
            (f64::from(0.1f32), "0.1"),
            (1.000_000_000_1, "1.0000000001"),
            (5994.0, "5994"),
            (1e300, "1e300"),
            (-1e300, "-1e300"),
            (5e-7, "5e-7"),
            (f64::from(f32::MIN_POSITIVE / f32::EPSILON), "9.8607613e-32"),
            (f64::from(f32::MAX), "3.4028235e38"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
