//! Files and directories that were not there before: what fails takes its own away, and nothing else.

use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What is made where nothing was.
#[derive(Debug, Default)]
pub struct NewPlaces {
    files: Vec<PathBuf>,
    /// Those that hold others first.
    directories: Vec<PathBuf>,
}

impl NewPlaces {
    /// Makes a directory, with those above it, where it is not there.
    ///
    /// # Errors
    /// [`Error::Io`], once all that is new is taken away.
    pub fn directory(&mut self, path: &Path) -> Result<()> {
        let named = path.ancestors().filter(|place| !place.as_os_str().is_empty());
        let missing: Vec<_> = named.take_while(|place| !place.is_dir()).collect();
        for place in missing.into_iter().rev() {
            match fs::create_dir(place) {
                Ok(()) => self.directories.push(place.into()),
                // Another process was faster, and it is that one's.
                Err(_) if place.is_dir() => {}
                Err(error) => {
                    self.remove();
                    return Err(Error::io("create", path, error));
                }
            }
        }
        Ok(())
    }

    /// A file that is about to be made, if it is not there: what another process makes meanwhile is not this one's.
    pub fn file(&mut self, path: PathBuf) {
        if fs::symlink_metadata(&path).is_err() {
            self.files.push(path);
        }
    }

    /// Takes away the files that are new, then the directories, unless something else has come to be in them. What cannot be removed stays.
    pub fn remove(&mut self) {
        self.files.drain(..).for_each(|file| drop(fs::remove_file(file)));
        self.directories.drain(..).rev().for_each(|directory| drop(fs::remove_dir(directory)));
    }

    /// What is new so far has come to be worth keeping.
    pub fn keep(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_goes_and_what_was_there_stays() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("old")).expect("writable");
        fs::write(at("old/there"), "before").expect("writable");
        let make = || {
            let mut places = NewPlaces::default();
            places.directory(&at("old/a/b")).expect("writable");
            places.directory(&at("old/a/b/c")).expect("writable");
            for name in ["old/there", "old/new", "old/a/b/new", "old/never"] {
                places.file(at(name));
            }
            for name in ["old/there", "old/new", "old/a/b/new"] {
                fs::write(at(name), "after").expect("writable");
            }
            places
        };
        make().remove();
        assert!(at("old/there").exists() && !at("old/new").exists() && !at("old/a").exists());

        // What is worth keeping stays.
        let mut places = make();
        places.keep();
        places.remove();
        assert!(at("old/new").exists() && at("old/a/b/c").exists());
        fs::remove_file(at("old/new")).expect("there");
        fs::remove_dir_all(at("old/a")).expect("there");

        // Somebody else's is in the way of nothing.
        let mut places = make();
        fs::write(at("old/a/notes"), "").expect("writable");
        places.remove();
        assert!(at("old/a/notes").exists() && !at("old/a/b").exists());
        let mut places = NewPlaces::default();
        places.directory(&at("old/there/below")).expect_err("a file is no directory");
        assert!(at("old/there").exists());
    }
}
