//! A trained head with its embedder and feature transform: what is left of a run.

use crate::data::{ClassTable, Dataset, FeatureRows, Transform, TransformKind};
use crate::embedder::{Embedder, EmbedderParameters};
use crate::metrics::confusion::Confusion;
use crate::ops::{IGNORE_LABEL, Targets, l2_normalize};
use crate::streaming::{Evaluated, Likeliest, Streaming};
use crate::{AnyHead, Error, Head, Parameters, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, CowArray, Ix2};

/// Rows that are looked at at a time, at most.
pub(super) const ROWS_AT_A_TIME: usize = 1024;

/// A trained head with its embedder, if there is one, and its feature transform.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<H = AnyHead> {
    /// The head and its hyper-parameters.
    pub head: H,
    /// What was trained.
    pub parameters: Parameters<f32>,
    /// What is done to features first.
    pub transform: Transform,
    /// What is between transformed features and head, where something is.
    pub embedder: Option<TrainedEmbedder>,
    /// The label of each class.
    pub class_table: ClassTable,
    /// T, which divides the logits of whatever is to be a probability, where one was [fitted](Self::fit_temperature).
    pub temperature: Option<f64>,
}

/// An embedder with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedEmbedder {
    /// The hyper-parameters.
    pub embedder: Embedder,
    /// What was trained.
    pub parameters: EmbedderParameters<f32>,
}

/// How well a model does on labelled rows, without margins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Labelled rows.
    pub rows: usize,
    /// Mean loss in nats.
    pub loss: f64,
    /// Share of rows whose class has the largest logit.
    pub accuracy: f64,
    /// Share of rows whose class is among the five largest logits.
    pub top5_accuracy: f64,
}

impl<H: Head> Model<H> {
    /// Embeddings of raw `features` (N, D), a few rows at a time: (N, E), of whatever length. Without an embedder these are the
    /// transformed features.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn embeddings<'a>(&self, features: impl Into<FeatureRows<'a>>) -> Result<Array2<f32>> {
        let features = features.into();
        if features.is_empty() {
            return Err(Error::Empty { what: "features", found: features.shape().to_vec() });
        }
        self.check_shape(&features.shape())?;
        let mut embeddings = Array2::zeros((features.dim().0, self.parameters.weights.ncols()));
        let targets = embeddings.axis_chunks_iter_mut(Axis(0), ROWS_AT_A_TIME);
        for (chunk, mut target) in features.chunks(ROWS_AT_A_TIME).zip(targets) {
            let (first, features) = chunk?;
            let transformed = self.transform.apply(features.view())?;
            let embeddings = self.embed(transformed.view());
            target.assign(&embeddings.map_err(|error| error.of_row("features", |row| first + row))?);
        }
        Ok(embeddings)
    }

    /// The tensors that training updates, by name and number of elements: the head's, then the embedder's.
    pub fn trained(&self) -> Vec<(String, usize)> {
        let of_head = self.parameters.trained(&self.head).into_iter().map(|(name, length)| (name.to_owned(), length));
        let of_embedder = self.embedder.iter().flat_map(|embedder| embedder.parameters.trained());
        of_head.chain(of_embedder.map(|(name, length)| (format!("embedder.{name}"), length))).collect()
    }

    /// Checks the dimension of raw features, before some of their rows are looked at and an error would have the shape of those.
    pub(super) fn check_shape(&self, shape: &[usize]) -> Result<()> {
        self.transform.check_shape(shape)?;
        self.check_transformed_shape(&[shape[0], self.transform.dimension(shape[1])])
    }

    fn check_transformed_shape(&self, shape: &[usize]) -> Result<()> {
        let first = self.embedder.as_ref().map_or(&self.parameters.weights, |embedder| &embedder.parameters.weights);
        if shape[1] == first.ncols() {
            return Ok(());
        }
        let expected = format!("(rows, {}), the dimension that the model was trained on", first.ncols());
        Err(Error::Shape { what: "features", found: shape.to_vec(), expected })
    }

    /// What the head takes, of transformed features.
    fn embed<'a>(&self, transformed: ArrayView2<'a, f32>) -> Result<CowArray<'a, f32, Ix2>> {
        self.check_transformed_shape(transformed.shape())?;
        match &self.embedder {
            Some(TrainedEmbedder { embedder, parameters }) => Ok(embedder.embed(transformed, parameters)?.into()),
            None => Ok(transformed.into()),
        }
    }

    /// What the head takes, as errors about its rows call it.
    pub fn head_input(&self) -> &'static str {
        match (&self.embedder, self.transform.kind()) {
            (Some(_), _) => "embeddings",
            (None, TransformKind::None) => "features",
            (None, _) => "transformed features",
        }
    }

    /// Checks that the head can take these rows of its input.
    pub(super) fn check_head_input(&self, rows: ArrayView2<f32>) -> Result<()> {
        match self.head.geometry().normalizes_features() {
            true => l2_normalize::forward("features", rows).map(drop),
            false => l2_normalize::check_finite("features", rows),
        }
    }

    /// Inference logits (B, C) of raw `features` (B, D).
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], [`Error::ZeroNorm`].
    pub fn logits(&self, features: ArrayView2<f32>) -> Result<Array2<f32>> {
        let transformed = self.transform.apply(features)?;
        self.head.logits(self.embed(transformed.view())?.view(), &self.parameters)
    }

    /// Calls `each` with the first row's number and the `count` likeliest classes of some rows of raw `features` at a time, by inference logits that are never all in
    /// memory. Probabilities are those at the model's [temperature](Self::temperature), or at 1.
    ///
    /// # Errors
    /// As [`logits`](Self::logits), and what `each` returns; [`Error::Setting`] unless `count` is from 1 to the number of classes.
    pub fn for_likeliest<'a>(
        &self,
        features: impl Into<FeatureRows<'a>>,
        count: usize,
        mut each: impl FnMut(usize, Likeliest<f32>) -> Result<()>,
    ) -> Result<()> {
        let features = features.into();
        self.check_shape(&features.shape())?;
        let mut kernel = Streaming::default();
        features.chunks(ROWS_AT_A_TIME).try_for_each(|chunk| {
            let (first, rows) = chunk?;
            let mut likeliest = || {
                let transformed = self.transform.apply(rows.view())?;
                let embeddings = self.embed(transformed.view())?;
                let temperature = self.temperature.unwrap_or(1.0);
                kernel.likeliest(&self.head, embeddings.view(), &self.parameters, count, temperature)
            };
            each(first, likeliest().map_err(|error| error.of_row(self.head_input(), |row| first + row))?)
        })
    }

    /// Loss and accuracy on raw features; labels are those of [`class_table`](Self::class_table), however the data set counts them.
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::Label`], [`Error::NothingLabelled`].
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation> {
        let data = data.clone().with_classes_of(&self.class_table)?;
        self.check_shape(&data.features.rows().shape())?;
        self.evaluate_with(&mut Streaming::default(), &data, Some(&self.transform))
    }

    /// (N,) the class of each row of raw features that has the largest logit, labelled or not.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn predictions(&self, data: &Dataset) -> Result<Vec<usize>> {
        let mut classes = Vec::with_capacity(data.rows());
        let predicted = self.for_likeliest(&data.features, 1, |_, likeliest| {
            classes.extend(likeliest.classes);
            Ok(())
        });
        predicted.map_err(|error| data.located(error, self.head_input(), |row| row))?;
        Ok(classes)
    }

    /// Which classes the labelled rows of raw features are taken for; labels as in [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// As [`logits`](Self::logits); [`Error::Label`], [`Error::NothingLabelled`].
    pub fn confusion(&self, data: &Dataset) -> Result<Confusion> {
        let labels = data.labels_as(&self.class_table)?;
        let targets = Targets::new(labels.view(), data.rows(), self.parameters.classes(&self.head))?;
        Ok(Confusion::new(&targets, &self.predictions(data)?))
    }

    /// Calls `each` with what the head takes of some rows at a time, and their labels, where any is labelled. Features are transformed if there is a `transform`; classes are
    /// counted as the head's.
    pub(super) fn for_labelled(
        &self,
        data: &Dataset,
        transform: Option<&Transform>,
        mut each: impl FnMut(ArrayView2<f32>, ArrayView1<i64>) -> Result<()>,
    ) -> Result<()> {
        let labels = data.labels.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME);
        for (chunk, labels) in data.features.rows().chunks(ROWS_AT_A_TIME).zip(labels) {
            let (first, features) = chunk?;
            let features = features.view();
            if labels.iter().any(|&label| label != IGNORE_LABEL) {
                let located = |error, name| data.located(error, name, |row| first + row);
                let transformed = transform.map(|transform| transform.apply(features)).transpose();
                let transformed = transformed.map_err(|error| located(error, "features"))?;
                let transformed = transformed.as_ref().map_or(features, |transformed| transformed.view());
                let embeddings = self.embed(transformed).map_err(|error| located(error, "features"))?;
                each(embeddings.view(), labels).map_err(|error| located(error, self.head_input()))?;
            }
        }
        Ok(())
    }

    /// Loss and accuracy on features after `transform`, if they are not transformed already; classes are counted as the head's.
    pub(super) fn evaluate_with(
        &self,
        kernel: &mut Streaming<f32>,
        data: &Dataset,
        transform: Option<&Transform>,
    ) -> Result<Evaluation> {
        let mut sums = Sums::default();
        self.for_labelled(data, transform, |embeddings, labels| {
            sums.add(kernel.evaluate(&self.head, embeddings, &self.parameters, labels)?);
            Ok(())
        })?;
        sums.evaluation(data.labels.len())
    }
}

#[derive(Default)]
struct Sums {
    rows: usize,
    loss: f64,
    correct: usize,
    correct_top5: usize,
}

impl Sums {
    fn add(&mut self, evaluated: Evaluated<f32>) {
        self.rows += evaluated.labelled;
        self.loss += f64::from(evaluated.loss) * evaluated.labelled as f64;
        self.correct += evaluated.correct;
        self.correct_top5 += evaluated.correct_top5;
    }

    fn evaluation(self, rows: usize) -> Result<Evaluation> {
        if self.rows == 0 {
            return Err(Error::NothingLabelled { rows, ignore: IGNORE_LABEL });
        }
        let share = |count: usize| count as f64 / self.rows as f64;
        Ok(Evaluation {
            rows: self.rows,
            loss: self.loss / self.rows as f64,
            accuracy: share(self.correct),
            top5_accuracy: share(self.correct_top5),
        })
    }
}
