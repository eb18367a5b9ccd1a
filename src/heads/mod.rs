//! The heads: one file each, and the list of them all.
//!
//! | name | logits in training (θ: angle to the labelled class) | inference | trained |
//! |---|---|---|---|
//! | `softmax` | `x·w + b` | same | `weights`, `bias` |
//! | `l2-softmax` | `α x̂·w + b` | same | `weights`, `bias`, `alpha` if learned |
//! | `norm-softmax` | `s cosθ` | same | `weights` |
//! | `fixed-adacos` | `√2 ln(C-1) cosθ` | same | `weights` |
//! | `adacos` | `s cosθ`, s follows the batch | last s | `weights` |
//! | `sphereface` | target `s ((-1)^k cos(mθ) - 2k)` | `s cosθ` | `weights` |
//! | `cosface` | target `s (cosθ - m)` | `s cosθ` | `weights` |
//! | `arcface` | target `s cos(θ + m)` | `s cosθ` | `weights` |
//! | `combined-margin` | target `s (cos(m1 θ + m2) - m3)` | `s cosθ` | `weights` |
//!
//! Every head has the same functions, those of [`ClassificationHead`].

mod form;
pub(crate) mod gradient_bound;
mod options;
mod parameters;

pub mod normalized;

pub use arcface::PastPi;
pub use form::{LogitForm, Normalizes, Scale};
pub use normalized::{CosineHead, Margin, NormalizedCache};
pub use options::HeadOptions;
pub use parameters::{BatchStatistics, Gradients, Parameters};

use crate::ops::Angle;
use crate::{Error, Real, Result};
use l2_softmax::L2SoftmaxCache;
use ndarray::{Array2, ArrayView1, ArrayView2};
use softmax::SoftmaxCache;

/// What every head can do.
pub trait ClassificationHead: Sync {
    /// What [`backward`](Self::backward) needs of [`forward`](Self::forward).
    type Cache<F: Real>;

    /// Checks the hyper-parameters and the number of classes; every other function does so too.
    ///
    /// # Errors
    /// [`Error::HyperParameter`], [`Error::TooFewClasses`].
    fn check(&self, classes: usize) -> Result<()>;

    /// `weights` (C, D) with whatever else the head has, at its initial value: a zero bias, α, AdaCos's scale.
    ///
    /// # Errors
    /// [`Error::HyperParameter`], [`Error::TooFewClasses`].
    fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>>;

    /// The mean loss in nats of `features` (B, D) with `labels` (B,), margins included.
    ///
    /// # Errors
    /// Whatever is wrong with hyper-parameters, shapes, labels or values, named as in [`Error`].
    fn forward<F: Real>(
        &self,
        features: ArrayView2<F>,
        parameters: &Parameters<F>,
        labels: ArrayView1<i64>,
    ) -> Result<(F, Self::Cache<F>)>;

    /// The gradients of that loss.
    fn backward<F: Real>(&self, cache: Self::Cache<F>) -> Gradients<F>;

    /// Inference logits (B, C): no labels, no margins.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn logits<F: Real>(&self, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Array2<F>>;

    /// What the [streaming kernel](crate::streaming) has to know of the head, with its `parameters`.
    ///
    /// # Errors
    /// [`Error::HyperParameter`], [`Error::TooFewClasses`], [`Error::MissingParameter`].
    fn logit_form<F: Real>(&self, parameters: &Parameters<F>) -> Result<LogitForm<F>>;

    /// The margin on the labelled class, for the streaming kernel: none unless a normalised head has one.
    fn target_margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
        Margin::none(angle)
    }
}

/// What the list of heads knows of each.
trait Listed: Sized {
    /// The training logits, in a line.
    const FORMULA: &'static str;
    /// The fields of [`HeadOptions`] that the head takes.
    const OPTIONS: &'static [&'static str];

    /// The head with `options`, and its defaults for the rest.
    fn from_options(options: &HeadOptions) -> Self;
}

/// Makes names, modules, the [`Head`] enum and its dispatch from one list.
macro_rules! heads {
    ($($name:literal => $module:ident::$Name:ident),* $(,)?) => {
        $(
            pub mod $module;
            pub use $module::$Name;

            impl $Name {
                /// The head's name.
                pub const NAME: &'static str = $name;
            }
        )*

        /// Any of the heads, chosen at run time.
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(tag = "name"))]
        pub enum Head {
            $(
                #[doc = concat!("See [`", stringify!($module), "`].")]
                #[cfg_attr(feature = "serde", serde(rename = $name))]
                $Name($Name)
            ),*
        }

        impl Head {
            /// The name and the training logits of every head.
            pub const LIST: &'static [(&'static str, &'static str)] = &[$(($Name::NAME, $Name::FORMULA)),*];

            /// The options that the head called `name` takes; `None` if there is no such head.
            pub fn options_of(name: &str) -> Option<&'static [&'static str]> {
                match name {
                    $($Name::NAME => Some($Name::OPTIONS),)*
                    _ => None,
                }
            }

            /// The name, as in [`LIST`](Self::LIST).
            pub fn name(&self) -> &'static str {
                match self { $(Self::$Name(_) => $Name::NAME),* }
            }

            fn from_name(name: &str, options: &HeadOptions) -> Option<Self> {
                match name {
                    $($Name::NAME => Some(Self::$Name($Name::from_options(options))),)*
                    _ => None,
                }
            }
        }

        impl ClassificationHead for Head {
            type Cache<F: Real> = Cache<F>;

            fn check(&self, classes: usize) -> Result<()> {
                match self { $(Self::$Name(head) => head.check(classes)),* }
            }

            fn initial_parameters<F: Real>(&self, weights: Array2<F>) -> Result<Parameters<F>> {
                match self { $(Self::$Name(head) => head.initial_parameters(weights)),* }
            }

            fn forward<F: Real>(
                &self,
                features: ArrayView2<F>,
                parameters: &Parameters<F>,
                labels: ArrayView1<i64>,
            ) -> Result<(F, Cache<F>)> {
                match self {
                    $(Self::$Name(head) => head.forward(features, parameters, labels).map(|(loss, cache)| (loss, cache.into()))),*
                }
            }

            fn backward<F: Real>(&self, cache: Cache<F>) -> Gradients<F> {
                match cache {
                    Cache::Softmax(cache) => softmax::backward(cache),
                    Cache::L2Softmax(cache) => l2_softmax::backward(cache),
                    Cache::Normalized(cache) => normalized::backward(cache),
                }
            }

            fn logits<F: Real>(&self, features: ArrayView2<F>, parameters: &Parameters<F>) -> Result<Array2<F>> {
                match self { $(Self::$Name(head) => head.logits(features, parameters)),* }
            }

            fn logit_form<F: Real>(&self, parameters: &Parameters<F>) -> Result<LogitForm<F>> {
                match self { $(Self::$Name(head) => head.logit_form(parameters)),* }
            }

            fn target_margin<F: Real>(&self, angle: Angle<F>) -> Margin<F> {
                match self { $(Self::$Name(head) => head.target_margin(angle)),* }
            }
        }
    };
}

heads! {
    "softmax" => softmax::Softmax,
    "l2-softmax" => l2_softmax::L2Softmax,
    "norm-softmax" => norm_softmax::NormSoftmax,
    "fixed-adacos" => fixed_adacos::FixedAdaCos,
    "adacos" => adacos::AdaCos,
    "sphereface" => sphereface::SphereFace,
    "cosface" => cosface::CosFace,
    "arcface" => arcface::ArcFace,
    "combined-margin" => combined_margin::CombinedMargin,
}

impl Head {
    /// Whether α is trained by its gradient.
    pub fn learns_alpha(&self) -> bool {
        matches!(self, Self::L2Softmax(head) if head.learn_alpha)
    }

    /// The names of all heads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::LIST.iter().map(|&(name, _)| name)
    }

    /// The head called `name` with `options`, and its defaults for the rest.
    ///
    /// # Errors
    /// [`Error::UnknownHead`], [`Error::UnknownOption`] for an option that the head does not have,
    /// [`Error::HyperParameter`] for one out of range.
    pub fn new(name: &str, options: &HeadOptions) -> Result<Self> {
        let unknown =
            || Error::UnknownHead { name: name.into(), expected: Self::names().collect::<Vec<_>>().join(", ") };
        let head = Self::from_name(name, options).ok_or_else(unknown)?;
        let takes = Self::options_of(name).unwrap_or_default();
        if let Some(option) = options.given().find(|option| !takes.contains(option)) {
            let takes = if takes.is_empty() { "no options".into() } else { takes.join(", ") };
            return Err(Error::UnknownOption { head: head.name(), option, takes });
        }
        // The number of classes is not known yet: any large one will do.
        head.check(usize::MAX)?;
        Ok(head)
    }
}

/// What the backward pass of [`Head`] needs: that of whichever head it is.
#[derive(Clone, Debug)]
pub enum Cache<F> {
    /// Of [`Softmax`].
    Softmax(SoftmaxCache<F>),
    /// Of [`L2Softmax`].
    L2Softmax(L2SoftmaxCache<F>),
    /// Of every normalised head.
    Normalized(NormalizedCache<F>),
}

impl<F> Cache<F> {
    /// The batch's figures for logs.
    pub fn statistics(&self) -> &BatchStatistics {
        match self {
            Self::Softmax(cache) => &cache.statistics,
            Self::L2Softmax(cache) => &cache.statistics,
            Self::Normalized(cache) => &cache.statistics,
        }
    }
}

impl<F> From<SoftmaxCache<F>> for Cache<F> {
    fn from(cache: SoftmaxCache<F>) -> Self {
        Self::Softmax(cache)
    }
}

impl<F> From<L2SoftmaxCache<F>> for Cache<F> {
    fn from(cache: L2SoftmaxCache<F>) -> Self {
        Self::L2Softmax(cache)
    }
}

impl<F> From<NormalizedCache<F>> for Cache<F> {
    fn from(cache: NormalizedCache<F>) -> Self {
        Self::Normalized(cache)
    }
}

/// The largest scale, α or factor of an angle: far past all use, and small enough that gradients in single precision stay finite even at the
/// poles.
const LARGEST_FACTOR: f64 = 1e9;

/// An [`Error::HyperParameter`] unless `value` is above 0 and at most [`LARGEST_FACTOR`].
fn check_factor(head: &'static str, name: &'static str, value: f64) -> Result<()> {
    let in_range = value > 0.0 && value <= LARGEST_FACTOR;
    check_hyper_parameter(head, name, value, in_range, "a positive number of at most 1e9")
}

/// An [`Error::HyperParameter`] unless `in_range`.
fn check_hyper_parameter(
    head: &'static str,
    name: &'static str,
    value: f64,
    in_range: bool,
    expected: &'static str,
) -> Result<()> {
    if in_range { Ok(()) } else { Err(Error::HyperParameter { head, name, value, expected }) }
}
