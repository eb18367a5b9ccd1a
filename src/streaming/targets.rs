//! Before the first pass: the labelled rows with their own class vectors, exactly, and what the head says of them.

use super::prepare::Inputs;
use crate::heads::{Geometry, Row};
use crate::ops::{Angle, Targets, l2_normalize, rows};
use crate::{Real, Result};
use ndarray::{ArrayView2, s};
use rayon::prelude::*;

/// A labelled row and the nearest of its class's centres, or their mixture.
#[derive(Clone, Debug)]
pub(super) struct LabelledRow<F> {
    pub row: usize,
    pub class: usize,
    /// The centre's row of the class vectors, the first of a mixture.
    pub column: usize,
    /// The inner product `x̃·w̃`, or the mixture of those.
    pub product: F,
    /// (K,) the derivatives of the mixture by the class's centres; empty where the nearest counts.
    pub slopes: Vec<F>,
    /// ‖w‖ where the head normalises class vectors, or else 0.
    pub weight_norm: F,
    /// `None` if the feature or the class vector has no direction.
    pub angle: Option<Angle<F>>,
}

/// The labelled rows, in their order. `features` is x̃, `weights` are those of all classes, in row-major order.
///
/// # Errors
/// Of class vectors without direction the first, labelled or not, where the head normalises them.
pub(super) fn labelled_rows<F: Real>(
    inputs: &Inputs<F>,
    features: ArrayView2<F>,
    weights: &[F],
    targets: &Targets,
) -> Result<Vec<LabelledRow<F>>> {
    let checked = inputs.checked;
    let dimension = features.ncols();
    let labelled: Vec<_> = targets.iter().collect();
    let found = labelled.par_iter().with_min_len(16).map(|&(row, class)| {
        let x = features.row(row).to_slice().expect("x̃ is in row-major order");
        let columns = class * checked.centres..(class + 1) * checked.centres;
        let vectors = &weights[columns.start * dimension..columns.end * dimension];
        let (mut unit, mut norms) = (vec![F::zero(); vectors.len()], vec![F::zero(); columns.len()]);
        let vectors = match checked.geometry.normalizes_weights() {
            true => {
                let view = ArrayView2::from_shape((columns.len(), dimension), vectors).expect("whole rows");
                l2_normalize::normalize_rows("weights", columns.start, view, &mut unit, &mut norms).ok()?;
                &unit
            }
            false => vectors,
        };
        let products = vectors.chunks_exact(dimension).map(|vector| rows::dot(x, vector));
        if let Some(temperature) = checked.centre_temperature {
            let (mut products, mut slopes) = (products.collect::<Vec<_>>(), vec![F::zero(); checked.centres]);
            rows::mix_centres(&mut products, &mut slopes, checked.centres, temperature);
            let (product, angle) = (products[0], Some(Angle::of_cosine(products[0])));
            return Some(LabelledRow {
                row,
                class,
                column: columns.start,
                product,
                slopes,
                weight_norm: norms[0],
                angle,
            });
        }
        let nearer = |best: (usize, F), next: (usize, F)| if next.1 > best.1 { next } else { best };
        let (centre, product) = products.enumerate().reduce(nearer).expect("at least one centre");
        let vector = &vectors[centre * dimension..][..dimension];
        let angle = match checked.geometry {
            Geometry::Sphere => Some(Angle::between_rows(x, vector)),
            _ => Angle::of_rows(inputs.features.row(row), vector.into()),
        };
        let (column, weight_norm) = (columns.start + centre, norms[centre]);
        Some(LabelledRow { row, class, column, product, slopes: Vec::new(), weight_norm, angle })
    });
    match found.collect() {
        Some(rows) => Ok(rows),
        None => {
            let all = ArrayView2::from_shape((weights.len() / dimension, dimension), weights).expect("whole rows");
            let (mut unit, mut norm) = (vec![F::zero(); dimension], [F::zero()]);
            for class_vector in 0..all.nrows() {
                let row = all.slice(s![class_vector..class_vector + 1, ..]);
                l2_normalize::normalize_rows("weights", class_vector, row, &mut unit, &mut norm)?;
            }
            unreachable!("one of the labelled class vectors was refused above")
        }
    }
}

/// The rows that the head's rules are asked of; none where it has none. `norms` are those of features, where they are normalised.
///
/// # Errors
/// Rows without direction where they are not normalised: those are refused already.
pub(super) fn rows_of<F: Real>(
    inputs: &Inputs<F>,
    weights: ArrayView2<F>,
    labelled: &[LabelledRow<F>],
    norms: &[F],
) -> Result<Vec<Row<F>>> {
    let geometry = inputs.checked.geometry;
    if !geometry.has_rules() {
        return Ok(Vec::new());
    }
    let row = |(number, labelled): (usize, &LabelledRow<F>)| {
        let &LabelledRow { row, class, column, weight_norm, angle, .. } = labelled;
        match angle {
            Some(angle) if geometry == Geometry::Sphere => {
                Ok(Row { angle, norm: norms[row], weight_norm, class, number })
            }
            _ => Row::between((inputs.features, row), (weights, column), class, number),
        }
    };
    labelled.iter().enumerate().map(row).collect()
}

/// (B, K) the derivatives of labelled classes' mixtures by their centres; empty where the nearest counts.
pub(super) fn slopes_of_own_centres<F: Real>(labelled: &[LabelledRow<F>], rows: usize) -> Vec<F> {
    let centres = labelled.first().map_or(0, |labelled| labelled.slopes.len());
    let mut slopes = vec![F::zero(); rows * centres];
    for labelled in labelled {
        slopes[labelled.row * centres..][..centres].copy_from_slice(&labelled.slopes);
    }
    slopes
}

/// (column, row) of the labelled rows, by column.
pub(super) fn by_column<F: Real>(labelled: &[LabelledRow<F>]) -> Vec<(usize, usize)> {
    let mut by_column: Vec<_> = labelled.iter().map(|labelled| (labelled.column, labelled.row)).collect();
    by_column.sort_unstable();
    by_column
}
