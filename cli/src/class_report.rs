//! What a comparison says of single classes: accuracies, and who is taken for whom.

use super::confusion_plot;
use super::csv_text::csv_text;
use super::table::Outcome;
use super::tell;
use super::terminal::escaped;
use arcos::data::{ClassTable, Label};
use arcos::metrics::confusion::Confusion;
use arcos::{Result, files::atomic_file};
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// What a report leaves; the second only if there are mistakes.
pub(super) const FILES: [&str; 2] = ["class_accuracy.csv", "confusions.png"];

/// Classes that the table on the terminal lists.
const LISTED: usize = 10;

/// Prints the hardest classes, and leaves `class_accuracy.csv` and `confusions.png` in `out`. Of each head this is its first run; outcomes
/// without a confusion are left out.
pub(super) fn report(classes: &ClassTable, outcomes: &[Outcome], out: &Path) -> Result<()> {
    let heads = outcomes.iter().filter_map(|outcome| Some((outcome.name.as_str(), outcome.confusion()?)));
    let heads: Vec<(&str, &Confusion)> = heads.collect();
    let Some((_, first)) = heads.first() else { return Ok(()) };
    let row = |class: usize| {
        let accuracies = heads.iter().map(|(_, confusion)| confusion.accuracy(class)).collect::<Option<Vec<f64>>>()?;
        Some(ClassRow { label: classes.label(class), name: named(classes, class), rows: first.rows(class), accuracies })
    };
    let mut rows: Vec<ClassRow> = (0..classes.len()).filter_map(row).collect();
    let names_of_heads: Vec<&str> = heads.iter().map(|&(name, _)| name).collect();
    let [csv, figure] = FILES.map(|name| out.join(name));
    write_csv(&csv, &names_of_heads, &rows)?;
    rows.sort_by(|a, b| a.mean().total_cmp(&b.mean()));
    rows.truncate(LISTED);
    tell(format_args!(
        "\nTest accuracy of the hardest classes; of all in {}\n\n{}",
        csv.display(),
        table(&names_of_heads, &rows)
    ));

    let best = outcomes.iter().filter_map(|outcome| {
        let accuracy = outcome.mean(|record| record.test_accuracy)?;
        Some((accuracy, &outcome.name, outcome.confusion()?))
    });
    let Some((_, head, confusion)) = best.max_by(|a, b| a.0.total_cmp(&b.0)) else { return Ok(()) };
    let names: Vec<String> = (0..classes.len()).map(|class| readable(&named(classes, class))).collect();
    if confusion_plot::draw(&figure, &format!("Most confused classes, {head}: test rows"), &names, confusion)? {
        tell(format_args!("\nconfusions of {head} in {}", figure.display()));
    }
    Ok(())
}

struct ClassRow<'a> {
    label: Label<'a>,
    name: Cow<'a, str>,
    /// Test rows.
    rows: usize,
    /// By head.
    accuracies: Vec<f64>,
}

impl ClassRow<'_> {
    fn mean(&self) -> f64 {
        self.accuracies.iter().sum::<f64>() / self.accuracies.len() as f64
    }
}

/// The name of a class, or its label where it has none.
pub(super) fn named(classes: &ClassTable, class: usize) -> Cow<'_, str> {
    classes.name(class).map_or_else(|| classes.label(class).to_string().into(), Cow::from)
}

/// `017.Northern_Cardinal` as one would write it.
pub(super) fn readable(name: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = name.split_once('.').filter(|(number, _)| is_number(number)).map_or(name, |(_, name)| name);
    escaped(&name.replace('_', " ")).into_owned()
}

fn write_csv(path: &Path, heads: &[&str], rows: &[ClassRow]) -> Result<()> {
    atomic_file::write(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        let heading = ["label", "class", "test_rows"].into_iter().chain(heads.iter().copied());
        writer.write_record(heading).map_err(io::Error::other)?;
        for row in rows {
            let fields =
                [csv_text(&row.label.to_string()).into_owned(), csv_text(&row.name).into_owned(), row.rows.to_string()];
            let fields = fields.into_iter().chain(row.accuracies.iter().map(f64::to_string));
            writer.write_record(fields.collect::<Vec<_>>()).map_err(io::Error::other)?;
        }
        writer.flush()
    })
}

fn table(heads: &[&str], rows: &[ClassRow]) -> String {
    let width = rows.iter().map(|row| readable(&row.name).chars().count()).max().unwrap_or(0).max(5);
    let heading: String = heads.iter().map(|head| format!("  {head:>8}")).collect();
    let heading = format!("{:<width$} {:>5}{heading}", "class", "rows");
    let rule = "-".repeat(heading.chars().count());
    let line = |row: &ClassRow| {
        let accuracies: String = heads
            .iter()
            .zip(&row.accuracies)
            .map(|(head, accuracy)| {
                let column = head.chars().count().max(8);
                format!("  {accuracy:>column$.4}")
            })
            .collect();
        format!("{:<width$} {:>5}{accuracies}", readable(&row.name), row.rows)
    };
    [heading, rule].into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn names_lose_their_numbers_and_underscores() {
        let names = ["017.Northern_Cardinal", "St._Bernard", ".x", "wren", "3.14_pie"].map(readable);
        assert_eq!(names, ["Northern Cardinal", "St. Bernard", ".x", "wren", "14 pie"]);
    }
}
