//! The table of `demo` and `compare`.

use crate::train::EpochRecord;

/// A head and its epochs.
pub(super) struct Outcome {
    pub head: &'static str,
    pub history: Vec<EpochRecord>,
}

/// One line a head: the last epoch, and the best test accuracy of any epoch.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut table = format!(
        "{:<16} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9}\n",
        "head", "test", "top-5", "test loss", "best", "train", "scale", "mean cos", "images/s"
    );
    table += &"-".repeat(table.len() - 1);
    for Outcome { head, history } in outcomes {
        let Some(last) = history.last() else { continue };
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
        let best = history.iter().filter_map(|record| record.test_accuracy).reduce(f64::max);
        let mut speeds: Vec<_> = history.iter().map(|record| record.images_per_second).collect();
        speeds.sort_by(f64::total_cmp);
        table += &format!(
            "\n{head:<16} {:>8} {:>8} {:>9} {:>8} {:>8.4} {:>8.3} {:>9} {:>9.0}",
            number(last.test_accuracy),
            number(last.test_top5_accuracy),
            number(last.test_loss),
            number(best),
            last.train_accuracy,
            last.scale,
            number(last.target_cosine),
            speeds[speeds.len() / 2],
        );
    }
    table
}
