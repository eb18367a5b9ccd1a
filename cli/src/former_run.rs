//! A run that an earlier comparison or search has left, in whose place another one's goes.

use super::run_files::{self, foreign_file};
use super::run_record::{MadeBy, RunRecord};
use arcos::files::directory_lock::lock;
use arcos::train::RunDirectory;
use arcos::{Error, Result};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What there is of a run.
pub(super) struct FormerRun {
    path: PathBuf,
    /// To be held until the run is removed.
    _lock: Option<File>,
}

impl FormerRun {
    /// The run in `path`, if anything is there, once it is known that it can be removed: that `made_by` has left it, and nobody is writing to it,
    /// has gone on with it or has put anything into it, least of all one of the `inputs`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Io`].
    pub fn find(path: &Path, made_by: MadeBy, inputs: &[PathBuf]) -> Result<Option<Self>> {
        let in_the_way = |path: &Path, found: &str| Error::File {
            path: path.into(),
            found: found.into(),
            expected: format!("nothing, or what {made_by} has left here and no more; another --out, or move it away"),
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("look at", path, error)),
            Ok(entry) if !entry.is_dir() => return Err(in_the_way(path, "is not a directory")),
            Ok(_) => {}
        }
        let lock = lock(path)?;
        if let Some(foreign) = foreign_file(path)? {
            return Err(in_the_way(&foreign, "is no part of a run"));
        }
        let place = fs::canonicalize(path).map_err(|error| Error::io("look at", path, error))?;
        let is_inside = |input: &&PathBuf| fs::canonicalize(input).is_ok_and(|input| input.starts_with(&place));
        if let Some(input) = inputs.iter().find(is_inside) {
            return Err(in_the_way(path, &format!("holds {}, which this command reads", input.display())));
        }
        let is_of = match RunRecord::read(path)? {
            Some(record) => record.made_by == Some(made_by),
            // Killed before there was a record: nothing has been trained.
            None => RunDirectory::newest_position(path)?.is_none(),
        };
        if !is_of {
            return Err(in_the_way(path, "is a run that `arcos train` has begun or gone on with"));
        }
        // Better found out before there is another one for its place.
        for directory in [path.into(), path.join("checkpoints"), path.join("tensorboard")] {
            if directory.is_dir() {
                tempfile::tempfile_in(&directory).map_err(|error| Error::io("remove files of", &directory, error))?;
            }
        }
        Ok(Some(Self { path: path.into(), _lock: lock }))
    }

    /// Takes it out of its place, whole.
    ///
    /// # Errors
    /// [`Error::Io`]; it is where it was then.
    pub fn set_aside(self) -> Result<SetAside> {
        let aside = place_aside(&self.path);
        fs::rename(&self.path, &aside).map_err(|error| Error::io("move", &self.path, error))?;
        Ok(SetAside { run: self, aside })
    }
}

/// Where nothing is, beside `path`. What a process that was ended has left there of a run is removed; what is not of a run, or cannot be removed,
/// stays and is in nobody's way.
fn place_aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let places = (1..).map(|number| match number {
        1 => path.with_file_name(format!(".arcos-former-{name}")),
        _ => path.with_file_name(format!(".arcos-former-{name}-{number}")),
    });
    let is_free = |place: &PathBuf| match fs::symlink_metadata(place) {
        Err(_) => true,
        Ok(entry) => entry.is_dir() && run_files::remove(place).is_ok(),
    };
    let mut places = places.filter(is_free);
    places.next().expect("an endless row of names")
}

/// A run that is out of its place and can come back.
pub(super) struct SetAside {
    run: FormerRun,
    aside: PathBuf,
}

impl SetAside {
    /// Puts it back.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put_back(self) -> Result<()> {
        fs::rename(&self.aside, &self.run.path).map_err(|error| Error::io("move", &self.aside, error))
    }

    /// Removes it, but not what somebody has put into it meanwhile.
    ///
    /// # Errors
    /// Those of [`run_files::remove`].
    pub fn remove(self) -> Result<()> {
        run_files::remove(&self.aside)
    }
}
