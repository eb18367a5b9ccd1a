//! The tables of `demo` and `compare`.

use super::baselines::Baseline;
use arcos::AnyHead;
use arcos::metrics::confusion::Confusion;
use arcos::metrics::open_set::OpenSet;
use arcos::metrics::roc::Roc;
use arcos::metrics::significance::{Standing, mean_and_deviation};
use arcos::train::EpochRecord;

/// A head and what came of training it.
pub(super) struct Outcome {
    /// The head's name and what was asked of it.
    pub name: String,
    pub head: AnyHead,
    /// One for each seed; at least one.
    pub runs: Vec<RunOutcome>,
}

/// One run of a head.
pub(super) struct RunOutcome {
    pub history: Vec<EpochRecord>,
    /// Which labelled test rows it has right, if there are any.
    pub right: Option<Vec<bool>>,
    /// On the test rows, where single classes are of interest.
    pub confusion: Option<Confusion>,
    /// On rows of classes that were not trained on, where there are some.
    pub open_set: Option<OpenSet>,
}

impl Outcome {
    /// The mean over the runs of a figure of their last epochs, if all have it.
    pub fn mean(&self, figure: impl Fn(&EpochRecord) -> Option<f64>) -> Option<f64> {
        let figures = self.runs.iter().map(|run| figure(run.history.last()?));
        let figures = figures.collect::<Option<Vec<f64>>>()?;
        Some(mean_and_deviation(&figures).0)
    }

    /// The confusion of the first run.
    pub fn confusion(&self) -> Option<&Confusion> {
        self.runs.first()?.confusion.as_ref()
    }

    /// Training rows a second: the median of all epochs.
    fn speed(&self) -> f64 {
        let records = self.runs.iter().flat_map(|run| &run.history);
        let mut speeds: Vec<_> = records.map(|record| record.rows_per_second).collect();
        speeds.sort_by(f64::total_cmp);
        speeds.get(speeds.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// One line a head and a baseline; then the `others`, which there is only a sentence on. `standings` are of the heads and then of the baselines; empty
/// without test rows.
pub(super) fn table(
    outcomes: &[Outcome],
    baselines: &[Baseline],
    standings: &[Standing],
    others: &[(&str, String)],
) -> String {
    let names = outcomes.iter().map(|outcome| outcome.name.as_str());
    let names = names.chain(baselines.iter().map(|baseline| baseline.name.as_str()));
    let names = names.chain(others.iter().map(|&(name, _)| name));
    let longest = names.map(str::len).max().unwrap_or(0).max(15);
    let has_seeds = outcomes.iter().any(|outcome| outcome.runs.len() > 1);
    let test = |standing: Option<&Standing>| {
        let deviation = standing.and_then(|standing| standing.deviation);
        let deviation = deviation.map_or(String::new(), |deviation| format!("± {deviation:.4}"));
        let deviation = if has_seeds { format!(" {deviation:<8}") } else { String::new() };
        let accuracy = number(standing.map(|standing| standing.accuracy));
        format!("{accuracy:>8}{deviation} {:>8}", standing.map_or("-".into(), verdict))
    };
    let seeds = if has_seeds { " ± seeds " } else { "" };
    let heading = format!(
        "{:<longest$} {:>8}{seeds} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8} {:>9}",
        "head", "test", "vs best", "top-5", "test loss", "train", "scale", "mean cos", "rows/s"
    );
    let of_heads = outcomes.iter().enumerate().map(|(place, outcome)| {
        let mean = |figure: fn(&EpochRecord) -> Option<f64>| number(outcome.mean(figure));
        format!(
            "{:<longest$} {} {:>8} {:>9} {:>8} {:>8} {:>8} {:>9.0}",
            outcome.name,
            test(standings.get(place)),
            mean(|record| record.test_top5_accuracy),
            mean(|record| record.test_loss),
            mean(|record| Some(record.train_accuracy)),
            outcome.mean(|record| Some(record.scale)).map_or("-".into(), |scale| format!("{scale:.3}")),
            mean(|record| record.target_cosine),
            outcome.speed(),
        )
    });
    let of_baselines = baselines.iter().enumerate().map(|(place, baseline)| {
        let standing = standings.get(outcomes.len() + place);
        format!("{:<longest$} {}", baseline.name, test(standing)).trim_end().to_owned()
    });
    let sentences = others.iter().map(|(name, sentence)| format!("{name:<longest$} {sentence}"));
    ruled(heading, of_heads.chain(of_baselines).chain(sentences))
}

/// Differences from the best that chance makes at least so often are no differences.
pub(super) const SIGNIFICANCE: f64 = 0.05;

/// How a classifier stands beside the best, in eight characters.
fn verdict(standing: &Standing) -> String {
    match standing.p_value {
        None if standing.accuracy.is_nan() => "-".into(),
        None => "best".into(),
        Some(p_value) if p_value > SIGNIFICANCE => format!("= {p_value:.2}"),
        Some(p_value) if p_value < 0.001 => "<0.001".into(),
        Some(p_value) => format!("{p_value:.3}"),
    }
}

/// Lines under a heading and a rule.
pub(super) fn ruled(heading: String, lines: impl Iterator<Item = String>) -> String {
    let rule = "-".repeat(heading.len());
    [heading, rule].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), figure)
}

/// One line a head, by Recall@1 and then MAP@R on classes that were not trained on, means over the runs; `features` are the measures of what goes
/// into all of them.
pub(super) fn open_set_table(outcomes: &[Outcome], features: &OpenSet) -> String {
    let mut rows: Vec<(&str, Option<f64>, Vec<&OpenSet>)> = Vec::new();
    for outcome in outcomes {
        let measured: Vec<&OpenSet> = outcome.runs.iter().filter_map(|run| run.open_set.as_ref()).collect();
        if !measured.is_empty() {
            rows.push((&outcome.name, outcome.mean(|record| record.test_accuracy), measured));
        }
    }
    rows.push(("(features)", None, vec![features]));
    let mean = |measured: &[&OpenSet], figure: &dyn Fn(&OpenSet) -> Option<f64>| {
        let figures = measured.iter().map(|measures| figure(measures)).collect::<Option<Vec<f64>>>()?;
        Some(mean_and_deviation(&figures).0)
    };
    let recall_at = |measured: &[&OpenSet], k: usize| {
        mean(measured, &|measures| {
            let retrieval = measures.retrieval.as_ref().ok()?;
            retrieval.recall.iter().find(|at| at.k == k).map(|at| at.recall)
        })
    };
    let map_at_r = |measured: &[&OpenSet]| {
        mean(measured, &|measures| measures.retrieval.as_ref().ok().map(|retrieval| retrieval.map_at_r))
    };
    let key = |measured: &[&OpenSet]| (recall_at(measured, 1), map_at_r(measured));
    rows.sort_by(|a, b| key(&b.2).partial_cmp(&key(&a.2)).unwrap_or(std::cmp::Ordering::Equal));
    let longest = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).max(15);
    let heading = format!(
        "{:<longest$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "head", "R@1", "MAP@R", "R@8", "NMI", "AUC", "EER", "test"
    );
    let of_pairs = |figure: fn(&Roc) -> f64| {
        move |measures: &OpenSet| measures.all_pairs.as_ref().ok().map(|pairs| figure(&pairs.roc))
    };
    let line = |(name, accuracy, measured): &(&str, Option<f64>, Vec<&OpenSet>)| {
        format!(
            "{name:<longest$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            number(recall_at(measured, 1)),
            number(map_at_r(measured)),
            number(recall_at(measured, 8)),
            number(mean(measured, &|measures| measures.nmi.as_ref()?.as_ref().ok().copied())),
            number(mean(measured, &of_pairs(Roc::auc))),
            number(mean(measured, &of_pairs(Roc::eer))),
            number(*accuracy),
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
