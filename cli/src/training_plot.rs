//! The figure of one training run: how angles and scale went.

use super::plot::{self, Curve, Panel, X};
use arcos::Result;
use arcos::metrics::angles::AngleHistogram;
use arcos::train::{StepRecord, read_steps, read_target_angles};
use std::path::Path;

/// Points of a curve, at most: more than this are averaged.
const MOST_POINTS: usize = 500;

/// Draws `training.png` into a run directory, from what is logged there: the angles between training rows and their class vectors at the
/// beginning, in the middle and at the end, their mean and median over steps, and the scale over steps.
pub(super) fn draw(directory: &Path, title: &str) -> Result<()> {
    let (steps, epochs) = (read_steps(directory)?, read_target_angles(directory)?);
    let mut shown = vec![0, epochs.len() / 2, epochs.len().saturating_sub(1)];
    shown.dedup();
    let distributions = shown
        .into_iter()
        .filter_map(|index| epochs.get(index))
        .map(|(epoch, angles)| Curve::line(format!("epoch {epoch}"), angles.shares(degrees_a_step(angles))));
    let over_steps =
        |name: &str, value: &dyn Fn(&StepRecord) -> Option<f64>| Curve::line(name, averaged(&steps, value));
    let degrees = |angle: Option<f64>| angle.map(f64::to_degrees);
    let panel =
        |title: &str, x, y_label: &str, curves| Panel { title: title.into(), x, y_label: y_label.into(), curves };
    let mut panels = vec![
        panel("angles to the right class", X::Angle, "share of rows a degree", distributions.collect()),
        panel(
            "angle to the right class",
            X::Iterations,
            "degrees",
            vec![
                over_steps("mean", &|step| degrees(step.target_angle)),
                over_steps("median", &|step| degrees(step.median_target_angle)),
            ],
        ),
        panel("scale", X::Iterations, "scale s", vec![over_steps("scale", &|step| Some(step.scale))]),
    ];
    // Softmax has no angles where a class vector is zero.
    panels.iter_mut().for_each(|panel| panel.curves.retain(|curve| !curve.points.is_empty()));
    panels.retain(|panel| !panel.curves.is_empty());
    plot::draw(&directory.join("training.png"), title, &panels)
}

/// Of few rows, a share for each degree would be noise.
fn degrees_a_step(angles: &AngleHistogram) -> usize {
    if angles.total() < 10_000 { 4 } else { 1 }
}

/// A value of each step, or means of as many steps as it takes.
fn averaged(steps: &[StepRecord], value: &dyn Fn(&StepRecord) -> Option<f64>) -> Vec<(f64, f64)> {
    let size = steps.len().div_ceil(MOST_POINTS).max(1);
    let mean = |(number, steps): (usize, &[StepRecord])| {
        let values: Vec<f64> = steps.iter().filter_map(value).collect();
        let middle = (number * size) as f64 + (steps.len() + 1) as f64 / 2.0;
        (!values.is_empty()).then(|| (middle, values.iter().sum::<f64>() / values.len() as f64))
    };
    steps.chunks(size).enumerate().filter_map(mean).collect()
}
