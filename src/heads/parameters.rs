//! What a head trains and what it remembers, and the gradients of what it trains.

use super::Head;
use super::checked::{check_centres, check_head};
use crate::optim::Trained;
use crate::{Real, Result};
use ndarray::{Array, Array1, Array2, ArrayView2, ArrayViewMut2, Dimension};
use std::collections::BTreeMap;

/// What a head remembers from step to step, by name: a scale that follows the batch is `scale`, the rest is named in [`Head::state`].
pub type State = BTreeMap<String, f64>;

/// The vector that the threshold of a logistic loss is kept in.
pub(crate) const THRESHOLD: &str = "threshold";

/// The values of a head that change during training. The caller owns them: nothing is hidden in the head.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Parameters<F> {
    /// (C·K, D) the class vectors, those of a class next to each other; K is 1 but for heads with [centres](Head::centres).
    pub weights: Array2<F>,
    /// What else has a gradient, by name: `bias` (C,) of heads whose [geometry](super::Geometry) has one, `alpha` (1,) or `log_scale` (1,) of a
    /// [scale](super::Scale) that is kept here, `threshold` (1,) of a [logistic loss](crate::ops::ClassLoss::Logistic).
    pub vectors: BTreeMap<String, Array1<F>>,
    /// What is remembered; not trained by gradient. A step gives the new state, and whoever takes the step puts it here. What is missing
    /// stands for its first value.
    pub state: State,
}

impl<F> From<Array2<F>> for Parameters<F> {
    /// Class vectors alone: all there is to most heads.
    fn from(weights: Array2<F>) -> Self {
        Self { weights, vectors: BTreeMap::new(), state: State::new() }
    }
}

/// [`Parameters`] where they are: class vectors may be in memory that is not this crate's.
#[derive(Clone, Copy, Debug)]
pub struct ParametersView<'a, F> {
    /// As in [`Parameters`].
    pub weights: ArrayView2<'a, F>,
    /// As in [`Parameters`].
    pub vectors: &'a BTreeMap<String, Array1<F>>,
    /// As in [`Parameters`].
    pub state: &'a State,
}

impl<'a, F> From<&'a Parameters<F>> for ParametersView<'a, F> {
    fn from(parameters: &'a Parameters<F>) -> Self {
        let Parameters { weights, vectors, state } = parameters;
        Self { weights: weights.view(), vectors, state }
    }
}

/// [`ParametersView`] of what a step is to change.
#[derive(Debug)]
pub struct ParametersMut<'a, F> {
    /// As in [`Parameters`], in row-major order.
    pub weights: ArrayViewMut2<'a, F>,
    /// As in [`Parameters`].
    pub vectors: &'a mut BTreeMap<String, Array1<F>>,
    /// As in [`Parameters`].
    pub state: &'a mut State,
}

impl<F: Real> Parameters<F> {
    pub(super) fn initial(head: &impl Head, weights: Array2<F>) -> Result<Self> {
        let classes = check_centres(head, weights.dim())?;
        check_head(head, classes)?;
        let bias = head.geometry().has_bias().then(|| ("bias", Array1::zeros(classes)));
        let threshold = head.loss().has_threshold().then(|| {
            let threshold = F::of(head.initial_threshold(classes));
            (THRESHOLD, Array1::from_elem(1, threshold))
        });
        let vectors = bias.into_iter().chain(head.scale().initial_vector()).chain(threshold);
        let vectors = vectors.map(|(name, vector)| (name.to_owned(), vector)).collect();
        let mut state = head.scale().initial_state(head.name(), classes)?;
        // As this precision has it, so that what is stored and read again is the same.
        state.values_mut().for_each(|value| *value = F::of(*value).to_double());
        state.extend(head.state().iter().map(|value| (value.name.to_owned(), value.first)));
        Ok(Self { weights, vectors, state })
    }

    /// The number of classes under this head.
    pub fn classes(&self, head: &impl Head) -> usize {
        self.weights.nrows().checked_div(head.centres()).unwrap_or(0)
    }

    /// The tensors that an optimizer updates, by name and number of elements: weights, then those [vectors](Self::vectors) that are
    /// trained, in the order of their names.
    pub fn trained(&self, head: &impl Head) -> Vec<(&str, usize)> {
        ParametersView::from(self).trained(head)
    }

    /// The tensors of [`trained`](Self::trained), in its order, with their gradients.
    pub fn trained_mut<'a>(&'a mut self, head: &impl Head, gradients: &'a Gradients<F>) -> Vec<Trained<'a, F>> {
        let weights = Trained::new(&mut self.weights, &gradients.d_weights, true);
        let vectors = self.vectors.iter_mut().filter(|(name, _)| is_trained(head, name));
        let vectors =
            vectors.filter_map(|(name, vector)| Some(Trained::new(vector, gradients.d_vectors.get(name)?, false)));
        [weights].into_iter().chain(vectors).collect()
    }

    /// Puts class vectors and all else in row-major order, if they are not.
    pub(crate) fn make_standard(&mut self) {
        make_standard(&mut self.weights);
        self.vectors.values_mut().for_each(make_standard);
    }
}

/// Puts an array in row-major order, if it is not.
pub(crate) fn make_standard<F: Real, D: Dimension>(array: &mut Array<F, D>) {
    if !array.is_standard_layout() {
        *array = array.as_standard_layout().into_owned();
    }
}

impl<'a, F> ParametersView<'a, F> {
    /// As [`Parameters::trained`].
    pub fn trained(self, head: &impl Head) -> Vec<(&'a str, usize)> {
        let vectors = self.vectors.iter().filter(|(name, _)| is_trained(head, name));
        let vectors = vectors.map(|(name, vector)| (name.as_str(), vector.len()));
        [("weights", self.weights.len())].into_iter().chain(vectors).collect()
    }
}

impl<F> ParametersMut<'_, F> {
    /// The lengths of what an optimizer updates, as [`Parameters::trained`] has them.
    pub fn trained_lengths(&self, head: &impl Head) -> Vec<usize> {
        let Self { weights, vectors, state } = self;
        let view = ParametersView { weights: weights.view(), vectors, state };
        view.trained(head).into_iter().map(|(_, length)| length).collect()
    }
}

/// Whether the vector called `name` is one that the head trains.
pub(crate) fn is_trained(head: &impl Head, name: &str) -> bool {
    let scale = head.scale();
    (name == "bias" && head.geometry().has_bias())
        || (name == THRESHOLD && head.loss().has_threshold())
        || (scale.vector() == Some(name) && scale.is_trained())
}

/// Derivatives of the mean loss, each of the shape of the thing it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients<F> {
    /// (B, D)
    pub d_features: Array2<F>,
    /// (C·K, D)
    pub d_weights: Array2<F>,
    /// Of [`Parameters::vectors`], by the same names, trained or not.
    pub d_vectors: BTreeMap<String, Array1<F>>,
}
