//! Partial FC (An et al. 2021, arXiv 2010.05222; 2022, arXiv 2203.15565): each step on the classes of its batch and a share of the others.
//!
//! The loss is that of the sampled classes alone; gradients, moments and weight decay of the others stay as they are. A scale that follows from the number of
//! classes takes all of them, and AdaCos's `B_avg` counts each sampled class for `(C - 1) / (C' - 1)`: `ln B_avg` of the sample plus the logarithm of that.

use super::StreamingOptions;
use super::head_of_sample::HeadOfSample;
use super::kernel::{Step, Streaming, Update};
use super::sampled_classes::SampledClasses;
use crate::heads::{Head, Parameters, is_trained};
use crate::ops::Objective;
use crate::optim::Moments;
use crate::{Error, Real, Result};
use ndarray::{Array, Array2, ArrayView2, Dimension};

/// The streaming kernel on sampled classes. Their class vectors and moments are copied together before a step and back after it: memory of twice
/// the sample's size, which serves from step to step.
///
/// ```
/// use arcos::{Head, heads::CosFace, init, ops::Objective, optim::{Optimizer, Sgd}};
/// use arcos::streaming::{PartialFc, SampledClasses, Update};
/// use ndarray::array;
/// use rand::SeedableRng;
///
/// # fn main() -> arcos::Result<()> {
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let (features, labels) = (array![[0.3f32, -1.2, 0.8], [1.1, 0.4, -0.2]], array![2, 700]);
/// let head = CosFace::default();
/// let mut parameters = head.initial_parameters(init::glorot_normal(1000, 3, &mut rng))?;
/// let optimizer = Optimizer::Sgd(Sgd::default());
/// let mut moments = [optimizer.moments(3000)];
///
/// let mut kernel = PartialFc::default(); // keep it, as a Streaming
/// let objective = Objective::from(labels.view());
/// let classes = SampledClasses::draw(&objective, 1000, 0.1, &mut rng)?;
/// assert_eq!(classes.classes().len(), 100);
/// let update = Update { optimizer: &optimizer, moments: &mut moments, step: 1, learning_rate: 0.1, d_features: None };
/// let step = kernel.train_step(&head, features.view(), &mut parameters, objective, &classes, update)?;
/// assert!(step.loss > 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct PartialFc<F> {
    kernel: Streaming<F>,
    weights: Vec<F>,
    moments: Vec<Moments<F>>,
}

impl<F: Real> PartialFc<F> {
    /// A kernel without scratch memory yet.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn new(options: StreamingOptions) -> Result<Self> {
        Ok(Self { kernel: Streaming::new(options)?, weights: Vec::new(), moments: Vec::new() })
    }

    /// [`Streaming::train_step`] on `classes` alone, which the labels of `objective` are among. `update` has the moments of all classes.
    ///
    /// # Errors
    /// As [`Streaming::train_step`]; [`Error::Shape`] for parameters of another number of classes, [`Error::Label`] for a label that is not among `classes`.
    /// `parameters` are then as they were.
    pub fn train_step<'a>(
        &mut self,
        head: &impl Head,
        features: ArrayView2<F>,
        parameters: &mut Parameters<F>,
        objective: impl Into<Objective<'a, F>>,
        classes: &SampledClasses,
        update: Update<F>,
    ) -> Result<Step<F>> {
        let objective = objective.into();
        let lengths: Vec<_> = parameters.trained(head).into_iter().map(|(_, length)| length).collect();
        update.check(&lengths)?;
        if parameters.classes(head) != classes.of() {
            let expected = format!("those of {}, which the classes were drawn from", classes.of());
            return Err(Error::Shape { what: "weights", found: parameters.weights.shape().to_vec(), expected });
        }
        let of_classes = classes.objective(&objective)?;
        parameters.make_standard();
        let layout = Layout { classes, centres: head.centres(), dimension: parameters.weights.ncols() };
        let trained: Vec<String> = parameters.trained(head).into_iter().map(|(name, _)| name.to_owned()).collect();
        let mut sampled = layout.sampled(parameters, std::mem::take(&mut self.weights));
        self.moments.resize_with(trained.len(), Moments::default);
        for ((all, of_sample), name) in update.moments.iter().zip(&mut self.moments).zip(&trained) {
            layout.gather(name, &all.first, &mut of_sample.first);
            layout.gather(name, &all.second, &mut of_sample.second);
        }

        let Update { optimizer, moments, step, learning_rate, d_features } = update;
        let of_sample = Update { optimizer, moments: &mut self.moments, step, learning_rate, d_features };
        let sampled_objective = of_classes.of(&objective, classes.of());
        let head_of_sample = HeadOfSample { head, classes: classes.classes() };
        let stepped = self.kernel.train_step(&head_of_sample, features, &mut sampled, sampled_objective, of_sample);
        let Parameters { weights, vectors, state } = sampled;
        self.weights = weights.into_raw_vec_and_offset().0;
        let step = stepped.map_err(|error| layout.of_all_classes(error))?;

        layout.scatter("weights", &self.weights, elements(&mut parameters.weights));
        for (name, vector) in vectors.iter().filter(|(name, _)| is_trained(head, name)) {
            let all = parameters.vectors.get_mut(name).expect("the same names");
            layout.scatter(name, vector.as_slice().expect("in one piece"), elements(all));
        }
        for ((all, of_sample), name) in moments.iter_mut().zip(&self.moments).zip(&trained) {
            layout.scatter(name, &of_sample.first, &mut all.first);
            layout.scatter(name, &of_sample.second, &mut all.second);
        }
        parameters.state = state;
        Ok(step)
    }
}

/// Where the sampled classes are in each tensor.
struct Layout<'a> {
    classes: &'a SampledClasses,
    centres: usize,
    dimension: usize,
}

impl Layout<'_> {
    /// Elements a class; `None` for a tensor that is not of classes.
    fn elements_a_class(&self, tensor: &str) -> Option<usize> {
        match tensor {
            "weights" => Some(self.centres * self.dimension),
            "bias" => Some(1),
            _ => None,
        }
    }

    /// The parameters of the sampled classes; `memory` becomes their weights.
    fn sampled<F: Real>(&self, parameters: &Parameters<F>, mut memory: Vec<F>) -> Parameters<F> {
        self.gather("weights", parameters.weights.as_slice().expect("made standard"), &mut memory);
        let rows = memory.len() / self.dimension;
        let weights = Array2::from_shape_vec((rows, self.dimension), memory).expect("whole rows");
        let vectors = parameters.vectors.iter().map(|(name, all)| {
            let mut sampled = Vec::new();
            self.gather(name, all.as_slice().expect("made standard"), &mut sampled);
            (name.clone(), sampled.into())
        });
        Parameters { weights, vectors: vectors.collect(), state: parameters.state.clone() }
    }

    /// `sampled` becomes what the sampled classes have of `all`; nothing of moments that are not used.
    fn gather<F: Real>(&self, tensor: &str, all: &[F], sampled: &mut Vec<F>) {
        match self.elements_a_class(tensor) {
            Some(elements) if !all.is_empty() => self.classes.gather(all, elements, sampled),
            _ => {
                sampled.clear();
                sampled.extend_from_slice(all);
            }
        }
    }

    /// The way back.
    fn scatter<F: Real>(&self, tensor: &str, sampled: &[F], all: &mut [F]) {
        match self.elements_a_class(tensor) {
            Some(elements) if !all.is_empty() => self.classes.scatter(sampled, elements, all),
            _ => all.copy_from_slice(sampled),
        }
    }

    /// An error about a row of the sampled class vectors as one about a row of all.
    fn of_all_classes(&self, error: Error) -> Error {
        let row_of = |row: usize| self.classes.classes()[row / self.centres] * self.centres + row % self.centres;
        if error.subject() == Some("weights") { error.of_row("weights", row_of) } else { error }
    }
}

fn elements<F: Real, D: Dimension>(array: &mut Array<F, D>) -> &mut [F] {
    array.as_slice_mut().expect("made standard before the step")
}
