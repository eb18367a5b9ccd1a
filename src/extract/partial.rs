//! The folder in the output directory for what is not done yet: shards, and arrays with their manifest until they are in their place.

use super::manifest::{Manifest, array_names};
use super::plan::is_shard;
use crate::data::Split;
use crate::files::atomic_file::{self, check_replaceable, flush_directory};
use crate::files::replacement::{FOLDER, MANIFEST};
use crate::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder, whether it is there or not. Nothing is in it but what extractions have made.
pub(super) struct Partial {
    out: PathBuf,
    path: PathBuf,
}

impl Partial {
    /// That of the output directory `out`.
    ///
    /// # Errors
    /// [`Error::File`] where it is a link or no directory, or holds what no extraction has made: to remove that is nobody's business here;
    /// [`Error::Io`].
    pub fn of(out: &Path) -> Result<Self> {
        let path = out.join(FOLDER);
        let in_the_way = |path: PathBuf, found: &str| {
            let expected = format!("nothing, or what an extraction has left in {FOLDER}; move it away");
            Error::File { path, found: found.into(), expected }
        };
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => return Err(in_the_way(path, "is a link")),
            Ok(found) if !found.is_dir() => return Err(in_the_way(path, "is not a directory")),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("look at", path, error)),
            _ => {}
        }
        let partial = Self { out: out.into(), path };
        for (name, entry) in partial.entries()? {
            if !entry.file_type().is_ok_and(|kind| kind.is_file()) || !is_ours(&name) {
                return Err(in_the_way(entry.path(), "is nothing that an extraction makes"));
            }
        }
        Ok(partial)
    }

    /// The output directory.
    pub fn out(&self) -> &Path {
        &self.out
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses directories, links that lead nowhere and read-only files where arrays and manifest are to go.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn check_places(&self) -> Result<()> {
        for place in places(&self.out) {
            if place.is_dir() {
                let (found, expected) = ("is a directory".into(), "a file to write".into());
                return Err(Error::File { path: place, found, expected });
            }
            check_replaceable(&place)?;
        }
        Ok(())
    }

    /// Puts the arrays in their place, if their manifest is there, which is written once they are whole. What a run was ended in can be done
    /// again. Until all is done, [`check_whole`](crate::files::replacement::check_whole) refuses the directory, and it has no manifest.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(&self) -> Result<()> {
        let Some(manifest) = Manifest::read(&self.path)? else { return Ok(()) };
        remove(&Manifest::path(&self.out))?;
        let is_listed = |split: &Split| manifest.splits.contains_key(split.name());
        let (stay, go): (Vec<_>, Vec<_>) = Split::ALL.into_iter().partition(is_listed);
        for name in stay.into_iter().flat_map(array_names) {
            match fs::rename(self.path.join(&name), self.out.join(&name)) {
                // Not a new one, or in its place already.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(|error| Error::io("write", self.out.join(&name), error))?,
            }
        }
        go.into_iter().flat_map(array_names).try_for_each(|name| remove(&self.out.join(name)))?;
        flush_directory(&self.out)?;
        let place = Manifest::path(&self.out);
        fs::rename(Manifest::path(&self.path), &place).map_err(|error| Error::io("write", place, error))
    }

    /// Removes the files of extractions but those whose names are kept: arrays without a manifest, files that a kill left half written,
    /// shards that nothing will take up.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_all_but(&self, is_kept: impl Fn(&str) -> bool) -> Result<()> {
        let go = self.entries()?.into_iter().filter(|(name, _)| is_ours(name) && !is_kept(name));
        go.map(|(_, entry)| entry.path()).try_for_each(|path| remove(&path))
    }

    /// Removes the folder, unless something is in it.
    pub fn remove_if_empty(&self) {
        let _ = fs::remove_dir(&self.path);
    }

    fn entries(&self) -> Result<Vec<(String, fs::DirEntry)>> {
        let failed = |error| Error::io("list", &self.path, error);
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let named = |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry);
        entries.map(|entry| entry.map(named).map_err(failed)).collect()
    }
}

/// Where arrays and manifest go.
fn places(out: &Path) -> impl Iterator<Item = PathBuf> {
    Split::ALL.into_iter().flat_map(array_names).map(|name| out.join(name)).chain([Manifest::path(out)])
}

/// Whether extractions make files of this name in the folder.
fn is_ours(name: &str) -> bool {
    let is_array = || Split::ALL.into_iter().flat_map(array_names).any(|array| array == name);
    name == MANIFEST || is_array() || is_shard(name) || atomic_file::is_temporary(name)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;
    use crate::data::image::{Layout, Preprocessing};
    use crate::extract::{ModelFile, SplitManifest};
    use crate::files::replacement::check_whole;

    /// A process may be killed between any two of the steps, and any of them may fail.
    #[test]
    fn a_replacement_that_fails_on_the_way_is_refused_until_it_is_finished() -> Result<()> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let out = directory.path();
        let set = ImageSet { root: out.into(), classes: Vec::new(), images: Vec::new(), passed_over: Vec::new() };
        let of = |splits: &[&str]| {
            let mut manifest = Manifest::new(ModelFile::default(), Preprocessing::new(1, 1, Layout::Nchw), &set);
            let split = SplitManifest {
                fingerprint: splits.concat(),
                seed: None,
                rows: Vec::new(),
                skipped: Vec::new(),
                missing: 0,
                features_crc32c: None,
                labels_crc32c: None,
            };
            manifest.splits = splits.iter().map(|&name| (name.into(), split.clone())).collect();
            manifest
        };
        let (old, new) = (of(&["train", "test"]), of(&["train"]));
        let train = array_names(Split::Train);
        for blocked in [train.as_slice(), &array_names(Split::Test)].concat() {
            let partial = Partial::of(out)?;
            Split::ALL.iter().flat_map(|&split| array_names(split)).for_each(|name| {
                fs::write(out.join(name), "old").expect("writable");
            });
            old.write(out)?;
            fs::create_dir_all(partial.path()).expect("writable");
            train.iter().for_each(|name| fs::write(partial.path().join(name), "new").expect("writable"));
            new.write(partial.path())?;
            fs::remove_file(out.join(&blocked)).expect("there");
            fs::create_dir(out.join(&blocked)).expect("writable");
            partial.publish().expect_err("a directory is in the way");
            assert!(check_whole(out).is_err() && Manifest::read(out)?.is_none(), "{blocked}");
            fs::remove_dir(out.join(&blocked)).expect("there");
            Partial::of(out)?.publish()?;
            check_whole(out)?;
            assert_eq!(Manifest::read(out)?, Some(new.clone()));
            let contents = |name: &String| fs::read_to_string(out.join(name)).ok();
            assert_eq!(train.each_ref().map(contents), [Some("new".into()), Some("new".into())], "{blocked}");
            assert_eq!(array_names(Split::Test).each_ref().map(contents), [None, None], "{blocked}");
        }
        Ok(())
    }
}
