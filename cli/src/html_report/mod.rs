//! One page on how a head does, for people: tables that sort by a click, figures, photographs of its surest mistakes. It needs no other file.

mod mistaken_rows;

use super::calibration::{self, AtTemperature};
use super::class_scores::ClassScores;
use super::recognition::Recognized;
use super::table::figure;
use super::terminal::escaped;
use arcos::Result;
use arcos::files::atomic_file;
use arcos::metrics::significance::standard_error;
use arcos::train::Evaluation;
use arcos::wording::counted;
use maud::{DOCTYPE, Markup, PreEscaped, html};
pub(super) use mistaken_rows::{MistakenRow, mistaken_rows};
use std::io::Write;
use std::path::{Path, PathBuf};

const STYLE: &str = include_str!("style.css");
const SORT: &str = include_str!("sort.js");

/// Classes and kinds of mistakes that the page lists: a browser takes seconds for more.
const MOST_LISTED: usize = 2000;

/// Where the page goes, as arguments.
#[derive(clap::Args)]
pub(super) struct ReportArgs {
    /// Leave one page for people here, an HTML file that needs no other: figures, tables that sort by a click, the surest mistakes
    #[arg(long, value_name = "FILE.html", conflicts_with_all = ["embeddings", "open_set", "pairs", "distractors", "nmi"])]
    pub report: Option<PathBuf>,
    /// The directory that photographs in the manifest are named from, CUB's images/ or what --folder was: the page then shows those of mistakes
    #[arg(long, value_name = "DIR", requires = "report")]
    pub photographs: Option<PathBuf>,
}

/// What is on the page.
pub(super) struct Page<'a> {
    pub title: &'a str,
    pub evaluation: &'a Evaluation,
    pub calibration: &'a [AtTemperature],
    pub classes: &'a ClassScores<'a>,
    pub recognized: Option<&'a Recognized>,
    /// The surest first, and how many there are in all.
    pub mistakes: (&'a [MistakenRow], usize),
}

impl Page<'_> {
    /// Writes the page, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let page = self.page(path)?.into_string();
        atomic_file::write(path, |file| file.write_all(page.as_bytes()))
    }

    fn page(&self, path: &Path) -> Result<Markup> {
        let reliability = calibration::svg(path, self.title, self.calibration)?;
        let confusions = self.classes.svg(path, self.title)?;
        Ok(html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    (self.figures())
                    @if let Some(recognized) = self.recognized { (of_unknown_rows(recognized)) }
                    h2 { "Do probabilities mean what they say?" }
                    (self.probabilities())
                    (PreEscaped(reliability))
                    h2 { "Classes" }
                    (self.of_classes())
                    @if let Some(confusions) = confusions {
                        h2 { "What is taken for what" }
                        (PreEscaped(confusions))
                        (self.of_mistakes())
                        h2 { "The surest mistakes" }
                        (self.rows())
                    } @else {
                        p { "No row is taken for another class than its own." }
                    }
                    script { (PreEscaped(SORT)) }
                }
            }
        })
    }

    fn figures(&self) -> Markup {
        let Evaluation { rows, loss, accuracy, top5_accuracy } = *self.evaluation;
        let error = standard_error(accuracy, rows);
        let averages = self.classes.averages();
        html! {
            table {
                tr { th { "accuracy" } td { (format!("{accuracy:.4} ± {error:.4}")) } td.note { "± standard error" } }
                tr { th { "top-5 accuracy" } td { (format!("{top5_accuracy:.4}")) } td {} }
                tr { th { "loss" } td { (figure(loss)) } td {} }
                @if let Some(averages) = averages {
                    tr { th { "balanced accuracy" } td { (share(averages.balanced_accuracy)) } td.note { "mean over classes of the share of its rows that are recognised" } }
                    tr { th { "precision" } td { (share(averages.precision)) } td.note { "mean over classes" } }
                    tr { th { "recall" } td { (share(averages.recall)) } td.note { "mean over classes" } }
                    tr { th { "F1" } td { (share(averages.f1)) } td.note { "mean over classes" } }
                }
            }
        }
    }

    fn probabilities(&self) -> Markup {
        html! {
            table {
                thead { tr { th { "temperature" } th.number { "NLL" } th.number { "Brier" } th.number { "ECE" } } }
                tbody {
                    @for at in self.calibration {
                        tr { td { (at.name()) } @for measure in at.measures() { td.number { (figure(measure)) } } }
                    }
                }
            }
        }
    }

    fn of_classes(&self) -> Markup {
        let hardest = self.classes.hardest();
        html! {
            (listed(hardest.len(), "class", "of lowest recall", "class_scores.csv"))
            table.sortable {
                thead {
                    tr {
                        @if self.classes.has_names() { th { "label" } } th { "class" } th.number { "rows" } th.number { "predicted" } th.number { "recall" }
                        th.number { "precision" } th.number { "F1" } th { "most taken for" } th.number { "times" }
                    }
                }
                tbody {
                    @for score in hardest.iter().take(MOST_LISTED) {
                        @let mistake = self.classes.mistake_of(score.class);
                        tr {
                            @if self.classes.has_names() { td { (escaped(&self.classes.label(score.class))) } }
                            td { (self.classes.readable_name(score.class)) }
                            td.number { (score.rows) }
                            td.number { (score.predicted) }
                            td.number { (score.recall().map_or(String::new(), share)) }
                            td.number { (score.precision().map_or(String::new(), share)) }
                            td.number { (share(score.f1())) }
                            td { @if let Some(mistake) = mistake { (self.classes.readable_name(mistake.predicted)) } }
                            td.number { @if let Some(mistake) = mistake { (mistake.rows) } }
                        }
                    }
                }
            }
        }
    }

    fn of_mistakes(&self) -> Markup {
        let mistakes = self.classes.mistakes();
        html! {
            (listed(mistakes.len(), "kind", "of mistake, the most frequent", "confusions.csv"))
            table.sortable {
                thead { tr { th { "is" } th { "taken for" } th.number { "rows" } } }
                tbody {
                    @for mistake in mistakes.iter().take(MOST_LISTED) {
                        tr {
                            td { (self.classes.readable_name(mistake.class)) }
                            td { (self.classes.readable_name(mistake.predicted)) }
                            td.number { (mistake.rows) }
                        }
                    }
                }
            }
        }
    }

    fn rows(&self) -> Markup {
        let (rows, all) = self.mistakes;
        let has_names = rows.iter().any(|row| row.photograph.is_some());
        let has_pictures = rows.iter().any(|row| row.picture.is_some());
        html! {
            p.note {
                "The " (counted(rows.len(), "row")) " of " (all) " taken for a wrong class with the highest probability; rows count from 0, as in the file of features. "
                "Some of the labels may be wrong rather than the head."
            }
            table.sortable {
                thead {
                    tr {
                        @if has_pictures { th { "photograph" } }
                        th.number { "row" }
                        @if has_names { th { "file" } }
                        th { "is" } th { "taken for" } th.number { "probability" }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @if has_pictures { td { @if let Some(picture) = &row.picture { img src=(picture) alt=""; } } }
                            td.number { (row.number) }
                            @if has_names { td { (escaped(row.photograph.as_deref().unwrap_or(""))) } }
                            td { (self.classes.readable_name(row.class)) }
                            td { (self.classes.readable_name(row.predicted)) }
                            td.number { (share(row.probability)) }
                        }
                    }
                }
            }
        }
    }
}

fn of_unknown_rows(recognized: &Recognized) -> Markup {
    html! {
        h2 { "Rows of none of the classes" }
        p.note { "How well each score tells the rows of the classes from " (counted(recognized.unknown, "unknown row")) "." }
        table {
            thead { tr { th { "largest" } th.number { "AUROC" } th.number { "FPR at 95 % TPR" } th.number { "OSCR" } } }
            tbody {
                @for (name, measures) in recognized.by_score() {
                    tr {
                        td { (name) }
                        td.number { (share(measures.auroc)) }
                        td.number { (share(measures.fpr_at_95_tpr)) }
                        td.number { (share(measures.oscr)) }
                    }
                }
            }
        }
    }
}

/// That a table has not all of them, where it has not.
fn listed(count: usize, noun: &str, which: &str, file: &str) -> Markup {
    html! {
        @if count > MOST_LISTED {
            p.note { "The " (counted(MOST_LISTED, noun)) " " (which) ", of " (count) "; with --out all are in " (file) "." }
        }
    }
}

fn share(value: f64) -> String {
    format!("{value:.4}")
}
