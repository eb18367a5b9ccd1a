//! Accuracy over scale and margin.

use super::super::canvas::{Area, COLOURS, DrawResult, FONT, canvas, draw_file};
use super::space::Candidate;
use arcos::Result;
use arcos::train::SearchResult;
use arcos::wording::number;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const CELL: (i32, i32) = (112, 62);
const LEFT: i32 = 120;
const TOP: i32 = 120;
const MARGIN: i32 = 24;
const TITLE: &str = "Accuracy on held-out training rows: the best of each scale and margin";

/// The best accuracy of each scale and margin; a head without a margin has margin 0.
#[derive(Debug, PartialEq)]
pub(super) struct HeatMap {
    scales: Vec<f64>,
    margins: Vec<f64>,
    /// By margin, then by scale: accuracy and the folds that it is of.
    cells: Vec<Vec<Option<(f64, usize)>>>,
}

impl HeatMap {
    /// That of a search in which there are two cells or more.
    pub fn of(candidates: &[Candidate], found: &SearchResult) -> Option<Self> {
        let value = |head: &str, option: &str| {
            let mut options = head.split(':').skip(1).filter_map(|option| option.split_once('='));
            options.find(|(name, _)| *name == option).and_then(|(_, value)| value.parse::<f64>().ok())
        };
        let scored = found.scores.iter().filter_map(|score| {
            let head = &candidates[score.candidate].head;
            Some((value(head, "scale")?, value(head, "margin").unwrap_or(0.0), score.accuracy, score.splits))
        });
        let scored: Vec<_> = scored.collect();
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            values
        };
        let scales = sorted(&mut scored.iter().map(|&(scale, ..)| scale));
        let margins = sorted(&mut scored.iter().map(|&(_, margin, ..)| margin));
        let cell = |margin: f64, scale: f64| {
            // The scores with the most folds are first, and among these the best.
            let mut of_cell = scored.iter().filter(|&&(s, m, ..)| s == scale && m == margin);
            of_cell.next().map(|&(.., accuracy, splits)| (accuracy, splits))
        };
        let row = |&margin: &f64| scales.iter().map(|&scale| cell(margin, scale)).collect();
        let cells = margins.iter().map(row).collect();
        (scales.len() * margins.len() > 1).then_some(Self { scales, margins, cells })
    }

    pub fn draw(&self, path: &Path) -> Result<()> {
        draw_file(path, || {
            let (columns, rows) = (self.scales.len() as i32, self.margins.len() as i32);
            let title_width = (FONT, 26).into_font().box_size(TITLE)?.0 as i32;
            let width = (LEFT + columns * CELL.0).max(title_width + MARGIN) + MARGIN;
            canvas((width as u32, (TOP + rows * CELL.1 + MARGIN) as u32), |root| self.draw_cells(root, width))
        })
    }

    fn draw_cells(&self, root: &Area, width: i32) -> DrawResult {
        let text = |text: String, place: (i32, i32), size: i32, colour: RGBColor, h: HPos| {
            let style = (FONT, size).into_font().color(&colour).pos(Pos::new(h, VPos::Center));
            root.draw(&Text::new(text, place, style))
        };
        text(TITLE.into(), (width / 2, MARGIN + 8), 26, BLACK, HPos::Center)?;
        let middle = LEFT + self.scales.len() as i32 * CELL.0 / 2;
        text("scale".into(), (middle, TOP - 54), 22, BLACK, HPos::Center)?;
        text("margin".into(), (LEFT - 12, TOP - 26), 22, BLACK, HPos::Right)?;
        for (column, &scale) in (0..).zip(&self.scales) {
            text(number(scale), (LEFT + column * CELL.0 + CELL.0 / 2, TOP - 24), 20, BLACK, HPos::Center)?;
        }
        let accuracies = || self.cells.iter().flatten().flatten().map(|&(accuracy, _)| accuracy);
        let (lowest, highest) = (accuracies().fold(1.0, f64::min), accuracies().fold(0.0, f64::max));
        for ((row, &margin), cells) in (0..).zip(&self.margins).zip(&self.cells) {
            let y = TOP + row * CELL.1;
            text(number(margin), (LEFT - 12, y + CELL.1 / 2), 20, BLACK, HPos::Right)?;
            for (column, cell) in (0..).zip(cells) {
                let Some((accuracy, splits)) = cell else { continue };
                let x = LEFT + column * CELL.0;
                let share = if highest > lowest { (accuracy - lowest) / (highest - lowest) } else { 1.0 };
                let place = [(x, y), (x + CELL.0 - 2, y + CELL.1 - 2)];
                root.draw(&Rectangle::new(place, RGBColor(240, 240, 240).filled()))?;
                root.draw(&Rectangle::new(place, COLOURS[0].mix(share).filled()))?;
                let colour = if share > 0.5 { WHITE } else { BLACK };
                let centre = x + CELL.0 / 2;
                text(format!("{accuracy:.4}"), (centre, y + CELL.1 / 2 - 9), 22, colour, HPos::Center)?;
                let folds = if *splits == 1 { "1 fold".into() } else { format!("{splits} folds") };
                text(folds, (centre, y + CELL.1 / 2 + 14), 16, colour, HPos::Center)?;
            }
        }
        Ok(())
    }
}
