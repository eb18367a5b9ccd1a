//! How well a head tells rows of no class from known ones, as text and JSON.

use arcos::data::{Dataset, read_features};
use arcos::metrics::unknown_rows::UnknownRows;
use arcos::train::{AcceptanceScores, Model, Recognition};
use arcos::wording::counted;
use arcos::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// The measures, and how many unknown rows they are of.
pub(super) struct Recognized {
    pub unknown: usize,
    recognition: Recognition,
}

impl Recognized {
    /// The measures by the name of each score.
    pub fn by_score(&self) -> [(&'static str, &UnknownRows); 3] {
        let Recognition { logit, probability, energy } = &self.recognition;
        [("logit", logit), ("probability", probability), ("energy", energy)]
    }
}

/// The scores of all rows of a file.
pub(super) fn unknown_scores(model: &Model, unknown: &Path) -> Result<AcceptanceScores> {
    let features = read_features(unknown)?;
    let in_file = |error: Error| error.in_file(unknown);
    if features.rows().is_empty() {
        return Err(in_file(Error::Empty { what: "features", found: features.rows().shape().to_vec() }));
    }
    model.acceptance_scores(&features).map_err(in_file)
}

/// Of the labelled rows of `known` and of all rows of the file `unknown`.
pub(super) fn measure(model: &Model, known: &Dataset, unknown: &Path) -> Result<Recognized> {
    let scores = unknown_scores(model, unknown)?;
    Ok(Recognized { unknown: scores.classes.len(), recognition: model.recognition(known, &scores)? })
}

/// A line for each score.
pub(super) fn text(recognized: &Recognized) -> String {
    let line = |(name, measures): (&str, &UnknownRows)| {
        let UnknownRows { auroc, fpr_at_95_tpr, oscr } = measures;
        format!("by largest {name:<12} AUROC {auroc:.4}  FPR at 95 % TPR {fpr_at_95_tpr:.4}  OSCR {oscr:.4}")
    };
    let lines = recognized.by_score().map(line);
    format!("{} told from the known ones\n{}", counted(recognized.unknown, "unknown row"), lines.join("\n"))
}

pub(super) fn json(recognized: &Recognized) -> Value {
    let mut json = json!(recognized.recognition);
    json["rows"] = recognized.unknown.into();
    json
}
