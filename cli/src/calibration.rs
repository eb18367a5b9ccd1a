//! Do the probabilities of a head mean what they say, as text, JSON and figure.

use super::plot::{self, Curve, Panel, X};
use super::table::figure;
use arcos::Result;
use arcos::data::Dataset;
use arcos::metrics::calibration::{BINS, Calibration, ConfidenceBin};
use arcos::train::Model;
use serde_json::{Value, json};
use std::path::Path;

/// What the probabilities at a temperature are like.
pub(super) struct AtTemperature {
    temperature: f64,
    calibration: Calibration,
}

impl AtTemperature {
    /// NLL, Brier score and expected calibration error.
    pub fn measures(&self) -> [f64; 3] {
        [self.calibration.nll(), self.calibration.brier(), self.calibration.ece()]
    }

    pub fn name(&self) -> String {
        of_temperature(self.temperature)
    }
}

/// `T = `, in as many digits as say something.
pub(super) fn of_temperature(temperature: f64) -> String {
    match temperature {
        0.01..1e4 => format!("T = {temperature:.4}"),
        _ => format!("T = {temperature:.3e}"),
    }
}

/// Of the model's probabilities at T = 1 and, where it has one, at its own temperature.
pub(super) fn measure(model: &Model, data: &Dataset) -> Result<Vec<AtTemperature>> {
    let measured = |temperature| Ok(AtTemperature { temperature, calibration: model.calibration(data, temperature)? });
    [Some(1.0), model.temperature].into_iter().flatten().map(measured).collect()
}

/// A line each.
pub(super) fn text(measured: &[AtTemperature]) -> String {
    let line = |at: &AtTemperature| {
        let [nll, brier, ece] = at.measures().map(figure);
        format!("probabilities at {}: NLL {nll}  Brier {brier}  ECE {ece}", at.name())
    };
    measured.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Each with the bins of its reliability diagram; those without rows have no accuracy.
pub(super) fn json(measured: &[AtTemperature]) -> Value {
    let of_bin = |bin: &ConfidenceBin| {
        json!({
            "rows": bin.rows,
            "accuracy": share(bin.correct as f64, bin),
            "confidence": share(bin.confidence, bin),
        })
    };
    let of_one = |AtTemperature { temperature, calibration }: &AtTemperature| {
        json!({
            "temperature": temperature,
            "nll": calibration.nll(),
            "brier": calibration.brier(),
            "ece": calibration.ece(),
            "bins": calibration.bins().iter().map(of_bin).collect::<Vec<_>>(),
        })
    };
    measured.iter().map(of_one).collect()
}

/// A sum over the rows of a bin as a mean.
fn share(sum: f64, bin: &ConfidenceBin) -> Option<f64> {
    (bin.rows > 0).then(|| sum / bin.rows as f64)
}

/// Draws accuracy over confidence, and how many rows each bin has.
pub(super) fn draw(path: &Path, title: &str, measured: &[AtTemperature]) -> Result<()> {
    plot::draw(path, title, &panels(measured))
}

/// What [`draw`] draws, as SVG for the file `path`.
pub(super) fn svg(path: &Path, title: &str, measured: &[AtTemperature]) -> Result<String> {
    plot::svg(path, title, &panels(measured))
}

fn panels(measured: &[AtTemperature]) -> [Panel; 2] {
    let accuracy = |at: &AtTemperature| {
        let bins = at.calibration.bins().iter();
        let points = bins.filter_map(|bin| Some((share(bin.confidence, bin)?, share(bin.correct as f64, bin)?)));
        Curve::line(at.name(), points.collect())
    };
    let rows = |at: &AtTemperature| {
        let edge = |bin: usize| bin as f64 / BINS as f64;
        let bins = at.calibration.bins().iter().enumerate();
        let steps = bins.flat_map(|(bin, of_bin)| [edge(bin), edge(bin + 1)].map(|x| (x, of_bin.rows as f64)));
        Curve::line(at.name(), steps.collect())
    };
    let calibrated = Curve::line("as right as sure", vec![(0.0, 0.0), (1.0, 1.0)]);
    [
        Panel {
            title: "reliability".into(),
            x: X::Confidence,
            y_label: "accuracy".into(),
            curves: measured.iter().map(accuracy).chain([calibrated]).collect(),
        },
        Panel {
            title: "rows by confidence".into(),
            x: X::Confidence,
            y_label: "rows".into(),
            curves: measured.iter().map(rows).collect(),
        },
    ]
}
