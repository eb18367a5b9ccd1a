//! A head with its parameters, checked: where both engines begin.

use super::range::check_hyper_parameter;
use super::scale::SCALE_STATE;
use super::{Geometry, Head, Loss, OptionRange, ParametersView, State, StateValue, THRESHOLD};
use crate::ops::linear;
use crate::ops::softmax_cross_entropy::check_classes;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use std::collections::BTreeMap;

/// What the engines need of a head and its parameters besides weights.
#[derive(Debug)]
pub(crate) struct Checked<'a, F> {
    pub geometry: Geometry,
    pub classes: usize,
    pub centres: usize,
    /// That of [`Head::centre_temperature`].
    pub centre_temperature: Option<F>,
    /// How many other classes each of these stands for: 1, or more in a sample.
    pub stands_for: f64,
    /// The scale; where it follows the batch, that of the step before.
    pub scale: F,
    /// (C,) where the geometry has one.
    pub bias: Option<ArrayView1<'a, F>>,
    pub loss: Loss,
    /// What is subtracted from every logit; 0 unless the loss has a threshold.
    pub threshold: F,
    /// In the order of [`Head::state`].
    pub state: Vec<f64>,
}

impl<'a, F: Real> Checked<'a, F> {
    /// Checks hyper-parameters, shapes, and all values but those of features and weights.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Empty`], [`Error::HyperParameter`], [`Error::TooFewClasses`], [`Error::MissingParameter`],
    /// [`Error::NotFinite`].
    pub fn new(
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: &'a ParametersView<F>,
        sampled_from: Option<usize>,
    ) -> Result<Self> {
        let ParametersView { weights, vectors, state } = parameters;
        Self::of_parts(head, features, weights.view(), vectors, state, sampled_from)
    }

    /// [`new`](Self::new) that leaves the class vectors free to be changed.
    ///
    /// # Errors
    /// As there.
    pub fn of_parts(
        head: &impl Head,
        features: ArrayView2<F>,
        weights: ArrayView2<F>,
        vectors: &'a BTreeMap<String, Array1<F>>,
        state: &State,
        sampled_from: Option<usize>,
    ) -> Result<Self> {
        linear::check_shapes(features, weights)?;
        let classes = check_centres(head, weights.dim())?;
        let all_classes = sampled_from.unwrap_or(classes);
        if all_classes < classes {
            let expected = format!("at least {classes}, the classes at hand");
            return Err(Error::Setting { name: "sampled_from", value: all_classes.to_string(), expected });
        }
        check_head(head, all_classes)?;
        check_classes(head.name(), classes)?;
        let geometry = head.geometry();
        let vector = |name: &'static str, expected: &dyn Fn() -> String| {
            let missing = || Error::MissingParameter { head: head.name(), name, expected: expected() };
            vectors.get(name).ok_or_else(missing)
        };
        let of_classes = || format!("shape ({classes},), one element for each class");
        let bias = geometry.has_bias().then(|| vector("bias", &of_classes)).transpose()?;
        bias.map_or(Ok(()), |bias| linear::check_bias(bias.view(), classes))?;
        let threshold = match head.loss().has_threshold() {
            true => the_threshold(vector(THRESHOLD, &|| "shape (1,)".into())?)?,
            false => F::zero(),
        };
        Ok(Self {
            geometry,
            classes,
            centres: head.centres(),
            centre_temperature: head.centre_temperature().map(F::of),
            stands_for: (all_classes - 1) as f64 / (classes - 1) as f64,
            scale: head.scale().with(head.name(), all_classes, vectors, state)?,
            bias: bias.map(|bias| bias.view()),
            loss: head.loss(),
            threshold,
            state: head.state().iter().map(|value| state_value(state, value)).collect::<Result<_>>()?,
        })
    }

    /// `logits` (B, C) with the bias, where there is one, and above the threshold.
    pub fn with_bias(&self, logits: Array2<F>) -> Array2<F> {
        match self.bias {
            Some(bias) => logits + bias,
            None if self.loss.has_threshold() => logits - self.threshold,
            None => logits,
        }
    }

    /// The state after a step, from what [`Head::observe`] has left and the step's scale.
    pub fn state_after(head: &impl Head, state: &[f64], scale: F) -> State {
        let of_scale = head.scale().follows_batch().then(|| (SCALE_STATE.to_owned(), scale.to_double()));
        let of_head = head.state().iter().zip(state).map(|(remembered, &value)| (remembered.name.to_owned(), value));
        of_head.chain(of_scale).collect()
    }
}

/// The element of the vector `threshold`.
fn the_threshold<F: Real>(vector: &Array1<F>) -> Result<F> {
    match (vector.len(), vector.first()) {
        (1, Some(&value)) if value.is_finite() => Ok(value),
        (1, Some(value)) => Err(Error::NotFinite { what: THRESHOLD, row: 0, column: 0, value: value.to_double() }),
        _ => Err(Error::Shape { what: THRESHOLD, found: vec![vector.len()], expected: "(1,)".into() }),
    }
}

fn state_value(state: &State, remembered: &StateValue) -> Result<f64> {
    let StateValue { name, first, .. } = *remembered;
    let value = state.get(name).copied().unwrap_or(first);
    let expected = "a finite number, as a step leaves it";
    crate::optim::check_setting(name, value, value.is_finite(), expected)?;
    Ok(value)
}

/// Checks hyper-parameters, scale, what goes with a scale that follows the batch, and that there are other classes.
pub(crate) fn check_head(head: &impl Head, classes: usize) -> Result<()> {
    head.check(classes)?;
    head.scale().check(head.name(), classes)?;
    if head.scale().follows_batch() {
        let refused = |found, expected| Err(Error::Head { head: head.name(), found, expected });
        if head.geometry() != Geometry::Sphere {
            let expected = "features and class vectors divided by their norms: it follows from cosines";
            return refused("a scale that follows the batch", expected);
        }
        if head.state().iter().any(|value| value.name == SCALE_STATE) {
            return refused("a state called scale", "another name: the scale that follows the batch has this one");
        }
    }
    if let Some(gamma) = head.centre_temperature() {
        let OptionRange { from, to, words } = OptionRange::TEMPERATURE;
        check_hyper_parameter(head.name(), "gamma", gamma, gamma >= from && gamma <= to, words)?;
        if head.geometry() != Geometry::Sphere {
            let (found, expected) = ("a mixture of centres", "features and class vectors divided by their norms");
            return Err(Error::Head { head: head.name(), found, expected });
        }
    }
    if head.loss().has_threshold() && head.geometry().has_bias() {
        let (found, expected) = ("a threshold beside a bias", "features and class vectors divided by their norms");
        return Err(Error::Head { head: head.name(), found, expected });
    }
    check_classes(head.name(), classes)
}

/// The number of classes that `weights` of this shape are of.
///
/// # Errors
/// [`Error::Shape`] for class vectors that do not come in whole classes, [`Error::Head`] for classes without any.
pub(super) fn check_centres(head: &impl Head, shape: (usize, usize)) -> Result<usize> {
    let (rows, dimension) = shape;
    let centres = head.centres();
    if centres == 0 {
        return Err(Error::Head { head: head.name(), found: "no centre for a class", expected: "at least one" });
    }
    if rows % centres == 0 {
        return Ok(rows / centres);
    }
    let expected = format!("a multiple of {centres} rows, the centres of a class");
    Err(Error::Shape { what: "weights", found: vec![rows, dimension], expected })
}
