//! `arcos classes`

use super::csv_text::csv_text;
use super::data_args::read_labels;
use super::failure::Failure;
use super::terminal::escaped;
use super::trained_model::{model_files, read_model};
use super::{complain, outputs, print, run_files};
use arcos::data::{ClassTable, Dataset, Label, file_of, read_class_names};
use arcos::heads::Scale;
use arcos::train::{Model, RunDirectory};
use arcos::wording::counted;
use arcos::{Error, Head, Result};
use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

/// Arguments of `arcos classes`.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is trained: class vectors that stay are those of before to the last bit. What comes of it is a run directory with a model alone, which evaluate, predict, embed and \
`arcos train --from` take.

Examples:
  arcos classes list --run arcos-run
  arcos classes add --run arcos-run --features new_X.npy --labels new_y.npy --out with-new
  arcos classes remove --run arcos-run --out without 17 42
  arcos classes merge --run arcos-run --out merged owl \"tawny owl\" \"barn owl\"
  arcos classes rename --run arcos-run --out renamed 17 1017
  arcos train --from with-new --data DIR --epochs 3 --out further")]
pub(super) struct Args {
    #[command(subcommand)]
    change: Change,
}

#[derive(clap::Subcommand)]
enum Change {
    /// The classes of a run as CSV: label and, where labels are numbers with names, name
    List {
        /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts
        #[arg(long, value_name = "PATH", default_value = "arcos-run")]
        run: PathBuf,
    },
    /// A class for each label that the run has none for: its vector is the mean direction of its rows
    Add {
        #[command(flatten)]
        places: Places,
        /// Features (N, D) of the new classes, as given to training: .npy, .npz or archive.npz:name
        #[arg(long, value_name = "FILE")]
        features: PathBuf,
        /// Labels (N,): integers, strings or whole floating-point numbers, or a .txt file with a label a line. Rows of classes that are there, and those
        /// without label (-100), are passed over
        #[arg(long, value_name = "FILE")]
        labels: PathBuf,
        /// Names of the new classes, a line each in the order of their labels, where the classes of the run have names beside labels
        #[arg(long, value_name = "FILE")]
        class_names: Option<PathBuf>,
    },
    /// Without these classes
    Remove {
        #[command(flatten)]
        places: Places,
        /// Labels
        #[arg(required = true, value_name = "LABEL", allow_negative_numbers = true)]
        labels: Vec<String>,
    },
    /// These classes as one, of the first label: its vector is the mean direction of theirs
    Merge {
        #[command(flatten)]
        places: Places,
        /// Labels, two or more
        #[arg(required = true, num_args = 2.., value_name = "LABEL", allow_negative_numbers = true)]
        labels: Vec<String>,
    },
    /// Another label for one class, or where labels are numbers with names another name
    Rename {
        #[command(flatten)]
        places: Places,
        /// The label that it has
        #[arg(value_name = "LABEL", allow_negative_numbers = true)]
        label: String,
        /// The label, or the name, that it gets
        #[arg(value_name = "NEW", allow_negative_numbers = true)]
        renamed: String,
    },
}

/// What is read and what is written.
#[derive(clap::Args)]
struct Places {
    /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Where the changed model goes: a directory without a run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let places = match &args.change {
        Change::List { run } => return Ok(list(&read_model(run)?.class_table)?),
        Change::Add { places, .. }
        | Change::Remove { places, .. }
        | Change::Merge { places, .. }
        | Change::Rename { places, .. } => places,
    };
    places.check(&args.change)?;
    let model = read_model(&places.run)?;
    let before = model.class_table.len();
    let changed = changed(&args.change, model).map_err(|error| Failure::of_run(error, &places.run))?;
    let (classes, head) = (changed.class_table.len(), changed.head.clone());
    RunDirectory::write_model(&places.out, changed)?;
    if head.scale() == Scale::FixedAdaCos && classes != before {
        complain(format_args!("the scale of {} follows the number of classes, and all logits with it", head.name()));
    }
    let change = match classes {
        more if more > before => format!(", {} more than before", more - before),
        fewer if fewer < before => format!(", {} fewer than before", before - fewer),
        _ => String::new(),
    };
    Ok(print(format_args!("{}{change}; model in {}", counted(classes, "class"), places.out.display()))?)
}

fn changed(change: &Change, model: Model) -> Result<Model> {
    let table = model.class_table.clone();
    match change {
        Change::List { .. } => Ok(model),
        Change::Add { features, labels, class_names, .. } => {
            model.with_new_classes(&read_new(features, labels, class_names.as_deref(), &table)?)
        }
        Change::Remove { labels, .. } => model.without_classes(&labels_of(labels, &table)?),
        Change::Merge { labels, .. } => model.with_merged_classes(&labels_of(labels, &table)?),
        Change::Rename { label, renamed, .. } => {
            let label = label_of(label, &table)?;
            let is_name = table.has_names_beside_labels() && renamed.parse::<i64>().is_err();
            let renamed = if is_name { Label::String(renamed) } else { label_of(renamed, &table)? };
            model.with_renamed_class(label, renamed)
        }
    }
}

/// The rows of new classes, and of others that are passed over.
fn read_new(features: &Path, labels_path: &Path, names: Option<&Path>, table: &ClassTable) -> Result<Dataset> {
    let labels = read_labels(labels_path)?;
    if !table.labels_are_strings() {
        labels.check_strays().map_err(|error| error.in_file(labels_path))?;
    }
    let classes = ClassTable::of(&[&labels]).map_err(|error| error.in_file(labels_path))?;
    let classes = match names {
        None => classes,
        Some(path) => with_names_of_new(classes, table, path)?,
    };
    Dataset::read_encoded(features, labels_path, &labels, classes)
}

/// `classes`, those that `table` has not with the names in a file, in the order of their labels.
fn with_names_of_new(classes: ClassTable, table: &ClassTable, path: &Path) -> Result<ClassTable> {
    let is_new = |class: &usize| table.class_of(classes.label(*class)).is_none();
    let (given, new) = (read_class_names(path)?, (0..classes.len()).filter(is_new).count());
    if given.len() != new {
        let (found, expected) = (
            format!("names {}", counted(given.len(), "class")),
            format!("a name for each of {}", counted(new, "new class")),
        );
        return Err(Error::File { path: path.into(), found, expected });
    }
    let mut given = given.into_iter();
    let name = |class: usize| match table.class_of(classes.label(class)) {
        Some(known) => table.name(known).unwrap_or_default().to_owned(),
        None => given.next().expect("as many as there are new classes"),
    };
    let names = (0..classes.len()).map(name).collect();
    classes.with_names(names).map_err(|error| error.in_file(path))
}

/// A label as it is written on the command line.
fn label_of<'a>(text: &'a str, table: &ClassTable) -> Result<Label<'a>> {
    if table.labels_are_strings() {
        return Ok(Label::String(text));
    }
    let refused = |_| Error::Setting {
        name: "the label of a class",
        value: format!("{text:?}"),
        expected: "a whole number, as the labels of the run are".into(),
    };
    text.trim().parse().map(Label::Number).map_err(refused)
}

fn labels_of<'a>(texts: &'a [String], table: &ClassTable) -> Result<Vec<Label<'a>>> {
    texts.iter().map(|text| label_of(text, table)).collect()
}

fn list(table: &ClassTable) -> Result<()> {
    let has_names = table.has_names_beside_labels();
    let failed = |error: csv::Error| Error::io("write to", "standard output", io::Error::from(error));
    let mut writer = csv::Writer::from_writer(BufWriter::new(io::stdout().lock()));
    writer.write_record(["label"].into_iter().chain(has_names.then_some("name"))).map_err(failed)?;
    let is_shown = io::stdout().is_terminal();
    let text = |text: &str| if is_shown { csv_text(&escaped(text)).into_owned() } else { csv_text(text).into_owned() };
    for class in 0..table.len() {
        let label = text(&table.label(class).to_string());
        let name = table.name(class).filter(|_| has_names).map(text);
        writer.write_record([label].into_iter().chain(name)).map_err(failed)?;
    }
    writer.flush().map_err(|error| Error::io("write to", "standard output", error))
}

impl Places {
    /// Refuses to write over what is read, over another run, or over what no run has left.
    fn check(&self, change: &Change) -> Result<()> {
        let further = match change {
            Change::Add { features, labels, class_names, .. } => {
                [file_of(features), file_of(labels)].into_iter().chain(class_names.clone()).collect()
            }
            _ => Vec::new(),
        };
        let inputs = [model_files(&self.run), run_files::all(&self.run), further].concat();
        outputs::refuse_inputs(run_files::all(&self.out), &inputs)?;
        run_files::refuse_others(&self.out)?;
        outputs::check_places(&self.out, &[])
    }
}
