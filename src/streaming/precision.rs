//! The number format of the matrix products.

use crate::real::bf16::Native;
use crate::{Error, Real, Result};

/// The number format of a step's matrix products. Class vectors, optimizer state, losses, labelled classes and what is summed up over rows
/// or classes are in the precision of the elements in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Precision {
    /// That of the elements.
    #[default]
    Full,
    /// Products of bf16 numbers with sums in f32: twice the speed, a cosine off by less than 2^-7, and by 1e-4 at 512 dimensions as a rule;
    /// for an x86 processor with AVX512-BF16
    ///
    /// Features, class vectors and residuals of the other classes are rounded to 8 significant bits where they are multiplied, inner products to 16 bits of the largest of a
    /// row in a block. With u = 1/257, δ = 2u + u² + `D · 2^-23` and ε = δ + (1 + δ) / 32767, an inner product of another class is off by at most `ε ‖x̃‖ max‖w̃‖`; where all
    /// are below 4e-34 they become 0. Where s
    /// multiplies cosines, the logits of other classes are off by `η = s ε` at most, a row's loss so by η, a probability `p_j` by
    /// `(exp(2η) - 1) p_j`, and with n labelled rows, r the sizes of the derivatives by the logits and `κ = exp(2η) (1 + ε) - 1`
    ///
    /// - a row of `d_features` by `s κ Σ_j r_ij max_j‖w̃_j‖ / (n ‖x_i‖)`,
    /// - a row of `d_weights` by `s κ Σ_i r_ij max_i‖x̃_i‖ / (n ‖w_j‖)`,
    ///
    /// times the slopes of margins and rules; a head with a threshold on cosines may see one within ε of it on its other side, and where centres are mixed
    /// at a temperature γ the slopes of other classes' mixtures are themselves off by about ε/γ.
    /// [`evaluate`](super::Streaming::evaluate) is in full precision.
    Mixed,
}

impl Precision {
    /// Checks that this processor has what it takes.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(self) -> Result<()> {
        match self == Self::Mixed && self.native().is_none() {
            true => Err(refused("full: this processor has no AVX512-BF16")),
            false => Ok(()),
        }
    }

    /// The instructions that this precision takes, if it takes any and the processor has them; without need the system is not asked for them.
    pub(super) fn native(self) -> Option<Native> {
        match self {
            Self::Full => None,
            Self::Mixed => Native::detect(),
        }
    }

    /// [`check`](Self::check), and that elements are f32 where precision is mixed.
    pub(super) fn check_for<F: Real>(self) -> Result<()> {
        self.check()?;
        if self == Self::Mixed && F::singles(&[]).is_none() { Err(refused("full: mixed is for f32")) } else { Ok(()) }
    }
}

fn refused(expected: &str) -> Error {
    Error::Setting { name: "precision", value: "mixed".into(), expected: expected.into() }
}
