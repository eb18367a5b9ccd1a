//! Which rows are of no class of the head, as arguments.

use super::complain;
use super::recognition::unknown_scores;
use arcos::heads::Row;
use arcos::metrics::rejection::{Rejection, rejection};
use arcos::ops::Angle;
use arcos::train::{AcceptanceScores, Model};
use arcos::wording::counted;
use arcos::{AnyHead, Error, Head, Result};
use std::path::PathBuf;

/// Which rows are accepted as of one of the classes.
#[derive(clap::Args)]
#[command(next_help_heading = "Unknown rows")]
pub(super) struct RejectionArgs {
    /// Say of each row in a column `accepted` whether it is of one of the classes at all: it is where its score is above a threshold that at most this share of the rows of --unknown
    /// is above
    #[arg(long, value_name = "RATE", requires = "unknown", value_parser = share, allow_negative_numbers = true)]
    reject_far: Option<f64>,
    /// Features of rows of none of the classes
    #[arg(long, value_name = "FILE", requires = "reject_far")]
    pub unknown: Option<PathBuf>,
    #[arg(long, conflicts_with = "reject_far", help = reject_negative_help())]
    reject_negative: bool,
    /// The score [default: logit]
    #[arg(long, value_enum, value_name = "SCORE", requires = "reject_far")]
    reject_by: Option<Score>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Score {
    /// The largest logit: of cosine heads, in the order of the largest cosines
    Logit,
    /// The largest probability
    Probability,
    /// T ln Σ exp(z / T)
    Energy,
}

impl Score {
    fn of(self, scores: &AcceptanceScores) -> &[f64] {
        match self {
            Self::Logit => &scores.logits,
            Self::Probability => &scores.probabilities,
            Self::Energy => &scores.energies,
        }
    }
}

/// What rows are accepted by.
pub(super) struct Acceptance {
    score: Score,
    threshold: f64,
}

impl Acceptance {
    /// Whether each of the rows is of one of the classes.
    pub fn of(&self, scores: &AcceptanceScores) -> Vec<bool> {
        self.score.of(scores).iter().map(|&score| score > self.threshold).collect()
    }
}

impl RejectionArgs {
    /// Finds the threshold, where there is to be one, and says what it lets through.
    pub fn acceptance(&self, model: &Model) -> Result<Option<Acceptance>> {
        if self.reject_negative {
            if !has_own_threshold(&model.head) {
                let expected = "a head that trains a threshold of s cosθ; --reject-far goes with any".into();
                return Err(Error::Setting {
                    name: "--reject-negative",
                    value: format!("given for {}", model.head.name()),
                    expected,
                });
            }
            return Ok(Some(Acceptance { score: Score::Logit, threshold: 0.0 }));
        }
        let (Some(rate), Some(unknown)) = (self.reject_far, &self.unknown) else { return Ok(None) };
        let score = self.reject_by.unwrap_or(Score::Logit);
        let scores = unknown_scores(model, unknown)?;
        let Rejection { threshold, accepted, interval: (low, high) } =
            rejection(score.of(&scores), rate).map_err(|error| error.in_file(unknown))?;
        complain(format_args!(
            "rows are accepted above {threshold}: {accepted} of {} are, which makes a false accept rate of {low:.4} to {high:.4} (95 %)",
            counted(scores.classes.len(), "unknown row")
        ));
        Ok(Some(Acceptance { score, threshold }))
    }
}

/// Whether a head trains a threshold of the logits that `predict` sees: where it changes those of others in training, that is of the changed ones.
fn has_own_threshold(head: &AnyHead) -> bool {
    let row = Row { angle: Angle { cos: 0.5, sin: 0.75_f64.sqrt() }, norm: 1.0, weight_norm: 1.0, class: 0, number: 0 };
    let state: Vec<f64> = head.state().iter().map(|value| value.first).collect();
    head.loss().has_threshold() && head.others(&row, &state).is_none()
}

fn reject_negative_help() -> String {
    let has_threshold = |name: &&str| AnyHead::new(name, &[]).is_ok_and(|head| has_own_threshold(&head));
    let heads: Vec<_> = AnyHead::names().filter(has_threshold).collect();
    format!(
        "The same by a threshold that the head has trained, of {}: rows whose largest logit is above 0 are accepted. No other rows are needed, but at large scales few are rejected",
        heads.join(" and ")
    )
}

fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a number above 0 and below 1".into()),
    }
}
