//! The figure of a comparison.

use super::plot::{Curve, Panel, X};
use super::table::Outcome;
use arcos::heads::Scale;
use arcos::metrics::significance::mean_and_deviation;
use arcos::train::EpochRecord;
use arcos::{AnyHead, Head};

/// The panels of the Keras project's figure: accuracy, the scale of AdaCos, the mean cosine of the correct label. A panel that no
/// head has a curve for is left out.
pub(super) fn panels(outcomes: &[Outcome]) -> Vec<Panel> {
    let panel = |title: &str, y_label: &str, value: &dyn Fn(&Outcome, &EpochRecord) -> Option<f64>| Panel {
        title: title.into(),
        x: X::Epochs,
        y_label: y_label.into(),
        curves: outcomes.iter().filter_map(|outcome| curve(outcome, value)).collect(),
    };
    let records = || outcomes.iter().flat_map(|outcome| &outcome.runs).flat_map(|run| &run.history);
    let has_test = records().any(|record| record.test_accuracy.is_some());
    let is_adacos = |head: &AnyHead| matches!(head.scale(), Scale::AdaCos { .. } | Scale::FixedAdaCos);
    let accuracy = if has_test { "test accuracy" } else { "training accuracy" };
    let mut panels = vec![
        panel("accuracy", accuracy, &|_, record| match has_test {
            true => record.test_accuracy,
            false => Some(record.train_accuracy),
        }),
        panel("scale of AdaCos", "scale s", &|outcome, record| is_adacos(&outcome.head).then_some(record.scale)),
        panel("mean cosine of the correct label", "cosine, training rows", &|_, record| record.target_cosine),
    ];
    panels.retain(|panel| !panel.curves.is_empty());
    panels
}

/// The mean over the runs, and a band of a standard deviation to either side where there are several.
fn curve(outcome: &Outcome, value: &dyn Fn(&Outcome, &EpochRecord) -> Option<f64>) -> Option<Curve> {
    let epochs = outcome.runs.iter().map(|run| run.history.len()).min().unwrap_or(0);
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for epoch in 0..epochs {
        let records = outcome.runs.iter().map(|run| &run.history[epoch]);
        let Some(values) = records.map(|record| value(outcome, record)).collect::<Option<Vec<f64>>>() else { continue };
        let (mean, deviation) = mean_and_deviation(&values);
        let x = (epoch + 1) as f64;
        points.push((x, mean));
        band.extend(deviation.map(|deviation| (x, mean - deviation, mean + deviation)));
    }
    (!points.is_empty()).then(|| Curve { name: outcome.name.clone(), points, band })
}
