//! The table of `demo` and `compare`.

use crate::Head;
use crate::metrics::confusion::Confusion;
use crate::train::EpochRecord;

/// A head and its epochs.
pub(super) struct Outcome {
    /// The head's name and what was asked of it.
    pub name: String,
    pub head: Head,
    pub history: Vec<EpochRecord>,
    /// On the test rows, where single classes are of interest.
    pub confusion: Option<Confusion>,
}

/// One line a head: the last epoch, the best test accuracy of any epoch, and the median speed.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let longest = outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0).max(15);
    let heading = format!(
        "{:<longest$} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "head", "test", "top-5", "test loss", "best", "train", "scale", "mean cos", "images/s"
    );
    let rule = "-".repeat(heading.len());
    let lines = outcomes.iter().filter_map(|outcome| line(outcome, longest));
    [heading, rule].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn line(Outcome { name, history, .. }: &Outcome, longest: usize) -> Option<String> {
    let last = history.last()?;
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    let best = history.iter().filter_map(|record| record.test_accuracy).reduce(f64::max);
    let mut speeds: Vec<_> = history.iter().map(|record| record.images_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    Some(format!(
        "{name:<longest$} {:>8} {:>8} {:>9} {:>8} {:>8.4} {:>8.3} {:>8} {:>9.0}",
        number(last.test_accuracy),
        number(last.test_top5_accuracy),
        number(last.test_loss),
        number(best),
        last.train_accuracy,
        last.scale,
        number(last.target_cosine),
        speeds[speeds.len() / 2],
    ))
}
