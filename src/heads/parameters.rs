//! What a head trains, what it remembers, and what it reports.

use crate::ops::{Angle, Targets};
use crate::optim::Trained;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1};

/// The values of a head that change during training. The caller owns them: nothing is hidden in the head.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<F> {
    /// (C, D) one class vector a row.
    pub weights: Array2<F>,
    /// (C,) softmax and L2-softmax.
    pub bias: Option<Array1<F>>,
    /// α, the norm given to features: L2-softmax.
    pub alpha: Option<F>,
    /// The scale of AdaCos's last training step; state, not trained by gradient. `None` stands for the initial scale.
    pub scale: Option<F>,
}

impl<F> From<Array2<F>> for Parameters<F> {
    /// Class vectors (C, D) alone: all there is to a normalised head.
    fn from(weights: Array2<F>) -> Self {
        Self { weights, bias: None, alpha: None, scale: None }
    }
}

impl<F: Real> Parameters<F> {
    /// The tensors that an optimizer updates, in a fixed order: weights, bias, and α if it is learned.
    pub fn trained_mut<'a>(&'a mut self, gradients: &'a Gradients<F>, learn_alpha: bool) -> Vec<Trained<'a, F>> {
        let mut trained = vec![Trained::new(&mut self.weights, &gradients.d_weights, true)];
        if let (Some(bias), Some(d_bias)) = (&mut self.bias, &gradients.d_bias) {
            trained.push(Trained::new(bias, d_bias, false));
        }
        if let (Some(alpha), Some(d_alpha), true) = (&mut self.alpha, &gradients.d_alpha, learn_alpha) {
            let (values, gradient) = (std::slice::from_mut(alpha), std::slice::from_ref(d_alpha).into());
            trained.push(Trained { values, gradient, decays: false });
        }
        trained
    }

    /// Puts class vectors and bias in row-major order, if they are not.
    pub(crate) fn make_standard(&mut self) {
        if !self.weights.is_standard_layout() {
            self.weights = self.weights.as_standard_layout().into_owned();
        }
        if let Some(bias) = self.bias.as_mut().filter(|bias| !bias.is_standard_layout()) {
            *bias = bias.as_standard_layout().into_owned();
        }
    }

    /// The number of elements of each tensor of [`trained_mut`](Self::trained_mut).
    pub fn trained_lengths(&self, learn_alpha: bool) -> Vec<usize> {
        let bias = self.bias.as_ref().map(Array1::len);
        let alpha = self.alpha.as_ref().filter(|_| learn_alpha).map(|_| 1);
        [Some(self.weights.len()), bias, alpha].into_iter().flatten().collect()
    }

    pub(super) fn bias(&self, head: &'static str) -> Result<ArrayView1<'_, F>> {
        let expected = || format!("shape ({},), one element for each row of weights", self.weights.nrows());
        match &self.bias {
            Some(bias) => Ok(bias.view()),
            None => Err(Error::MissingParameter { head, name: "bias", expected: expected() }),
        }
    }
}

/// Derivatives of the mean loss, each of the shape of the thing it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients<F> {
    /// (B, D)
    pub d_features: Array2<F>,
    /// (C, D)
    pub d_weights: Array2<F>,
    /// (C,) where the head has a bias.
    pub d_bias: Option<Array1<F>>,
    /// Where the head has α, learned or not.
    pub d_alpha: Option<F>,
}

/// Figures of one training batch for logs. Means are over labelled rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Rows with a label.
    pub labelled: usize,
    /// Labelled rows whose class has the largest inference logit.
    pub correct: usize,
    /// Mean cosine between a feature and its class vector; `None` if some row has no direction.
    pub target_cosine: Option<f64>,
    /// Mean angle between a feature and its class vector, in radians.
    pub target_angle: Option<f64>,
    /// The scale of the logits: s, α, or 1 for softmax.
    pub scale: f64,
}

impl BatchStatistics {
    pub(crate) fn new<F: Real>(
        targets: &Targets,
        correct: usize,
        angles: impl Iterator<Item = Option<Angle<F>>>,
        scale: F,
    ) -> Self {
        let labelled = targets.labelled();
        let sum = angles.map(|angle| angle.map(|angle| (angle.cos.to_double(), angle.theta().to_double())));
        let sum = sum.reduce(|sum, angle| Some((sum?.0 + angle?.0, sum?.1 + angle?.1))).flatten();
        Self {
            labelled,
            correct,
            target_cosine: sum.map(|(cosine, _)| cosine / labelled as f64),
            target_angle: sum.map(|(_, theta)| theta / labelled as f64),
            scale: scale.to_double(),
        }
    }
}
