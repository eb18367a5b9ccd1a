//! The directory of a run: `history.csv`, `iterations.csv`, `target_angles.csv`, `checkpoints/epoch-NNNN.{safetensors,json}`,
//! of a run that was paused `checkpoints/epoch-NNNN-batch-MMMMMM.*`, `tensorboard/`.

use super::{Checkpoint, EpochLog, EpochRecord, EventWriter, Model, RunPosition, StoredHead, epoch_log};
use crate::files::NewPlaces;
use crate::files::directory_lock::lock;
use crate::{Error, Result, files::atomic_file, shell};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where a run leaves its files.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Newest checkpoints that stay; older ones are removed.
    keep: usize,
    events: EventWriter,
    lost_epochs: BTreeSet<usize>,
    new: NewPlaces,
    /// Two runs in one directory would overwrite each other's checkpoints.
    _lock: Option<File>,
}

impl RunDirectory {
    /// For a run that begins at `from`, a new trainer's checkpoint or the newest in `path`. Makes the directory if it is missing; the
    /// newest `keep` checkpoints stay in it, at least one. What its logs have of epochs after `from` is dropped, and what a killed
    /// process left half written.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] where another run is writing, or has come to another position than `from`, or where a run begins over files
    /// of these names that are no logs.
    pub fn create(path: &Path, keep: usize, from: &Checkpoint<impl StoredHead>) -> Result<Self> {
        let mut new = NewPlaces::default();
        new.directory(&checkpoints_in(path))?;
        // Where another process has the lock, the directory is that one's.
        let lock = lock(path)?;
        match Self::begin(path, from, &mut new) {
            Ok((events, lost_epochs)) => {
                Ok(Self { path: path.into(), keep: keep.max(1), events, lost_epochs, new, _lock: lock })
            }
            Err(error) => {
                new.remove();
                Err(error)
            }
        }
    }

    /// Finds the run where it should be, and begins its logs.
    fn begin(
        path: &Path,
        from: &Checkpoint<impl StoredHead>,
        new: &mut NewPlaces,
    ) -> Result<(EventWriter, BTreeSet<usize>)> {
        // Only now can no other run go on while this one looks.
        let newest = Self::newest_position(path)?.unwrap_or_default();
        if newest != from.position() {
            return Err(Error::File {
                path: path.into(),
                found: format!("holds a run that has come to {newest}"),
                expected: format!("one at {}", from.position()),
            });
        }
        atomic_file::remove_left_over(&checkpoints_in(path));
        remove_tensors_without_json(path)?;
        epoch_log::LOGS.into_iter().for_each(|(name, _)| new.file(path.join(name)));
        let lost_epochs = epoch_log::truncate(path, &from.history)?;
        let tensorboard = path.join("tensorboard");
        new.directory(&tensorboard)?;
        let events = EventWriter::name_now(&tensorboard);
        new.file(events.clone());
        Ok((EventWriter::begin(events)?, lost_epochs))
    }

    /// Makes the directory `path` of a [model that no run has made](Checkpoint::of_model), as its one checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] where a run is already; [`Error::Io`].
    pub fn write_model<H: StoredHead>(path: &Path, model: Model<H>) -> Result<()> {
        let mut new = NewPlaces::default();
        new.directory(&checkpoints_in(path))?;
        let write = || {
            let _lock = lock(path)?;
            if Self::newest_checkpoint(path)?.is_some() {
                let (found, expected) = ("holds a run already".into(), "another directory".into());
                return Err(Error::File { path: path.into(), found, expected });
            }
            atomic_file::remove_left_over(&checkpoints_in(path));
            remove_tensors_without_json(path)?;
            Checkpoint::of_model(model).save(&checkpoints_in(path).join(name_of(RunPosition::default())))
        };
        write().inspect_err(|_| new.remove())
    }

    /// A further file of the run that is going to be made.
    pub fn further_file(&mut self, name: &str) {
        self.new.file(self.path.join(name));
    }

    /// Takes away all that has been made for this run, unless an epoch is logged or a checkpoint written. What was there before stays.
    pub fn discard(mut self) {
        self.new.remove();
    }

    /// Epochs before those of this process whose rows of `iterations.csv` or `target_angles.csv` are not all there. `history.csv` is in every
    /// checkpoint.
    pub fn lost_epochs(&self) -> &BTreeSet<usize> {
        &self.lost_epochs
    }

    /// Adds the epoch that is just done to the logs and to TensorBoard's scalars. What a crash leaves of
    /// them without a checkpoint is dropped when the run goes on, and what a power cut takes of them is [missing](Self::lost_epochs).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log_epoch(&mut self, checkpoint: &Checkpoint<impl StoredHead>, log: &EpochLog) -> Result<()> {
        let Some(record) = checkpoint.history.last() else { return Ok(()) };
        epoch_log::append(&self.path, record, log)?;
        self.new.keep();
        self.events.scalars(record.epoch, &scalars(record))
    }

    /// Writes a checkpoint, at the end of an epoch whose logs are written or inside one, and flushes it to disk: both files, then their names.
    /// The logs are not flushed: that would take as long again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&mut self, checkpoint: &Checkpoint<impl StoredHead>) -> Result<()> {
        checkpoint.save(&checkpoints_in(&self.path).join(name_of(checkpoint.position())))?;
        self.new.keep();
        self.remove_old_checkpoints()
    }

    fn remove_old_checkpoints(&self) -> Result<()> {
        let whole = whole_checkpoints(&self.path)?;
        for old in &whole[..whole.len().saturating_sub(self.keep)] {
            // The JSON first: what is left without one is no checkpoint.
            remove(&old.with_extension("json"))?;
            remove(&old.with_extension("safetensors"))?;
        }
        Ok(())
    }

    /// Loads the newest checkpoint in the run directory `path`; `None` if there is none, or no such directory.
    ///
    /// # Errors
    /// [`Error::DamagedCheckpoint`], which says how to go on from an older one; [`Error::Io`].
    pub fn load_newest<H: StoredHead>(path: &Path) -> Result<Option<Checkpoint<H>>> {
        let (newest, cause) = loop {
            let Some(newest) = Self::newest_checkpoint(path)? else { return Ok(None) };
            match Checkpoint::load(&newest) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                // A run that is going on writes newer ones and removes this one.
                Err(_) if Self::newest_checkpoint(path)?.as_ref() != Some(&newest) => {}
                Err(Error::Io { cause, .. }) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("read", newest, cause));
                }
                Err(error) => break (newest, Box::new(error)),
            }
        };
        let all: Vec<_> = whole_checkpoints(path)?.into_iter().take_while(|checkpoint| *checkpoint != newest).collect();
        let older =
            (0..all.len()).rev().find_map(|index| Some((index, Checkpoint::<H>::load(&all[index]).ok()?.position())));
        let remedy = match older {
            None => "no older checkpoint can be read".into(),
            Some((index, position)) => {
                let damaged = all[index + 1..].iter().chain([&newest]);
                let damaged = damaged.flat_map(|path| [path.clone(), path.with_extension("safetensors")]);
                let words: Vec<_> = damaged.map(|file| shell::word(&file)).collect();
                let whole = all[index].display();
                format!("{whole} is whole, and resuming goes on from {position} after `rm -f {}`", words.join(" "))
            }
        };
        Err(Error::DamagedCheckpoint { cause, remedy })
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

    /// How far the run in `path` has come by the name of its newest checkpoint; `None` as [`newest_checkpoint`](Self::newest_checkpoint).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn newest_position(path: &Path) -> Result<Option<RunPosition>> {
        Ok(Self::newest_checkpoint(path)?.and_then(|newest| position_of(&newest)))
    }
}

fn checkpoints_in(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

/// The JSON files of checkpoints, oldest first.
fn whole_checkpoints(run: &Path) -> Result<Vec<PathBuf>> {
    files_of_checkpoints(run, "json")
}

/// The files of checkpoints with this extension, oldest first.
fn files_of_checkpoints(run: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let directory = checkpoints_in(run);
    let failed = |error| Error::io("list", &directory, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let has_extension = path.extension().is_some_and(|found| found == extension);
        if let (Some(position), true) = (position_of(&path), has_extension) {
            found.push((position, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Removes what a process left that was killed while it wrote a checkpoint or removed an old one.
fn remove_tensors_without_json(run: &Path) -> Result<()> {
    let tensors = files_of_checkpoints(run, "safetensors")?.into_iter();
    tensors.filter(|file| fs::symlink_metadata(file.with_extension("json")).is_err()).try_for_each(|file| remove(&file))
}

/// Removes a file, if it is there.
fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| Error::io("remove", file, error)),
    }
}

fn name_of(position: RunPosition) -> String {
    match position {
        RunPosition { epochs, batches: 0 } => format!("epoch-{epochs:04}"),
        RunPosition { epochs, batches } => format!("epoch-{epochs:04}-batch-{batches:06}"),
    }
}

/// The position of a checkpoint `epoch-NNNN` or `epoch-NNNN-batch-MMMMMM`.
fn position_of(path: &Path) -> Option<RunPosition> {
    let name = path.file_stem()?.to_str()?.strip_prefix("epoch-")?;
    let (epochs, batches) = name.split_once("-batch-").unwrap_or((name, "0"));
    Some(RunPosition { epochs: epochs.parse().ok()?, batches: batches.parse().ok()? })
}

/// What TensorBoard shows; `correct_cos_mean` is the name under which AdaCos's Keras layer logged the mean cosine.
fn scalars(record: &EpochRecord) -> Vec<(&'static str, f64)> {
    let optional = [
        ("loss/validation", record.validation_loss),
        ("accuracy/validation", record.validation_accuracy),
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
        ("rows_per_second", record.rows_per_second),
    ];
    let present = optional.into_iter().filter_map(|(tag, value)| Some((tag, value?)));
    always.into_iter().chain(present).collect()
}
