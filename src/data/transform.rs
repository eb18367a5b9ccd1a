//! Feature transforms, fitted on the training rows alone.
//!
//! Pooled activations of a network are all positive, so they share a large mean: two birds of different species can have a
//! cosine of 0.5 or 0.9. Centring takes the mean away. Cosines then spread around 0, which uses the sphere that normalised
//! heads work on; and AdaCos's scale, which diverges where other classes' cosines stay high, as they do with class vectors that
//! carry the common mean, settles.
//! `docs/adacos-in-practice.md` has figures.

use super::FeatureRows;
use super::features::ROWS_AT_A_TIME;
use crate::optim::check_setting;
use crate::{Error, Result, linalg};
use ndarray::{Array, Array1, Array2, ArrayD, ArrayView2, ArrayViewD, Axis, Dimension, Zip, s};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is done to features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TransformKind {
    /// Nothing.
    None,
    /// The mean of each dimension is subtracted.
    #[default]
    Centre,
    /// Centred, and each dimension divided by its standard deviation; a constant dimension becomes 0.
    Standardise,
    /// Centred, and projected on the `dimensions` first principal components, each divided by
    /// `sqrt(variance + ridge · mean variance)`: its standard deviation where `ridge` is 0. Needs a build with LAPACK.
    Whiten {
        /// Components kept; `None`: the first 256, or as many as have a variance in the training rows.
        dimensions: Option<usize>,
        /// How much of the mean variance of all components is added to each; not negative. It keeps components of
        /// little variance, which few rows estimate badly, from counting as much as the first.
        ridge: f64,
    },
}

impl TransformKind {
    /// Checks what there is to set, as far as that can be done without features.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(self) -> Result<()> {
        let Self::Whiten { dimensions, ridge } = self else { return Ok(()) };
        let in_range = (0.0..=1e9).contains(&ridge);
        check_setting("the ridge of whitening", ridge, in_range, "a number from 0 to 1e9")?;
        match dimensions {
            Some(0) => {
                let (value, expected) = ("0".into(), "at least 1".into());
                Err(Error::Setting { name: "the dimensions to whiten to", value, expected })
            }
            _ => Ok(()),
        }
    }
}

/// A fitted transform: `(x - mean) / deviation`, `(x - mean) projection`, or `x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    kind: TransformKind,
    /// (D,) where features are centred.
    mean: Option<Array1<f32>>,
    /// (D,) one over the standard deviation, where features are standardised.
    inverse_deviation: Option<Array1<f32>>,
    /// (D, K) where features are whitened.
    projection: Option<Array2<f32>>,
}

/// What checkpoints call the inverse deviation.
const INVERSE_DEVIATION: &str = "factor";

/// Components that whitening keeps where no number is given, at most.
const DEFAULT_DIMENSIONS: usize = 256;

/// Principal components whose variance is less than this share of the largest are rounding noise in f32.
const SMALLEST_VARIANCE: f64 = 1e-9;

impl Transform {
    /// Fits a transform to features (N, D); statistics are in double precision, over all N rows.
    ///
    /// # Errors
    /// [`Error::Empty`]; for whitening [`Error::NeedsFeature`], and [`Error::Setting`] where there are fewer usable
    /// components than asked for.
    pub fn fit<'a>(kind: TransformKind, features: impl Into<FeatureRows<'a>>) -> Result<Self> {
        kind.check()?;
        let features = features.into();
        let fitted = Self { kind, mean: None, inverse_deviation: None, projection: None };
        if kind == TransformKind::None {
            return Ok(fitted);
        }
        if features.is_empty() {
            return Err(Error::Empty { what: "features", found: features.shape().to_vec() });
        }
        let mean = mean_of_rows(features, |rows| rows.sum_axis(Axis(0)))?;
        let fitted = Self { mean: Some(mean.mapv(|mean| mean as f32)), ..fitted };
        Ok(match kind {
            TransformKind::None | TransformKind::Centre => fitted,
            TransformKind::Standardise => {
                Self { inverse_deviation: Some(inverse_deviation(features, &mean)?), ..fitted }
            }
            TransformKind::Whiten { dimensions, ridge } => {
                Self { projection: Some(whitening_projection(features, &mean, dimensions, ridge)?), ..fitted }
            }
        })
    }

    /// What is done to features.
    pub fn kind(&self) -> TransformKind {
        self.kind
    }

    /// The dimension of features before; `None` where any will do.
    pub fn input_dimension(&self) -> Option<usize> {
        self.mean.as_ref().map(Array1::len)
    }

    /// The dimension of features after, if it was `dimension` before.
    pub fn dimension(&self, dimension: usize) -> usize {
        self.projection.as_ref().map_or(dimension, Array2::ncols)
    }

    /// Transformed features (B, K) of features (B, D).
    ///
    /// # Errors
    /// [`Error::Shape`] where D is not that of the rows it was fitted to.
    pub fn apply(&self, features: ArrayView2<f32>) -> Result<Array2<f32>> {
        self.check_shape(features.shape())?;
        let Some(mean) = &self.mean else { return Ok(features.to_owned()) };
        let centred = &features - mean;
        Ok(match (&self.inverse_deviation, &self.projection) {
            (Some(inverse_deviation), _) => centred * inverse_deviation,
            (_, Some(projection)) => centred.dot(projection),
            (None, None) => centred,
        })
    }

    /// [`apply`](Self::apply) to all rows of features (N, D), of which those in a file are read a few at a time: (N, K).
    ///
    /// # Errors
    /// As [`apply`](Self::apply); those of [`FeatureRows::all`].
    pub fn apply_to_all<'a>(&self, features: impl Into<FeatureRows<'a>>) -> Result<Array2<f32>> {
        let features = features.into();
        self.check_shape(&features.shape())?;
        let (rows, dimension) = features.dim();
        let mut transformed = Array2::zeros((rows, self.dimension(dimension)));
        for chunk in features.chunks(ROWS_AT_A_TIME) {
            let (first, rows) = chunk?;
            let part = self.apply(rows.view())?;
            transformed.slice_mut(s![first..first + part.nrows(), ..]).assign(&part);
        }
        Ok(transformed)
    }

    /// Checks the dimension of features of this shape (rows, D).
    pub(crate) fn check_shape(&self, shape: &[usize]) -> Result<()> {
        match self.input_dimension() {
            Some(dimension) if shape[1] != dimension => Err(Error::Shape {
                what: "features",
                found: shape.to_vec(),
                expected: format!("(rows, {dimension}), the dimension that the transform was fitted to"),
            }),
            _ => Ok(()),
        }
    }

    /// The fitted values by name, for a checkpoint.
    pub fn tensors(&self) -> BTreeMap<String, ArrayD<f32>> {
        self.in_order().into_iter().map(|(name, values)| (name.into(), values.to_owned())).collect()
    }

    /// The fitted values by name, in the order in which they are applied.
    pub(crate) fn in_order(&self) -> Vec<(&'static str, ArrayViewD<'_, f32>)> {
        let vectors = [("mean", &self.mean), (INVERSE_DEVIATION, &self.inverse_deviation)];
        let vectors = vectors.into_iter().filter_map(|(name, values)| Some((name, values.as_ref()?.view().into_dyn())));
        vectors.chain(self.projection.iter().map(|values| ("projection", values.view().into_dyn()))).collect()
    }

    /// The transform that [`tensors`](Self::tensors) came from.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where a tensor is missing, superfluous or of the wrong shape.
    pub fn from_tensors(kind: TransformKind, tensors: &BTreeMap<String, ArrayD<f32>>) -> Result<Self> {
        let wrong = |name: &str| Error::Checkpoint {
            part: "the feature transform".into(),
            found: format!("{kind:?} with tensors {:?}", tensors.keys().collect::<Vec<_>>()),
            expected: format!("one with a well-formed {name}"),
        };
        let expected: &[&str] = match kind {
            TransformKind::None => &[],
            TransformKind::Centre => &["mean"],
            TransformKind::Standardise => &[INVERSE_DEVIATION, "mean"],
            TransformKind::Whiten { .. } => &["mean", "projection"],
        };
        if !tensors.keys().map(String::as_str).eq(expected.iter().copied()) {
            return Err(wrong(&format!("set of {expected:?}")));
        }
        let vector = |name: &str| {
            let values = tensors.get(name).map(|values| values.clone().into_dimensionality());
            values.transpose().map_err(|_| wrong(name))
        };
        let projection = tensors.get("projection").map(|values| values.clone().into_dimensionality::<ndarray::Ix2>());
        let fitted = Self {
            kind,
            mean: vector("mean")?,
            inverse_deviation: vector(INVERSE_DEVIATION)?,
            projection: projection.transpose().map_err(|_| wrong("projection"))?,
        };
        let lengths =
            [fitted.inverse_deviation.as_ref().map(Array1::len), fitted.projection.as_ref().map(Array2::nrows)];
        match lengths.into_iter().flatten().all(|length| Some(length) == fitted.input_dimension()) {
            true => Ok(fitted),
            false => Err(wrong("mean, as long as the rest")),
        }
    }
}

/// The mean over the rows of features (N, D) of what `sum` adds up, in double precision and a few rows at a time: features can
/// be larger than memory.
fn mean_of_rows<D: Dimension>(
    features: FeatureRows,
    sum: impl Fn(Array2<f64>) -> Array<f64, D>,
) -> Result<Array<f64, D>> {
    let mut chunks = features.chunks(ROWS_AT_A_TIME).map(|chunk| Ok::<_, Error>(sum(chunk?.1.mapv(f64::from))));
    let first = chunks.next().expect("features are not empty")?;
    let total = chunks.try_fold(first, |total, chunk| Ok::<_, Error>(total + chunk?))?;
    Ok(total / features.dim().0 as f64)
}

/// One over the standard deviation of each column; 0 for a column that is constant but for rounding.
fn inverse_deviation(features: FeatureRows, mean: &Array1<f64>) -> Result<Array1<f32>> {
    let variance = mean_of_rows(features, |rows| (rows - mean).mapv_into(|x| x * x).sum_axis(Axis(0)))?;
    let noise = f64::from(f32::EPSILON);
    Ok(Zip::from(&variance).and(mean).map_collect(|&variance, &mean| {
        let deviation = variance.sqrt();
        if deviation > noise * mean.abs() { (1.0 / deviation) as f32 } else { 0.0 }
    }))
}

/// The first `dimensions` eigenvectors of the covariance, each over the root of its eigenvalue and the ridge: (D, K).
fn whitening_projection(
    features: FeatureRows,
    mean: &Array1<f64>,
    dimensions: Option<usize>,
    ridge: f64,
) -> Result<Array2<f32>> {
    let covariance = mean_of_rows(features, |rows| {
        let centred = rows - mean;
        centred.t().dot(&centred)
    })?;
    let (variances, components) = linalg::symmetric_eigen(covariance)?;
    // Rounding can leave a component that has no variance a negative one.
    let variances = variances.mapv(|variance| variance.max(0.0));
    let usable = |variances: &Array1<f64>| {
        variances.iter().take_while(|&&variance| variance > SMALLEST_VARIANCE * variances[0]).count()
    };
    let rank = usable(&variances);
    if rank == 0 {
        let (what, expected) = ("whitening", "rows that differ");
        return Err(Error::NotDefined { what, found: "features without a variance".into(), expected });
    }
    let floor = ridge * variances.sum() / variances.len() as f64;
    let variances = variances + floor;
    let usable = usable(&variances);
    let dimensions = dimensions.unwrap_or(DEFAULT_DIMENSIONS.min(rank));
    if dimensions > usable {
        return Err(Error::Setting {
            name: "the dimensions to whiten to",
            value: dimensions.to_string(),
            expected: format!("1 to {usable}, the principal components of these rows that have a variance"),
        });
    }
    let kept = &components.slice(s![.., ..dimensions]) / &variances.slice(s![..dimensions]).mapv(f64::sqrt);
    // Eigenvectors come column by column, but a checkpoint gives them back in row-major order, and products depend on the order in their last bit.
    Ok(kept.mapv(|value| value as f32).as_standard_layout().into_owned())
}
