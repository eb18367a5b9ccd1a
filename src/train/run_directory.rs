//! The directory of a run: `history.csv`, `iterations.csv`, `target_angles.csv`, `checkpoints/epoch-NNNN.{safetensors,json}`,
//! of a run that was paused `checkpoints/epoch-NNNN-batch-MMMMMM.*`, `tensorboard/`.

use super::{Checkpoint, EpochLog, EpochRecord, EventWriter, Place, epoch_log, write_history};
use crate::directory_lock::lock;
use crate::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where a run leaves its files.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Newest checkpoints that stay; older ones are removed.
    keep: usize,
    events: EventWriter,
    /// Two runs in one directory would overwrite each other's checkpoints.
    _lock: Option<File>,
}

impl RunDirectory {
    /// For a run that begins at `from`, a new trainer's checkpoint or the newest in `path`. Makes the directory if it is missing; the
    /// newest `keep` checkpoints stay in it, at least one. What its logs have of epochs after `from` is dropped.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] where another run is writing, or has come to another place than `from`.
    pub fn create(path: &Path, keep: usize, from: &Checkpoint) -> Result<Self> {
        let checkpoints = checkpoints_in(path);
        fs::create_dir_all(&checkpoints).map_err(|error| Error::io("create", &checkpoints, error))?;
        let lock = lock(path)?;
        // Only now can no other run go on while this one looks.
        let newest = whole_checkpoints(path)?.pop().and_then(|newest| place_in_run(&newest)).unwrap_or_default();
        if newest != from.place() {
            return Err(Error::File {
                path: path.into(),
                found: format!("holds a run that has come to {newest}"),
                expected: format!("one at {}", from.place()),
            });
        }
        epoch_log::truncate(path, from.history.len())?;
        let events = EventWriter::create(&path.join("tensorboard"))?;
        Ok(Self { path: path.into(), keep: keep.max(1), events, _lock: lock })
    }

    /// Writes logs, checkpoint, history and TensorBoard scalars after an epoch.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&mut self, checkpoint: &Checkpoint, log: &EpochLog) -> Result<()> {
        let Some(record) = checkpoint.history.last() else { return Ok(()) };
        // Before the checkpoint: rows without one are dropped later, but rows that are missing would stay so.
        epoch_log::append(&self.path, record.epoch, log)?;
        checkpoint.save(&checkpoints_in(&self.path).join(format!("epoch-{:04}", record.epoch)))?;
        write_history(&self.path.join("history.csv"), &checkpoint.history)?;
        self.events.scalars(record.epoch, &scalars(record))?;
        self.remove_old_checkpoints()
    }

    /// Writes the checkpoint of a run that is paused inside an epoch.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save_paused(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Place { epochs, batches } = checkpoint.place();
        let name = format!("epoch-{epochs:04}-batch-{batches:06}");
        checkpoint.save(&checkpoints_in(&self.path).join(name))?;
        self.remove_old_checkpoints()
    }

    fn remove_old_checkpoints(&self) -> Result<()> {
        let whole = whole_checkpoints(&self.path)?;
        for old in &whole[..whole.len().saturating_sub(self.keep)] {
            // The JSON first: what is left without one is no checkpoint.
            for file in [old.with_extension("json"), old.with_extension("safetensors")] {
                fs::remove_file(&file).map_err(|error| Error::io("remove", &file, error))?;
            }
        }
        Ok(())
    }

    /// The newest whole checkpoint in the run directory `path`; `None` if there is none, or no such directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn newest_checkpoint(path: &Path) -> Result<Option<PathBuf>> {
        if !checkpoints_in(path).is_dir() {
            return Ok(None);
        }
        Ok(whole_checkpoints(path)?.pop())
    }
}

fn checkpoints_in(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

/// The JSON files of checkpoints, oldest first.
fn whole_checkpoints(run: &Path) -> Result<Vec<PathBuf>> {
    let directory = checkpoints_in(run);
    let failed = |error| Error::io("list", &directory, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if let (Some(place), true) = (place_in_run(&path), is_json) {
            found.push((place, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The place of a checkpoint `epoch-NNNN` or `epoch-NNNN-batch-MMMMMM`.
fn place_in_run(path: &Path) -> Option<Place> {
    let name = path.file_stem()?.to_str()?.strip_prefix("epoch-")?;
    let (epochs, batches) = name.split_once("-batch-").unwrap_or((name, "0"));
    Some(Place { epochs: epochs.parse().ok()?, batches: batches.parse().ok()? })
}

/// What TensorBoard shows; `correct_cos_mean` is the name under which AdaCos's Keras layer logged the mean cosine.
fn scalars(record: &EpochRecord) -> Vec<(&'static str, f64)> {
    let optional = [
        ("loss/test", record.test_loss),
        ("accuracy/test", record.test_accuracy),
        ("accuracy/test_top5", record.test_top5_accuracy),
        ("correct_cos_mean", record.target_cosine),
        ("correct_angle_mean", record.target_angle),
    ];
    let always = [
        ("loss/train", record.train_loss),
        ("accuracy/train", record.train_accuracy),
        ("scale", record.scale),
        ("gradient_norm", record.gradient_norm),
        ("learning_rate", record.learning_rate),
        ("images_per_second", record.images_per_second),
    ];
    let present = optional.into_iter().filter_map(|(tag, value)| Some((tag, value?)));
    always.into_iter().chain(present).collect()
}
