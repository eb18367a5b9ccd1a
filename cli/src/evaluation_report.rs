//! What `arcos evaluate` has measured, and what it leaves of it.

use super::calibration::AtTemperature;
use super::class_scores::{self, ClassScores};
use super::html_report::{MistakenRow, Page};
use super::recognition::Recognized;
use super::{calibration, open_set, outputs};
use arcos::Result;
use arcos::files::{NewPlaces, atomic_file};
use arcos::metrics::open_set::OpenSet;
use arcos::train::Evaluation;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

const REPORT: &str = "evaluation.json";
const OPEN_SET: &str = "open_set.png";
const RELIABILITY: &str = "reliability.png";
const FIGURES: [&str; 2] = [OPEN_SET, RELIABILITY];

/// What was measured.
pub(super) struct Report<'a> {
    pub json: Value,
    pub text: String,
    pub title: String,
    pub details: Details<'a>,
}

/// What is drawn, or listed in files.
pub(super) enum Details<'a> {
    OpenSet(Box<OpenSet>),
    ClosedSet(Box<ClosedSet<'a>>),
}

/// What a head does on rows of its classes.
pub(super) struct ClosedSet<'a> {
    pub evaluation: Evaluation,
    pub calibration: Vec<AtTemperature>,
    pub classes: ClassScores<'a>,
    pub recognized: Option<Recognized>,
    /// For the page: the surest first, and how many there are in all.
    pub mistaken_rows: Option<(Vec<MistakenRow>, usize)>,
}

/// What a report may consist of; the first is always there.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let names = [REPORT].into_iter().chain(FIGURES).chain(class_scores::FILES);
    names.map(|name| directory.join(name)).collect()
}

impl Report<'_> {
    /// Writes all that there is, files into a directory and a page, or nothing.
    ///
    /// # Errors
    /// [`Error::Io`](arcos::Error::Io).
    pub fn leave(&self, directory: Option<&Path>, page: Option<&Path>) -> Result<()> {
        let mut places = NewPlaces::default();
        directory.map_or(Ok(()), |directory| places.directory(directory))?;
        directory.into_iter().flat_map(files).chain(page.map(PathBuf::from)).for_each(|file| places.file(file));
        let left = directory.map_or(Ok(()), |directory| self.leave_files(directory));
        let left = left.and_then(|()| page.map_or(Ok(()), |page| self.leave_page(page)));
        left.inspect_err(|_| places.remove())
    }

    /// No file of an earlier evaluation of the other kind stays beside these.
    fn leave_files(&self, directory: &Path) -> Result<()> {
        let [open_set, reliability] = FIGURES.map(|name| directory.join(name));
        atomic_file::write(&directory.join(REPORT), |file| {
            serde_json::to_writer_pretty(&mut *file, &self.json)?;
            writeln!(file)
        })?;
        match &self.details {
            Details::OpenSet(measures) => {
                open_set::draw_one(&open_set, &self.title, measures)?;
                let of_classes = class_scores::FILES.map(|name| directory.join(name));
                of_classes.iter().chain([&reliability]).try_for_each(|file| outputs::remove(file))
            }
            Details::ClosedSet(measures) => {
                calibration::draw(&reliability, &self.title, &measures.calibration)?;
                measures.classes.leave(directory, &self.title)?;
                outputs::remove(&open_set)
            }
        }
    }

    fn leave_page(&self, path: &Path) -> Result<()> {
        let Details::ClosedSet(measures) = &self.details else { return Ok(()) };
        let ClosedSet { evaluation, calibration, classes, recognized, mistaken_rows } = &**measures;
        let mistakes = mistaken_rows.as_ref().map_or((&[][..], 0), |(rows, all)| (rows.as_slice(), *all));
        let recognized = recognized.as_ref();
        Page { title: &self.title, evaluation, calibration, classes, recognized, mistakes }.write(path)
    }
}
