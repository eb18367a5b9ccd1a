//! What happened inside epochs: `iterations.csv`, a row a step, and `target_angles.csv`, a row an epoch.
//!
//! Both grow by an epoch at a time, as `history.csv` does. Rows of an epoch that a run did not come to save are dropped when it goes on.

use super::history::{EpochRecord, HISTORY, columns, read_rows, write_history};
use crate::files::{atomic_file, regular_file};
use crate::heads::BatchStatistics;
use crate::metrics::angles::AngleHistogram;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// An epoch, step by step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochLog {
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// Angles between training rows and their class vectors, each at its step.
    pub target_angles: AngleHistogram,
}

impl EpochLog {
    pub(super) fn add(&mut self, epoch: usize, batch: usize, loss: f64, statistics: &BatchStatistics) {
        self.target_angles.merge(&statistics.target_angles);
        self.steps.push(StepRecord {
            epoch,
            batch,
            loss,
            scale: statistics.scale,
            target_angle: statistics.target_angle,
            median_target_angle: statistics.median_target_angle,
        });
    }
}

/// One step: a row of `iterations.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// The batch in its epoch, counted from 1.
    pub batch: usize,
    /// Mean over the batch, margins included; nats.
    pub loss: f64,
    /// The scale of the logits.
    pub scale: f64,
    /// Mean angle between a row and its class vector; radians.
    pub target_angle: Option<f64>,
    /// The median of these angles.
    pub median_target_angle: Option<f64>,
}

/// The columns of `iterations.csv`: the fields of [`StepRecord`].
const STEP_COLUMNS: [&str; 6] = ["epoch", "batch", "loss", "scale", "target_angle", "median_target_angle"];

const STEPS: &str = "iterations.csv";
const ANGLES: &str = "target_angles.csv";

/// The logs of a run, and what their headings begin with.
pub(super) const LOGS: [(&str, &str); 3] =
    [(HISTORY, "epoch,learning_rate,"), (STEPS, "epoch,batch,"), (ANGLES, "epoch,0,1,")];

/// Appends an epoch to both files and to `history.csv` in `directory`; the system writes them to disk when it likes.
pub(super) fn append(directory: &Path, record: &EpochRecord, log: &EpochLog) -> Result<()> {
    append_rows(&directory.join(HISTORY), columns(std::slice::from_ref(record)), |writer| writer.serialize(record))?;
    append_rows(&directory.join(STEPS), STEP_COLUMNS, |writer| {
        log.steps.iter().try_for_each(|step| writer.serialize(step))
    })?;
    let degrees = (0..log.target_angles.counts.len()).map(|degree| degree.to_string());
    append_rows(&directory.join(ANGLES), ["epoch".into()].into_iter().chain(degrees), |writer| {
        writer.write_field(record.epoch.to_string())?;
        writer.write_record(log.target_angles.counts.map(|count| count.to_string()))
    })
}

/// Makes the files in `directory` those of a run with this history: rows of later epochs are dropped, and what a power cut left of lines. The epochs
/// of which rows are missing then.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] where a run begins and one of the files is not a log of a run.
pub(super) fn truncate(directory: &Path, history: &[EpochRecord]) -> Result<BTreeSet<usize>> {
    if history.is_empty() {
        LOGS.into_iter().try_for_each(|(name, beginning)| refuse_others(&directory.join(name), beginning))?;
    }
    let path = directory.join(HISTORY);
    if path.exists() || !history.is_empty() {
        write_history(&path, history)?;
    }
    let mut lost = BTreeSet::new();
    for path in [STEPS, ANGLES].map(|name| directory.join(name)) {
        let bytes = regular_file::read_if_there(&path)?.unwrap_or_default();
        let (kept, rows) = rows_of(&String::from_utf8_lossy(&bytes), history.len());
        if kept.len() < bytes.len() {
            atomic_file::write(&path, |file| file.write_all(kept.as_bytes()))?;
        }
        // Every epoch has as many.
        let whole = rows.iter().copied().max().unwrap_or_default().max(1);
        lost.extend(rows.into_iter().zip(1..).filter(|&(rows, _)| rows < whole).map(|(_, epoch)| epoch));
    }
    Ok(lost)
}

/// Refuses a log that does not begin as those of runs do, nor as a power cut leaves them: with less, or with zeros.
fn refuse_others(path: &Path, beginning: &str) -> Result<()> {
    let bytes = regular_file::read_if_there(path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let first = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    match first.contains('\0') || first.starts_with(beginning) || beginning.starts_with(first) {
        true => Ok(()),
        false => Err(Error::File {
            path: path.into(),
            found: "is not a log of a run".into(),
            expected: "none, where a run begins".into(),
        }),
    }
}

/// The heading and the whole rows of the first `epochs` epochs in a log, and how many rows each has.
fn rows_of(text: &str, epochs: usize) -> (String, Vec<usize>) {
    let mut rows = vec![0; epochs];
    // A line that a killed process left unfinished has no end; one that did not get to the disk is zeros.
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n') && !line.contains('\0'));
    let heading = lines.next().filter(|line| line.trim_start_matches('\u{feff}').starts_with("epoch,"));
    let Some(heading) = heading else { return (String::new(), rows) };
    let is_kept = |line: &&str| {
        let epoch = line.split(',').next().and_then(|field| field.parse::<usize>().ok());
        let count = epoch.and_then(|epoch| rows.get_mut(epoch.checked_sub(1)?));
        count.map(|count| *count += 1).is_some()
    };
    let kept = heading.to_owned() + &lines.filter(is_kept).collect::<String>();
    (kept, rows)
}

/// Whether a run directory has both logs; runs from before there were logs do not.
pub fn has_logs(directory: &Path) -> bool {
    [STEPS, ANGLES].iter().all(|name| directory.join(name).exists())
}

/// The steps of all epochs in a run directory.
///
/// # Errors
/// [`Error::Io`], [`Error::File`].
pub fn read_steps(directory: &Path) -> Result<Vec<StepRecord>> {
    read_rows(&directory.join(STEPS))
}

/// The angles between training rows and their class vectors in each epoch of a run directory, with the epoch.
///
/// # Errors
/// [`Error::Io`], [`Error::File`].
pub fn read_target_angles(directory: &Path) -> Result<Vec<(usize, AngleHistogram)>> {
    let path = directory.join(ANGLES);
    let epoch = |(epoch, counts): (usize, Vec<u64>)| {
        let unreadable =
            |found| Error::File { path: path.clone(), found, expected: "a log as training writes it".into() };
        Ok((epoch, counts.try_into().map_err(unreadable)?))
    };
    read_rows(&path)?.into_iter().map(epoch).collect()
}

/// Appends what `rows` writes, under `columns` where the file is new.
fn append_rows<C: AsRef<[u8]>>(
    path: &Path,
    columns: impl IntoIterator<Item = C>,
    rows: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
) -> Result<()> {
    let failed = |error| Error::io("write", path, error);
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    let is_new = file.metadata().map_err(failed)?.len() == 0;
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let heading = if is_new { writer.write_record(columns) } else { Ok(()) };
    heading.and_then(|()| rows(&mut writer)).map_err(|error| failed(std::io::Error::other(error)))?;
    let bytes = writer.into_inner().map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    file.write_all(&bytes).map_err(failed)
}
