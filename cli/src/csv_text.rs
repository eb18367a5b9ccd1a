//! Text in CSV files, which spreadsheets open.

use std::borrow::Cow;

/// A cell of text. One that a spreadsheet would take for a formula gets an apostrophe before it, which says that it is none, and so does one that
/// begins like that already, so that no two texts become one; numbers stay numbers.
pub(super) fn csv_text(cell: &str) -> Cow<'_, str> {
    let of_sign = cell.trim_start_matches('\'');
    let is_formula = of_sign.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if is_formula { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::csv_text;

    #[test]
    fn formulas_are_text_and_numbers_are_numbers() {
        for formula in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "-", "-x"] {
            assert_eq!(csv_text(formula), format!("'{formula}"));
        }
        for text in ["", "wren", "-1", "+0.5", "-1e-3", "a=b", "'wren", "''"] {
            assert_eq!(csv_text(text), text);
        }
        for text in ["'=1", "''-x", "'-1"] {
            assert_eq!(csv_text(text), format!("'{text}"), "told apart from {text} with one less");
        }
    }
}
