//! `arcos evaluate`

use super::data_args::read_labels;
use super::{open_set, outputs, print};
use crate::data::{
    ClassTable, Dataset, Features, Label, Labels, Matrix, file_of, read_features, read_matrix, read_pairs, read_text,
    rows_of_stems,
};
use crate::extract::Manifest;
use crate::metrics::open_set::{OpenSetOptions, measure};
use crate::ops::IGNORE_LABEL;
use crate::train::{Checkpoint, Model, RunDirectory};
use crate::wording::counted;
use crate::{Error, Real, Result, atomic_file};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Arguments of `arcos evaluate`.
#[derive(clap::Args)]
#[command(after_help = "\
Without --open-set: loss and accuracy of the head on classes that it was trained on. With it: how well rows of one class find each other, \
whatever the classes, by the cosine similarity of their embeddings. Recall@k, MAP@R, R-precision: each row among all others. NMI: k-means. \
AUC, EER, TAR at FAR: all pairs of rows, and --pairs with the ten folds of LFW. Identification: the first row of each class is the \
gallery, with --distractors, and the others are looked up in it; by --distractors alone as in MegaFace, too.

Examples:
  arcos evaluate --run arcos-run --features X.npy --labels y.npy
  arcos evaluate --run arcos-run --features X.npy --labels y.npy --open-set --classes 100..200 --out report
  arcos evaluate --embeddings E.npy --labels y.npy --pairs pairs.txt --manifest DIR
  arcos evaluate --embeddings E.npy --pairs pairs.csv
  arcos evaluate --embeddings E.npy --labels y.npy --distractors megaface.npy --json")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied
    #[arg(long, value_name = "FILE", required_unless_present = "embeddings")]
    features: Option<PathBuf>,
    /// Embeddings (N, E) of any origin, measured as they are: no run is needed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["features", "run"])]
    embeddings: Option<PathBuf>,
    /// Labels (N,): integers, strings or whole floating-point numbers, or a .txt file with a label a line; -100 or an empty string means no label.
    /// Of a head they are those that it was trained with
    #[arg(long, value_name = "FILE", required_unless_present = "pairs")]
    labels: Option<PathBuf>,
    /// Labels are numbers from N; only for runs that do not know theirs, which are counted from 0 [default: as in training]
    #[arg(long, value_name = "N", allow_negative_numbers = true, requires = "labels")]
    labels_start: Option<i64>,
    /// Only rows with these labels: A..B is from A to below B, either may be left out
    #[arg(long, value_name = "A..B", value_parser = class_range, requires = "labels")]
    classes: Option<Range<i64>>,
    /// Measure embeddings rather than the head
    #[arg(long)]
    open_set: bool,
    /// Pairs for verification: lines of `i j same` (rows from 0; 1 or 0), or LFW's pairs.txt. They are enough where there are no labels
    #[arg(long, value_name = "FILE", conflicts_with = "classes", help_heading = "Open set")]
    pairs: Option<PathBuf>,
    /// Which photograph each row is, for the names in pairs.txt: a directory whose manifest.json `arcos extract` left, or a text file with a
    /// photograph a line
    #[arg(long, value_name = "PATH", requires = "pairs", help_heading = "Open set")]
    manifest: Option<PathBuf>,
    /// Features (or embeddings) of nobody, that rows of a class have to find each other among, as in MegaFace
    #[arg(long, value_name = "FILE", help_heading = "Open set")]
    distractors: Option<PathBuf>,
    /// NMI even where clustering takes longer than all the rest: where rows times classes are past 100 million
    #[arg(long, help_heading = "Open set")]
    nmi: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// Leave evaluation.json here and, of an open set, open_set.png
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let measures_embeddings =
        args.open_set || args.embeddings.is_some() || args.pairs.is_some() || args.distractors.is_some() || args.nmi;
    if let (Some(start), true) = (args.labels_start, measures_embeddings) {
        let expected = "none where embeddings are measured, whatever their labels".into();
        return Err(Error::Setting { name: "--labels-start", value: start.to_string(), expected });
    }
    let model = match &args.embeddings {
        Some(_) => None,
        None => Some(read_model_with_labels(&args.run, args.labels_start)?),
    };
    let labelled = args.labels.as_deref().map(read_with_table).transpose()?;
    if let (Some(model), Some((labels, _)), Some(path), false) = (&model, &labelled, &args.labels, measures_embeddings)
        && !model.class_table.labels_are_strings()
    {
        labels.check_strays().map_err(|error| error.in_file(path))?;
    }
    if let Some(directory) = &args.out {
        outputs::refuse_inputs(["evaluation.json", "open_set.png"].map(|name| directory.join(name)), &inputs(args))?;
        fs::create_dir_all(directory).map_err(|error| Error::io("create", directory, error))?;
    }
    let (report, text) = match &model {
        Some(model) => {
            let data = labelled.map(|labelled| dataset(args, labelled)).transpose()?;
            match data {
                Some(data) if !measures_embeddings => closed_set(model, &data)?,
                data => measured(rows_of_model(model, data.as_ref(), args)?, Some(model), args)?,
            }
        }
        None => match rows_as_they_are(labelled, args)? {
            Rows::F32(rows) => measured(rows, None, args)?,
            Rows::F64(rows) => measured(rows, None, args)?,
        },
    };
    if let Some(directory) = &args.out {
        let path = directory.join("evaluation.json");
        atomic_file::write(&path, |file| {
            serde_json::to_writer_pretty(&mut *file, &report)?;
            writeln!(file)
        })?;
    }
    if args.json { print(report) } else { print(text) }
}

/// The files that are read.
fn inputs(args: &Args) -> Vec<PathBuf> {
    let files = [&args.features, &args.embeddings, &args.labels, &args.distractors].map(Option::as_ref);
    let files = files.into_iter().flatten().map(|path| file_of(path));
    let manifest =
        args.manifest.iter().map(|path| if path.is_file() { path.clone() } else { path.join("manifest.json") });
    files.chain(args.pairs.clone()).chain(manifest).chain(model_files(&args.run)).collect()
}

/// The file of features or embeddings.
fn path_of_rows(args: &Args) -> &Path {
    args.embeddings.as_deref().or(args.features.as_deref()).expect("clap requires one of the two")
}

/// Labels with the classes that they are of.
fn read_with_table(path: &Path) -> Result<(Labels, ClassTable)> {
    let labels = read_labels(path)?;
    let table = ClassTable::of(&[&labels]).map_err(|error| error.in_file(path))?;
    Ok((labels, table))
}

/// Features with labels, those asked for.
fn dataset(args: &Args, (labels, table): (Labels, ClassTable)) -> Result<Dataset> {
    let path = args.labels.as_deref().expect("labels are of a file");
    let data = Dataset::read_encoded(path_of_rows(args), path, &labels, table)?;
    match &args.classes {
        Some(range) => {
            let wanted = rows_in(range, data.labels.view(), data.class_table())?;
            let labels: HashSet<i64> = wanted.into_iter().map(|row| data.labels[row]).collect();
            data.select(|class| labels.contains(&class))
        }
        None => Ok(data),
    }
}

/// The rows whose labels are in `range`.
fn rows_in(range: &Range<i64>, labels: ArrayView1<i64>, table: &ClassTable) -> Result<Vec<usize>> {
    let is_wanted = |class: i64| {
        let label = usize::try_from(class).ok().map(|class| table.label(class));
        matches!(label, Some(Label::Number(number)) if range.contains(&number))
    };
    let rows: Vec<usize> = (0..labels.len()).filter(|&row| is_wanted(labels[row])).collect();
    if !rows.is_empty() {
        return Ok(rows);
    }
    let expected = format!("a range with rows in it: labels are {}", table.describe());
    let bound = |bound: i64, left_out: i64| if bound == left_out { String::new() } else { bound.to_string() };
    let value = format!("{}..{}", bound(range.start, i64::MIN), bound(range.end, i64::MAX));
    Err(Error::Setting { name: "--classes", value, expected })
}

/// Figures of the head, as JSON and as text.
fn closed_set(model: &Model, data: &Dataset) -> Result<(Value, String)> {
    let evaluation = model.evaluate(data).map_err(|error| match error {
        Error::InFile { path, source } => match *source {
            Error::Label { row, label, expected } => {
                let advice = "--open-set measures embeddings of other classes, --classes leaves rows out";
                Error::Label { row, label, expected: format!("{expected}; {advice}") }.in_file(path)
            }
            source => source.in_file(path),
        },
        other => other,
    })?;
    let report = json!({
        "head": model.head.name(),
        "rows": evaluation.rows,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "top5_accuracy": evaluation.top5_accuracy,
    });
    let text = format!(
        "{}, {}: loss {:.4}  accuracy {:.4}  top-5 {:.4}",
        model.head.name(),
        counted(evaluation.rows, "row"),
        evaluation.loss,
        evaluation.accuracy,
        evaluation.top5_accuracy
    );
    Ok((report, text))
}

/// What is measured.
struct Embedded<F> {
    /// (N, D)
    embeddings: Array2<F>,
    /// (N,)
    labels: Array1<i64>,
    /// (M, D)
    distractors: Option<Array2<F>>,
}

/// Embeddings as they are in their files: in double precision where one of the files is.
enum Rows {
    F32(Embedded<f32>),
    F64(Embedded<f64>),
}

fn rows_of_model(model: &Model, data: Option<&Dataset>, args: &Args) -> Result<Embedded<f32>> {
    let of = |path: &Path, features: &Features| {
        let embeddings = model.embeddings(features.view()).map_err(|error| error.in_file(path))?;
        features.check_unchanged()?;
        Ok::<_, Error>(embeddings)
    };
    let path = path_of_rows(args);
    let embeddings = match data {
        Some(data) => of(path, &data.features)?,
        None => of(path, &read_features(path)?)?,
    };
    let distractors = args.distractors.as_deref().map(|path| of(path, &read_features(path)?)).transpose()?;
    let labels = data.map_or_else(|| unlabelled(embeddings.nrows()), |data| data.labels.clone());
    Ok(Embedded { embeddings, labels, distractors })
}

fn unlabelled(rows: usize) -> Array1<i64> {
    Array1::from_elem(rows, IGNORE_LABEL)
}

fn rows_as_they_are(labelled: Option<(Labels, ClassTable)>, args: &Args) -> Result<Rows> {
    let mut embeddings = read_matrix(path_of_rows(args))?;
    let mut labels = unlabelled(embeddings.nrows());
    if let (Some((of_file, table)), Some(path)) = (labelled, &args.labels) {
        labels = table.encode(&of_file).map_err(|error| error.in_file(path))?;
        if labels.len() != embeddings.nrows() {
            let expected = format!("({},), one label for each row of embeddings", embeddings.nrows());
            return Err(Error::Shape { what: "labels", found: vec![labels.len()], expected }.in_file(path));
        }
        if let Some(range) = &args.classes {
            let rows = rows_in(range, labels.view(), &table)?;
            (embeddings, labels) = (embeddings.select(&rows), labels.select(Axis(0), &rows));
        }
    }
    let distractors = args.distractors.as_deref().map(read_matrix).transpose()?;
    Ok(match (embeddings, distractors) {
        (Matrix::F32(embeddings), None) => Rows::F32(Embedded { embeddings, labels, distractors: None }),
        (Matrix::F32(embeddings), Some(Matrix::F32(distractors))) => {
            Rows::F32(Embedded { embeddings, labels, distractors: Some(distractors) })
        }
        (embeddings, distractors) => Rows::F64(Embedded {
            embeddings: embeddings.into_f64(),
            labels,
            distractors: distractors.map(Matrix::into_f64),
        }),
    })
}

/// The measures as JSON and as text; the figure goes where it was asked for.
fn measured<F: Real>(rows: Embedded<F>, model: Option<&Model>, args: &Args) -> Result<(Value, String)> {
    let Embedded { embeddings, labels, distractors } = rows;
    let pairs = args.pairs.as_deref().map(|pairs| {
        let rows = args.manifest.as_deref().map(|path| files_of_rows(path, labels.len())).transpose()?;
        read_pairs(pairs, labels.len(), &rows_of_stems(rows.iter().flatten().map(String::as_str)))
    });
    let pairs = pairs.transpose()?;
    let options = OpenSetOptions {
        clusters: args.nmi || open_set::clusters_fast(labels.view()),
        pairs: pairs.as_deref(),
        distractors: distractors.as_ref().map(|distractors| distractors.view()),
        ..OpenSetOptions::default()
    };
    let in_file = |error: Error| match (&error, &args.distractors) {
        (Error::Shape { what, .. } | Error::NotFinite { what, .. } | Error::ZeroNorm { what, .. }, Some(path))
            if *what == "distractors" =>
        {
            error.in_file(path)
        }
        (Error::Shape { .. } | Error::Empty { .. } | Error::NotFinite { .. } | Error::ZeroNorm { .. }, _) => {
            error.in_file(path_of_rows(args))
        }
        _ => error,
    };
    let measures = measure(embeddings.view(), labels.view(), &options).map_err(in_file)?;
    if let Some(directory) = &args.out {
        let title = format!(
            "{} of {}, {}",
            counted(measures.rows, "row"),
            counted(measures.classes, "class"),
            counted(embeddings.ncols(), "dimension")
        );
        open_set::draw_one(&directory.join("open_set.png"), &title, &measures)?;
    }
    let mut report = open_set::json(&measures);
    report["dimension"] = embeddings.ncols().into();
    report["head"] = model.map(|model| model.head.name()).into();
    Ok((report, open_set::text(&measures)))
}

/// The photograph of each row: of the one split in the manifest that has as many rows, or of a list with a line for each.
fn files_of_rows(path: &Path, rows: usize) -> Result<Vec<String>> {
    if path.is_file() {
        let files: Vec<String> = read_text(path)?.lines().map(|line| line.trim().to_owned()).collect();
        return match files.len() == rows {
            true => Ok(files),
            false => Err(Error::File {
                path: path.into(),
                found: counted(files.len(), "line"),
                expected: format!("{rows}, one for each row of embeddings"),
            }),
        };
    }
    let wrong = |found: String| Error::File {
        path: path.join("manifest.json"),
        found,
        expected: format!("one split of {}, as many as there are features", counted(rows, "row")),
    };
    let manifest = Manifest::read(path)?.ok_or_else(|| wrong("is not there".into()))?;
    let fitting: Vec<_> = manifest.splits.into_iter().filter(|(_, split)| split.rows.len() == rows).collect();
    match <[_; 1]>::try_from(fitting) {
        Ok([(_, split)]) => Ok(split.rows.into_iter().map(|row| row.file).collect()),
        Err(fitting) => Err(wrong(format!("has {}", counted(fitting.len(), "such split")))),
    }
}

/// `A..B`, either of which may be left out.
fn class_range(text: &str) -> std::result::Result<Range<i64>, String> {
    let (start, end) = text.split_once("..").ok_or("expected A..B")?;
    let bound = |text: &str, default: i64| match text {
        "" => Ok(default),
        text => text.parse::<i64>().map_err(|error| format!("expected a whole number: {error}")),
    };
    match bound(start, i64::MIN)?..bound(end, i64::MAX)? {
        range if range.is_empty() => Err("expected A..B with A below B".into()),
        range => Ok(range),
    }
}

/// The model of a run's newest checkpoint, or of the checkpoint itself.
pub(super) fn read_model(path: &Path) -> Result<Model> {
    Ok(read_checkpoint(path)?.model)
}

/// The model of a run that does not know its labels with those from `labels_start`; of any other run there is no such start.
pub(super) fn read_model_with_labels(path: &Path, labels_start: Option<i64>) -> Result<Model> {
    let Checkpoint { model, data, .. } = read_checkpoint(path)?;
    let Some(start) = labels_start else { return Ok(model) };
    // Runs from before labels were kept have no check sums of their data, either.
    if data.is_some() {
        let expected = format!("none: the run knows its labels, {}", model.class_table.describe());
        return Err(Error::Setting { name: "--labels-start", value: start.to_string(), expected }.of_run(path));
    }
    Ok(Model { class_table: model.class_table.starting_at(start)?, ..model })
}

fn read_checkpoint(path: &Path) -> Result<Checkpoint> {
    let newest = if path.is_dir() { RunDirectory::load_newest(path)? } else { None };
    newest.map_or_else(|| Checkpoint::load(&checkpoint_of(path)?), Ok)
}

/// The newest checkpoint of a run, or the checkpoint itself.
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
