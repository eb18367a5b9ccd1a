//! Figures: panels side by side, a curve a head or a method.

use super::canvas::{self, Area, COLOURS, DrawResult, FONT, canvas, draw_file};
use arcos::Result;
use plotters::prelude::*;
use std::path::Path;

/// One set of axes.
pub(super) struct Panel {
    pub title: String,
    pub x: X,
    pub y_label: String,
    pub curves: Vec<Curve>,
}

/// What runs from left to right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum X {
    /// Epochs from 0, both axes linear.
    Epochs,
    /// Steps from 0, both axes linear.
    Iterations,
    /// Degrees, both axes linear.
    Angle,
    /// Nearest rows, or rows of a gallery, from 0, both axes linear.
    Rank,
    /// Probabilities from 0 to 1, both axes linear.
    Confidence,
    /// False accept rates, logarithmic; the other axis linear.
    FalseAcceptRate,
    /// Numbers of classes, both axes logarithmic.
    Classes,
}

impl X {
    fn label(self) -> &'static str {
        match self {
            Self::Epochs => "epoch",
            Self::Iterations => "iteration",
            Self::Angle => "angle, degrees",
            Self::Rank => "rank",
            Self::Confidence => "confidence",
            Self::FalseAcceptRate => "false accept rate",
            Self::Classes => "classes",
        }
    }

    fn is_logarithmic(self) -> bool {
        matches!(self, Self::FalseAcceptRate | Self::Classes)
    }

    fn begins_at_0(self) -> bool {
        matches!(self, Self::Epochs | Self::Iterations | Self::Rank | Self::Confidence)
    }

    /// Whether the first values may be left out to make room for the rest.
    fn is_time(self) -> bool {
        matches!(self, Self::Epochs | Self::Iterations)
    }
}

/// One head's values over epochs, or one method's over numbers of classes.
pub(super) struct Curve {
    pub name: String,
    /// (x, y)
    pub points: Vec<(f64, f64)>,
    /// (x, from, to) of a band around the curve; empty where there is none.
    pub band: Vec<(f64, f64, f64)>,
}

impl Curve {
    /// A curve without a band.
    pub fn line(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, band: Vec::new() }
    }
}

const PANEL_WIDTH: u32 = 620;
const HEIGHT: u32 = 560;
const TITLE_HEIGHT: u32 = 64;
const LEGEND_ROW_HEIGHT: u32 = 34;

/// Draws `panels` side by side into a PNG. A name has one colour in all panels.
///
/// # Errors
/// [`Error::Io`](arcos::Error::Io) if the file cannot be written.
pub(super) fn draw(path: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    draw_file(path, || draw_panels(title, panels))
}

/// What [`draw`] draws, as SVG for the file `path`.
pub(super) fn svg(path: &Path, title: &str, panels: &[Panel]) -> Result<String> {
    canvas::drawn(path, || draw_panels(title, panels))
}

/// A name in the legend and the width of its entry in pixels.
type Entry<'a> = (&'a str, i32);

fn draw_panels(title: &str, panels: &[Panel]) -> DrawResult<String> {
    let mut names: Vec<&str> = Vec::new();
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    let style = |name: &str| {
        let number = names.iter().position(|known| *known == name).unwrap_or(0);
        Line { colour: COLOURS[number % COLOURS.len()], dashed: number >= COLOURS.len() }
    };

    let width = PANEL_WIDTH * panels.len() as u32;
    let legend_rows = legend_rows(&names, width)?;
    let legend_height = LEGEND_ROW_HEIGHT * (legend_rows.len() as u32 + 1);
    canvas((width, HEIGHT + legend_height), |root| {
        let root = root.margin(10, 0, 0, 0).titled(title, (FONT, 30))?;
        let (plots, legend) = root.split_vertically(HEIGHT - TITLE_HEIGHT);
        for (area, panel) in plots.split_evenly((1, panels.len())).iter().zip(panels) {
            draw_panel(area, panel, &style)?;
        }
        draw_legend(&legend, &legend_rows, &style)
    })
}

#[derive(Clone, Copy)]
struct Line {
    colour: RGBColor,
    dashed: bool,
}

fn draw_panel(area: &Area, panel: &Panel, style: &dyn Fn(&str) -> Line) -> DrawResult {
    // Logarithmic axes are linear ones of exponents.
    let of_x = |value: f64| if panel.x.is_logarithmic() { value.log10() } else { value };
    let of_y = |value: f64| if panel.x == X::Classes { value.log10() } else { value };
    let finite = |curve: &Curve| -> Vec<(f64, f64)> {
        let points = curve.points.iter().map(|&(x, y)| (of_x(x), of_y(y)));
        points.filter(|(x, value)| x.is_finite() && value.is_finite()).collect()
    };
    let curves: Vec<_> = panel.curves.iter().map(|curve| (style(&curve.name), finite(curve))).collect();
    let bands = || {
        panel.curves.iter().map(|curve| {
            let edges = curve.band.iter().map(|&(x, from, to)| (of_x(x), of_y(from), of_y(to)));
            let edges = edges.filter(|(x, from, to)| [x, from, to].iter().all(|value| value.is_finite()));
            (style(&curve.name), edges.collect::<Vec<_>>())
        })
    };
    let points = || curves.iter().flat_map(|(_, points)| points);
    let of_bands = bands().flat_map(|(_, edges)| edges).flat_map(|(_, from, to)| [from, to]);
    let values: Vec<_> = points().map(|&(_, value)| value).chain(of_bands).collect();
    let (left, right) = match panel.x {
        x if x.begins_at_0() => (0.0, points().map(|&(x, _)| x).fold(1.0, f64::max) * 1.02),
        _ => whole_range(points().map(|&(x, _)| x)),
    };
    let (bottom, top) = match panel.x {
        X::Classes => whole_range(values.into_iter()),
        x => value_range(values, x.is_time()),
    };

    // Enough to tell eight labels apart.
    let decimals = (1.0 - ((top - bottom) / 8.0).log10()).clamp(0.0, 4.0) as usize;
    let whole = |value: &f64| value.fract() == 0.0;
    let power = |exponent: &f64| if whole(exponent) { short(10f64.powf(*exponent)) } else { String::new() };
    let x_format = |x: &f64| match panel.x {
        x_axis if x_axis.is_logarithmic() => power(x),
        X::Confidence => format!("{x:.1}"),
        _ if whole(x) => format!("{x}"),
        _ => String::new(),
    };
    let y_format = |y: &f64| if panel.x == X::Classes { power(y) } else { format!("{y:.decimals$}") };

    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(&panel.title, (FONT, 24))
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(left..right, bottom..top)?;
    chart
        .configure_mesh()
        .x_desc(panel.x.label())
        .y_desc(&panel.y_label)
        .x_labels(7)
        .y_labels(8)
        .x_label_formatter(&x_format)
        .y_label_formatter(&y_format)
        .label_style((FONT, 20))
        .axis_desc_style((FONT, 22))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    for (Line { colour, .. }, edges) in bands() {
        let edge = |x: f64, y: f64| (x, y.clamp(bottom, top));
        let upper = edges.iter().map(|&(x, _, to)| edge(x, to));
        let outline: Vec<_> = upper.chain(edges.iter().rev().map(|&(x, from, _)| edge(x, from))).collect();
        if edges.len() > 1 {
            chart.draw_series([Polygon::new(outline, colour.mix(0.2))])?;
        }
    }
    for (Line { colour, dashed }, points) in curves {
        let stroke = colour.stroke_width(3);
        // A point below the axis would be drawn on it, and a line across the gap would be no curve of this head.
        for run in points.split(|&(_, value)| value < bottom) {
            match run {
                [] => {}
                &[point] if dashed => drop(chart.draw_series([Circle::new(point, 5, stroke)])?),
                &[point] => drop(chart.draw_series([Circle::new(point, 5, colour.filled())])?),
                run if dashed => drop(chart.draw_series(DashedLineSeries::new(run.to_vec(), 9, 6, stroke))?),
                run => drop(chart.draw_series(LineSeries::new(run.to_vec(), stroke))?),
            }
        }
    }
    Ok(())
}

/// The axis of a panel: all values, with some room; of values over time without the lowest tenth, the first epochs of curves that
/// rise, where those would leave little room for the rest.
fn value_range(mut values: Vec<f64>, over_time: bool) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(&low), Some(&top)) = (values.get(values.len() / 10), values.last()) else { return (0.0, 1.0) };
    let lowest = values[0];
    // A handful of points has no outliers.
    let bottom = if !over_time || values.len() < 20 || (top - lowest) < 4.0 * (top - low) { lowest } else { low };
    let room = (0.06 * (top - bottom)).max(0.01 * top.abs()).max(1e-3);
    (bottom - room, top + room)
}

/// From below the smallest value to above the largest.
fn whole_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high { (0.0, 1.0) } else { (low - 0.1, high + 0.1) }
}

/// A power of ten in few characters.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    }
}

/// Length of a line in the legend, and the room around a name.
const SAMPLE: i32 = 44;
const SPACING: i32 = 34;

fn legend_font() -> FontDesc<'static> {
    (FONT, 23).into_font()
}

/// The names with their widths, in as many rows as it takes.
fn legend_rows<'a>(names: &[&'a str], width: u32) -> DrawResult<Vec<Vec<Entry<'a>>>> {
    let mut rows: Vec<Vec<Entry>> = Vec::new();
    let mut left = 0;
    for &name in names {
        let entry_width = legend_font().box_size(name)?.0 as i32 + SAMPLE + SPACING;
        match rows.last_mut() {
            Some(row) if entry_width <= left => row.push((name, entry_width)),
            _ => {
                left = width as i32;
                rows.push(vec![(name, entry_width)]);
            }
        }
        left -= entry_width;
    }
    Ok(rows)
}

fn draw_legend(area: &Area, rows: &[Vec<Entry>], style: &dyn Fn(&str) -> Line) -> DrawResult {
    let (width, _) = area.dim_in_pixel();
    for (row, entries) in rows.iter().enumerate() {
        let y = 20 + row as i32 * LEGEND_ROW_HEIGHT as i32;
        let mut x = (width as i32 - entries.iter().map(|&(_, entry_width)| entry_width).sum::<i32>()).max(0) / 2;
        for &(name, entry_width) in entries {
            let Line { colour, dashed } = style(name);
            let stroke = colour.stroke_width(4);
            for start in (0..SAMPLE).step_by(if dashed { 16 } else { SAMPLE as usize }) {
                let end = if dashed { (start + 10).min(SAMPLE) } else { SAMPLE };
                area.draw(&PathElement::new(vec![(x + start, y), (x + end, y)], stroke))?;
            }
            area.draw(&Text::new(name, (x + SAMPLE + 8, y - 12), legend_font()))?;
            x += entry_width;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_one_epoch_nine_heads_and_gaps() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let curve = |head: usize, epochs: usize| {
            let value = |epoch| if epoch == 3 { f64::NAN } else { head as f64 };
            let points = (1..=epochs).map(|epoch| (epoch as f64, value(epoch)));
            let band = points.clone().filter(|_| head == 1).map(|(x, y)| (x, y - 0.3, y + 0.3));
            Curve { name: format!("head {head}"), points: points.collect(), band: band.collect() }
        };
        let panel = |heads: usize, epochs| Panel {
            title: "accuracy".into(),
            x: X::Epochs,
            y_label: "share".into(),
            curves: (0..heads).map(|head| curve(head, epochs)).collect(),
        };
        for (name, panels) in
            [("one.png", vec![panel(1, 1)]), ("nine.png", vec![panel(9, 5), panel(0, 5), panel(2, 40)])]
        {
            let path = directory.path().join(name);
            draw(&path, "a title", &panels).expect("drawn");
            let bytes = std::fs::read(&path).expect("written");
            assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5_000, "{name}: {} bytes", bytes.len());
        }
    }

    #[test]
    fn draws_logarithmic_axes() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("classes.png");
        let points = [1e3, 1e4, 1e6].map(|classes| (classes, classes / 1e5)).to_vec();
        let curves = vec![Curve::line("streaming", points)];
        let panel = Panel { title: "time".into(), x: X::Classes, y_label: "seconds".into(), curves };
        draw(&path, "a title", &[panel]).expect("drawn");
        assert!(std::fs::read(&path).expect("written").starts_with(b"\x89PNG"));
        assert_eq!([0.001, 1.0, 10.0, 1e3, 1e6].map(short), ["0.001", "1", "10", "1k", "1M"]);
    }

    #[test]
    fn a_long_legend_takes_more_rows_and_none_is_too_wide() {
        let names: Vec<String> = (0..9).map(|head| format!("arcface:margin=0.{head}:past-pi=continuous")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        crate::canvas::register_fonts();
        let rows = legend_rows(&names, 1860).expect("a font");
        assert!(rows.len() > 1);
        assert!(rows.iter().all(|row| row.iter().map(|&(_, width)| width).sum::<i32>() <= 1860));
        assert_eq!(rows.iter().flatten().map(|&(name, _)| name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn the_axis_leaves_the_first_epochs_out() {
        let rising: Vec<f64> =
            (0..40).map(|epoch| if epoch == 0 { 0.0 } else { 0.8 + 0.001 * f64::from(epoch) }).collect();
        let (bottom, top) = value_range(rising, true);
        assert!(bottom > 0.75 && top < 0.9, "{bottom} to {top}");
        assert_eq!(value_range(vec![], true), (0.0, 1.0));
    }
}
