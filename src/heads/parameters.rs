//! What a head trains, what it remembers, and what it reports.

use crate::metrics::angles::AngleHistogram;
use crate::ops::angle::median;
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
    /// The median of these angles; AdaCos's scale follows it.
    pub median_target_angle: Option<f64>,
    /// How many of these angles fall in each degree; rows without a direction are left out.
    pub target_angles: AngleHistogram,
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
        let mut target_angles = AngleHistogram::default();
        let (mut cosine, mut thetas) = (0.0, Vec::with_capacity(labelled));
        for angle in angles.flatten() {
            let theta = angle.theta().to_double();
            target_angles.add(theta);
            cosine += angle.cos.to_double();
            thetas.push(theta);
        }
        let all = (labelled > 0 && thetas.len() == labelled).then_some(labelled as f64);
        Self {
            labelled,
            correct,
            target_cosine: all.map(|rows| cosine / rows),
            target_angle: all.map(|rows| thetas.iter().sum::<f64>() / rows),
            median_target_angle: all.map(|_| median(thetas)),
            target_angles,
            scale: scale.to_double(),
        }
    }
}
