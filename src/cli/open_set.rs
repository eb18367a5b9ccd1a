//! The measures of embeddings as text, JSON and figure.

use super::plot::{self, Curve, Panel, X};
use crate::Result;
use crate::data::Dataset;
use crate::metrics::identification::Cmc;
use crate::metrics::open_set::{OpenSet, OpenSetOptions, Verification, measure};
use crate::metrics::roc::Roc;
use ndarray::ArrayView2;
use serde_json::{Value, json};
use std::path::Path;

/// Rows times classes past which clustering takes longer than all the rest, and is left out unless it is asked for.
const MOST_TO_CLUSTER: usize = 100_000_000;

/// Whether clustering is no great matter.
pub(super) fn clusters_fast(data: &Dataset) -> bool {
    data.rows().saturating_mul(data.classes_present()) <= MOST_TO_CLUSTER
}

/// The measures of a training run on rows of unseen classes.
pub(super) fn measure_unseen(embeddings: ArrayView2<f32>, unseen: &Dataset) -> Result<OpenSet> {
    let options = OpenSetOptions { clusters: clusters_fast(unseen), ..OpenSetOptions::default() };
    measure(embeddings, unseen.labels.view(), &options)
}

/// A few lines for the terminal.
pub(super) fn text(measures: &OpenSet) -> String {
    let OpenSet { rows, classes, retrieval, nmi, all_pairs, given_pairs, enrolled, among_distractors } = measures;
    let mut lines = vec![format!("{rows} rows of {classes} classes, by cosine similarity")];
    let mut line = |name: &str, figures: Vec<String>| lines.push(format!("{name:<16} {}", figures.join("  ")));
    let recall = retrieval.recall.iter().map(|at| format!("R@{} {:.4}", at.k, at.recall));
    line("retrieval", recall.collect());
    let mut order =
        vec![format!("MAP@R {:.4}", retrieval.map_at_r), format!("R-precision {:.4}", retrieval.r_precision)];
    order.push(nmi.map_or("NMI left out".into(), |nmi| format!("NMI {nmi:.4}")));
    line("", order);
    let mut verification = |name: &str, roc: &Roc| {
        let Verification { genuine, impostors, auc, eer, tar_at_far, best } = roc.into();
        line(name, vec![format!("{genuine} genuine pairs, {impostors} impostors")]);
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
    verification("all pairs", &all_pairs.roc);
    if let Some((roc, _)) = given_pairs {
        verification("given pairs", roc);
    }
    if let Some((_, folds)) = given_pairs {
        let figures = format!("accuracy {:.4} ± {:.4} over {} folds", folds.mean, folds.std, folds.accuracies.len());
        line("  protocol", vec![figures]);
    }
    let mut identification = |name: &str, cmc: &Cmc| {
        let rates = [1, 5, 10].map(|rank| format!("rank {rank} {:.4}", cmc.rate_at(rank)));
        line(name, [vec![format!("{} searches", cmc.searches)], rates.to_vec()].concat());
    };
    identification("identification", enrolled);
    if let Some(cmc) = among_distractors {
        identification("  distractors", cmc);
    }
    lines.join("\n")
}

/// Every figure, and the cumulative match characteristics whole.
pub(super) fn json(measures: &OpenSet) -> Value {
    let OpenSet { rows, classes, retrieval, nmi, all_pairs, given_pairs, enrolled, among_distractors } = measures;
    let identification = |cmc: &Cmc| json!({ "searches": cmc.searches, "cmc": cmc.rates });
    let given_pairs = given_pairs.as_ref();
    json!({
        "rows": rows,
        "classes": classes,
        "retrieval": retrieval,
        "nmi": nmi,
        "all_pairs": Verification::from(&all_pairs.roc),
        "given_pairs": given_pairs.map(|(roc, folds)| json!({ "all": Verification::from(roc), "folds": folds })),
        "identification": identification(enrolled),
        "identification_among_distractors": among_distractors.as_ref().map(identification),
    })
}

/// Draws what one set of embeddings does, with the angles of its pairs.
pub(super) fn draw_one(path: &Path, title: &str, measures: &OpenSet) -> Result<()> {
    let mut panels = shared_panels(&[("all pairs and rows", measures)]);
    if let Some((roc, _)) = &measures.given_pairs {
        panels[0].curves.push(Curve { name: "given pairs".into(), points: roc_points(roc) });
    }
    if let Some(cmc) = &measures.among_distractors {
        panels[1].curves.push(Curve { name: "among distractors".into(), points: cmc_points(cmc) });
    }
    let angles = [("genuine pairs", &measures.all_pairs.genuine), ("impostors", &measures.all_pairs.impostors)];
    panels.push(Panel {
        title: "angles of pairs".into(),
        x: X::Angle,
        y_label: "share of pairs a degree".into(),
        curves: angles.map(|(name, angles)| Curve { name: name.into(), points: angles.shares(1) }).into(),
    });
    plot::draw(path, title, &panels)
}

/// Draws how several embeddings do on the same rows.
pub(super) fn draw_several(path: &Path, title: &str, measured: &[(&str, &OpenSet)]) -> Result<()> {
    let recall =
        |measures: &OpenSet| measures.retrieval.recall.iter().map(|at| (at.k as f64, at.recall)).collect::<Vec<_>>();
    let mut panels = vec![Panel {
        title: "Recall@k".into(),
        x: X::Rank,
        y_label: "share of rows that find their class".into(),
        curves: measured
            .iter()
            .map(|(name, measures)| Curve { name: (*name).into(), points: recall(measures) })
            .collect(),
    }];
    panels.extend(shared_panels(measured));
    plot::draw(path, title, &panels)
}

/// ROC and CMC, a curve an embedding.
fn shared_panels(measured: &[(&str, &OpenSet)]) -> Vec<Panel> {
    let curves = |points: &dyn Fn(&OpenSet) -> Vec<(f64, f64)>| {
        measured.iter().map(|(name, measures)| Curve { name: (*name).into(), points: points(measures) }).collect()
    };
    vec![
        Panel {
            title: "verification (ROC)".into(),
            x: X::FalseAcceptRate,
            y_label: "true accept rate".into(),
            curves: curves(&|measures| roc_points(&measures.all_pairs.roc)),
        },
        Panel {
            title: "identification (CMC)".into(),
            x: X::Rank,
            y_label: "share of searches".into(),
            curves: curves(&|measures| cmc_points(&measures.enrolled)),
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
