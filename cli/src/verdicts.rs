//! Which differences of a comparison are more than luck.

use super::baselines::Baseline;
use super::csv_text::csv_text;
use super::table::{Outcome, SIGNIFICANCE};
use arcos::data::Dataset;
use arcos::metrics::significance::{Standing, standard_error, standings};
use arcos::ops::IGNORE_LABEL;
use arcos::train::EpochRecord;
use arcos::wording::counted;
use arcos::{Result, files::atomic_file};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// What training accuracy rises by over a tenth of the epochs where training is not at its end.
const STILL_LEARNING: f64 = 0.01;

/// How heads, and then baselines, stand beside the best of them; nothing without test rows.
pub(super) fn standings_of(outcomes: &[Outcome], baselines: &[Baseline]) -> Vec<Standing> {
    let of_head = |outcome: &Outcome| outcome.runs.iter().map(|run| run.right.clone()).collect::<Option<Vec<_>>>();
    let Some(mut right) = outcomes.iter().map(of_head).collect::<Option<Vec<_>>>() else { return Vec::new() };
    right.extend(baselines.iter().map(|baseline| vec![baseline.right.clone()]));
    standings(&right)
}

/// How to read the table: how sure an accuracy is, and what guessing gives.
pub(super) fn explained(test: &Dataset, standings: &[Standing], seeds: u64) -> String {
    let mut rows_of_class: HashMap<i64, usize> = HashMap::new();
    let labelled = test.labels.iter().filter(|&&label| label != IGNORE_LABEL);
    labelled.for_each(|&label| *rows_of_class.entry(label).or_default() += 1);
    let rows: usize = rows_of_class.values().sum();
    let guessing = rows_of_class.values().max().map_or(0.0, |&most| most as f64 / rows as f64);
    let best = standings.iter().map(|standing| standing.accuracy).fold(0.0, f64::max);
    let error = standard_error(best, rows);
    let mut lines = vec![format!(
        "{}: the standard error of {best:.4} is {error:.4}; always guessing the most frequent class gives {guessing:.4}",
        counted(rows, "test row")
    )];
    if seeds > 1 {
        lines.push(format!("test is the mean over {seeds} seeds, ± their standard deviation"));
    }
    let alike =
        standings.iter().filter(|standing| standing.p_value.is_some_and(|p_value| p_value > SIGNIFICANCE)).count();
    if alike > 0 {
        lines.push(format!(
            "= not told from the best by these rows ({alike} of {}; exact sign test, Holm's correction, {SIGNIFICANCE})",
            standings.len() - 1
        ));
    }
    lines.join("\n")
}

/// A remark on each head that had not come to its end: whose accuracy on training rows still rose over the last tenth of the epochs.
pub(super) fn still_learning(outcomes: &[Outcome]) -> Vec<String> {
    let remark = |outcome: &Outcome| {
        let epochs = outcome.runs.iter().map(|run| run.history.len()).min()?;
        let last = (epochs / 10).max(1);
        let before = epochs.checked_sub(last + 1)?;
        let mean = |epoch: usize| {
            let accuracies = outcome.runs.iter().map(|run| run.history[epoch].train_accuracy);
            accuracies.sum::<f64>() / outcome.runs.len() as f64
        };
        let (from, to) = (mean(before), mean(epochs - 1));
        (to - from > STILL_LEARNING).then(|| {
            format!(
                "{} was still learning: its training accuracy rose from {from:.3} to {to:.3} over the last {}; more --epochs or a higher \
                 --learning-rate may change its place",
                outcome.name,
                counted(last, "epoch")
            )
        })
    };
    outcomes.iter().filter_map(remark).collect()
}

/// Writes the table for spreadsheets and papers.
pub(super) fn write_csv(
    path: &Path,
    outcomes: &[Outcome],
    baselines: &[Baseline],
    standings: &[Standing],
) -> Result<()> {
    const HEADING: [&str; 11] = [
        "name",
        "kind",
        "runs",
        "test_accuracy",
        "deviation_over_runs",
        "standard_error",
        "p_value_against_best",
        "test_top5_accuracy",
        "test_loss",
        "train_accuracy",
        "scale",
    ];
    let cell = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let test_rows = outcomes.iter().find_map(|outcome| Some(outcome.runs.first()?.right.as_ref()?.len()));
    let line = |name: &str, kind: &str, runs: usize, standing: Option<&Standing>, further: [Option<f64>; 4]| {
        let accuracy = standing.map(|standing| standing.accuracy);
        let figures = [
            accuracy,
            standing.and_then(|standing| standing.deviation),
            accuracy.zip(test_rows).map(|(accuracy, rows)| standard_error(accuracy, rows)),
            standing.and_then(|standing| standing.p_value),
        ];
        let texts = [csv_text(name).into_owned(), kind.into(), runs.to_string()];
        texts.into_iter().chain(figures.into_iter().chain(further).map(cell)).collect::<Vec<String>>()
    };
    let of_heads = outcomes.iter().enumerate().map(|(place, outcome)| {
        let means: [fn(&EpochRecord) -> Option<f64>; 4] = [
            |record| record.test_top5_accuracy,
            |record| record.test_loss,
            |record| Some(record.train_accuracy),
            |record| Some(record.scale),
        ];
        let further = means.map(|figure| outcome.mean(figure));
        line(&outcome.name, "head", outcome.runs.len(), standings.get(place), further)
    });
    let of_baselines = baselines
        .iter()
        .enumerate()
        .map(|(place, baseline)| line(&baseline.name, "baseline", 1, standings.get(outcomes.len() + place), [None; 4]));
    let lines: Vec<_> = of_heads.chain(of_baselines).collect();
    atomic_file::write(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(HEADING).map_err(io::Error::other)?;
        lines.iter().try_for_each(|line| writer.write_record(line)).map_err(io::Error::other)?;
        writer.flush()
    })
}
