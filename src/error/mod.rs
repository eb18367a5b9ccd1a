//! The crate's one error type.

mod context;
mod rows;

use crate::wording::{counted, number};
use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be wrong with what a caller passes.
///
/// Each message names the offending thing, its value, and what was expected. It says the cause, too, where there is a field `cause`, so that
/// [`source`](std::error::Error::source) is always `None`: whoever prints the chain of sources prints nothing twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two arrays that must fit together do not.
    #[error("{what} has shape {found:?}; expected {expected}")]
    Shape {
        /// The array, as named in the signature.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have, with the reason.
        expected: String,
    },
    /// A batch without rows, or features without columns.
    #[error("{what} is empty (shape {found:?}); expected at least one row and one column")]
    Empty {
        /// The array, as named in the signature.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
    },
    /// Every label of the batch is the ignore value, so the mean loss is undefined.
    #[error("{} with no label but the ignore value {ignore}; expected at least one labelled row", counted(*.rows, "row"))]
    NothingLabelled {
        /// Rows in the batch.
        rows: usize,
        /// [`IGNORE_LABEL`](crate::ops::IGNORE_LABEL).
        ignore: i64,
    },
    /// A label that names no class.
    #[error("labels[{row}] is {label}; expected 0 to {max} ({}) or the ignore value {ignore}", counted(*.classes, "class"), max = .classes - 1)]
    LabelOutOfRange {
        /// Position in `labels`.
        row: usize,
        /// The label found.
        label: i64,
        /// The number of classes, at least 1.
        classes: usize,
        /// [`IGNORE_LABEL`](crate::ops::IGNORE_LABEL).
        ignore: i64,
    },
    /// A label that no class has.
    #[error("labels[{row}] is {label}; expected {expected}")]
    Label {
        /// Position in `labels`.
        row: usize,
        /// The label found; a string in quotes.
        label: String,
        /// What labels are.
        expected: String,
    },
    /// Fewer classes than the head can work with.
    #[error("{head} got {}; expected at least {minimum}{reason}", counted(*.found, "class"))]
    TooFewClasses {
        /// Name of the head.
        head: &'static str,
        /// Number of classes given.
        found: usize,
        /// Smallest number that works.
        minimum: usize,
        /// Why, or nothing.
        reason: &'static str,
    },
    /// NaN or infinity in an input.
    #[error("{what}[{row}, {column}] is {value}; expected a finite number")]
    NotFinite {
        /// The array, as named in the signature.
        what: &'static str,
        /// Row of the first offender.
        row: usize,
        /// Column of the first offender.
        column: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// A weight, or a probability of a soft target, that is negative, too large or not finite.
    #[error("{what}[{index}] is {}; expected a number from 0 to {}", number(*.value), number(*.largest))]
    Weight {
        /// The array, as named in the objective.
        what: &'static str,
        /// The row or class.
        index: usize,
        /// The weight found.
        value: f64,
        /// The largest that works.
        largest: f64,
    },
    /// A row that has no direction, where the head normalises rows.
    #[error("{what} row {row} has norm {}; expected a norm above {}, since its direction is needed", number(*.norm), number(*.minimum))]
    ZeroNorm {
        /// The array, as named in the signature.
        what: &'static str,
        /// The row.
        row: usize,
        /// Its Euclidean norm.
        norm: f64,
        /// The smallest norm that works in this precision.
        minimum: f64,
    },
    /// A row of finite numbers that is longer than its precision can say.
    #[error("{what} row {row} has a norm above {}; expected one that this precision can hold", number(*.largest))]
    NormOverflow {
        /// The array, as named in the signature.
        what: &'static str,
        /// The row.
        row: usize,
        /// The largest number of the precision.
        largest: f64,
    },
    /// A hyper-parameter of a head outside its range.
    #[error("{head}: {name} is {}; expected {expected}", number(*.value))]
    HyperParameter {
        /// Name of the head.
        head: &'static str,
        /// Name of the hyper-parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// Its range.
        expected: &'static str,
    },
    /// A head whose parts do not go together.
    #[error("{head} has {found}; expected {expected}")]
    Head {
        /// Name of the head.
        head: &'static str,
        /// The part.
        found: &'static str,
        /// What it should be, with the reason.
        expected: &'static str,
    },
    /// A hyper-parameter given to a head that does not have it.
    #[error("{head} has no {option}; it takes {takes}")]
    UnknownOption {
        /// Name of the head.
        head: &'static str,
        /// The option given.
        option: String,
        /// The options the head has.
        takes: String,
    },
    /// A name that is no head's.
    #[error("no head is called {name:?}; expected one of {expected}")]
    UnknownHead {
        /// The name given.
        name: String,
        /// All names.
        expected: String,
    },
    /// A parameter that the head needs and the caller left out.
    #[error("{head} needs the parameter `{name}`, which is missing; expected {expected}")]
    MissingParameter {
        /// Name of the head.
        head: &'static str,
        /// Name of the parameter.
        name: &'static str,
        /// Its shape.
        expected: String,
    },
    /// AdaCos's update gave a scale that cannot be used.
    #[error(
        "{head}: AdaCos's new scale is {} (previous scale {}, ln B_avg {}, median angle {} rad); expected a positive finite number",
        number(*.value), number(*.previous), number(*.ln_b_avg), number(*.median_angle)
    )]
    AdaCosScale {
        /// Name of the head.
        head: &'static str,
        /// The unusable scale.
        value: f64,
        /// The scale of the step before.
        previous: f64,
        /// `ln B_avg` at the previous scale.
        ln_b_avg: f64,
        /// Median angle to the labelled class, in radians.
        median_angle: f64,
    },
    /// A gradient that might be too large for the element type.
    #[error(
        "the gradient of {what} may reach {}; expected at most {}: lengths or scale are too far apart for this precision",
        number(*.bound), number(*.largest)
    )]
    GradientOverflow {
        /// Name of what the gradient is of.
        what: &'static str,
        /// No element can be larger.
        bound: f64,
        /// The largest number of the precision.
        largest: f64,
    },
    /// Data on which a measure or an operation is not defined.
    #[error("{what} of {found} is not defined; expected {expected}")]
    NotDefined {
        /// The measure or operation.
        what: &'static str,
        /// What there is.
        found: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Something that only a build with a certain cargo feature can do.
    #[error("{what} needs {needs}, which this build lacks; build with `--features {feature}`")]
    NeedsFeature {
        /// What was asked for.
        what: &'static str,
        /// What it takes.
        needs: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// LAPACK refused.
    #[error("{what} failed in LAPACK: {reason}")]
    Lapack {
        /// What was asked for.
        what: &'static str,
        /// LAPACK's own word.
        reason: String,
    },
    /// A setting outside its range.
    #[error("{name} is {value}; expected {expected}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// Its range.
        expected: String,
    },
    /// A loss too large for the element type.
    #[error("the loss is {loss}; expected a finite number: the logits are too large for this precision")]
    LossNotFinite {
        /// NaN or infinity.
        loss: f64,
    },
    /// A step of training failed, or the evaluation after an epoch; mostly because training diverged.
    #[error("epoch {epoch}, {}: {cause}{}", place_in_epoch(*batch), advice(cause))]
    Training {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch of the epoch, counted from 1; `None` for the evaluation after it.
        batch: Option<usize>,
        /// What the head, the optimizer or the model said.
        cause: Box<Error>,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own word.
        cause: std::io::Error,
    },
    /// A line of a text file that is not what it should be.
    #[error("{path}, line {line}: {found}; expected {expected}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// Photographs that are listed and not there.
    #[error(
        "{missing} missing of {}, {path} the first; expected all of them, or at least one where some may be missing",
        counted(*.images, &format!("{split} image"))
    )]
    MissingImages {
        /// The first of them.
        path: PathBuf,
        /// How many.
        missing: usize,
        /// How many are listed.
        images: usize,
        /// `train` or `test`.
        split: &'static str,
    },
    /// A photograph that cannot be used, whole or cut out by its bounding box.
    #[error("{path}: {found}; expected {expected}")]
    BadImage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A part of a checkpoint that is not what its configuration asks for.
    #[error("{part} is {found}; expected {expected}")]
    Checkpoint {
        /// The part.
        part: String,
        /// What is wrong with it.
        found: String,
        /// What the configuration asks for.
        expected: String,
    },
    /// A newest checkpoint that is damaged.
    #[error("{cause}; {remedy}")]
    DamagedCheckpoint {
        /// What is wrong with it.
        cause: Box<Error>,
        /// How to go on from which older one.
        remedy: String,
    },
    /// Settings that are not those of the run to resume.
    #[error("{}; expected the settings of the run to resume", .differences.join("; "))]
    OtherSettings {
        /// Each in a sentence.
        differences: Vec<String>,
    },
    /// Data that are not those of the run to resume.
    #[error("{}; expected the data that the run to resume was trained on", .differences.join("; "))]
    OtherData {
        /// Each in a sentence.
        differences: Vec<String>,
    },
    /// What a file holds is not what it should be.
    #[error("{path}: {cause}")]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; rows are counted as in the file.
        cause: Box<Error>,
    },
    /// A file that is not what it should be.
    #[error("{path}: {found}; expected {expected}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
        /// What was expected.
        expected: String,
    },
}

fn place_in_epoch(batch: Option<usize>) -> String {
    batch.map_or("evaluation".into(), |batch| format!("batch {batch}"))
}

/// What helps where training diverged; nothing does where a file is at fault.
fn advice(cause: &Error) -> &'static str {
    match cause {
        Error::InFile { .. } | Error::File { .. } | Error::Io { .. } => "",
        _ => "; if training diverged, lower the learning rate or the scale",
    }
}
