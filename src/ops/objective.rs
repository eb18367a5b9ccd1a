//! What a step minimises: the labels, and how much each row, class and error counts.
//!
//! With the logits z of a row (margins included), its softmax p, and its labelled class y:
//!
//! - targets `q = (1 - ε) t + ε / C`, with t = onehot(y) or [`SoftTargets`], and ε the label smoothing (Szegedy et al. 2016, arXiv 1512.00567,
//!   section 7; here as in PyTorch, with the labelled class among the C);
//! - cross-entropy `CE = logsumexp(z) - Σ_j q_j z_j`;
//! - focal modulation `(1 - p_y)^γ` (Lin et al. 2017, arXiv 1708.02002, eq. 4), by the label alone where targets are soft;
//! - z-loss `ζ logsumexp(z)²` (PaLM, Chowdhery et al. 2022, arXiv 2204.02311, section 5);
//! - the weight `ω = sample weight · class weight of y`.
//!
//! `loss_i = ω_i ((1 - p_y)^γ CE + ζ logsumexp(z)² + g(‖x_i‖))`, g the head's [`penalty`](crate::Head::penalty); the mean is `Σ_i loss_i / Σ_i ω_i`, over the
//! labelled rows. Margins are on the label alone, whatever other classes a soft target has.
//!
//! The derivative with respect to the logits, with `m = (1 - p_y)^γ` and `f = γ (1 - p_y)^(γ-1) CE`:
//!
//! `d_z_j = ω (m (p_j - q_j) + f p_y (p_j - [j = y]) + 2 ζ logsumexp(z) p_j)`, for `j ≠ y` that is `A p_j - U - ω m (1 - ε) t_j`
//!
//! with `A = ω (m + f p_y + 2 ζ logsumexp(z))` and `U = ω m ε / C`: what a row multiplies the probabilities of other classes by, and what it takes from
//! each of them.

use ndarray::{ArrayView1, ArrayView2};

/// What a step minimises. From labels alone, `labels.view().into()`, it is the mean cross-entropy; anything else by its field:
///
/// ```
/// use arcos::{Head, heads::ArcFace, ops::Objective};
/// use ndarray::array;
///
/// # fn main() -> arcos::Result<()> {
/// let features = array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.2]];
/// let (head, labels) = (ArcFace::default(), array![1, 0]);
/// let parameters = head.initial_parameters(array![[1.0, 0.2, 0.0], [0.1, -1.0, 0.5], [0.0, 0.3, 1.0]])?;
/// let smoothed = Objective { label_smoothing: 0.1, ..labels.view().into() };
/// let (loss, cache) = head.forward(features.view(), &parameters, smoothed)?;
/// assert!(loss > head.forward(features.view(), &parameters, labels.view())?.0);
/// let gradients = head.backward(cache);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Objective<'a, F> {
    /// (B,) the class of each row, or [`IGNORE_LABEL`](super::IGNORE_LABEL).
    pub labels: ArrayView1<'a, i64>,
    /// ε, from 0 to below 1.
    pub label_smoothing: f64,
    /// γ, 0 or more; 0 is no modulation.
    pub focal: f64,
    /// ζ, 0 or more.
    pub z_loss: f64,
    /// (C,) not negative; from the sizes of classes by [`class_weights`](super::class_weights).
    pub class_weights: Option<ArrayView1<'a, F>>,
    /// (B,) not negative.
    pub sample_weights: Option<ArrayView1<'a, F>>,
    /// What takes the place of onehot(y).
    pub soft_targets: Option<SoftTargets<'a, F>>,
    /// How the losses of rows become one.
    pub reduction: Reduction,
    /// Where the classes at hand are a sample of more, how many there are: scales follow from that. See
    /// [`PartialFc`](crate::streaming::PartialFc).
    pub sampled_from: Option<usize>,
}

/// Probabilities of a few classes a row, k of them: a teacher's largest, or the two labels of mixup. A class that stands twice counts with
/// both.
#[derive(Clone, Copy, Debug)]
pub struct SoftTargets<'a, F> {
    /// (B, k)
    pub classes: ArrayView2<'a, i64>,
    /// (B, k), each row's sum 1 but for rounding: up to 0.01 off, and made 1.
    pub probabilities: ArrayView2<'a, F>,
}

/// How the losses of rows become one. Each row's own is in [`Cache::row_losses`](crate::heads::Cache::row_losses), too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean, each by its weight: `Σ_i loss_i / Σ_i ω_i`.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl<'a, F> From<ArrayView1<'a, i64>> for Objective<'a, F> {
    fn from(labels: ArrayView1<'a, i64>) -> Self {
        Self {
            labels,
            label_smoothing: 0.0,
            focal: 0.0,
            z_loss: 0.0,
            class_weights: None,
            sample_weights: None,
            soft_targets: None,
            reduction: Reduction::default(),
            sampled_from: None,
        }
    }
}
