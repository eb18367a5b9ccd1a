//! The program `arcos`: argument parsing, progress, tables, plots. See `arcos --help`.

mod baselines;
mod bench;
mod calibration;
mod canvas;
mod checkpoint_every;
mod class_report;
mod class_scores;
mod classes;
mod compare;
mod comparison;
mod comparison_plot;
mod confusion_plot;
mod csv_text;
mod data_args;
mod demo;
mod embed;
mod embed_args;
mod evaluate;
mod evaluation_report;
mod export;
mod extract;
mod failure;
mod former_run;
mod given;
mod grad;
mod head_args;
mod head_specs;
mod head_state;
mod html_report;
mod import;
mod interrupt;
mod kernel_args;
mod list_entry;
mod listed_name;
mod measured_rows;
mod npy;
mod objective_args;
mod open_set;
mod outputs;
mod photographs_of_rows;
mod plot;
mod predict;
mod progress;
mod recognition;
mod rejection_args;
mod resumption;
mod run_files;
mod run_record;
mod suspects;
mod table;
mod terminal;
mod train;
mod train_args;
mod trained_model;
mod training_plot;
mod tune;
mod validation_args;
mod verdicts;

use arcos::Error;
use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;
use terminal::{complain, print, tell, untold};

/// Angular-margin classification heads (AdaCos, ArcFace, CosFace, L2-softmax, ...) on frozen features.
#[derive(Parser)]
#[command(name = "arcos", version, propagate_version = true, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  arcos demo                                           five heads on synthetic bird features
  arcos train --head arcface --scale 32 --data DIR     one head on your own features
  arcos compare --data DIR --heads all                 every head on the same features
  arcos tune --data DIR --budget 2min                  which head and settings, by cross-validation
  arcos extract --cub CUB_200_2011 --model efficientnet_b0.onnx --out DIR
  arcos compare --data DIR --open-set --embed 128      heads ranked on classes that they have not seen
  arcos evaluate --run arcos-run --features X.npy --labels y.npy
  arcos grad --head cosface --features X.npy --weights W.npy --labels y.npy --out DIR

Exit status: 0 done, 1 bad data or a failure, 2 bad usage.";

#[derive(Subcommand)]
enum Command {
    /// Train the five classic heads on synthetic stand-ins for bird features, print a table, draw a figure
    Demo(demo::Args),
    /// Train one head on your features
    Train(train::Args),
    /// Train several heads on the same features, print one table, draw one figure
    Compare(compare::Args),
    /// The best of many heads and settings, by cross-validation on the training rows
    Tune(tune::Args),
    /// Features of photographs, by a frozen network, as .npy: what train and compare take
    Extract(extract::Args),
    /// Embeddings of features, as .npy
    Embed(embed::Args),
    /// Accuracy of a trained head, or retrieval, verification and identification by its embeddings
    Evaluate(evaluate::Args),
    /// Classes and probabilities of unlabelled features, as CSV
    Predict(predict::Args),
    /// The classes of a trained head: list, add, remove, merge, rename, without training
    Classes(classes::Args),
    /// Class vectors from elsewhere as a model that evaluates, predicts and trains on
    Import(import::Args),
    /// A trained model as an ONNX file
    Export(export::Args),
    /// Rows far from the centre of their class, whose labels may be wrong, as CSV
    Suspects(suspects::Args),
    /// Loss and gradients of one batch as .npy, for checking against other frameworks
    Grad(grad::Args),
    /// Speed and memory of the streaming kernel on this machine, beside bare matrix products
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match interrupt::watch().map_err(Failure::from).and_then(|()| run(&command)) {
        Ok(()) => match untold() {
            None => ExitCode::SUCCESS,
            Some(error) => {
                complain(error);
                ExitCode::FAILURE
            }
        },
        Err(failure) if failure.is_broken_pipe() && command.writes_data() => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("{failure}{}", failure.advice()));
            ExitCode::from(if failure.is_usage() { 2 } else { 1 })
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Train(args) => train::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Tune(args) => tune::run(args),
        Command::Extract(args) => Ok(extract::run(args)?),
        Command::Embed(args) => Ok(embed::run(args)?),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => Ok(export::run(args)?),
        Command::Predict(args) => predict::run(args),
        Command::Classes(args) => classes::run(args),
        Command::Import(args) => Ok(import::run(args)?),
        Command::Suspects(args) => suspects::run(args),
        Command::Grad(args) => Ok(grad::run(args)?),
        Command::Bench(args) => Ok(bench::run(args)?),
    }
}

impl Command {
    /// Whether its output is what it is for, so that it ends with whoever reads that.
    fn writes_data(&self) -> bool {
        !matches!(self, Self::Demo(_) | Self::Train(_) | Self::Compare(_) | Self::Tune(_) | Self::Extract(_))
    }
}

/// The program as it was called, as a word of a shell, for messages that hold commands.
fn program() -> String {
    std::env::args_os().next().map_or_else(|| "arcos".into(), |program| arcos::shell::word(program.as_ref()))
}

/// An error for an option that is `given` where it would have no effect: without what it `needs`.
fn only_with(given: bool, name: &'static str, has_effect: bool, needs: &str) -> arcos::Result<()> {
    match given && !has_effect {
        true => Err(Error::Setting { name, value: "given".into(), expected: format!("{needs} with it") }),
        false => Ok(()),
    }
}
