//! A matrix of the classes that are most often taken for each other.

use super::canvas::{self, COLOURS, DrawResult, FONT, canvas, draw_file};
use arcos::Result;
use arcos::metrics::confusion::Confusion;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// Classes shown, about.
const CLASSES: usize = 12;
const CELL: i32 = 58;
const MARGIN: i32 = 20;
const TITLE_HEIGHT: i32 = 56;
/// Of the words along the axes.
const AXIS_HEIGHT: i32 = 34;
/// The darkest cell: all rows of a class.
const COLOUR: RGBColor = COLOURS[0];

/// Draws the classes of the most frequent mistakes into a PNG: a row for what they are, a column for what they were taken for. Draws
/// nothing, and returns false, where there is no mistake.
///
/// # Errors
/// [`Error::Io`](arcos::Error::Io) if the file cannot be written.
pub(super) fn draw(path: &Path, title: &str, names: &[String], confusion: &Confusion) -> Result<bool> {
    let classes = most_confused(confusion);
    if classes.is_empty() {
        return Ok(false);
    }
    draw_file(path, || draw_matrix(title, names, confusion, &classes))?;
    Ok(true)
}

/// What [`draw`] draws, as SVG for the file `path`.
pub(super) fn svg(path: &Path, title: &str, names: &[String], confusion: &Confusion) -> Result<Option<String>> {
    let classes = most_confused(confusion);
    let draw = || canvas::drawn(path, || draw_matrix(title, names, confusion, &classes));
    (!classes.is_empty()).then(draw).transpose()
}

/// The classes of the most frequent mistakes, those of one mistake beside each other.
fn most_confused(confusion: &Confusion) -> Vec<usize> {
    let mut classes: Vec<usize> = Vec::new();
    for mistake in confusion.mistakes() {
        if classes.len() >= CLASSES {
            break;
        }
        let place = |class: usize, classes: &[usize]| classes.iter().position(|&known| known == class);
        match (place(mistake.class, &classes), place(mistake.predicted, &classes)) {
            (None, None) => classes.extend([mistake.class, mistake.predicted]),
            (Some(known), None) => classes.insert(known + 1, mistake.predicted),
            (None, Some(known)) => classes.insert(known + 1, mistake.class),
            (Some(_), Some(_)) => {}
        }
    }
    classes
}

fn draw_matrix(title: &str, names: &[String], confusion: &Confusion, classes: &[usize]) -> DrawResult<String> {
    let font = |size: i32| (FONT, size).into_font();
    let name = |class: usize| names.get(class).map_or_else(|| format!("class {class}"), Clone::clone);
    let name_width = |class: &usize| Ok::<i32, Box<dyn std::error::Error>>(font(20).box_size(&name(*class))?.0 as i32);
    let longest = classes.iter().map(name_width).collect::<DrawResult<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    let side = CELL * classes.len() as i32;
    let (left, top) = (MARGIN + AXIS_HEIGHT + longest + 10, MARGIN + TITLE_HEIGHT + AXIS_HEIGHT + longest + 10);
    let title_width = font(28).box_size(title)?.0 as i32;
    let width = (left + side).max(title_width + MARGIN) + MARGIN;
    canvas((width as u32, (top + side + MARGIN) as u32), |root| {
        let anchored = |size: i32, h, v| font(size).color(&BLACK).pos(Pos::new(h, v));
        let upwards = |style: TextStyle<'static>| style.transform(FontTransform::Rotate270);
        root.draw(&Text::new(title.to_owned(), (width / 2, MARGIN), anchored(28, HPos::Center, VPos::Top)))?;
        let taken_for = (left + side / 2, MARGIN + TITLE_HEIGHT);
        root.draw(&Text::new("taken for", taken_for, anchored(22, HPos::Center, VPos::Top)))?;
        let is = (MARGIN, top + side / 2);
        root.draw(&Text::new("is", is, upwards(anchored(22, HPos::Center, VPos::Top))))?;

        for (index, &class) in (0..).zip(classes) {
            let middle = CELL * index + CELL / 2;
            root.draw(&Text::new(name(class), (left - 8, top + middle), anchored(20, HPos::Right, VPos::Center)))?;
            let above = (left + middle, top - 8);
            root.draw(&Text::new(name(class), above, upwards(anchored(20, HPos::Left, VPos::Center))))?;
            let rows = confusion.rows(class);
            for (column, &predicted) in (0..).zip(classes) {
                let count = confusion.count(class, predicted);
                let share = count as f64 / rows.max(1) as f64;
                let (x, y) = (left + CELL * column, top + CELL * index);
                let cell = [(x, y), (x + CELL - 2, y + CELL - 2)];
                root.draw(&Rectangle::new(cell, RGBColor(240, 240, 240).filled()))?;
                root.draw(&Rectangle::new(cell, COLOUR.mix(share).filled()))?;
                if count > 0 {
                    let colour = if share > 0.5 { WHITE } else { BLACK };
                    let style = font(22).color(&colour).pos(Pos::new(HPos::Center, VPos::Center));
                    root.draw(&Text::new(count.to_string(), (x + CELL / 2, y + CELL / 2), style))?;
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_most_frequent_mistakes_come_side_by_side() {
        let mut confusion = Confusion::default();
        for (class, predicted, rows) in [(5, 9, 4), (1, 2, 7), (2, 3, 5), (2, 1, 3), (8, 8, 50)] {
            (0..rows).for_each(|_| confusion.add(class, predicted));
        }
        assert_eq!(most_confused(&confusion), [1, 2, 3, 5, 9]);
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("confusions.png");
        let names: Vec<String> = (0..9).map(|class| format!("class number {class}")).collect();
        assert!(draw(&path, "a title", &names, &confusion).expect("drawn"));
        assert!(std::fs::read(&path).expect("written").starts_with(b"\x89PNG"));
        assert!(!draw(&path, "a title", &names, &Confusion::default()).expect("nothing to draw"));
    }
}
