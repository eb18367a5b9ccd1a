//! The model that `--run` names: that of a run directory, or a checkpoint.

use super::failure::Failure;
use arcos::data::Label;
use arcos::train::{Checkpoint, Model, RunDirectory};
use arcos::{Error, Result};
use std::path::{Path, PathBuf};

/// The model of a run's newest checkpoint, or of the checkpoint itself.
pub(super) fn read_model(path: &Path) -> Result<Model> {
    Ok(best_model(read_checkpoint(path)?))
}

/// The model of a run, of one that does not know its labels with those from `labels_start`; one that knows them takes no others.
pub(super) fn read_model_with_labels(path: &Path, labels_start: Option<i64>) -> Result<Model, Failure> {
    let checkpoint = read_checkpoint(path)?;
    let data = checkpoint.data;
    let model = best_model(checkpoint);
    let Some(start) = labels_start else { return Ok(model) };
    // Runs from before labels were kept have no check sums of their data, either.
    if data.is_none() {
        return Ok(Model { class_table: model.class_table.starting_at(start)?, ..model });
    }
    let table = &model.class_table;
    let expected = match table.label(0) {
        Label::Number(first) if table.is_consecutive() && first == start => return Ok(model),
        Label::Number(first) if table.is_consecutive() => {
            format!("{first}: the labels of the run are {}", table.describe())
        }
        _ => format!("none: the labels of the run are {}", table.describe()),
    };
    let error = Error::Setting { name: "--labels-start", value: start.to_string(), expected };
    Err(Failure::of_run(error, path))
}

/// The model of the best epoch where there were validation rows, else that of the last.
fn best_model(checkpoint: Checkpoint) -> Model {
    checkpoint.best.unwrap_or(checkpoint.model)
}

/// The newest checkpoint of a run, or the checkpoint itself.
pub(super) fn read_checkpoint(path: &Path) -> Result<Checkpoint> {
    let newest = if path.is_dir() { RunDirectory::load_newest(path)? } else { None };
    newest.map_or_else(|| Checkpoint::load(&checkpoint_of(path)?), Ok)
}

/// Where that is.
fn checkpoint_of(path: &Path) -> Result<PathBuf> {
    let wrong = |found: &str| Error::File {
        path: path.into(),
        found: found.into(),
        expected: "the output directory of `arcos train`, or a checkpoint".into(),
    };
    if path.is_dir() {
        return RunDirectory::newest_checkpoint(path)?.ok_or_else(|| wrong("holds no checkpoint"));
    }
    match (path.with_extension("json").exists(), path.exists()) {
        (true, _) => Ok(path.into()),
        (false, true) => Err(wrong("is no checkpoint")),
        (false, false) => Err(wrong("is not there")),
    }
}

/// The files that [`read_model`] reads.
pub(super) fn model_files(path: &Path) -> Vec<PathBuf> {
    let checkpoint = checkpoint_of(path).ok();
    checkpoint.iter().flat_map(|path| ["json", "safetensors"].map(|extension| path.with_extension(extension))).collect()
}
