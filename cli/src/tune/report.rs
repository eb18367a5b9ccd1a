//! What a search leaves, and says.

use super::super::csv_text::csv_text;
use super::super::outputs;
use super::super::table::ruled;
use super::heat_map::HeatMap;
use super::record::Record;
use super::space::{Candidate, decay_of};
use arcos::train::{CandidateScore, SearchResult};
use arcos::wording::number;
use arcos::{Result, files::atomic_file};
use std::io;
use std::path::Path;

const CANDIDATES: &str = "candidates.csv";
const FIGURE: &str = "scale_margin.png";
/// All files but those of the run.
pub(super) const FILES: [&str; 3] = [Record::FILE, CANDIDATES, FIGURE];

/// Candidates that the table on the terminal lists.
const LISTED: usize = 10;

/// Leaves the scores of all candidates, and the figure where scales or margins were varied.
pub(super) fn leave(out: &Path, candidates: &[Candidate], found: &SearchResult) -> Result<()> {
    atomic_file::write(&out.join(CANDIDATES), |file| {
        let mut writer = csv::Writer::from_writer(file);
        let of_candidate = ["head", "transform", "learning_rate", "weight_decay", "batch_size", "epochs"];
        let heading = of_candidate.into_iter().chain(["folds", "failed", "accuracy", "standard_error", "chosen"]);
        writer.write_record(heading).map_err(io::Error::other)?;
        for score in &found.scores {
            let error = score.standard_error.map_or(String::new(), |error| error.to_string());
            let Candidate { head, transform, config, .. } = &candidates[score.candidate];
            let chosen = (score.candidate == found.chosen).to_string();
            let counts = [config.batch_size, config.epochs, score.splits, score.failed].map(|count| count.to_string());
            let rates = [config.learning_rate, decay_of(config)].map(number);
            let texts = [csv_text(head).into_owned(), (*transform).into()].into_iter().chain(rates);
            let cells = texts.chain(counts).chain([score.accuracy.to_string(), error, chosen]);
            writer.write_record(cells.collect::<Vec<_>>()).map_err(io::Error::other)?;
        }
        writer.flush()
    })?;
    let figure = out.join(FIGURE);
    match HeatMap::of(candidates, found) {
        Some(map) => map.draw(&figure),
        None => outputs::remove(&figure),
    }
}

/// The best candidates in a table, and the chosen one if it is not among them.
pub(super) fn text(candidates: &[Candidate], found: &SearchResult) -> String {
    let is_chosen = |score: &CandidateScore| score.candidate == found.chosen;
    let listed = found.scores.iter().take(LISTED);
    let chosen = found.scores.iter().skip(LISTED).filter(|score| is_chosen(score));
    let lines = listed.chain(chosen).map(|score| {
        let error = score.standard_error.map_or("-".into(), |error| format!("{error:.4}"));
        let mark = if is_chosen(score) { "*" } else { " " };
        let options = &candidates[score.candidate].options;
        format!("{mark} {:>5} {:>8.4} {error:>8}  {options}", score.splits, score.accuracy)
    });
    let table = ruled(format!("  {:>5} {:>8} {:>8}  {}", "folds", "accuracy", "± error", "options"), lines);
    format!("\n{table}\n\n* the simplest within one standard error of the best; of all in {CANDIDATES}\n")
}
