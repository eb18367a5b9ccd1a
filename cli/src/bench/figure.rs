//! Time and memory against the number of classes.

use super::Report;
use super::contestants::Measured;
use crate::plot::{self, Curve, Panel, X};
use arcos::Result;
use arcos::wording::counted;
use std::path::Path;

pub(super) fn draw(path: &Path, reports: &[Report]) -> Result<()> {
    // At many classes some do not take part.
    let Some(fullest) = reports.iter().max_by_key(|report| report.results.len()) else { return Ok(()) };
    let Report { head, batch, dim, threads, product, .. } = fullest;
    let title = format!("{head}, B = {batch}, D = {dim}, {}, {product}", counted(*threads, "thread"));
    let panel = |title: &str, y_label: &str, value: fn(&Measured) -> Option<f64>| {
        let curve = |result: &Measured| {
            Curve::line(result.name, reports.iter().filter_map(|report| point(report, result.name, value)).collect())
        };
        let curves = fullest.results.iter().map(curve).collect();
        Panel { title: title.into(), x: X::Classes, y_label: y_label.into(), curves }
    };
    let panels = [
        panel("time of a step", "seconds", |result| Some(result.seconds)),
        panel("memory beyond features, weights, gradients", "MiB", visible_mib),
    ];
    plot::draw(path, &title, &panels)
}

/// Below 1 MiB what a process has resident says nothing, and on a logarithmic axis it would take up half the panel.
fn visible_mib(result: &Measured) -> Option<f64> {
    result.extra_mib.filter(|&mib| mib >= 1.0)
}

/// The number of classes and the value of one contestant.
fn point(report: &Report, name: &str, value: fn(&Measured) -> Option<f64>) -> Option<(f64, f64)> {
    let result = report.results.iter().find(|result| result.name == name)?;
    Some((report.classes as f64, value(result)?))
}
