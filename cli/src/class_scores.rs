//! How well a head tells each class from all others: text, JSON, files.

use super::class_report::{named, readable};
use super::csv_text::csv_text;
use super::{confusion_plot, outputs};
use arcos::data::ClassTable;
use arcos::metrics::confusion::{ClassAverages, ClassScore, Confusion, Mistake};
use arcos::{Result, files::atomic_file};
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// What is left of each class, of each mistake, and drawn of the most frequent ones.
pub(super) const FILES: [&str; 3] = ["class_scores.csv", "confusions.csv", "confusions.png"];

/// Classes that the text lists.
const LISTED: usize = 5;

/// What a head takes the rows of each class for.
pub(super) struct ClassScores<'a> {
    classes: &'a ClassTable,
    confusion: Confusion,
    scores: Vec<ClassScore>,
    /// The most frequent first.
    mistakes: Vec<Mistake>,
    /// For each class the place of its most frequent mistake.
    first_mistakes: Vec<Option<usize>>,
}

impl<'a> ClassScores<'a> {
    pub fn new(classes: &'a ClassTable, confusion: Confusion) -> Self {
        let mistakes = confusion.mistakes();
        let mut first_mistakes = vec![None; classes.len()];
        for (place, mistake) in mistakes.iter().enumerate().rev() {
            first_mistakes[mistake.class] = Some(place);
        }
        Self { classes, scores: confusion.scores(), mistakes, first_mistakes, confusion }
    }

    /// Averages over classes in one line and, where there are mistakes, the classes of lowest recall.
    pub fn text(&self) -> String {
        let averages = self.averages().map(|averages| {
            format!(
                "means over classes: balanced accuracy {:.4}  precision {:.4}  recall {:.4}  F1 {:.4}",
                averages.balanced_accuracy, averages.precision, averages.recall, averages.f1
            )
        });
        averages.into_iter().chain(self.hardest_text()).collect::<Vec<_>>().join("\n")
    }

    /// By the names that the averages have elsewhere.
    pub fn json(&self) -> Value {
        self.confusion.averages().map_or(Value::Null, |averages| {
            json!({
                "balanced_accuracy": averages.balanced_accuracy,
                "macro_precision": averages.precision,
                "macro_recall": averages.recall,
                "macro_f1": averages.f1,
            })
        })
    }

    /// Means over classes, where there are any.
    pub fn averages(&self) -> Option<ClassAverages> {
        self.confusion.averages()
    }

    /// The classes that have rows or were predicted, that of lowest recall first; those without rows last.
    pub fn hardest(&self) -> Vec<&ClassScore> {
        let mut hardest: Vec<&ClassScore> = self.scores.iter().collect();
        let recall = |score: &ClassScore| score.recall().unwrap_or(f64::INFINITY);
        hardest.sort_by(|a, b| recall(a).total_cmp(&recall(b)).then(b.rows.cmp(&a.rows)));
        hardest
    }

    /// The mistakes, the most frequent first.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The name of a class, or its label, as one would write it.
    pub fn readable_name(&self, class: usize) -> String {
        readable(&named(self.classes, class))
    }

    /// The matrix of the most confused classes, as SVG for the file `path`, where there are mistakes.
    pub fn svg(&self, path: &Path, title: &str) -> Result<Option<String>> {
        confusion_plot::svg(path, &figure_title(title), &self.names(), &self.confusion)
    }

    fn names(&self) -> Vec<String> {
        (0..self.classes.len()).map(|class| self.readable_name(class)).collect()
    }

    fn hardest_text(&self) -> Option<String> {
        let mut hardest = self.hardest();
        hardest.retain(|score| score.rows > score.correct);
        hardest.truncate(LISTED);
        let names: Vec<String> = hardest.iter().map(|score| self.readable_name(score.class)).collect();
        let width = names.iter().map(|name| name.chars().count()).max()?.max(15);
        let heading = format!("{:<width$} {:>6}  recall  precision  taken for", "hardest classes", "rows");
        let line = |(score, name): (&&ClassScore, &String)| {
            let precision = score.precision().map_or("-".into(), |precision| format!("{precision:.4}"));
            let mistake = self.mistake_of(score.class).expect("it has a row that is not predicted right");
            let taken_for = self.readable_name(mistake.predicted);
            let (rows, recall, times) = (score.rows, score.recall().unwrap_or(0.0), mistake.rows);
            format!("{name:<width$} {rows:>6}  {recall:.4}  {precision:>9}  {taken_for} ({times})")
        };
        Some([heading].into_iter().chain(hardest.iter().zip(&names).map(line)).collect::<Vec<_>>().join("\n"))
    }

    /// What a class is taken for most often, where it is taken for another.
    pub fn mistake_of(&self, class: usize) -> Option<&Mistake> {
        self.first_mistakes[class].map(|place| &self.mistakes[place])
    }

    /// Writes [`FILES`] into a directory; without mistakes no figure is drawn, and none of before stays.
    pub fn leave(&self, directory: &Path, title: &str) -> Result<()> {
        let [scores, confusions, figure] = FILES.map(|name| directory.join(name));
        atomic_file::write(&scores, |file| self.write_scores(file))?;
        atomic_file::write(&confusions, |file| self.write_mistakes(file))?;
        match confusion_plot::draw(&figure, &figure_title(title), &self.names(), &self.confusion)? {
            true => Ok(()),
            false => outputs::remove(&figure),
        }
    }

    fn write_scores(&self, file: impl io::Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(file);
        let heading = ["label", "name", "rows", "predicted_rows", "recall", "precision", "f1"];
        let heading = heading.into_iter().chain(["most_taken_for", "taken_for_rows"]);
        writer.write_record(heading).map_err(io::Error::other)?;
        let share = |share: Option<f64>| share.map_or(String::new(), |share| share.to_string());
        for score in &self.scores {
            let mistake = self.mistake_of(score.class);
            let cells = [
                self.csv_label(score.class),
                csv_text(self.classes.name(score.class).unwrap_or("")).into_owned(),
                score.rows.to_string(),
                score.predicted.to_string(),
                share(score.recall()),
                share(score.precision()),
                score.f1().to_string(),
                mistake.map_or(String::new(), |mistake| self.csv_label(mistake.predicted)),
                mistake.map_or(0, |mistake| mistake.rows).to_string(),
            ];
            writer.write_record(cells).map_err(io::Error::other)?;
        }
        writer.flush()
    }

    fn write_mistakes(&self, file: impl io::Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["label", "predicted_label", "rows"]).map_err(io::Error::other)?;
        for &Mistake { class, predicted, rows } in &self.mistakes {
            let cells = [self.csv_label(class), self.csv_label(predicted), rows.to_string()];
            writer.write_record(cells).map_err(io::Error::other)?;
        }
        writer.flush()
    }

    /// Whether classes have names beside their labels.
    pub fn has_names(&self) -> bool {
        self.classes.has_names_beside_labels()
    }

    /// The label of a class.
    pub fn label(&self, class: usize) -> String {
        self.classes.label(class).to_string()
    }

    fn csv_label(&self, class: usize) -> String {
        csv_text(&self.label(class)).into_owned()
    }
}

fn figure_title(title: &str) -> String {
    format!("Most confused classes, {title}")
}
