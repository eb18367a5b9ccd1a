//! What an embedder trains and remembers.

use super::{EmbedBlock, Embedder, EmbedderCache, MOMENTUM};
use crate::ops::batch_norm::RunningStatistics;
use crate::optim::Trained;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1};

/// The values of an embedder that change during training. The caller owns them.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EmbedderParameters<F> {
    /// (E, D) the projection.
    pub weights: Array2<F>,
    /// (E,) of the plain projection.
    pub bias: Option<Array1<F>>,
    /// Of block E.
    pub norms: Option<Norms<F>>,
}

/// The two batch normalisations of block E.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Norms<F> {
    /// (D,) γ of the normalisation of features.
    pub input_gamma: Array1<F>,
    /// (D,) its β.
    pub input_beta: Array1<F>,
    /// (D,) each; not trained by gradient.
    pub input_running: RunningStatistics<F>,
    /// (E,) β of the normalisation of embeddings.
    pub output_beta: Array1<F>,
    /// (E,) each; not trained by gradient.
    pub output_running: RunningStatistics<F>,
}

/// Derivatives of the mean loss, each of the shape of the thing it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedderGradients<F> {
    /// (B, D)
    pub d_features: Option<Array2<F>>,
    /// (E, D)
    pub d_weights: Array2<F>,
    /// (E,) of the plain projection.
    pub d_bias: Option<Array1<F>>,
    /// Of block E.
    pub norms: Option<NormsGradients<F>>,
}

/// Derivatives for [`Norms`].
#[derive(Clone, Debug, PartialEq)]
pub struct NormsGradients<F> {
    /// (D,)
    pub d_input_gamma: Array1<F>,
    /// (D,)
    pub d_input_beta: Array1<F>,
    /// (E,)
    pub d_output_beta: Array1<F>,
}

impl<F: Real> Norms<F> {
    pub(super) fn new(dimension: usize, embedding_dimension: usize) -> Self {
        Self {
            input_gamma: Array1::ones(dimension),
            input_beta: Array1::zeros(dimension),
            input_running: RunningStatistics::new(dimension),
            output_beta: Array1::zeros(embedding_dimension),
            output_running: RunningStatistics::new(embedding_dimension),
        }
    }
}

impl<F: Real> EmbedderParameters<F> {
    /// The tensors that an optimizer updates, in a fixed order: weights, then the bias, or γ and both β.
    pub fn trained_mut<'a>(&'a mut self, gradients: &'a EmbedderGradients<F>) -> Vec<Trained<'a, F>> {
        let mut trained = vec![Trained::new(&mut self.weights, &gradients.d_weights, true)];
        if let (Some(bias), Some(d_bias)) = (&mut self.bias, &gradients.d_bias) {
            trained.push(Trained::new(bias, d_bias, false));
        }
        if let (Some(norms), Some(d_norms)) = (&mut self.norms, &gradients.norms) {
            trained.push(Trained::new(&mut norms.input_gamma, &d_norms.d_input_gamma, false));
            trained.push(Trained::new(&mut norms.input_beta, &d_norms.d_input_beta, false));
            trained.push(Trained::new(&mut norms.output_beta, &d_norms.d_output_beta, false));
        }
        trained
    }

    /// Name and number of elements of each tensor of [`trained_mut`](Self::trained_mut), in its order.
    pub fn trained(&self) -> Vec<(&'static str, usize)> {
        let is_running = |name: &str| name.ends_with("mean") || name.ends_with("variance");
        let vectors = self.vectors().into_iter().filter(|(name, _)| !is_running(name));
        let vectors = vectors.map(|(name, vector)| (name, vector.len()));
        std::iter::once(("weights", self.weights.len())).chain(vectors).collect()
    }

    /// Moves running statistics towards those of the batch that `cache` is of, by [`MOMENTUM`].
    pub fn update_running_statistics(&mut self, cache: &EmbedderCache<F>) {
        if let (Some(norms), Some((input, _, output))) = (&mut self.norms, &cache.norms) {
            for (running, cache) in [(&mut norms.input_running, input), (&mut norms.output_running, output)] {
                cache.batch.iter().for_each(|batch| running.update(batch, MOMENTUM));
            }
        }
    }

    /// The vectors beside the projection by name, for a checkpoint.
    pub fn vectors(&self) -> Vec<(&'static str, &Array1<F>)> {
        let bias = self.bias.iter().map(|bias| ("bias", bias));
        let norms = self.norms.iter().flat_map(|norms| {
            [
                ("input.gamma", &norms.input_gamma),
                ("input.beta", &norms.input_beta),
                ("input.mean", &norms.input_running.mean),
                ("input.variance", &norms.input_running.variance),
                ("output.beta", &norms.output_beta),
                ("output.mean", &norms.output_running.mean),
                ("output.variance", &norms.output_running.variance),
            ]
        });
        bias.chain(norms).collect()
    }

    /// The parameters of `embedder` that `weights` and [`vectors`](Self::vectors) came from; `vector` gives each by its name and length.
    ///
    /// # Errors
    /// What `vector` returns.
    pub fn from_vectors<E>(
        embedder: &Embedder,
        weights: Array2<F>,
        mut vector: impl FnMut(&'static str, usize) -> Result<Array1<F>, E>,
    ) -> Result<Self, E> {
        let (embedding_dimension, dimension) = weights.dim();
        let (bias, norms) = match embedder.block {
            EmbedBlock::Linear => (Some(vector("bias", embedding_dimension)?), None),
            EmbedBlock::E { .. } => {
                let norms = Norms {
                    input_gamma: vector("input.gamma", dimension)?,
                    input_beta: vector("input.beta", dimension)?,
                    input_running: RunningStatistics {
                        mean: vector("input.mean", dimension)?,
                        variance: vector("input.variance", dimension)?,
                    },
                    output_beta: vector("output.beta", embedding_dimension)?,
                    output_running: RunningStatistics {
                        mean: vector("output.mean", embedding_dimension)?,
                        variance: vector("output.variance", embedding_dimension)?,
                    },
                };
                (None, Some(norms))
            }
        };
        Ok(Self { weights, bias, norms })
    }

    pub(crate) fn bias(&self) -> Result<ArrayView1<'_, F>> {
        let missing = || missing("bias", format!("shape ({},)", self.weights.nrows()));
        self.bias.as_ref().map(|bias| bias.view()).ok_or_else(missing)
    }

    pub(crate) fn norms(&self) -> Result<&Norms<F>> {
        self.norms.as_ref().ok_or_else(|| missing("norms", "the two batch normalisations of block e".into()))
    }
}

fn missing(name: &'static str, expected: String) -> Error {
    Error::MissingParameter { head: "the embedder", name, expected }
}
