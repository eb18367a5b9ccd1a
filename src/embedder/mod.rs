//! The trainable part between features and head: features (B, D) → embeddings (B, E).
//!
//! A head on frozen features moves class vectors alone. An embedder moves the features, so that rows of classes that training has never
//! seen lie apart, too. It has the manner of the heads: a plain struct of hyper-parameters, values that the caller owns, an
//! explicit `forward` and `backward`.
//!
//! ```
//! use arcos::embedder::{EmbedBlock, Embedder};
//! use arcos::{Head, heads::ArcFace, init};
//! use ndarray::array;
//! use rand::SeedableRng;
//!
//! # fn main() -> arcos::Result<()> {
//! let features = array![[0.3f32, -1.2, 0.8], [1.1, 0.4, -0.2], [0.1, 0.9, 0.5]]; // (B, D)
//! let labels = array![2, 0, 1]; // (B,)
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//!
//! let embedder = Embedder { dimension: 2, block: EmbedBlock::E { dropout: 0.0 } };
//! let mut embedding = embedder.initial_parameters(3, &mut rng)?;
//! let head = ArcFace::default();
//! let class_vectors = head.initial_parameters(init::glorot_normal(4, 2, &mut rng))?; // (C, E)
//!
//! let (embeddings, embedder_cache) = embedder.forward(features.view(), &embedding, &mut rng)?;
//! let (loss, head_cache) = head.forward(embeddings.view(), &class_vectors, labels.view())?;
//! let of_head = head.backward(head_cache);
//! let of_embedder = embedder.backward(of_head.d_features.view(), &embedding, &embedder_cache);
//! embedding.update_running_statistics(&embedder_cache);
//! assert_eq!(of_embedder.d_weights.dim(), (2, 3));
//! # Ok(())
//! # }
//! ```

mod parameters;

pub use parameters::{EmbedderGradients, EmbedderParameters, Norms, NormsGradients};

use crate::ops::batch_norm::{self, BatchNormCache};
use crate::ops::dropout::{self, DropoutCache};
use crate::ops::linear;
use crate::{Error, Real, Result, init};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::Rng;

/// ε of both batch normalisations, InsightFace's.
pub const EPSILON: f64 = 1e-5;

/// How far running statistics move towards those of a batch, PyTorch's default.
pub const MOMENTUM: f64 = 0.1;

/// The embedder and its hyper-parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Embedder {
    /// E, the dimension of embeddings.
    pub dimension: usize,
    /// What is between features and embeddings.
    pub block: EmbedBlock,
}

/// What is between features and embeddings.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum EmbedBlock {
    /// A projection: `x wᵀ + b`.
    Linear,
    /// The output block "E" of ArcFace (arXiv 1801.07698, option E of its first version): batch normalisation, dropout, a projection, batch normalisation.
    /// As in InsightFace's code the last one has β but no γ, since the head takes the length away; the projection has no bias,
    /// since the normalisation after it takes the mean away.
    E {
        /// The share of features that each step leaves out; 0.4 in the paper.
        dropout: f64,
    },
}

impl EmbedBlock {
    /// Block E with the paper's dropout.
    pub const E: Self = Self::E { dropout: 0.4 };
}

/// What [`Embedder::backward`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedderCache<F> {
    /// (B, D) what went into the projection.
    pub projected: Array2<F>,
    /// Of block E: the normalisation of features, the dropout, the normalisation of embeddings.
    pub norms: Option<(BatchNormCache<F>, DropoutCache<F>, BatchNormCache<F>)>,
}

impl Embedder {
    /// Checks the hyper-parameters; every other function does so too.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<()> {
        if self.dimension == 0 {
            let expected = "at least 1".into();
            return Err(Error::Setting { name: "the embedding dimension", value: "0".into(), expected });
        }
        match self.block {
            EmbedBlock::Linear => Ok(()),
            EmbedBlock::E { dropout } => dropout::check_rate(dropout),
        }
    }

    /// The smallest batch that training can take.
    pub fn smallest_batch(&self) -> usize {
        match self.block {
            EmbedBlock::Linear => 1,
            EmbedBlock::E { .. } => 2,
        }
    }

    /// A Glorot-normal projection of features of `dimension` D; γ = 1, β = 0, running statistics of nothing yet.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn initial_parameters<F: Real>(&self, dimension: usize, rng: &mut impl Rng) -> Result<EmbedderParameters<F>> {
        self.check()?;
        let weights = init::glorot_normal(self.dimension, dimension, rng);
        let (bias, norms) = match self.block {
            EmbedBlock::Linear => (Some(Array1::zeros(self.dimension)), None),
            EmbedBlock::E { .. } => (None, Some(Norms::new(dimension, self.dimension))),
        };
        Ok(EmbedderParameters { weights, bias, norms })
    }

    /// Embeddings for training, (B, D) → (B, E): batch statistics, and dropout by `rng`.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::Shape`], [`Error::Empty`], [`Error::MissingParameter`]; [`Error::NotDefined`] for a batch of one in
    /// block E.
    pub fn forward<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &EmbedderParameters<F>,
        rng: &mut impl Rng,
    ) -> Result<(Array2<F>, EmbedderCache<F>)> {
        self.check()?;
        match self.block {
            EmbedBlock::Linear => {
                let embeddings = linear::forward(features, parameters.weights.view(), parameters.bias()?)?;
                Ok((embeddings, EmbedderCache { projected: features.to_owned(), norms: None }))
            }
            EmbedBlock::E { dropout } => {
                let norms = parameters.norms()?;
                let (gamma, beta) = (norms.input_gamma.view(), norms.input_beta.view());
                let (normalized, input_norm) = batch_norm::forward(features, gamma, beta, EPSILON)?;
                let (dropped, dropout) = dropout::forward(normalized.view(), dropout, rng)?;
                let projected = project(dropped.view(), parameters.weights.view())?;
                let ones = Array1::ones(projected.ncols());
                let (embeddings, output_norm) =
                    batch_norm::forward(projected.view(), ones.view(), norms.output_beta.view(), EPSILON)?;
                let norms = Some((input_norm, dropout, output_norm));
                Ok((embeddings, EmbedderCache { projected: dropped, norms }))
            }
        }
    }

    /// The gradients, from those of the embeddings (B, E). The cache is of a forward pass with these parameters.
    pub fn backward<F: Real>(
        &self,
        d_embeddings: ArrayView2<F>,
        parameters: &EmbedderParameters<F>,
        cache: &EmbedderCache<F>,
    ) -> EmbedderGradients<F> {
        let of_parameters = self.backward_to_parameters(d_embeddings, parameters, cache);
        match of_parameters.d_features {
            Some(_) => of_parameters,
            None => {
                let d_features = Some(d_embeddings.dot(&parameters.weights));
                EmbedderGradients { d_features, ..of_parameters }
            }
        }
    }

    /// [`backward`](Self::backward) for frozen features: their gradient is left out where it would take a product of its own, in the plain
    /// projection.
    pub fn backward_to_parameters<F: Real>(
        &self,
        d_embeddings: ArrayView2<F>,
        parameters: &EmbedderParameters<F>,
        cache: &EmbedderCache<F>,
    ) -> EmbedderGradients<F> {
        let Some((norms, caches)) = parameters.norms.as_ref().zip(cache.norms.as_ref()) else {
            return EmbedderGradients {
                d_features: None,
                d_weights: d_embeddings.t().dot(&cache.projected),
                d_bias: Some(d_embeddings.sum_axis(Axis(0))),
                norms: None,
            };
        };
        let (input_norm, dropout, output_norm) = caches;
        let ones = Array1::ones(d_embeddings.ncols());
        let output = batch_norm::backward(d_embeddings, ones.view(), output_norm);
        let d_normalized = dropout::backward(output.d_features.dot(&parameters.weights).view(), dropout);
        let input = batch_norm::backward(d_normalized.view(), norms.input_gamma.view(), input_norm);
        EmbedderGradients {
            d_features: Some(input.d_features),
            d_weights: output.d_features.t().dot(&cache.projected),
            d_bias: None,
            norms: Some(NormsGradients {
                d_input_gamma: input.d_gamma,
                d_input_beta: input.d_beta,
                d_output_beta: output.d_beta,
            }),
        }
    }

    /// Embeddings for inference, (B, D) → (B, E): running statistics, no dropout; rows do not depend on each other.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::Shape`], [`Error::Empty`], [`Error::MissingParameter`].
    pub fn embed<F: Real>(&self, features: ArrayView2<F>, parameters: &EmbedderParameters<F>) -> Result<Array2<F>> {
        self.check()?;
        let weights = parameters.weights.view();
        match self.block {
            EmbedBlock::Linear => linear::forward(features, weights, parameters.bias()?),
            EmbedBlock::E { .. } => {
                let norms = parameters.norms()?;
                let (gamma, beta) = (norms.input_gamma.view(), norms.input_beta.view());
                let (normalized, _) =
                    batch_norm::forward_inference(features, &norms.input_running, gamma, beta, EPSILON)?;
                let projected = project(normalized.view(), weights)?;
                let (running, ones) = (&norms.output_running, Array1::ones(projected.ncols()));
                let beta = norms.output_beta.view();
                Ok(batch_norm::forward_inference(projected.view(), running, ones.view(), beta, EPSILON)?.0)
            }
        }
    }
}

/// `x wᵀ`.
fn project<F: Real>(features: ArrayView2<F>, weights: ArrayView2<F>) -> Result<Array2<F>> {
    linear::check_shapes(features, weights)?;
    Ok(features.dot(&weights.t()))
}
