//! What a run leaves in its directory, by name.

use super::outputs;
use super::run_record::RunRecord;
use arcos::files::atomic_file::PREFIX;
use arcos::{Error, Result};
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// The files beside `checkpoints/` and `tensorboard/`.
pub(super) const RUN_FILES: [&str; 7] =
    ["run.json", "history.csv", "iterations.csv", "target_angles.csv", "training.png", "open_set.json", "open_set.png"];

/// The first thing in a run directory that training does not write, if there is one.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn foreign_file(run: &Path) -> Result<Option<PathBuf>> {
    for (name, entry) in entries(run)? {
        let is_known = match name.as_str() {
            "checkpoints" | "tensorboard" if is_directory(&entry) => {
                let known = |(below, entry): &(String, DirEntry)| is_run_file(&name, below) && !is_directory(entry);
                if let Some((_, foreign)) = entries(&entry.path())?.into_iter().find(|below| !known(below)) {
                    return Ok(Some(foreign.path()));
                }
                true
            }
            _ => is_run_file("", &name) && !is_directory(&entry),
        };
        if !is_known {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Removes a run, and nothing that training does not write: where such a thing is, or comes to be on the way, it stays with its directory.
///
/// # Errors
/// [`Error::File`] for a thing that training does not write; [`Error::Io`].
pub(super) fn remove(run: &Path) -> Result<()> {
    if let Some(path) = foreign_file(run)? {
        let (found, expected) = ("is no part of a run".into(), "none there: move it away, and the rest can go".into());
        return Err(Error::File { path, found, expected });
    }
    let of_run = |directory: &Path| {
        let failed = |error| Error::io("remove", directory, error);
        let name =
            if directory == run { "" } else { directory.file_name().and_then(OsStr::to_str).unwrap_or_default() };
        for (file, entry) in entries(directory)? {
            if is_run_file(name, &file) {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        fs::remove_dir(directory).map_err(failed)
    };
    let below = ["checkpoints", "tensorboard"].map(|name| run.join(name));
    below.iter().filter(|directory| directory.is_dir()).try_for_each(|directory| of_run(directory))?;
    of_run(run)
}

/// What there is of a run, which a file that is made of it must not replace.
pub(super) fn all(run: &Path) -> Vec<PathBuf> {
    let below = ["checkpoints", "tensorboard"].map(|name| entries(&run.join(name)).unwrap_or_default());
    RUN_FILES
        .map(|name| run.join(name))
        .into_iter()
        .chain(below.into_iter().flatten().map(|(_, entry)| entry.path()))
        .collect()
}

/// Refuses to begin a run where it would write over what no run has left. One that was ended before its first checkpoint has left run.json.
///
/// # Errors
/// [`Error::File`], [`Error::Io`].
pub(super) fn refuse_others(run: &Path) -> Result<()> {
    let checkpoints = run.join("checkpoints");
    let in_checkpoints = if checkpoints.is_dir() { entries(&checkpoints)? } else { Vec::new() };
    let in_checkpoints =
        in_checkpoints.into_iter().filter(|(name, _)| is_run_file("checkpoints", name) && !name.starts_with(PREFIX));
    let files = RUN_FILES.map(|name| run.join(name)).into_iter().chain(in_checkpoints.map(|(_, entry)| entry.path()));
    outputs::refuse_others(&run.join(RunRecord::FILE), &RunRecord::KEYS, &files.collect::<Vec<_>>())
}

/// Whether training writes a file of this name in this directory of a run.
fn is_run_file(directory: &str, name: &str) -> bool {
    let (stem, extension) = name.rsplit_once('.').unwrap_or_default();
    match directory {
        // Where the program was killed.
        _ if name.starts_with(PREFIX) => true,
        "checkpoints" => stem.starts_with("epoch-") && ["json", "safetensors"].contains(&extension),
        "tensorboard" => name.starts_with("events.out.tfevents.") && extension == "arcos",
        _ => RUN_FILES.contains(&name),
    }
}

fn entries(directory: &Path) -> Result<Vec<(String, DirEntry)>> {
    let failed = |error| Error::io("list", directory, error);
    let named = |entry: DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry);
    let entries = fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| entry.map(named).map_err(failed)).collect()
}

/// Whether an entry is a directory, and no link to one.
fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_found_at_every_depth() -> Result<()> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str| fs::write(at(name), "").expect("writable");
        ["checkpoints", "tensorboard"].into_iter().for_each(|name| fs::create_dir(at(name)).expect("writable"));
        RUN_FILES.into_iter().for_each(write);
        let checkpoints = ["epoch-0001.json", "epoch-0001-batch-000002.safetensors", ".arcos-unfinished-abcdefghijkl"];
        checkpoints.into_iter().for_each(|name| write(&format!("checkpoints/{name}")));
        write("tensorboard/events.out.tfevents.1.2.arcos");
        assert_eq!(foreign_file(directory.path())?, None);
        for name in
            ["thesis.txt", "checkpoints/best.safetensors", "tensorboard/events.out.tfevents.1.keras", "epoch-1.json"]
        {
            write(name);
            assert_eq!(foreign_file(directory.path())?, Some(at(name)));
            fs::remove_file(at(name)).expect("writable");
        }
        for name in ["figures", "checkpoints/epoch-0001.json.d", "checkpoints/epoch-0003.json"] {
            fs::create_dir(at(name)).expect("writable");
            assert_eq!(foreign_file(directory.path())?, Some(at(name)));
            let refused = remove(directory.path()).expect_err("it holds something else").to_string();
            assert!(refused.contains(": is no part of a run; expected none there"), "{refused}");
            fs::remove_dir(at(name)).expect("writable");
        }
        assert!(at("run.json").exists() && at("checkpoints/epoch-0001.json").exists());
        remove(directory.path())?;
        assert!(!directory.path().exists());
        Ok(())
    }
}
