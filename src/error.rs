//! The crate's one error type.

use crate::wording::{counted, number};
use std::path::Path;
use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be wrong with what a caller passes.
///
/// Each message names the offending thing, its value, and what was expected.
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
    /// Fewer rows than something is defined for.
    #[error("{what} of {} is not defined; expected at least {minimum}", counted(*.rows, "row"))]
    TooFewRows {
        /// What was to be computed.
        what: &'static str,
        /// Rows given.
        rows: usize,
        /// Rows needed.
        minimum: usize,
    },
    /// Data on which a measure is not defined.
    #[error("{what} of {found} is not defined; expected {expected}")]
    Unmeasurable {
        /// The measure.
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
    /// A step of training failed; mostly because it diverged.
    #[error("epoch {epoch}, batch {batch}: {source}{}", advice(source))]
    Training {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch of the epoch, counted from 1.
        batch: usize,
        /// What the head or the optimizer said.
        source: Box<Error>,
    },
    /// The measures after an epoch of training failed; mostly because it diverged.
    #[error("epoch {epoch}, test rows: {source}{}", advice(source))]
    TestEvaluation {
        /// The epoch, counted from 1.
        epoch: usize,
        /// What the model said.
        source: Box<Error>,
    },
    /// Heads of a comparison whose training failed; the others are compared.
    #[error("{} of {} failed: {}", .failed.len(), counted(*.heads, "head"), .failed.join(", "))]
    HeadsFailed {
        /// Their names.
        failed: Vec<String>,
        /// How many were to be trained.
        heads: usize,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own word.
        source: std::io::Error,
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
    /// A file that says nothing of something that another one lists.
    #[error("{path} has no line for id {id}; expected one for each image of {listed_in}")]
    MissingId {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        id: u64,
        /// The file with the id.
        listed_in: &'static str,
    },
    /// Photographs that are listed and not there.
    #[error(
        "{missing} missing of {}, {path} the first; expected all of them, or --allow-missing and at least one",
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
    /// A photograph that cannot be decoded.
    #[error("{path}: {reason}; expected a whole JPEG, PNG, WebP, BMP, TIFF or GIF image")]
    BadImage {
        /// The file.
        path: PathBuf,
        /// The decoder's own word.
        reason: String,
    },
    /// A bounding box outside its photograph.
    #[error(
        "{path}: the bounding box ({found}) holds no pixel; expected one that overlaps the image, {width} x {height} pixels"
    )]
    EmptyBox {
        /// The photograph.
        path: PathBuf,
        /// The box.
        found: String,
        /// Columns of the photograph.
        width: u32,
        /// Rows of the photograph.
        height: u32,
    },
    /// A newest checkpoint that is damaged.
    #[error("{source}; {remedy}")]
    DamagedCheckpoint {
        /// What is wrong with it.
        source: Box<Error>,
        /// How to go on from which older one.
        remedy: String,
    },
    /// A run that cannot go on.
    #[error("the run in {run}: {source}")]
    OfRun {
        /// Its directory.
        run: PathBuf,
        /// Why not.
        source: Box<Error>,
    },
    /// Settings that are not those of the run to resume.
    #[error(
        "{}; what may differ from the run to resume is --epochs, --keep, --checkpoint-every, --class-names and where its data are",
        .differences.join("; ")
    )]
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
    #[error("{path}: {source}")]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; rows are counted as in the file.
        source: Box<Error>,
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

/// What helps where training diverged; nothing does where a file is at fault.
fn advice(source: &Error) -> &'static str {
    match source {
        Error::InFile { .. } | Error::File { .. } | Error::Io { .. } => "",
        _ => "; if training diverged, lower the learning rate or the scale",
    }
}

impl Error {
    /// Wraps an input/output error with the action and the file.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    /// This error, said of a file; one that names a file already stays as it is.
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        match self {
            error if error.names_a_file() => error,
            source => Self::InFile { path: path.into(), source: Box::new(source) },
        }
    }

    fn names_a_file(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::File { .. } | Self::Line { .. } | Self::InFile { .. })
    }

    /// This error, said of the run in a directory; one that names a file already stays as it is.
    pub fn of_run(self, run: &Path) -> Self {
        match self {
            error if error.names_a_file() => error,
            source => Self::OfRun { run: run.into(), source: Box::new(source) },
        }
    }

    /// The array that it is about, as named in the signature, if it is about the values or the shape of one.
    pub fn subject(&self) -> Option<&'static str> {
        match self {
            Self::Shape { what, .. } | Self::Empty { what, .. } | Self::Weight { what, .. } => Some(what),
            Self::NotFinite { what, .. } | Self::ZeroNorm { what, .. } | Self::NormOverflow { what, .. } => Some(what),
            Self::Label { .. } | Self::LabelOutOfRange { .. } | Self::NothingLabelled { .. } => Some("labels"),
            _ => None,
        }
    }

    /// The row of its subject that it is about.
    #[cfg(feature = "train")]
    pub(crate) fn row(&self) -> Option<usize> {
        match self {
            Self::NotFinite { row, .. } | Self::ZeroNorm { row, .. } | Self::NormOverflow { row, .. } => Some(*row),
            Self::Label { row, .. } | Self::LabelOutOfRange { row, .. } => Some(*row),
            _ => None,
        }
    }

    /// This error about row r of some features, which are called `name`, or of their labels as one about row `row_of(r)`; other errors stay as
    /// they are.
    pub fn of_row(mut self, name: &'static str, row_of: impl Fn(usize) -> usize) -> Self {
        if !self.is_of_rows(name) {
            return self;
        }
        match &mut self {
            Self::NotFinite { what, row, .. }
            | Self::ZeroNorm { what, row, .. }
            | Self::NormOverflow { what, row, .. } => {
                (*what, *row) = (name, row_of(*row));
            }
            Self::Label { row, .. } | Self::LabelOutOfRange { row, .. } => *row = row_of(*row),
            _ => {}
        }
        self
    }

    /// Whether it is about rows of features, which are called `name` or, by what is given nothing else, features; or about their labels.
    pub fn is_of_rows(&self, name: &str) -> bool {
        self.subject().is_some_and(|subject| ["features", "labels", name].contains(&subject))
    }
}
