//! Classes of a trained model that come, go, become one, or get another label. The vectors of all others stay as they are, and with them
//! their inference logits, but for a head whose scale follows the number of classes (fixed AdaCos).
//!
//! A new class begins as Qi et al., Low-Shot Learning with Imprinted Weights (2018), equation 5, have it: at the mean direction of its
//! rows' embeddings.

use super::Model;
use crate::data::{ClassTable, Dataset, Label, Labels};
use crate::heads::checked::check_head;
use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Head, Result};
use ndarray::{Array1, Array2, ArrayView1, Axis};

/// The class vectors' companion that has a number a class.
const BIAS: &str = "bias";

impl<H: Head> Model<H> {
    /// This model with a class more for each label of raw features that it has no class for. Rows of its own classes, rows without label and rows of weight 0 have no
    /// part. All centres of a new class are the mean of its rows' unit embeddings, at the mean length of the class vectors that are there;
    /// a bias is the mean of those.
    ///
    /// # Errors
    /// [`Error::Setting`] where no label is new, for a class whose embeddings have no mean direction, and where a name is missing; [`Error::Shape`]; what is wrong with the features.
    pub fn with_new_classes(self, data: &Dataset) -> Result<Self> {
        let data = data.rows_that_count()?;
        let labels_of_data = data.class_table();
        let mut new: Vec<Option<usize>> = vec![None; labels_of_data.len()];
        let mut added = Vec::new();
        for &class in data.labels.iter().filter(|&&class| class != IGNORE_LABEL) {
            let class = class as usize;
            if new[class].is_none() && self.class_table.class_of(labels_of_data.label(class)).is_none() {
                new[class] = Some(added.len());
                added.push(class);
            }
        }
        if added.is_empty() {
            let (value, expected) = (labels_of_data.describe(), "labels that are no classes of the model".into());
            return Err(Error::Setting { name: "the set of labels", value, expected });
        }
        let place_of = |class: i64| if class == IGNORE_LABEL { None } else { new[class as usize] };
        let rows = data.select(|class| place_of(class).is_some())?;
        let embeddings = self.embeddings(&rows.features).map_err(|error| rows.located(error, "features", |row| row))?;
        let mut sums = Array2::<f64>::zeros((added.len(), embeddings.ncols()));
        for (&class, embedding) in rows.labels.iter().zip(embeddings.rows()) {
            let place = place_of(class).expect("only rows of new classes are selected");
            add_direction(sums.row_mut(place), embedding);
        }
        let length = mean_length(&self.parameters.weights);
        let centres = self.head.centres();
        let mut weights = Array2::zeros((added.len() * centres, embeddings.ncols()));
        for ((sum, mut vectors), &class) in
            sums.rows().into_iter().zip(weights.axis_chunks_iter_mut(Axis(0), centres)).zip(&added)
        {
            let label = labels_of_data.label(class);
            let vector = of_length(sum, length).ok_or_else(|| no_direction(&format!("the rows of class {label}")))?;
            vectors.assign(&vector);
        }
        let bias = self.parameters.vectors.get(BIAS).and_then(|bias| bias.mean()).unwrap_or(0.0);
        let name_of_new = |class: usize| match self.class_table.has_names() {
            true => labels_of_data.name(class),
            false => None,
        };
        let new = added.iter().map(|&class| (labels_of_data.label(class), name_of_new(class)));
        let table = self.class_table.clone();
        let entries: Vec<_> = entries_of(&table).chain(new).collect();
        let places = (0..entries.len()).collect();
        self.with_further(weights, bias).rearranged(&entries, places)
    }

    /// This model without the classes of these labels.
    ///
    /// # Errors
    /// [`Error::Setting`] for a label that is none of its classes', or comes twice; [`Error::TooFewClasses`] for what is left.
    pub fn without_classes(self, labels: &[Label]) -> Result<Self> {
        let removed = self.classes_of(labels)?;
        let table = self.class_table.clone();
        let is_left = |class: &usize| !removed.contains(class);
        let left: Vec<usize> = (0..table.len()).filter(is_left).collect();
        let entries: Vec<_> =
            entries_of(&table).enumerate().filter(|(class, _)| is_left(class)).map(|(_, entry)| entry).collect();
        self.rearranged(&entries, left)
    }

    /// This model with the classes of these labels, two at least, as one of the first label. Each of its centres is the mean direction of
    /// theirs, at the mean length of all class vectors; its bias is `ln Σ e^b` of theirs, which for equal vectors adds their probabilities.
    ///
    /// # Errors
    /// As [`without_classes`](Self::without_classes); [`Error::Setting`] for fewer than two labels, and for centres that have no mean direction.
    pub fn with_merged_classes(mut self, labels: &[Label]) -> Result<Self> {
        let ([first, others @ ..], 2..) = (labels, labels.len()) else {
            let (value, expected) = (counted(labels.len(), "class"), "two or more".into());
            return Err(Error::Setting { name: "what is merged", value, expected });
        };
        let classes = self.classes_of(labels)?;
        let centres = self.head.centres();
        let weights = &mut self.parameters.weights;
        let length = mean_length(weights);
        for centre in 0..centres {
            let mut sum = Array1::<f64>::zeros(weights.ncols());
            classes.iter().for_each(|class| add_direction(sum.view_mut(), weights.row(class * centres + centre)));
            let merged =
                of_length(sum.view(), length).ok_or_else(|| no_direction(&format!("the classes with {first}")))?;
            weights.row_mut(classes[0] * centres + centre).assign(&merged);
        }
        if let Some(bias) = self.parameters.vectors.get_mut(BIAS) {
            let largest = classes.iter().map(|&class| bias[class]).fold(f32::NEG_INFINITY, f32::max);
            bias[classes[0]] = largest + classes.iter().map(|&class| (bias[class] - largest).exp()).sum::<f32>().ln();
        }
        self.without_classes(others)
    }

    /// This model with another label for one class. Where labels are numbers, one that is given as a string is another name.
    ///
    /// # Errors
    /// [`Error::Setting`] for a label that is no class's, a new one that is another's, and a name where classes have none.
    pub fn with_renamed_class(self, label: Label, renamed: Label) -> Result<Self> {
        let class = self.classes_of(&[label])?[0];
        let table = self.class_table.clone();
        let mut entries: Vec<_> = entries_of(&table).collect();
        match (label, renamed) {
            (Label::Number(_), Label::String(name)) if table.has_names() => entries[class].1 = Some(name),
            _ => entries[class].0 = renamed,
        }
        let places = (0..entries.len()).collect();
        self.rearranged(&entries, places)
    }

    /// This model with a label for each of its classes, in the order of class vectors, which is that of labels afterwards. Names stay with their class.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of labels; [`Error::Setting`] for a label that comes twice, or is none.
    pub fn with_labels(self, labels: &Labels) -> Result<Self> {
        let table = self.class_table.clone();
        if labels.len() != table.len() {
            let expected = format!("({},), a label for each class", table.len());
            return Err(Error::Shape { what: "the labels of classes", found: vec![labels.len()], expected });
        }
        let missing = || Error::Setting {
            name: "the label of a class",
            value: "none".into(),
            expected: "a label for each class".into(),
        };
        let names = entries_of(&table).map(|(_, name)| name);
        let entries = labels.iter().zip(names).map(|(label, name)| Ok((label.ok_or_else(missing)?, name)));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let places = (0..entries.len()).collect();
        self.rearranged(&entries, places)
    }

    /// The classes of labels.
    fn classes_of(&self, labels: &[Label]) -> Result<Vec<usize>> {
        let mut classes = Vec::with_capacity(labels.len());
        for &label in labels {
            let class = self.class_table.class_of(label).filter(|class| !classes.contains(class));
            classes.push(class.ok_or_else(|| Error::Setting {
                name: "the label of a class",
                value: label.quoted(),
                expected: format!("one of {}, each once", self.class_table.describe()),
            })?);
        }
        Ok(classes)
    }

    /// With class vectors after its own, each class of `bias`; the class table is not touched.
    fn with_further(mut self, weights: Array2<f32>, bias: f32) -> Self {
        let classes = weights.nrows() / self.head.centres();
        self.parameters
            .weights
            .append(Axis(0), weights.view())
            .expect("embeddings have the dimension of class vectors");
        if let Some(biases) = self.parameters.vectors.get_mut(BIAS) {
            let further = Array1::from_elem(classes, bias);
            biases.append(Axis(0), further.view()).expect("both are vectors");
        }
        self
    }

    /// With these classes alone: a label and a name of each, and which of the class vectors are its own.
    fn rearranged(mut self, entries: &[(Label, Option<&str>)], places: Vec<usize>) -> Result<Self> {
        let (class_table, order) = ClassTable::of_entries(entries)?;
        check_head(&self.head, class_table.len())?;
        let places: Vec<usize> = order.into_iter().map(|entry| places[entry]).collect();
        let centres = self.head.centres();
        let is_in_place = places.iter().enumerate().all(|(class, &place)| class == place)
            && places.len() * centres == self.parameters.weights.nrows();
        // A million class vectors are not copied for one that comes last.
        if !is_in_place {
            let rows: Vec<usize> =
                places.iter().flat_map(|place| (0..centres).map(move |centre| place * centres + centre)).collect();
            self.parameters.weights = self.parameters.weights.select(Axis(0), &rows);
            if let Some(bias) = self.parameters.vectors.get_mut(BIAS) {
                *bias = bias.select(Axis(0), &places);
            }
        }
        Ok(Self { class_table, ..self })
    }
}

fn entries_of(table: &ClassTable) -> impl Iterator<Item = (Label<'_>, Option<&str>)> {
    // Where labels are strings they are the names.
    let has_names = table.has_names_beside_labels();
    (0..table.len()).map(move |class| (table.label(class), table.name(class).filter(|_| has_names)))
}

/// Adds the direction of a vector; one of length 0 has none.
fn add_direction(mut sum: ndarray::ArrayViewMut1<f64>, vector: ArrayView1<f32>) {
    let length = length_of(vector);
    if length > 0.0 {
        sum.zip_mut_with(&vector, |sum, &value| *sum += f64::from(value) / length);
    }
}

fn length_of(vector: ArrayView1<f32>) -> f64 {
    vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
}

fn mean_length(vectors: &Array2<f32>) -> f64 {
    vectors.rows().into_iter().map(length_of).sum::<f64>() / vectors.nrows() as f64
}

/// The vector in the direction of a sum of unit vectors; `None` where it is no longer than their rounding.
fn of_length(sum: ArrayView1<f64>, length: f64) -> Option<Array1<f32>> {
    let found = sum.dot(&sum).sqrt();
    (found > 1e-6).then(|| sum.mapv(|value| (value / found * length) as f32))
}

fn no_direction(whose: &str) -> Error {
    let expected = "vectors that do not add up to 0".into();
    Error::Setting { name: "the mean direction", value: format!("none of {whose}"), expected }
}
