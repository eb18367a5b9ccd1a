//! The classes of a data set: which label each has.

use super::{Label, Labels};
use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Result};
use ndarray::Array1;
use serde::{Deserialize, Serialize};

/// The label, and where it is known the name, of each class. Training counts classes from 0; labels are whatever their file has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassTable {
    labels: ClassLabels,
    /// One a class, where labels are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
}

/// By class, increasing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ClassLabels {
    /// Numbers without gaps, a million of which take no space.
    Consecutive {
        start: i64,
        count: usize,
    },
    /// Numbers with gaps.
    Numbers(Vec<i64>),
    Strings(Vec<String>),
}

/// Labels that a message lists.
const LISTED: usize = 5;

impl ClassTable {
    /// Classes labelled `0..count`.
    pub fn indices(count: usize) -> Self {
        ClassLabels::Consecutive { start: 0, count }.into()
    }

    /// The labels that occur in any of `sets`, in their order. There is no class without a row.
    ///
    /// # Errors
    /// [`Error::Label`] where some are numbers and others strings.
    pub fn of(sets: &[&Labels]) -> Result<Self> {
        let mut found: Vec<Label> = Vec::new();
        for labels in sets {
            let kind = |label: &Label| matches!(label, Label::Number(_));
            let wrong = |label: &Label| found.first().is_some_and(|first| kind(first) != kind(label));
            if let Some((row, label)) = rows(labels).find(|(_, label)| wrong(label)) {
                sets.iter().try_for_each(|labels| labels.check_strays())?;
                let expected = if kind(&label) { "a string" } else { "a number" };
                return Err(unexpected(row, label, format!("{expected}, as other labels are")));
            }
            found.extend(rows(labels).map(|(_, label)| label));
            found.sort_unstable();
            found.dedup();
        }
        Ok(Self::of_labels(found))
    }

    /// Classes with these labels, of one kind and in any order.
    fn of_labels(mut found: Vec<Label>) -> Self {
        found.sort_unstable();
        found.dedup();
        let numbers: Vec<i64> = found.iter().filter_map(number).collect();
        match (numbers.first(), numbers.last()) {
            (Some(&start), Some(&last)) if last.abs_diff(start) == numbers.len() as u64 - 1 => {
                ClassLabels::Consecutive { start, count: numbers.len() }
            }
            (Some(_), _) => ClassLabels::Numbers(numbers),
            _ => ClassLabels::Strings(found.iter().map(Label::to_string).collect()),
        }
        .into()
    }

    /// Classes with these labels and names, in any order: the table, and which of the entries each of its classes is.
    ///
    /// # Errors
    /// [`Error::Setting`] for a label that comes twice, labels of two kinds, and names of some classes alone.
    pub(crate) fn of_entries(entries: &[(Label, Option<&str>)]) -> Result<(Self, Vec<usize>)> {
        let refused = |value: String, expected: &str| {
            Err(Error::Setting { name: "the label of a class", value, expected: expected.into() })
        };
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|&place| entries[place].0);
        for pair in order.windows(2).map(|pair| [entries[pair[0]].0, entries[pair[1]].0]) {
            match pair {
                [a, b] if a == b => return refused(a.quoted(), "one that no other class has"),
                [Label::Number(_), Label::String(string)] => {
                    return refused(format!("{string:?}"), "a number, as others are");
                }
                _ => {}
            }
        }
        let table = Self::of_labels(entries.iter().map(|&(label, _)| label).collect());
        if table.labels_are_strings() || entries.iter().all(|(_, name)| name.is_none()) {
            return Ok((table, order));
        }
        let named = |&place: &usize| {
            let (label, name) = entries[place];
            let missing = || Error::Setting {
                name: "the names of classes",
                value: format!("none for {}", label.quoted()),
                expected: "one for each class, or for none".into(),
            };
            name.map(str::to_owned).ok_or_else(missing)
        };
        let names = order.iter().map(named).collect::<Result<_>>()?;
        Ok((Self { names: Some(names), ..table }, order))
    }

    /// All numbers from `start` to the largest label in any of `sets`, those without a row too.
    ///
    /// # Errors
    /// [`Error::Label`] for a label below `start` and for a string.
    pub fn from_start(start: i64, sets: &[&Labels]) -> Result<Self> {
        sets.iter().try_for_each(|labels| labels.check_strays())?;
        let mut count = 0;
        for (row, label) in sets.iter().flat_map(|labels| rows(labels)) {
            let class = number(&label).and_then(|number| number.checked_sub(start)).filter(|&class| class >= 0);
            let expected = || format!("labels from {start} (the label of the first class), or {IGNORE_LABEL} for none");
            count = count.max(class.ok_or_else(|| unexpected(row, label, expected()))? as usize + 1);
        }
        Ok(ClassLabels::Consecutive { start, count }.into())
    }

    /// C
    pub fn len(&self) -> usize {
        match &self.labels {
            ClassLabels::Consecutive { count, .. } => *count,
            ClassLabels::Numbers(numbers) => numbers.len(),
            ClassLabels::Strings(strings) => strings.len(),
        }
    }

    /// Whether labels are numbers without gaps.
    pub fn is_consecutive(&self) -> bool {
        matches!(self.labels, ClassLabels::Consecutive { .. })
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label of a class below C.
    pub fn label(&self, class: usize) -> Label<'_> {
        match &self.labels {
            ClassLabels::Consecutive { start, .. } => Label::Number(start + class as i64),
            ClassLabels::Numbers(numbers) => Label::Number(numbers[class]),
            ClassLabels::Strings(strings) => Label::String(&strings[class]),
        }
    }

    /// The class with this label.
    pub fn class_of(&self, label: Label) -> Option<usize> {
        match (&self.labels, label) {
            (&ClassLabels::Consecutive { start, count }, Label::Number(number)) => {
                let class = usize::try_from(number.checked_sub(start)?).ok()?;
                (class < count).then_some(class)
            }
            (ClassLabels::Numbers(numbers), Label::Number(number)) => numbers.binary_search(&number).ok(),
            (ClassLabels::Strings(strings), Label::String(string)) => {
                strings.binary_search_by(|known| known.as_str().cmp(string)).ok()
            }
            _ => None,
        }
    }

    /// The class of each row, [`IGNORE_LABEL`] for a row without label.
    ///
    /// # Errors
    /// [`Error::Label`] for a label that no class has.
    pub fn encode(&self, labels: &Labels) -> Result<Array1<i64>> {
        if !self.labels_are_strings() {
            labels.check_strays()?;
        }
        self.check_known(rows(labels))?;
        let class = |label: Option<Label>| label.and_then(|label| self.class_of(label));
        Ok(labels.iter().map(|label| class(label).map_or(IGNORE_LABEL, |class| class as i64)).collect())
    }

    /// Indices of classes of this table as those of `other`.
    ///
    /// # Errors
    /// [`Error::Label`] for a label that `other` does not have.
    pub(super) fn translate(&self, classes: &Array1<i64>, other: &Self) -> Result<Array1<i64>> {
        let label = |class: i64| (class != IGNORE_LABEL).then(|| self.label(class as usize));
        other.check_known(classes.iter().enumerate().filter_map(|(row, &class)| Some((row, label(class)?))))?;
        let translated = |class: i64| label(class).and_then(|label| other.class_of(label));
        Ok(classes.mapv(|class| translated(class).map_or(IGNORE_LABEL, |class| class as i64)))
    }

    /// Checks that every label is that of a class.
    fn check_known<'a>(&self, labels: impl Iterator<Item = (usize, Label<'a>)>) -> Result<()> {
        let unknown: Vec<_> = labels.filter(|&(_, label)| self.class_of(label).is_none()).collect();
        let Some(&(row, label)) = unknown.first() else { return Ok(()) };
        let others = Self::others(unknown.into_iter().map(|(_, label)| label).collect());
        let expected =
            format!("a label that training rows have, {}, or {IGNORE_LABEL} for none; {others}", self.describe());
        Err(unexpected(row, label, expected))
    }

    /// What is said of the rows with these labels, which no training row has.
    pub(super) fn others(labels: Vec<Label>) -> String {
        let rows = counted(labels.len(), "row");
        let classes = Self::of_labels(labels);
        format!("{rows} of {}: {}", counted(classes.len(), "other class"), classes.listed())
    }

    /// The labels, or some of them and their number where there are many.
    pub fn describe(&self) -> String {
        match (&self.labels, self.len()) {
            (ClassLabels::Consecutive { .. }, _) | (_, ..=LISTED) => self.listed(),
            (_, count) => format!("{} ({count} in all)", self.listed()),
        }
    }

    /// The labels, or some of them where there are many, for a sentence that says how many there are.
    pub fn listed(&self) -> String {
        let quoted = |class: usize| self.label(class).quoted();
        match (&self.labels, self.len()) {
            (_, 0) => "none at all".into(),
            (_, count @ ..=LISTED) => (0..count).map(quoted).collect::<Vec<_>>().join(", "),
            (ClassLabels::Consecutive { .. }, count) => format!("{} to {}", quoted(0), quoted(count - 1)),
            (_, count) => {
                let first = (0..LISTED - 1).map(quoted).collect::<Vec<_>>().join(", ");
                format!("{first}, ... {}", quoted(count - 1))
            }
        }
    }

    /// The name of a class: its own or, where labels are strings, its label.
    pub fn name(&self, class: usize) -> Option<&str> {
        match (&self.labels, &self.names) {
            (ClassLabels::Strings(strings), _) => Some(&strings[class]),
            (_, names) => names.as_ref().map(|names| names[class].as_str()),
        }
    }

    /// Whether classes have names.
    pub fn has_names(&self) -> bool {
        self.names.is_some() || self.labels_are_strings()
    }

    /// Whether classes have names that are not their labels.
    pub fn has_names_beside_labels(&self) -> bool {
        self.names.is_some() && !self.labels_are_strings()
    }

    /// Whether labels are strings.
    pub fn labels_are_strings(&self) -> bool {
        matches!(self.labels, ClassLabels::Strings(_))
    }

    /// These classes with names, one a class.
    ///
    /// # Errors
    /// [`Error::Setting`] for another number of names, and where labels are strings.
    pub fn with_names(self, names: Vec<String>) -> Result<Self> {
        let wrong = |value, expected| Err(Error::Setting { name: "the names of classes", value, expected });
        match self.len() {
            _ if self.labels_are_strings() => wrong("given".into(), "none: the labels are names".into()),
            classes if classes != names.len() => {
                wrong(format!("a list of {}", names.len()), format!("{classes}, one for each class"))
            }
            _ => Ok(Self { names: Some(names), ..self }),
        }
    }

    /// The first `count` classes.
    pub(super) fn first(&self, count: usize) -> Self {
        let labels = match &self.labels {
            &ClassLabels::Consecutive { start, count: all } => {
                ClassLabels::Consecutive { start, count: all.min(count) }
            }
            ClassLabels::Numbers(numbers) => ClassLabels::Numbers(numbers.iter().copied().take(count).collect()),
            ClassLabels::Strings(strings) => ClassLabels::Strings(strings.iter().take(count).cloned().collect()),
        };
        let names = self.names.as_ref().map(|names| names.iter().take(count).cloned().collect());
        Self { labels, names }
    }

    /// These classes, the first of which is labelled `start`: for runs whose labels were counted from 0 whatever they were.
    ///
    /// # Errors
    /// [`Error::Setting`] where labels are strings, have gaps, or begin with neither 0 nor `start`.
    pub fn starting_at(&self, start: i64) -> Result<Self> {
        let first = if self.is_empty() { None } else { number(&self.label(0)) };
        match self.labels {
            ClassLabels::Consecutive { start: 0, count } if fits(start, count) => {
                Ok(Self { labels: ClassLabels::Consecutive { start, count }, names: self.names.clone() })
            }
            _ if first == Some(start) => Ok(self.clone()),
            _ => Err(Error::Setting {
                name: "the label of the first class",
                value: start.to_string(),
                expected: format!("that of the run, whose labels are {}", self.describe()),
            }),
        }
    }

    /// Whether labels are the same, whatever the names.
    pub(crate) fn same_labels(&self, other: &Self) -> bool {
        self.labels == other.labels
    }

    /// Whether labels are what they are where nobody said: counted from 0, without names.
    pub(crate) fn is_indices(&self) -> bool {
        *self == Self::indices(self.len())
    }

    /// Checks a table that was read from a checkpoint, of a head with this many classes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub(crate) fn check(&self, classes: usize) -> Result<()> {
        let increasing = match &self.labels {
            ClassLabels::Consecutive { start, count } => fits(*start, *count),
            ClassLabels::Numbers(numbers) => numbers.is_sorted_by(|a, b| a < b),
            ClassLabels::Strings(strings) => strings.is_sorted_by(|a, b| a < b),
        };
        let names = self.names.as_ref().map_or(classes, Vec::len);
        let (found, expected) = match () {
            () if self.len() != classes => (counted(self.len(), "label"), classes.to_string()),
            () if names != classes => (counted(names, "name"), classes.to_string()),
            () if !increasing => ("one of labels that do not increase".into(), "labels in order".into()),
            () => return Ok(()),
        };
        Err(Error::Checkpoint { part: "the table of classes".into(), found, expected })
    }
}

impl From<ClassLabels> for ClassTable {
    fn from(labels: ClassLabels) -> Self {
        Self { labels, names: None }
    }
}

/// The rows with a label.
fn rows(labels: &Labels) -> impl Iterator<Item = (usize, Label<'_>)> {
    labels.iter().enumerate().filter_map(|(row, label)| Some((row, label?)))
}

fn number(label: &Label) -> Option<i64> {
    match label {
        Label::Number(number) => Some(*number),
        Label::String(_) => None,
    }
}

/// Whether `count` labels from `start` are numbers of the type.
fn fits(start: i64, count: usize) -> bool {
    start.checked_add_unsigned(count.saturating_sub(1) as u64).is_some()
}

fn unexpected(row: usize, label: Label, expected: String) -> Error {
    Error::Label { row, label: label.quoted(), expected }
}
