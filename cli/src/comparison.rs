//! The directory of a comparison, and its manifest `comparison.json`: runs and figures of the comparison that is there. Only what it lists
//! is replaced by another one, once that one's heads are trained: until then its runs are in `unfinished/`, which has such a manifest, too.

use super::complain;
use super::former_run::{FormerRun, SetAside};
use super::head_specs::directory;
use super::run_record::MadeBy;
use arcos::data::without_byte_order_mark;
use arcos::files::NewPlaces;
use arcos::files::directory_lock::lock;
use arcos::files::{atomic_file, regular_file};
use arcos::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

const MANIFEST: &str = "comparison.json";

/// Where runs are until all are trained, in the directory of the comparison.
const UNFINISHED: &str = "unfinished";

/// The version of the format; manifests of another are refused.
const FORMAT: &str = "arcos comparison 1";

#[derive(Clone, Serialize, Deserialize)]
struct Manifest {
    format: String,
    heads: Vec<HeadRun>,
    /// In this directory; a comparison does not make every one of them.
    files: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct HeadRun {
    /// The head, with what was asked of it.
    head: String,
    /// The directory of its run, in this directory.
    run: String,
}

impl Manifest {
    fn read(out: &Path) -> Result<Option<Self>> {
        let path = out.join(MANIFEST);
        let Some(text) = regular_file::read_if_there(&path)? else { return Ok(None) };
        let wrong = |found: String| Error::File {
            path: path.clone(),
            found,
            expected: format!("{FORMAT}: what an earlier comparison left here"),
        };
        let manifest: Self =
            serde_json::from_slice(without_byte_order_mark(&text)).map_err(|error| wrong(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(wrong(format!("is of the format {:?}", manifest.format)));
        }
        let runs = manifest.heads.iter().map(|head| &head.run);
        match runs.chain(&manifest.files).find(|name| !is_plain(name)) {
            Some(name) => Err(wrong(format!("lists {name:?}, which is not in its directory"))),
            None => Ok(Some(manifest)),
        }
    }

    /// What this one and an `earlier` one list, each once.
    fn joined(&self, earlier: Self) -> Self {
        let mut both = self.clone();
        let is_other = |head: &HeadRun| self.heads.iter().all(|known| known.run != head.run);
        both.heads.extend(earlier.heads.into_iter().filter(is_other));
        both.files.extend(earlier.files.into_iter().filter(|file| !self.files.contains(file)));
        both
    }

    fn write(&self, directory: &Path) -> Result<()> {
        atomic_file::write(&directory.join(MANIFEST), |file| Ok(serde_json::to_writer_pretty(file, self)?))
    }
}

/// Whether a name is that of something in a directory, and of nothing elsewhere.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

/// What is there of an earlier comparison.
#[derive(Default)]
struct Earlier {
    listed: Option<Manifest>,
    runs: Vec<FormerRun>,
    files: Vec<PathBuf>,
}

impl Earlier {
    /// Looks for what is there of an earlier comparison in `directory`, and for what is in the way of one of `heads` that leaves `files`.
    fn look(directory: &Path, heads: &[HeadRun], files: &[String], inputs: &[PathBuf]) -> Result<Self> {
        let listed = Manifest::read(directory)?;
        let (of_earlier, figures) = listed.as_ref().map_or((&[][..], &[][..]), |listed| (&listed.heads, &listed.files));
        let new_runs = heads.iter().map(|head| &head.run).filter(|&run| of_earlier.iter().all(|head| head.run != *run));
        for name in new_runs.chain(files.iter().filter(|file| !figures.contains(file))) {
            if is_there(&directory.join(name))? {
                return Err(Error::File {
                    path: directory.join(name),
                    found: "is in the way".into(),
                    expected: format!("nothing, or what {MANIFEST} beside it lists; another --out, or move it away"),
                });
            }
        }
        let runs =
            of_earlier.iter().map(|head| FormerRun::find(&directory.join(&head.run), MadeBy::Comparison, inputs));
        let runs = runs.filter_map(Result::transpose).collect::<Result<_>>()?;
        let mut there = Vec::new();
        for file in figures.iter().map(|file| directory.join(file)) {
            if is_there(&file)? {
                if file.is_dir() && !file.is_symlink() {
                    let (found, expected) = ("is a directory".into(), "a file, to be replaced".into());
                    return Err(Error::File { path: file, found, expected });
                }
                super::outputs::refuse_inputs([&file], inputs)?;
                there.push(file);
            }
        }
        Ok(Self { listed, runs, files: there })
    }

    /// Takes all runs out of their places, or none.
    fn set_aside(&mut self) -> Result<Vec<SetAside>> {
        let mut aside = Vec::new();
        for run in self.runs.drain(..) {
            match run.set_aside() {
                Ok(run) => aside.push(run),
                Err(error) => {
                    aside.into_iter().try_for_each(SetAside::put_back)?;
                    return Err(error);
                }
            }
        }
        Ok(aside)
    }

    fn remove_files(&mut self) -> Result<()> {
        let removed = |file: PathBuf| fs::remove_file(&file).map_err(|error| Error::io("remove", &file, error));
        self.files.drain(..).try_for_each(removed)
    }
}

/// A comparison that has its directory to itself, and that nothing is in the way of.
pub(super) struct Comparison {
    out: PathBuf,
    manifest: Manifest,
    /// What this one takes the place of.
    earlier: Earlier,
    /// What one left that was ended before its heads were trained.
    unfinished: Earlier,
    new: NewPlaces,
    _lock: Option<File>,
}

impl Comparison {
    /// Looks at the directory `out`, which is made where it is not there, for a comparison of `heads` that leaves `files`.
    /// Changes nothing in it.
    ///
    /// # Errors
    /// [`Error::File`] where another process is writing, where something is in the way that no earlier comparison lists, or where something
    /// that one lists holds what it did not make, a run that somebody has gone on with, or one of the `inputs`; [`Error::Io`] where it could not
    /// be removed.
    pub fn begin(out: &Path, heads: &[&str], files: &[&str], inputs: &[PathBuf]) -> Result<Self> {
        let mut new = NewPlaces::default();
        new.directory(out)?;
        // Where another process has the lock, the directory is that one's.
        let own_lock = lock(out)?;
        let heads: Vec<_> = heads.iter().map(|&head| HeadRun { head: head.into(), run: directory(head) }).collect();
        let files: Vec<String> = files.iter().map(|&file| file.into()).collect();
        let look = |files, directory: &Path| Earlier::look(directory, &heads, files, inputs);
        let unfinished = out.join(UNFINISHED);
        let found = check_is_directory(&unfinished).and_then(|()| Ok((look(&files, out)?, look(&[], &unfinished)?)));
        let (earlier, unfinished) = found.inspect_err(|_| new.remove())?;
        let manifest = Manifest { format: FORMAT.into(), heads, files };
        Ok(Self { out: out.into(), manifest, earlier, unfinished, new, _lock: own_lock })
    }

    /// Makes room for the runs, where those of a comparison are removed that was ended.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start(&mut self) -> Result<()> {
        self.unfinished.set_aside()?.into_iter().try_for_each(SetAside::remove)?;
        self.unfinished.remove_files()?;
        let directory = self.out.join(UNFINISHED);
        atomic_file::remove_left_over(&directory);
        self.new.directory(&directory)?;
        self.new.file(directory.join(MANIFEST));
        self.manifest.write(&directory)
    }

    /// Where the run of a head goes until [`finish`](Self::finish).
    pub fn run(&self, head: &str) -> PathBuf {
        self.out.join(UNFINISHED).join(directory(head))
    }

    /// Where runs are that have not come to their place, if there are any.
    pub fn unfinished(&self) -> Option<PathBuf> {
        let directory = self.out.join(UNFINISHED);
        self.manifest.heads.iter().any(|head| directory.join(&head.run).exists()).then_some(directory)
    }

    /// Puts the runs into their places, out of which those of an earlier comparison go.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&mut self) -> Result<()> {
        self.new.keep();
        // A process that is ended on the way leaves nothing that is not listed.
        let earlier = self.earlier.listed.take();
        earlier.map_or(Ok(()), |earlier| self.manifest.joined(earlier).write(&self.out))?;
        let aside = self.earlier.set_aside()?;
        if let Err(error) = self.earlier.remove_files() {
            aside.into_iter().try_for_each(SetAside::put_back)?;
            return Err(error);
        }
        let unfinished = self.out.join(UNFINISHED);
        for head in &self.manifest.heads {
            let (from, to) = (unfinished.join(&head.run), self.out.join(&head.run));
            if from.exists() {
                fs::rename(&from, &to).map_err(|error| Error::io("move", from, error))?;
            }
        }
        self.manifest.write(&self.out)?;
        // All that counts is in its place.
        aside.into_iter().filter_map(|run| run.remove().err()).for_each(complain);
        super::outputs::remove(&unfinished.join(MANIFEST))?;
        // What else is in it is somebody's.
        let _ = fs::remove_dir(&unfinished);
        Ok(())
    }
}

impl Drop for Comparison {
    /// Takes away what this comparison has made, unless there is a run of one of its heads.
    fn drop(&mut self) {
        if self.unfinished().is_none() {
            self.new.remove();
        }
    }
}

/// Refuses what is no directory, if it is there: runs in it could not be moved.
fn check_is_directory(path: &Path) -> Result<()> {
    if !is_there(path)? || (path.is_dir() && !path.is_symlink()) {
        return Ok(());
    }
    let expected = "a directory, or nothing; another --out, or move it away".into();
    Err(Error::File { path: path.into(), found: "is in the way".into(), expected })
}

/// Whether there is something by this name, be it a link to nothing.
fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_comparisons_list_is_listed_once() {
        let manifest = |runs: &[&str], files: &[&str]| {
            let heads = runs.iter().map(|&run| HeadRun { head: run.into(), run: run.into() }).collect();
            let files = files.iter().map(|&file| file.into()).collect();
            Manifest { format: FORMAT.into(), heads, files }
        };
        let earlier = manifest(&["softmax", "cosface"], &["result.png", "open_set.png"]);
        let both = manifest(&["softmax", "adacos"], &["result.png"]).joined(earlier);
        let runs: Vec<_> = both.heads.iter().map(|head| head.run.as_str()).collect();
        assert_eq!(runs, ["softmax", "adacos", "cosface"]);
        assert_eq!(both.files, ["result.png", "open_set.png"]);
    }
}
