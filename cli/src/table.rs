//! The tables of `demo` and `compare`.

use arcos::AnyHead;
use arcos::metrics::confusion::Confusion;
use arcos::metrics::open_set::OpenSet;
use arcos::metrics::roc::Roc;
use arcos::train::EpochRecord;

/// A head and its epochs.
pub(super) struct Outcome {
    /// The head's name and what was asked of it.
    pub name: String,
    pub head: AnyHead,
    pub history: Vec<EpochRecord>,
    /// On the test rows, where single classes are of interest.
    pub confusion: Option<Confusion>,
    /// On rows of classes that were not trained on, where there are some.
    pub open_set: Option<OpenSet>,
}

/// One line a head: the last epoch, the best test accuracy of any epoch, and the median speed; then the `others`, which there is only a
/// sentence on.
pub(super) fn table(outcomes: &[Outcome], others: &[(&str, String)]) -> String {
    let names = outcomes.iter().map(|outcome| outcome.name.as_str()).chain(others.iter().map(|&(name, _)| name));
    let longest = names.map(str::len).max().unwrap_or(0).max(15);
    let heading = format!(
        "{:<longest$} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "head", "test", "top-5", "test loss", "best", "train", "scale", "mean cos", "rows/s"
    );
    let sentences = others.iter().map(|(name, sentence)| format!("{name:<longest$} {sentence}"));
    ruled(heading, outcomes.iter().filter_map(|outcome| line(outcome, longest)).chain(sentences))
}

/// Lines under a heading and a rule.
fn ruled(heading: String, lines: impl Iterator<Item = String>) -> String {
    let rule = "-".repeat(heading.len());
    [heading, rule].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), figure)
}

fn line(Outcome { name, history, .. }: &Outcome, longest: usize) -> Option<String> {
    let last = history.last()?;
    let best = history.iter().filter_map(|record| record.test_accuracy).reduce(f64::max);
    let mut speeds: Vec<_> = history.iter().map(|record| record.rows_per_second).collect();
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

/// One line a head, by Recall@1 and then MAP@R on classes that were not trained on; `features` are the measures of what goes into all of
/// them.
pub(super) fn open_set_table(outcomes: &[Outcome], features: &OpenSet) -> String {
    let accuracy = |outcome: &Outcome| outcome.history.last().and_then(|record| record.test_accuracy);
    let measured = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.name.as_str(), accuracy(outcome), outcome.open_set.as_ref()?)));
    let mut rows: Vec<(&str, Option<f64>, &OpenSet)> = measured.collect();
    rows.push(("(features)", None, features));
    let recall_at = |measures: &OpenSet, k: usize| {
        let retrieval = measures.retrieval.as_ref().ok()?;
        retrieval.recall.iter().find(|at| at.k == k).map(|at| at.recall)
    };
    let map_at_r = |measures: &OpenSet| measures.retrieval.as_ref().ok().map(|retrieval| retrieval.map_at_r);
    let key = |measures: &OpenSet| (recall_at(measures, 1), map_at_r(measures));
    rows.sort_by(|a, b| key(b.2).partial_cmp(&key(a.2)).unwrap_or(std::cmp::Ordering::Equal));
    let longest = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).max(15);
    let heading = format!(
        "{:<longest$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "head", "R@1", "MAP@R", "R@8", "NMI", "AUC", "EER", "test"
    );
    let line = |&(name, accuracy, measures): &(&str, Option<f64>, &OpenSet)| {
        let OpenSet { nmi, all_pairs, .. } = measures;
        let roc = all_pairs.as_ref().ok().map(|pairs| &pairs.roc);
        format!(
            "{name:<longest$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            number(recall_at(measures, 1)),
            number(map_at_r(measures)),
            number(recall_at(measures, 8)),
            number(nmi.as_ref().and_then(|nmi| nmi.as_ref().ok().copied())),
            number(roc.map(Roc::auc)),
            number(roc.map(Roc::eer)),
            number(accuracy),
        )
    };
    ruled(heading, rows.iter().map(line))
}

/// A measured figure in four decimals, with an exponent where it is so large that they would say nothing.
pub(super) fn figure(value: f64) -> String {
    if value.abs() < 1e6 { format!("{value:.4}") } else { format!("{value:.4e}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_stay_short() {
        let figures = [0.0, 1.38629, 999_999.0, 6.533e29, f64::NAN, f64::NEG_INFINITY].map(super::figure);
        assert_eq!(figures, ["0.0000", "1.3863", "999999.0000", "6.5330e29", "NaN", "-inf"]);
    }
}
