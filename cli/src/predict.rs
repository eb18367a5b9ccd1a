//! `arcos predict`

use super::csv_text::csv_text;
use super::failure::Failure;
use super::rejection_args::{Acceptance, RejectionArgs};
use super::terminal::escaped;
use super::train_args::at_least_one;
use super::trained_model::{model_files, read_model_with_labels};
use super::{outputs, run_files};
use arcos::data::{Features, Label, file_of, read_features};
use arcos::streaming::Likeliest;
use arcos::train::{AcceptanceScores, Model};
use arcos::{Error, Result, files::atomic_file};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

/// Arguments of `arcos predict`.
#[derive(clap::Args)]
#[command(after_help = "\
Writes CSV: row, rank, label, probability and, with --reject-far or --reject-negative, accepted; a line for each row and rank. Labels are those of training; an apostrophe stands before one that a spreadsheet would take for a formula (=, +, -, @ at its beginning, and no number); where they are numbers with \
names, there is a column name after label. Probabilities are the softmax of the inference logits, divided by the temperature that was fitted on the validation rows where the \
run had some (`arcos train --validation`).")]
pub(super) struct Args {
    /// A run directory (its newest checkpoint), or a checkpoint; of a run with validation rows the best epoch counts
    #[arg(long, value_name = "PATH", default_value = "arcos-run")]
    run: PathBuf,
    /// Features (N, D): .npy, .npz or archive.npz:name; as given to training, the run's transform is applied. The file must not change until
    /// the end
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Classes listed for each row, the likeliest first
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = at_least_one)]
    top: usize,
    /// Labels are numbers from N, as in training: a run that knows its labels takes no other N, and of one that does not they count from 0
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    labels_start: Option<i64>,
    /// The CSV file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    rejection: RejectionArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let features = [Some(&args.features), args.rejection.unknown.as_ref()].into_iter().flatten();
    let features = features.map(|path| file_of(path)).collect();
    let inputs = [model_files(&args.run), run_files::all(&args.run), features].concat();
    if let Some(out) = &args.out {
        outputs::refuse_inputs([out], &inputs)?;
        outputs::check_place(out)?;
    }
    let model = read_model_with_labels(&args.run, args.labels_start)?;
    let classes = model.class_table.len();
    if args.top > classes {
        let expected = format!("at most {classes}, the classes of the head");
        return Err(Error::Setting { name: "--top", value: args.top.to_string(), expected }.into());
    }
    let features = read_features(&args.features)?;
    if features.rows().is_empty() {
        return Err(Error::Empty { what: "features", found: features.rows().shape().to_vec() }
            .in_file(&args.features)
            .into());
    }
    let acceptance = args.rejection.acceptance(&model)?;
    let acceptance = acceptance.as_ref();
    let Some(out) = &args.out else {
        let failed = |error| Error::io("write to", "standard output", error);
        return Ok(write(&model, &features, acceptance, args, BufWriter::new(io::stdout().lock()), &failed)?);
    };
    // What fails on the way may be of the model or the features: the file then does not come to be.
    let mut outcome = Ok(());
    let written = atomic_file::write(out, |file| {
        outcome = write(&model, &features, acceptance, args, file, &|error| Error::io("write", out, error));
        outcome.as_ref().map_err(|error| io::Error::other(error.to_string())).copied()
    });
    Ok(outcome.and(written)?)
}

/// Writes the CSV; its heading only with the first rows, since there are none if something is wrong.
fn write(
    model: &Model,
    features: &Features,
    acceptance: Option<&Acceptance>,
    args: &Args,
    writer: impl Write,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<()> {
    let classes = &model.class_table;
    let has_names = classes.has_names_beside_labels();
    let of_csv = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => failed(error),
        other => failed(io::Error::other(format!("{other:?}"))),
    };
    // A file holds labels as they are; a terminal must not be steered by them.
    let is_shown = args.out.is_none() && io::stdout().is_terminal();
    let text = |text: &str| match is_shown {
        true => csv_text(&escaped(text)).into_owned(),
        false => csv_text(text).into_owned(),
    };
    let mut writer = csv::Writer::from_writer(writer);
    let written = model.for_likeliest(features, args.top, |first, likeliest| {
        if first == 0 {
            let name = has_names.then_some("name");
            let heading = ["row", "rank", "label"].into_iter().chain(name).chain(["probability"]);
            let heading = heading.chain(acceptance.map(|_| "accepted"));
            writer.write_record(heading).map_err(of_csv)?;
        }
        let accepted = acceptance.map(|acceptance| {
            let mut scores = AcceptanceScores::default();
            scores.extend(&likeliest, model.temperature);
            acceptance.of(&scores)
        });
        let Likeliest { classes: found, probabilities, .. } = likeliest;
        for (row, (found, probabilities)) in found.rows().into_iter().zip(probabilities.rows()).enumerate() {
            for (rank, (&class, probability)) in found.iter().zip(probabilities).enumerate() {
                let accepted = accepted.as_ref().map(|accepted| accepted[row].to_string());
                let [row, rank] = [first + row, rank + 1].map(|number| number.to_string());
                let name = classes.name(class).filter(|_| has_names).map(text);
                let label = match classes.label(class) {
                    Label::Number(number) => number.to_string(),
                    Label::String(string) => text(string),
                };
                let cells = [row, rank, label].into_iter().chain(name);
                let cells = cells.chain([probability.to_string()]).chain(accepted);
                writer.write_record(cells.collect::<Vec<_>>()).map_err(of_csv)?;
            }
        }
        Ok(())
    });
    written.map_err(|error| error.in_file(&args.features))?;
    writer.flush().map_err(failed)
}
