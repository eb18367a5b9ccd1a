//! What a command writes is none of what it reads.

use arcos::data::without_byte_order_mark;
use arcos::files::atomic_file::{check_replaceable, directory_of, remove_left_over};
use arcos::files::regular_file;
use arcos::{Error, Result};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Refuses an output that is one of the inputs, by whatever name: another spelling, a link, a hard link. What is not there yet is neither.
///
/// # Errors
/// [`Error::File`].
pub(super) fn refuse_inputs<P: AsRef<Path>>(outputs: impl IntoIterator<Item = P>, inputs: &[PathBuf]) -> Result<()> {
    for output in outputs {
        let output = output.as_ref();
        // What is written to a pipe or a terminal replaces nothing.
        if !output.is_file() {
            continue;
        }
        if let Some(input) = inputs.iter().find(|input| is_same_file(output, input)) {
            let found = match output == input {
                true => "is part of what this command reads".into(),
                false => format!("is {}, part of what this command reads", input.display()),
            };
            return Err(Error::File { path: output.into(), found, expected: "another place to write to".into() });
        }
    }
    Ok(())
}

/// Refuses a file that cannot come to be, before the work that goes into it, and removes what a command that was killed left half written
/// beside it.
///
/// # Errors
/// [`Error::File`].
pub(super) fn check_place(path: &Path) -> Result<()> {
    let wrong =
        |found: &str, expected: &str| Error::File { path: path.into(), found: found.into(), expected: expected.into() };
    if path.is_dir() {
        return Err(wrong("is a directory", "a file to write"));
    }
    if path == Path::new("-") {
        // In other programs it is standard output, and nobody looks for a file of that name.
        return Err(wrong("names no file here", "a file to write, ./- for one that is called so"));
    }
    check_replaceable(path)?;
    if !directory_of(path).is_dir() {
        return Err(wrong("is in no directory that is there", "a file in one"));
    }
    remove_left_over(directory_of(path));
    Ok(())
}

/// Checks that no two of these files, whose directories are there, are one, under whatever names.
///
/// # Errors
/// [`Error::File`], [`Error::Io`].
pub(super) fn refuse_twice<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<()> {
    let mut places: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = file.as_ref();
        let place = place_on_disk(path).map_err(|error| Error::io("find", path, error))?;
        if places.contains(&place) {
            return Err(twice(path));
        }
        places.push(place);
    }
    Ok(())
}

/// Checks that `file` is none of others in a directory that is not there yet.
///
/// # Errors
/// [`Error::File`].
pub(super) fn refuse_same(file: &Path, others: &[PathBuf]) -> Result<()> {
    match others.iter().any(|other| other == file) {
        true => Err(twice(file)),
        false => Ok(()),
    }
}

fn twice(path: &Path) -> Error {
    let (found, expected) = ("is to be written twice".into(), "a file for each output".into());
    Error::File { path: path.into(), found, expected }
}

/// The file that writing to this path replaces or makes, whatever way leads to it.
pub(super) fn place_on_disk(path: &Path) -> io::Result<PathBuf> {
    match path.exists() {
        true => fs::canonicalize(path),
        false => Ok(fs::canonicalize(directory_of(path))?.join(path.file_name().unwrap_or_default())),
    }
}

/// Refuses `files` of a directory that cannot come to be, before the work that goes into them. Leaves nothing in it, whatever happens.
///
/// # Errors
/// [`Error::File`], [`Error::Io`].
pub(super) fn check_places(directory: &Path, files: &[PathBuf]) -> Result<()> {
    if let Some(taken) = files.iter().find(|file| file.is_dir()) {
        let (found, expected) = ("is a directory".into(), "a file to write".into());
        return Err(Error::File { path: taken.clone(), found, expected });
    }
    [directory].into_iter().chain(files.iter().map(PathBuf::as_path)).try_for_each(check_replaceable)?;
    let there = directory.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    let attempt = if directory.exists() { "write to" } else { "create" };
    tempfile::tempfile_in(there).map_err(|error| Error::io(attempt, directory, error))?;
    Ok(())
}

/// Removes a file of an earlier command, if it is there.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| Error::io("remove", file, error)),
    }
}

/// Refuses files that are there and that no earlier command of this kind has left: such a command leaves a `record` with them, a JSON object
/// with these `keys`.
///
/// # Errors
/// [`Error::File`]; [`Error::Io`] for a record that cannot be read.
pub(super) fn refuse_others(record: &Path, keys: &[&str], files: &[PathBuf]) -> Result<()> {
    let text = if record.is_file() { regular_file::read(record)? } else { Vec::new() };
    let found: serde_json::Value = serde_json::from_slice(without_byte_order_mark(&text)).unwrap_or_default();
    if keys.iter().all(|key| found.get(key).is_some()) {
        return Ok(());
    }
    let name = record.file_name().unwrap_or_default().display();
    match [record].into_iter().chain(files.iter().map(PathBuf::as_path)).find(|file| file.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(taken) => Err(Error::File {
            path: taken.into(),
            found: "is in the way".into(),
            expected: format!(
                "nothing, or what this command once left here with its {name}; another --out, or move it away"
            ),
        }),
    }
}

/// Whether two names are those of one file on disk.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let (Ok(first), Ok(second)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (first.dev(), first.ino()) == (second.dev(), second.ino())
    }
    #[cfg(not(unix))]
    {
        fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_every_name() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("x.npy"), "x").expect("writable");
        fs::write(at("same bytes"), "x").expect("writable");
        fs::create_dir(at("below")).expect("writable");
        fs::hard_link(at("x.npy"), at("hard")).expect("one file system");
        let mut names = vec![at("x.npy"), at("hard"), at("below/../x.npy")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("below/../hard"), at("link")).expect("writable");
            names.push(at("link"));
        }
        for name in names {
            let error = refuse_inputs([&name], &[at("other"), at("x.npy")]).expect_err("an input");
            assert!(error.to_string().contains("this command"), "{error}");
        }
        assert!(check_place(&at("below")).is_err() && check_place(&at("nowhere/file")).is_err());
        [at("new"), at("x.npy"), "here".into()].iter().for_each(|path| check_place(path).expect("a place"));
        refuse_inputs([at("same bytes"), at("new"), at("below")], &[at("x.npy")]).expect("others");
        #[cfg(unix)]
        refuse_inputs(["/dev/null"], &["/dev/null".into()]).expect("nothing is replaced");
    }
}
