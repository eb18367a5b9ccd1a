//! The measures of embeddings as text, JSON and figure.

use super::plot::{self, Curve, Panel, X};
use arcos::Result;
use arcos::data::Dataset;
use arcos::metrics::identification::Cmc;
use arcos::metrics::open_set::{OpenSet, OpenSetOptions, Undefined, Verification, measure};
use arcos::metrics::roc::Roc;
use arcos::metrics::verification::AllPairs;
use arcos::ops::IGNORE_LABEL;
use arcos::wording::counted;
use ndarray::{ArrayView1, ArrayView2};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;

/// Rows times classes past which clustering takes longer than all the rest, and is left out unless it is asked for.
const MOST_TO_CLUSTER: usize = 100_000_000;

/// Whether clustering rows with these labels is no great matter.
pub(super) fn clusters_fast(labels: ArrayView1<i64>) -> bool {
    let classes: HashSet<i64> = labels.iter().copied().filter(|&label| label != IGNORE_LABEL).collect();
    labels.len().saturating_mul(classes.len()) <= MOST_TO_CLUSTER
}

/// The measures of a training run on rows of unseen classes.
pub(super) fn measure_unseen(embeddings: ArrayView2<f32>, unseen: &Dataset) -> Result<OpenSet> {
    let options = OpenSetOptions { clusters: clusters_fast(unseen.labels.view()), ..OpenSetOptions::default() };
    let measures = measure(embeddings, unseen.labels.view(), &options);
    measures.map_err(|error| unseen.located(error, "embeddings", |row| row))
}

/// What was measured; rows without labels have no classes.
pub(super) fn rows_of_classes(&OpenSet { rows, classes, .. }: &OpenSet) -> String {
    match classes {
        0 => counted(rows, "row"),
        classes => format!("{} of {}", counted(rows, "row"), counted(classes, "class")),
    }
}

/// Measures of pairs alone, which rows without labels have.
const OF_PAIRS: [&str; 2] = ["given_pairs", "folds"];

/// A few lines for the terminal. Of rows without labels it is not said that what is of classes is not defined.
pub(super) fn text(measures: &OpenSet) -> String {
    let OpenSet { retrieval, nmi, all_pairs, given_pairs, enrolled, among_distractors, .. } = measures;
    let mut lines = vec![format!("{}, by cosine similarity", rows_of_classes(measures))];
    let mut line = |name: &str, figures: Vec<String>| lines.push(format!("{name:<16} {}", figures.join("  ")));
    let mut order = Vec::new();
    if let Ok(retrieval) = retrieval {
        let recall = retrieval.recall.iter().map(|at| format!("R@{} {:.4}", at.k, at.recall));
        line("retrieval", recall.collect());
        order = vec![format!("MAP@R {:.4}", retrieval.map_at_r), format!("R-precision {:.4}", retrieval.r_precision)];
    }
    match nmi {
        Some(Ok(nmi)) => order.push(format!("NMI {nmi:.4}")),
        Some(Err(_)) => {}
        None => order.push("NMI left out".into()),
    }
    if retrieval.is_ok() || matches!(nmi, Some(Ok(_))) {
        line(if retrieval.is_ok() { "" } else { "clusters" }, order);
    }
    let mut verification = |name: &str, roc: &Roc| {
        let Verification { genuine, impostors, auc, eer, tar_at_far, best } = roc.into();
        line(name, vec![format!("{}, {}", counted(genuine, "genuine pair"), counted(impostors, "impostor"))]);
        let threshold = match best.threshold.is_finite() {
            true => format!("at cosine {:.4}", best.threshold),
            false => "by rejecting all".into(),
        };
        let best = format!("accuracy {:.4} {threshold}", best.accuracy);
        line("", vec![format!("AUC {auc:.4}"), format!("EER {eer:.4}"), best]);
        let rates = tar_at_far.into_iter().map(|(far, tar)| {
            let tar = tar.map_or("-".into(), |tar| format!("{tar:.4}"));
            format!("{tar} at {far:e}")
        });
        line("  TAR at FAR", rates.collect());
    };
    if let Ok(all_pairs) = all_pairs {
        verification("all pairs", &all_pairs.roc);
    }
    if let Some((Ok(roc), _)) = given_pairs {
        verification("given pairs", roc);
    }
    if let Some((_, Ok(folds))) = given_pairs {
        let figures =
            format!("accuracy {:.4} ± {:.4} over {}", folds.mean, folds.std, counted(folds.accuracies.len(), "fold"));
        line("  protocol", vec![figures]);
    }
    let mut identification = |name: &str, cmc: &Cmc| {
        let rates = [1, 5, 10].map(|rank| format!("rank {rank} {:.4}", cmc.rate_at(rank)));
        line(name, [vec![counted(cmc.searches, "search")], rates.to_vec()].concat());
    };
    if let Ok(cmc) = enrolled {
        identification("identification", cmc);
    }
    if let Some(Ok(cmc)) = among_distractors {
        identification("  distractors", cmc);
    }
    let is_asked = |(name, _): &(&str, &Undefined)| measures.classes > 0 || OF_PAIRS.contains(name);
    let undefined = measures.undefined().into_iter().filter(is_asked);
    lines.extend(undefined.map(|(name, Undefined(reason))| format!("{:<16} {reason}", name.replace('_', " "))));
    lines.join("\n")
}

/// Every figure, and the cumulative match characteristics whole. Measures that are not defined are null, and `undefined` says why.
pub(super) fn json(measures: &OpenSet) -> Value {
    let OpenSet { rows, classes, retrieval, nmi, all_pairs, given_pairs, enrolled, among_distractors } = measures;
    let identification = |cmc: &Cmc| json!({ "searches": cmc.searches, "cmc": cmc.rates });
    let of_distractors = among_distractors.as_ref().and_then(|cmc| cmc.as_ref().ok());
    let given_pairs = given_pairs
        .as_ref()
        .map(|(roc, folds)| json!({ "all": roc.as_ref().ok().map(Verification::from), "folds": folds.as_ref().ok() }));
    let undefined: Map<String, Value> =
        measures.undefined().into_iter().map(|(name, reason)| (name.into(), reason.0.as_str().into())).collect();
    json!({
        "rows": rows,
        "classes": classes,
        "retrieval": retrieval.as_ref().ok(),
        "nmi": nmi.as_ref().and_then(|nmi| nmi.as_ref().ok()),
        "all_pairs": all_pairs.as_ref().ok().map(|pairs| Verification::from(&pairs.roc)),
        "given_pairs": given_pairs,
        "identification": enrolled.as_ref().ok().map(identification),
        "identification_among_distractors": of_distractors.map(identification),
        "undefined": undefined,
    })
}

/// Draws what one set of embeddings does, with the angles of its pairs.
pub(super) fn draw_one(path: &Path, title: &str, measures: &OpenSet) -> Result<()> {
    let mut panels = shared_panels(&[("all pairs and rows", measures)]);
    if let Some((Ok(roc), _)) = &measures.given_pairs {
        panels[0].curves.push(Curve::line("given pairs", roc_points(roc)));
    }
    if let Some(Ok(cmc)) = &measures.among_distractors {
        panels[1].curves.push(Curve::line("among distractors", cmc_points(cmc)));
    }
    if let Ok(AllPairs { genuine, impostors, .. }) = &measures.all_pairs {
        let angles = [("genuine pairs", genuine), ("impostors", impostors)];
        panels.push(Panel {
            title: "angles of pairs".into(),
            x: X::Angle,
            y_label: "share of pairs a degree".into(),
            curves: angles.map(|(name, angles)| Curve::line(name, angles.shares(1))).into(),
        });
    }
    panels.retain(|panel| !panel.curves.is_empty());
    plot::draw(path, title, &panels)
}

/// Draws how several embeddings do on the same rows.
pub(super) fn draw_several(path: &Path, title: &str, measured: &[(&str, &OpenSet)]) -> Result<()> {
    let recall = |measures: &OpenSet| {
        let recall = measures.retrieval.iter().flat_map(|retrieval| &retrieval.recall);
        recall.map(|at| (at.k as f64, at.recall)).collect::<Vec<_>>()
    };
    let mut panels = vec![Panel {
        title: "Recall@k".into(),
        x: X::Rank,
        y_label: "share of rows that find their class".into(),
        curves: curves(measured, &recall),
    }];
    panels.extend(shared_panels(measured));
    panels.retain(|panel| !panel.curves.is_empty());
    plot::draw(path, title, &panels)
}

/// A curve for each embedding of which the measure is defined.
fn curves(measured: &[(&str, &OpenSet)], points: &dyn Fn(&OpenSet) -> Vec<(f64, f64)>) -> Vec<Curve> {
    let curves = measured.iter().map(|(name, measures)| Curve::line(*name, points(measures)));
    curves.filter(|curve| !curve.points.is_empty()).collect()
}

/// ROC and CMC, a curve an embedding.
fn shared_panels(measured: &[(&str, &OpenSet)]) -> Vec<Panel> {
    let of_pairs = |measures: &OpenSet| measures.all_pairs.as_ref().map_or(Vec::new(), |pairs| roc_points(&pairs.roc));
    let of_enrolled = |measures: &OpenSet| measures.enrolled.as_ref().map_or(Vec::new(), cmc_points);
    vec![
        Panel {
            title: "verification (ROC)".into(),
            x: X::FalseAcceptRate,
            y_label: "true accept rate".into(),
            curves: curves(measured, &of_pairs),
        },
        Panel {
            title: "identification (CMC)".into(),
            x: X::Rank,
            y_label: "share of searches".into(),
            curves: curves(measured, &of_enrolled),
        },
    ]
}

/// The curve at 400 rates, evenly spread over the logarithm, from that of one impostor.
fn roc_points(roc: &Roc) -> Vec<(f64, f64)> {
    const RATES: usize = 400;
    let lowest = 1.0 / roc.impostors() as f64;
    let rate = |step: usize| lowest.powf(1.0 - step as f64 / RATES as f64);
    let mut points = roc.points().peekable();
    let mut reached = 0.0;
    let mut at = |rate: f64| {
        while let Some((_, tar)) = points.next_if(|&(far, _)| far <= rate * (1.0 + 1e-12)) {
            reached = tar;
        }
        (rate, reached)
    };
    (0..=RATES).map(rate).map(&mut at).collect()
}

fn cmc_points(cmc: &Cmc) -> Vec<(f64, f64)> {
    cmc.rates.iter().enumerate().map(|(index, &rate)| ((index + 1) as f64, rate)).collect()
}
