//! The figure of `demo` and `compare`: panels side by side, a curve a head.

use crate::{Error, Result};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;

/// One set of axes.
pub(super) struct Panel {
    pub title: String,
    pub y_label: String,
    pub curves: Vec<Curve>,
}

/// One head's values over epochs.
pub(super) struct Curve {
    pub name: String,
    /// (epoch, value)
    pub points: Vec<(f64, f64)>,
}

const PANEL_WIDTH: u32 = 620;
const HEIGHT: u32 = 620;
const TITLE_HEIGHT: u32 = 64;
const LEGEND_HEIGHT: u32 = 58;
const FONT: &str = "sans-serif";

/// Okabe and Ito's colours, which the colour-blind can tell apart, without the faint yellow.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Draws `panels` side by side into a PNG. A name has one colour in all panels.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub(super) fn draw(path: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    // Fonts are a program's own here: system fonts would need system libraries. Registering one twice does no harm.
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    register_font(FONT, FontStyle::Normal, font).unwrap_or_else(|_| unreachable!("the font is well-formed"));
    draw_panels(path, title, panels).map_err(|error| Error::io("draw", path, std::io::Error::other(error.to_string())))
}

type DrawResult = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw_panels(path: &Path, title: &str, panels: &[Panel]) -> DrawResult {
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

    let size = (PANEL_WIDTH * panels.len() as u32, HEIGHT);
    let root = BitMapBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.margin(10, 0, 0, 0).titled(title, (FONT, 30))?;
    let (plots, legend) = root.split_vertically(HEIGHT - TITLE_HEIGHT - LEGEND_HEIGHT);
    for (area, panel) in plots.split_evenly((1, panels.len())).iter().zip(panels) {
        draw_panel(area, panel, &style)?;
    }
    draw_legend(&legend, &names, &style)?;
    root.present()?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Line {
    colour: RGBColor,
    dashed: bool,
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn draw_panel(area: &Area, panel: &Panel, style: &dyn Fn(&str) -> Line) -> DrawResult {
    let finite = |curve: &Curve| -> Vec<(f64, f64)> {
        curve.points.iter().copied().filter(|(_, value)| value.is_finite()).collect()
    };
    let curves: Vec<_> = panel.curves.iter().map(|curve| (style(&curve.name), finite(curve))).collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let last_epoch = points().map(|&(epoch, _)| epoch).fold(1.0, f64::max);
    let (bottom, top) = value_range(points().map(|&(_, value)| value).collect());

    // Enough to tell eight labels apart.
    let decimals = (1.0 - ((top - bottom) / 8.0).log10()).clamp(0.0, 4.0) as usize;

    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(&panel.title, (FONT, 24))
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(0.0..last_epoch * 1.02, bottom..top)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(&panel.y_label)
        .x_labels(7)
        .y_labels(8)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|value| format!("{value:.decimals$}"))
        .label_style((FONT, 20))
        .axis_desc_style((FONT, 22))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    for (Line { colour, dashed }, mut points) in curves {
        // A point below the axis would be drawn on it.
        points.retain(|&(_, value)| value >= bottom);
        let stroke = colour.stroke_width(3);
        match &points[..] {
            [_] => drop(chart.draw_series(points.iter().map(|&point| Circle::new(point, 5, colour.filled())))?),
            _ if dashed => drop(chart.draw_series(DashedLineSeries::new(points, 9, 6, stroke))?),
            _ => drop(chart.draw_series(LineSeries::new(points, stroke))?),
        }
    }
    Ok(())
}

/// The axis of a panel: all values, with some room; without the lowest tenth, the first epochs of curves that rise, where
/// those would leave little room for the rest.
fn value_range(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(&low), Some(&top)) = (values.get(values.len() / 10), values.last()) else { return (0.0, 1.0) };
    let lowest = values[0];
    // A handful of points has no outliers.
    let bottom = if values.len() < 20 || (top - lowest) < 4.0 * (top - low) { lowest } else { low };
    let room = (0.06 * (top - bottom)).max(0.01 * top.abs()).max(1e-3);
    (bottom - room, top + room)
}

fn draw_legend(area: &Area, names: &[&str], style: &dyn Fn(&str) -> Line) -> DrawResult {
    let (width, _) = area.dim_in_pixel();
    let font = (FONT, 23).into_font();
    let sample = 44;
    let widths =
        names.iter().map(|name| Ok::<_, Box<dyn std::error::Error>>(font.box_size(name)?.0 as i32 + sample + 34));
    let widths = widths.collect::<std::result::Result<Vec<_>, _>>()?;
    let mut x = (width as i32 - widths.iter().sum::<i32>()).max(0) / 2;
    for (name, entry_width) in names.iter().zip(widths) {
        let Line { colour, dashed } = style(name);
        let (y, stroke) = (20, colour.stroke_width(4));
        for start in (0..sample).step_by(if dashed { 16 } else { sample as usize }) {
            let end = if dashed { (start + 10).min(sample) } else { sample };
            area.draw(&PathElement::new(vec![(x + start, y), (x + end, y)], stroke))?;
        }
        area.draw(&Text::new(*name, (x + sample + 8, y - 12), font.clone()))?;
        x += entry_width;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_one_epoch_nine_heads_and_gaps() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let curve = |head: usize, epochs: usize| Curve {
            name: format!("head {head}"),
            points: (1..=epochs).map(|epoch| (epoch as f64, if epoch == 3 { f64::NAN } else { head as f64 })).collect(),
        };
        let panel = |heads: usize, epochs| Panel {
            title: "accuracy".into(),
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
    fn the_axis_leaves_the_first_epochs_out() {
        let rising: Vec<f64> =
            (0..40).map(|epoch| if epoch == 0 { 0.0 } else { 0.8 + 0.001 * f64::from(epoch) }).collect();
        let (bottom, top) = value_range(rising);
        assert!(bottom > 0.75 && top < 0.9, "{bottom} to {top}");
        assert_eq!(value_range(vec![]), (0.0, 1.0));
    }
}
