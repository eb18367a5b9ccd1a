//! `arcos suspects`

use super::csv_text::csv_text;
use super::data_args::{FILES, read_labels};
use super::failure::Failure;
use super::trained_model::{model_files, read_checkpoint, read_model_with_labels};
use super::{npy, outputs, print, run_files};
use arcos::data::{ClassTable, Dataset, Label, file_of};
use arcos::files::NewPlaces;
use arcos::heads::Geometry;
use arcos::metrics::centre_angles::{CentreAngles, RowAngles, centre_angles};
use arcos::metrics::confident_learning::{self, OutOfSample};
use arcos::train::{Model, out_of_sample};
use arcos::wording::counted;
use arcos::{Error, Head, Result, files::atomic_file};
use indicatif::{ProgressBar, ProgressDrawTarget};
use ndarray::{Array1, Array2};
use ndarray_npy::WriteNpyExt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `arcos suspects`.
#[derive(clap::Args)]
#[command(after_help = "\
A row is suspect if the angle between it and the dominant centre of its class is above --angle. The dominant centre is the one nearest to most \
rows of the class; a head with one class vector a class has no other, and the rule is the angle alone.

Writes CSV, a line for each suspect: row, label, dominant_centre and nearest_centre of its class (from 0), the angles to both in degrees, \
other_label, the class whose dominant centre is nearest of all other classes, and the angle to that. Where labels are numbers with names, there is a \
column name after label, and other_name. Rows without a label are left out.

With --folds no angle counts, and any head will do: as many models are trained with the settings of the run, each on all folds but one, and asked for the probabilities of the rows that \
it has not seen. A row is suspect if another class is the likeliest, and as likely as that class is to rows that bear its label on average (confident learning). Columns are then row, \
label, probability (that of the label), other_label and other_probability, the least likely labels first.

Example, Sub-center ArcFace and a second training without what it suspects:
  arcos train --head sub-center-arcface --data DIR --out noisy
  arcos suspects --run noisy --data DIR --out suspects.csv --sample-weights kept.npy
  arcos train --head arcface --data DIR --sample-weights kept.npy --out clean

Example, by cross-validation:
  arcos train --head norm-softmax --scale 16 --data DIR --out noisy
  arcos suspects --run noisy --data DIR --folds 5 --out suspects.csv --sample-weights kept.npy")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts. Without --folds its features and class vectors are on the sphere
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Directory with train_features.npy and train_labels.npy, and for --which test those of the test set
    #[arg(long, value_name = "DIR", required_unless_present = "features")]
    data: Option<PathBuf>,
    /// Which rows of --data
    #[arg(long, value_enum, default_value_t = Split::Train, requires = "data", conflicts_with = "features")]
    which: Split,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied. The file must not change until
    /// the end
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "labels")]
    features: Option<PathBuf>,
    /// Labels (N,), as in training; -100 or an empty string means no label
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires = "features")]
    labels: Option<PathBuf>,
    /// Labels are numbers from N, as in training: a run that knows its labels takes no other N, and of one that does not they count from 0
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    labels_start: Option<i64>,
    /// Rows at more than so many degrees from the dominant centre of their class are suspect, from 0 to 180
    #[arg(long, value_name = "DEGREES", default_value_t = 75.0, allow_negative_numbers = true)]
    angle: f64,
    /// Suspect by cross-validation with so many folds, in place of angles
    #[arg(long, value_name = "N", conflicts_with_all = ["angle", "centres"])]
    folds: Option<usize>,
    /// The CSV file
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    /// Write weights of rows (N,), too: 0 for suspects, 1 for all others, as `arcos train --sample-weights` takes them
    #[arg(long, value_name = "FILE.npy")]
    sample_weights: Option<PathBuf>,
    /// Write the dominant centres (C, D), too: class vectors of a head with one a class
    #[arg(long, value_name = "FILE.npy")]
    centres: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Split {
    Train,
    Test,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !(0.0..=180.0).contains(&args.angle) {
        let expected = "an angle in [0, 180] degrees".into();
        return Err(Error::Setting { name: "--angle", value: args.angle.to_string(), expected }.into());
    }
    let (features, labels) = files(args);
    check_outputs(args, &features, &labels)?;
    let model = read_model_with_labels(&args.run, args.labels_start)?;
    if let Some(folds) = args.folds {
        return by_cross_validation(args, folds, &read(&model, &features, &labels)?);
    }
    if model.head.geometry() != Geometry::Sphere {
        let (found, expected) = ("logits that are no cosines", "one whose class vectors are compared by angle");
        return Err(Failure::of_run(Error::Head { head: model.head.name(), found, expected }, &args.run));
    }
    let data = read(&model, &features, &labels)?;
    let found = angles(&model, &data)?;
    let suspects: Vec<_> = found.suspects(args.angle.to_radians() as f32).collect();
    let rows: Vec<usize> = suspects.iter().map(|suspect| suspect.row).collect();
    let centres =
        args.centres.as_deref().map(|path| Ok::<_, Error>((path, found.kept(model.parameters.weights.view())?)));
    leave(args, data.rows(), &rows, centres.transpose()?, &mut |file| {
        write_angles(file, &model.class_table, &found, &suspects)
    })?;
    let rule = match found.centres {
        1 => format!("the class vector ({} has one a class)", model.head.name()),
        centres => format!("the dominant one of {centres} centres"),
    };
    Ok(print(format_args!(
        "{} of {} at more than {}° from {rule}, in {}",
        counted(suspects.len(), "suspect"),
        counted(found.rows.len(), "labelled row"),
        args.angle,
        args.out.display()
    ))?)
}

/// The files of features and labels.
fn files(args: &Args) -> (PathBuf, PathBuf) {
    match (&args.data, &args.features, &args.labels) {
        (Some(directory), ..) => {
            let [train_features, train_labels, test_features, test_labels] = FILES.map(|name| directory.join(name));
            match args.which {
                Split::Train => (train_features, train_labels),
                Split::Test => (test_features, test_labels),
            }
        }
        (None, Some(features), Some(labels)) => (features.clone(), labels.clone()),
        _ => unreachable!("clap requires both files without --data"),
    }
}

/// Refuses outputs that are inputs, that are one another, or that cannot come to be.
fn check_outputs(args: &Args, features: &Path, labels: &Path) -> Result<()> {
    let inputs = [model_files(&args.run), run_files::all(&args.run), vec![file_of(features), file_of(labels)]].concat();
    for (option, array) in [("--sample-weights", &args.sample_weights), ("--centres", &args.centres)] {
        array.iter().try_for_each(|path| npy::check_name(option, path))?;
    }
    outputs::refuse_inputs(written(args), &inputs)?;
    written(args).try_for_each(|path| outputs::check_place(path))?;
    outputs::refuse_twice(written(args))
}

/// The files that are written.
fn written(args: &Args) -> impl Iterator<Item = &PathBuf> {
    args.sample_weights.iter().chain(&args.centres).chain([&args.out])
}

/// The rows, their classes counted as those of the model.
fn read(model: &Model, features: &Path, labels_path: &Path) -> Result<Dataset> {
    let labels = read_labels(labels_path)?;
    if !model.class_table.labels_are_strings() {
        labels.check_strays().map_err(|error| error.in_file(labels_path))?;
    }
    let classes = ClassTable::of(&[&labels]).map_err(|error| error.in_file(labels_path))?;
    Dataset::read_encoded(features, labels_path, &labels, classes)?.with_classes_of(&model.class_table)
}

/// The angles between rows and class vectors.
fn angles(model: &Model, data: &Dataset) -> Result<CentreAngles<f32>> {
    let embeddings = model.embeddings(&data.features).map_err(|error| data.located(error, "features", |row| row))?;
    let weights = model.parameters.weights.view();
    centre_angles(embeddings.view(), data.labels.view(), weights, model.head.centres())
        .map_err(|error| data.located(error, model.head_input(), |row| row))
}

/// Suspects of models that were trained on all folds but that of the row, with the settings of the run.
fn by_cross_validation(args: &Args, folds: usize, data: &Dataset) -> Result<(), Failure> {
    let checkpoint = read_checkpoint(&args.run)?;
    if checkpoint.train_rows == 0 {
        let (found, expected) =
            ("holds a model that was not trained there".into(), "a run, whose settings folds are trained with".into());
        return Err(Error::File { path: args.run.clone(), found, expected }.into());
    }
    let epochs = folds.saturating_mul(checkpoint.config.epochs) as u64;
    let bar = ProgressBar::with_draw_target(Some(epochs), ProgressDrawTarget::stdout());
    let found = out_of_sample(&checkpoint.config, data, folds, || bar.inc(1));
    bar.finish_and_clear();
    let found = found.map_err(|error| Failure::of_run(error, &args.run))?;
    let suspects = confident_learning::suspects(&found);
    let rows: Vec<usize> = suspects.iter().map(|suspect| suspect.row).collect();
    leave(args, data.rows(), &rows, None, &mut |file| write_probabilities(file, data.class_table(), &suspects))?;
    Ok(print(format_args!(
        "{} of {} by {folds} folds of {}, in {}",
        counted(suspects.len(), "suspect"),
        counted(found.len(), "labelled row"),
        checkpoint.config.head.name(),
        args.out.display()
    ))?)
}

/// Writes all that is asked for, or nothing.
fn leave(
    args: &Args,
    rows: usize,
    suspects: &[usize],
    centres: Option<(&Path, Array2<f32>)>,
    write_csv: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let mut places = NewPlaces::default();
    written(args).for_each(|path| places.file(path.clone()));
    let write_all = || {
        if let Some(path) = &args.sample_weights {
            let mut weights = Array1::<f32>::ones(rows);
            suspects.iter().for_each(|&row| weights[row] = 0.0);
            atomic_file::write(path, |file| weights.write_npy(file).map_err(io::Error::other))?;
        }
        if let Some((path, kept)) = centres {
            atomic_file::write(path, |file| kept.write_npy(file).map_err(io::Error::other))?;
        }
        atomic_file::write(&args.out, |file| write_csv(file))
    };
    write_all().inspect_err(|_| places.remove())
}

/// How classes are written: their labels and, where those are numbers with names, the names.
struct ClassCells<'a> {
    classes: &'a ClassTable,
    has_names: bool,
}

impl<'a> ClassCells<'a> {
    fn new(classes: &'a ClassTable) -> Self {
        Self { classes, has_names: classes.has_names_beside_labels() }
    }

    fn heading(&self, label: &'static str, name: &'static str) -> impl Iterator<Item = &'static str> {
        [label].into_iter().chain(self.has_names.then_some(name))
    }

    fn cells(&self, class: usize) -> impl Iterator<Item = String> {
        let label = match self.classes.label(class) {
            Label::Number(number) => number.to_string(),
            Label::String(string) => csv_text(string).into_owned(),
        };
        let name = self.classes.name(class).filter(|_| self.has_names).map(|name| csv_text(name).into_owned());
        [label].into_iter().chain(name)
    }
}

fn write_angles(
    writer: impl Write,
    classes: &ClassTable,
    found: &CentreAngles<f32>,
    suspects: &[&RowAngles<f32>],
) -> io::Result<()> {
    let classes = ClassCells::new(classes);
    // As many digits as angles in single precision have.
    let degrees = |theta: f32| format!("{:.4}", f64::from(theta).to_degrees());
    let mut writer = csv::Writer::from_writer(writer);
    let of_centres = ["dominant_centre", "nearest_centre", "angle_to_dominant", "angle_to_nearest"];
    let heading = ["row"].into_iter().chain(classes.heading("label", "name")).chain(of_centres);
    let heading = heading.chain(classes.heading("other_label", "other_name")).chain(["angle_to_other"]);
    writer.write_record(heading).map_err(io::Error::other)?;
    for row in suspects {
        let centres = [found.dominant[row.class], row.nearest].map(|centre| centre.to_string());
        let own = [row.row.to_string()].into_iter().chain(classes.cells(row.class));
        let cells = own.chain(centres).chain([row.to_dominant, row.to_nearest].map(degrees));
        let cells = cells.chain(classes.cells(row.other)).chain([degrees(row.to_other)]);
        writer.write_record(cells.collect::<Vec<_>>()).map_err(io::Error::other)?;
    }
    writer.flush()
}

fn write_probabilities(writer: impl Write, classes: &ClassTable, suspects: &[OutOfSample]) -> io::Result<()> {
    let classes = ClassCells::new(classes);
    let mut writer = csv::Writer::from_writer(writer);
    let heading = ["row"].into_iter().chain(classes.heading("label", "name")).chain(["probability"]);
    let heading = heading.chain(classes.heading("other_label", "other_name")).chain(["other_probability"]);
    writer.write_record(heading).map_err(io::Error::other)?;
    for suspect in suspects {
        let own = [suspect.row.to_string()].into_iter().chain(classes.cells(suspect.label));
        let cells = own.chain([suspect.of_label.to_string()]).chain(classes.cells(suspect.predicted));
        let cells = cells.chain([suspect.of_predicted.to_string()]);
        writer.write_record(cells.collect::<Vec<_>>()).map_err(io::Error::other)?;
    }
    writer.flush()
}
