//! `arcos evaluate`

use super::class_scores::ClassScores;
use super::data_args::read_labels;
use super::evaluation_report::{ClosedSet, Details, Report, files};
use super::failure::Failure;
use super::html_report::{MistakenRow, ReportArgs, mistaken_rows};
use super::measured_rows::MeasuredRows;
use super::photographs_of_rows::photographs_of_rows;
use super::table::figure;
use super::trained_model::{model_files, read_model_with_labels};
use super::{calibration, complain, open_set, outputs, print, recognition, run_files};
use arcos::data::{Dataset, Features, Labels, Matrix, PhotographRows, file_of, read_features, read_matrix, read_pairs};
use arcos::files::atomic_file::directory_of;
use arcos::metrics::open_set::{OpenSetOptions, measure};
use arcos::train::Model;
use arcos::wording::counted;
use arcos::{Error, Head, Real, Result};
use ndarray::Array2;
use serde_json::json;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Arguments of `arcos evaluate`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("of_photographs").multiple(true).args(["pairs", "report"]))]
#[command(after_help = "\
Without --open-set: loss and accuracy of the head on classes that it was trained on, of each class recall, precision and F1, what it is taken for, and whether its probabilities mean what they say: NLL, Brier score and expected \
calibration error of the softmax of its logits as they are and, where the run had validation rows, at the temperature that was fitted on them; with --unknown whether it can tell that a row is of none of its classes. With --open-set: how well rows of one class find each other, \
whatever the classes, by the cosine similarity of their embeddings. Recall@k, MAP@R, R-precision: each row among all others. NMI: k-means. \
AUC, EER, TAR at FAR: all pairs of rows, and --pairs with the ten folds of LFW. Identification: the first row of each class is the \
gallery, with --distractors, and the others are looked up in it; by --distractors alone as in MegaFace, too.

Examples:
  arcos evaluate --run arcos-run --features X.npy --labels y.npy
  arcos evaluate --run arcos-run --features X.npy --labels y.npy --report report.html
  arcos evaluate --run arcos-run --features X.npy --labels y.npy --unknown others.npy
  arcos evaluate --run arcos-run --features X.npy --labels y.npy --open-set --classes 100..200 --out report
  arcos evaluate --embeddings E.npy --labels y.npy --pairs pairs.txt --manifest DIR
  arcos evaluate --embeddings E.npy --pairs pairs.csv
  arcos evaluate --embeddings E.npy --labels y.npy --distractors megaface.npy --json")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied. The file must not change until
    /// the end
    #[arg(long, value_name = "FILE", required_unless_present = "embeddings")]
    features: Option<PathBuf>,
    /// Embeddings (N, E) of any origin, measured as they are: no run is needed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["features", "run"])]
    embeddings: Option<PathBuf>,
    /// Labels (N,): integers, strings or whole floating-point numbers, or a .txt file with a label a line; -100 or an empty string means no label.
    /// Of a head they are those that it was trained with
    #[arg(long, value_name = "FILE", required_unless_present = "pairs")]
    labels: Option<PathBuf>,
    /// Labels are numbers from N, as in training: a run that knows its labels takes no other N, and of one that does not they count from 0
    #[arg(long, value_name = "N", allow_negative_numbers = true, requires = "labels")]
    labels_start: Option<i64>,
    /// Only rows with these labels: A..B is from A to below B, either may be left out
    #[arg(long, value_name = "A..B", value_parser = class_range, requires = "labels", allow_hyphen_values = true)]
    classes: Option<Range<i64>>,
    /// Features of rows of none of the head's classes: how well the largest logit, probability and energy tell the labelled rows from them (AUROC, FPR at 95 % TPR, OSCR)
    #[arg(long, value_name = "FILE", requires = "labels", conflicts_with_all = ["embeddings", "open_set", "pairs", "distractors", "nmi"])]
    unknown: Option<PathBuf>,
    /// Measure embeddings rather than the head
    #[arg(long)]
    open_set: bool,
    /// Pairs for verification: lines of `i j same` (rows from 0, or photographs as the manifest names them; 1 or 0), or LFW's pairs.txt. They are enough where there are no labels
    #[arg(long, value_name = "FILE", conflicts_with = "classes", help_heading = "Open set")]
    pairs: Option<PathBuf>,
    /// Which photograph each row is, for pairs of photographs and the page of --report: a manifest.json that `arcos extract` left or the directory that it is in, or a text
    /// file with a photograph a line [default: the manifest.json beside the features]
    #[arg(long, value_name = "PATH", requires = "of_photographs")]
    manifest: Option<PathBuf>,
    /// Features (or embeddings) of nobody, that rows of a class have to find each other among, as in MegaFace
    #[arg(long, value_name = "FILE", requires = "labels", help_heading = "Open set")]
    distractors: Option<PathBuf>,
    /// NMI even where clustering takes longer than all the rest: where rows times classes are past 100 million
    #[arg(long, requires = "labels", help_heading = "Open set")]
    nmi: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// Leave evaluation.json, class_scores.csv, confusions.csv, confusions.png (where there are mistakes) and reliability.png here; of an open set
    /// evaluation.json and open_set.png
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    page: ReportArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let measures_embeddings =
        args.open_set || args.embeddings.is_some() || args.pairs.is_some() || args.distractors.is_some() || args.nmi;
    if let (Some(start), true) = (args.labels_start, measures_embeddings) {
        let expected = "none where embeddings are measured, whatever their labels".into();
        return Err(Error::Setting { name: "--labels-start", value: start.to_string(), expected }.into());
    }
    let model = match &args.embeddings {
        Some(_) => None,
        None => Some(read_model_with_labels(&args.run, args.labels_start)?),
    };
    let labels = args.labels.as_deref().map(|path| Ok::<_, Error>((path, read_labels(path)?))).transpose()?;
    if let (Some(model), Some((path, labels)), false) = (&model, &labels, measures_embeddings)
        && !model.class_table.labels_are_strings()
    {
        labels.check_strays().map_err(|error| error.in_file(path))?;
    }
    if let Some(directory) = &args.out {
        let files = files(directory);
        outputs::refuse_inputs(&files, &inputs(args))?;
        outputs::refuse_others(&files[0], &["head", "rows"], &files)?;
        outputs::check_places(directory, &files)?;
    }
    if let Some(page) = &args.page.report {
        outputs::refuse_inputs([page], &[inputs(args), run_files::all(&args.run)].concat())?;
        // In a directory that is not there yet nothing is.
        let is_made = |directory: &&PathBuf| !directory.is_dir() && directory_of(page) == directory.as_path();
        match args.out.as_ref().filter(is_made) {
            Some(directory) => outputs::refuse_same(page, &files(directory))?,
            None => {
                outputs::check_place(page)?;
                let others = args.out.iter().filter(|directory| directory.is_dir());
                outputs::refuse_twice(others.flat_map(|directory| files(directory)).chain([page.clone()]))?;
            }
        }
    }
    let report = evaluated(args, model.as_ref(), labels, measures_embeddings)?;
    report.leave(args.out.as_deref(), args.page.report.as_deref())?;
    Ok(if args.json { print(report.json) } else { print(report.text) }?)
}

/// Reads the rows and measures them.
fn evaluated<'a>(
    args: &Args,
    model: Option<&'a Model>,
    labels: Option<(&Path, Labels)>,
    measures_embeddings: bool,
) -> Result<Report<'a>> {
    let (path, classes) = (path_of_rows(args), args.classes.as_ref());
    let rows =
        |what, shape: &[usize]| MeasuredRows::new((path, what, shape), labels, classes, args.distractors.as_deref());
    match model {
        Some(model) => {
            let features = read_features(path)?;
            let rows = rows("features", &features.rows().shape())?;
            let features = rows.of(features, Features::select)?;
            match measures_embeddings {
                true => {
                    let (embeddings, distractors) = embeddings_of_model(model, &features, &rows, args)?;
                    measured(embeddings, distractors, &rows, Some(model), args)
                }
                false => closed_set(model, features, &rows, args),
            }
        }
        None => {
            let embeddings = read_matrix(path)?;
            let rows = rows("embeddings", embeddings.shape())?;
            let embeddings = rows.of(embeddings, |embeddings, rows| Ok(embeddings.select(rows)))?;
            let distractors = args.distractors.as_deref().map(read_matrix).transpose()?;
            // In double precision where one of the files is.
            match (embeddings, distractors) {
                (Matrix::F32(embeddings), None) => measured(embeddings, None, &rows, None, args),
                (Matrix::F32(embeddings), Some(Matrix::F32(distractors))) => {
                    measured(embeddings, Some(distractors), &rows, None, args)
                }
                (embeddings, distractors) => {
                    measured(embeddings.into_f64(), distractors.map(Matrix::into_f64), &rows, None, args)
                }
            }
        }
    }
}

/// The files that are read.
fn inputs(args: &Args) -> Vec<PathBuf> {
    let files = [&args.features, &args.embeddings, &args.labels, &args.distractors, &args.unknown].map(Option::as_ref);
    let files = files.into_iter().flatten().map(|path| file_of(path));
    let beside = directory_of(&file_of(path_of_rows(args))).to_path_buf();
    let manifest = args.manifest.clone().unwrap_or(beside);
    let manifest = [if manifest.is_file() { manifest } else { manifest.join("manifest.json") }];
    files.chain(args.pairs.clone()).chain(manifest).chain(model_files(&args.run)).collect()
}

/// The file of features or embeddings.
fn path_of_rows(args: &Args) -> &Path {
    args.embeddings.as_deref().or(args.features.as_deref()).expect("clap requires one of the two")
}

/// Figures of the head.
fn closed_set<'a>(model: &'a Model, features: Features, rows: &MeasuredRows, args: &Args) -> Result<Report<'a>> {
    let data = Dataset::labelled(features, rows.labels.clone(), rows.class_table.clone());
    let measures = data.and_then(|data| {
        let unknown = args.unknown.as_deref();
        let measures = ClosedSet {
            evaluation: model.evaluate(&data)?,
            calibration: calibration::measure(model, &data)?,
            classes: ClassScores::new(&model.class_table, model.confusion(&data)?),
            recognized: unknown.map(|unknown| recognition::measure(model, &data, unknown)).transpose()?,
            mistaken_rows: args.page.report.as_ref().map(|_| mistaken_rows(model, &data)).transpose()?,
        };
        Ok(measures)
    });
    let measures = measures.map_err(|error| match error {
        Error::Label { row, label, expected } => {
            let advice = "--open-set measures embeddings of other classes, --classes leaves rows out";
            Error::Label { row, label, expected: format!("{expected}; {advice}") }
        }
        other => other,
    });
    let mut measures = measures.map_err(|error| rows.located(error, model.head_input()))?;
    if let Some((mistaken, _)) = &mut measures.mistaken_rows {
        show_photographs(mistaken, rows, args)?;
    }
    let ClosedSet { evaluation, calibration, classes, recognized, .. } = &measures;
    let mut json = json!({
        "head": model.head.name(),
        "rows": evaluation.rows,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        "top5_accuracy": evaluation.top5_accuracy,
        "classes": classes.json(),
        "calibration": calibration::json(calibration),
    });
    let title = format!("{}, {}", model.head.name(), counted(evaluation.rows, "row"));
    let mut text = format!(
        "{title}: loss {}  accuracy {:.4}  top-5 {:.4}\n{}\n{}",
        figure(evaluation.loss),
        evaluation.accuracy,
        evaluation.top5_accuracy,
        calibration::text(calibration),
        classes.text()
    );
    if let Some(recognized) = recognized {
        json["unknown"] = recognition::json(recognized);
        text += &format!("\n{}", recognition::text(recognized));
    }
    Ok(Report { json, text, title, details: Details::ClosedSet(Box::new(measures)) })
}

/// Gives rows their numbers in the file and, where a manifest is there, their photographs.
fn show_photographs(mistakes: &mut [MistakenRow], rows: &MeasuredRows, args: &Args) -> Result<()> {
    let photographs = photographs_of_rows(args.manifest.as_deref(), path_of_rows(args), rows.rows_of_file)?;
    if let (Some(directory), true) = (&args.page.photographs, photographs.is_empty()) {
        let expected = "photographs that are named, by a manifest.json beside the features or by --manifest".into();
        let value = directory.display().to_string();
        return Err(Error::Setting { name: "--photographs", value, expected });
    }
    if let (Some(page), Some(directory)) = (&args.page.report, &args.page.photographs) {
        let files: Vec<PathBuf> = photographs.iter().map(|photograph| directory.join(photograph)).collect();
        outputs::refuse_inputs([page], &files)?;
    }
    let mut unseen = Vec::new();
    for row in mistakes {
        row.number = rows.number(row.number);
        if let Some(photograph) = photographs.get(row.number) {
            unseen.extend(row.show(photograph, args.page.photographs.as_deref()).err());
        }
    }
    if let Some(first) = unseen.first() {
        complain(format_args!("{} not on the page; the first: {first}", counted(unseen.len(), "photograph")));
    }
    Ok(())
}

/// Embeddings of features and, where there are some, of distractors.
fn embeddings_of_model(
    model: &Model,
    features: &Features,
    rows: &MeasuredRows,
    args: &Args,
) -> Result<(Array2<f32>, Option<Array2<f32>>)> {
    let embeddings = model.embeddings(features).map_err(|error| rows.located(error, "features"))?;
    let of_distractors = |path: &Path| {
        let distractors = read_features(path)?;
        model.embeddings(&distractors).map_err(|error| error.in_file(path))
    };
    Ok((embeddings, args.distractors.as_deref().map(of_distractors).transpose()?))
}

/// Measures of embeddings.
fn measured<F: Real>(
    embeddings: Array2<F>,
    distractors: Option<Array2<F>>,
    rows: &MeasuredRows,
    model: Option<&Model>,
    args: &Args,
) -> Result<Report<'static>> {
    let labels = rows.labels.view();
    let pairs = args.pairs.as_deref().map(|pairs| {
        let photographs = photographs_of_rows(args.manifest.as_deref(), path_of_rows(args), labels.len())?;
        read_pairs(pairs, labels.len(), &PhotographRows::of(photographs.iter().map(String::as_str)))
    });
    let pairs = pairs.transpose()?;
    let options = OpenSetOptions {
        clusters: args.nmi || open_set::clusters_fast(labels),
        pairs: pairs.as_deref(),
        distractors: distractors.as_ref().map(|distractors| distractors.view()),
        ..OpenSetOptions::default()
    };
    let located = |error: Error| match (&error, &args.labels, &args.pairs) {
        (Error::NotDefined { .. }, None, Some(pairs)) => error.in_file(pairs),
        _ => rows.located(error, "embeddings"),
    };
    let mut measures = measure(embeddings.view(), labels, &options).map_err(located)?;
    if measures.classes == 0 {
        // Pairs alone are of any rows.
        measures.rows = labels.len();
    }
    let title = format!("{}, {}", open_set::rows_of_classes(&measures), counted(embeddings.ncols(), "dimension"));
    let mut json = open_set::json(&measures);
    json["dimension"] = embeddings.ncols().into();
    json["head"] = model.map(|model| model.head.name()).into();
    Ok(Report { json, text: open_set::text(&measures), title, details: Details::OpenSet(Box::new(measures)) })
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
