//! The directory of a comparison, and its manifest `comparison.json`: runs and figures of the comparison that is there. Only what it lists
//! is replaced by another one.

use super::head_specs::directory;
use super::run_files::foreign_file;
use arcos::data::without_byte_order_mark;
use arcos::files::NewPlaces;
use arcos::files::directory_lock::lock;
use arcos::{Error, Result, files::atomic_file};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

const MANIFEST: &str = "comparison.json";

/// The version of the format; manifests of another are refused.
const FORMAT: &str = "arcos comparison 1";

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: String,
    heads: Vec<HeadRun>,
    /// In this directory; a comparison does not make every one of them.
    files: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct HeadRun {
    /// The head, with what was asked of it.
    head: String,
    /// The directory of its run, in this directory.
    run: String,
}

impl Manifest {
    fn read(out: &Path) -> Result<Option<Self>> {
        let path = out.join(MANIFEST);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| Error::io("read", &path, error))?,
        };
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
}

/// Whether a name is that of something in a directory, and of nothing elsewhere.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

/// What is there of an earlier comparison, its runs with their locks.
#[derive(Default)]
struct Earlier {
    runs: Vec<(PathBuf, Option<File>)>,
    files: Vec<PathBuf>,
}

/// A comparison that has its directory to itself, and that nothing is in the way of.
pub(super) struct Comparison {
    out: PathBuf,
    manifest: Manifest,
    earlier: Earlier,
    new: NewPlaces,
    _lock: Option<File>,
}

impl Comparison {
    /// Looks at the directory `out`, which is made where it is not there, for a comparison of `heads` that leaves `files`. Changes nothing
    /// in it.
    ///
    /// # Errors
    /// [`Error::File`] where another process is writing, where something is in the way that no earlier comparison lists, or where something
    /// that one lists holds what it did not make, or one of the `inputs`.
    pub fn begin(out: &Path, heads: &[&str], files: &[&str], inputs: &[PathBuf]) -> Result<Self> {
        let mut new = NewPlaces::default();
        new.directory(out)?;
        // Where another process has the lock, the directory is that one's.
        let own_lock = lock(out)?;
        new.file(out.join(MANIFEST));
        let found = Self::look(out, heads, files, inputs).inspect_err(|_| new.remove())?;
        let heads = heads.iter().map(|&head| HeadRun { head: head.into(), run: directory(head) }).collect();
        let files = files.iter().map(|&file| file.into()).collect();
        let manifest = Manifest { format: FORMAT.into(), heads, files };
        Ok(Self { out: out.into(), manifest, earlier: found, new, _lock: own_lock })
    }

    /// Looks for what is there of an earlier comparison, and for what is in the way.
    fn look(out: &Path, heads: &[&str], files: &[&str], inputs: &[PathBuf]) -> Result<Earlier> {
        let earlier = Manifest::read(out)?;
        let (runs, figures) = earlier.map_or_else(Default::default, |earlier| {
            (earlier.heads.into_iter().map(|listed| listed.run).collect::<Vec<_>>(), earlier.files)
        });
        let new_runs = heads.iter().map(|head| directory(head)).filter(|run| !runs.contains(run));
        let new_files = files.iter().map(|&file| file.to_owned()).filter(|file| !figures.contains(file));
        for name in new_runs.chain(new_files) {
            if is_there(&out.join(&name))? {
                return Err(Error::File {
                    path: out.join(&name),
                    found: "is in the way".into(),
                    expected: format!("nothing, or what {MANIFEST} beside it lists; another --out, or move it away"),
                });
            }
        }
        let mut earlier = Earlier::default();
        for run in runs.iter().map(|run| out.join(run)) {
            if is_there(&run)? {
                let lock = lock_run(&run, inputs)?;
                earlier.runs.push((run, lock));
            }
        }
        for file in figures.iter().map(|file| out.join(file)) {
            if is_there(&file)? {
                super::outputs::refuse_inputs([&file], inputs)?;
                earlier.files.push(file);
            }
        }
        Ok(earlier)
    }

    /// Removes what is there of an earlier comparison, and lists what this one makes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear(&mut self) -> Result<()> {
        let removed = |path: &Path, outcome: io::Result<()>| outcome.map_err(|error| Error::io("remove", path, error));
        for file in self.earlier.files.drain(..) {
            removed(&file, fs::remove_file(&file))?;
        }
        for (run, _lock) in self.earlier.runs.drain(..) {
            removed(&run, fs::remove_dir_all(&run))?;
        }
        atomic_file::write(&self.out.join(MANIFEST), |file| Ok(serde_json::to_writer_pretty(file, &self.manifest)?))
    }

    /// Where the run of a head goes.
    pub fn run(&self, head: &str) -> PathBuf {
        self.out.join(directory(head))
    }
}

impl Drop for Comparison {
    /// Takes away what this comparison has made, unless there is a run of one of its heads.
    fn drop(&mut self) {
        if !self.manifest.heads.iter().any(|listed| self.out.join(&listed.run).exists()) {
            self.new.remove();
        }
    }
}

/// Whether there is something by this name, be it a link to nothing.
fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

/// The lock of a run that can be removed.
fn lock_run(run: &Path, inputs: &[PathBuf]) -> Result<Option<File>> {
    let in_the_way = |path: &Path, found: String| Error::File {
        path: path.into(),
        found,
        expected: "what an earlier comparison left here, and no more; another --out, or move it away".into(),
    };
    if run.is_symlink() || !run.is_dir() {
        return Err(in_the_way(run, "is not a directory".into()));
    }
    let lock = lock(run)?;
    if let Some(foreign) = foreign_file(run)? {
        return Err(in_the_way(&foreign, "is no part of a run".into()));
    }
    let place = fs::canonicalize(run).map_err(|error| Error::io("look at", run, error))?;
    let is_inside = |input: &&PathBuf| fs::canonicalize(input).is_ok_and(|input| input.starts_with(&place));
    match inputs.iter().find(is_inside) {
        Some(input) => Err(in_the_way(run, format!("holds {}, which this command reads", input.display()))),
        None => Ok(lock),
    }
}
