//! The explicit engine: loss and gradients of any head from whole arrays, in the order of the formulas. The reference that the
//! [streaming kernel](crate::streaming) is held to.
//!
//! With x̃ and w̃ as the head's [`Geometry`] has them and inner products `c = x̃ w̃ᵀ`:
//!
//! `z_ij = s φ(c_ij) + b_j` for `j ≠ y_i`, `z_iy = s ψ + b_y`, `loss = mean_i (logsumexp(z_i) - z_iy + g(‖x_i‖))`, or what else the
//! [objective](crate::ops::objective) makes of the logits.
//!
//! With another [loss](crate::ops::Loss) than softmax, that of these logits, less the threshold t where it has one.
//!
//! Backward, with `r = (softmax(z) - onehot(y)) / n` (B, C), n the number of labelled rows, or the objective's derivative by the logits:
//!
//! - `d_c = s r φ'` for the others, `s r ψ'` for the labelled class, `d_b = Σ_i r_i`, `d_t = -Σ r`, `d_s = Σ r φ` (ψ for the labelled class);
//! - `d_x̃ = d_c w̃`, `d_w̃ = d_cᵀ x̃`, and the Jacobian of the normalisation for what is normalised;
//! - `d_x_i` gets `(s r_iy ∂ψ/∂‖x‖ + g'/n) x̂_i` besides, and `d_w_y` gets `s r_iy ∂ψ/∂‖w_y‖ ŵ_y`.
//!
//! Of several centres a class, `c_ij` is the largest product with one of them, and the gradient goes to that one; or a mixture `Σ_k q_k c_ijk`,
//! `q = softmax(c / γ)`, and each centre has `q_k (1 + (c_ijk - c_ij) / γ)` of it.

use super::checked::Checked;
use super::gradient_bound::{Lengths, Residuals, check_gradients};
use super::row::unit_row;
use super::rules::{RowRules, rules_of, steepest};
use super::scale::ln_b_avg;
use super::{BatchStatistics, Geometry, Gradients, Head, Logit, Loss, ParametersView, Row, Scale, State, THRESHOLD};
use crate::metrics::accuracy;
use crate::ops::checked_objective::CheckedObjective;
use crate::ops::l2_normalize::{self, Normalized, check_finite};
use crate::ops::softmax_cross_entropy::{self as cross_entropy, CrossEntropyCache};
use crate::ops::{Angle, Objective, Targets, anchor_loss, linear, rows};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, Zip, s};
use std::collections::BTreeMap;

/// What the backward pass needs of the forward pass, and what a step is to remember.
#[derive(Clone, Debug)]
pub struct Cache<F> {
    /// What was normalised.
    pub geometry: Geometry,
    /// `x̃` (B, D) and `‖x‖` (B,).
    pub features: Normalized<F>,
    /// `w̃` (C·K, D) and `‖w‖` (C·K,).
    pub weights: Normalized<F>,
    /// What the head makes of logits.
    pub loss: Loss,
    /// Losses of rows without penalties, and their derivatives by the logits (B, C).
    pub cross_entropy: CrossEntropyCache<F>,
    /// (B,) the loss of each row in nats, its penalty with it; zero in rows without a label.
    pub row_losses: Array1<F>,
    /// The labelled rows of a head with rules.
    pub targets: Vec<LabelledRow<F>>,
    /// (B, C) `φ'`, 1 for the labelled class; where the head changes others.
    pub slopes_of_others: Option<Array2<F>>,
    /// (B, C) what s multiplies: φ, or ψ; where s has a gradient.
    pub unscaled: Option<Array2<F>>,
    /// (B, C) the row of `weights` that was nearest, where there are several a class.
    pub nearest: Option<Array2<usize>>,
    /// (B, C·K) the derivatives of the classes' mixtures by cosines with their centres, where centres are mixed.
    pub slopes_of_centres: Option<Array2<F>>,
    /// The rule of the scale.
    pub scale_rule: Scale,
    /// The scale of the logits.
    pub scale: F,
    /// What to put into [`Parameters::state`](super::Parameters::state) once the step is taken.
    pub state: State,
    /// For logs; the backward pass does not use them.
    pub statistics: BatchStatistics,
}

/// A labelled row with what the head's rules say of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelledRow<F> {
    /// The row of the batch.
    pub row: usize,
    /// Its class.
    pub class: usize,
    /// ψ with its derivatives.
    pub target: Logit<F>,
    /// `ω g'`, ω the weight of the row.
    pub d_penalty: F,
}

/// Inner products of features and classes.
struct Products<F> {
    features: Normalized<F>,
    weights: Normalized<F>,
    /// (B, C)
    products: Array2<F>,
    nearest: Option<Array2<usize>>,
    slopes_of_centres: Option<Array2<F>>,
}

impl<F: Real> Products<F> {
    fn forward(checked: &Checked<F>, features: ArrayView2<F>, weights: ArrayView2<F>) -> Result<Self> {
        let operand = |what, rows: ArrayView2<F>, normalizes| match normalizes {
            true => l2_normalize::forward(what, rows),
            false => with_norms(what, rows),
        };
        let features = operand("features", features, checked.geometry.normalizes_features())?;
        let weights = operand("weights", weights, checked.geometry.normalizes_weights())?;
        let mut products = features.unit.dot(&weights.unit.t());
        if checked.geometry == Geometry::Sphere {
            products.mapv_inplace(|cosine| cosine.max(-F::one()).min(F::one()));
        }
        let (products, nearest, slopes_of_centres) = match (checked.centres, checked.centre_temperature) {
            (centres, Some(temperature)) => {
                let (products, slopes) = mixed_centres(&products, centres, temperature);
                (products, None, Some(slopes))
            }
            (1, None) => (products, None, None),
            (centres, None) => {
                let (products, nearest) = nearest_centres(&products, centres);
                (products, Some(nearest), None)
            }
        };
        Ok(Self { features, weights, products, nearest, slopes_of_centres })
    }
}

/// Rows as they are, with their norms; infinite where this precision does not hold one.
fn with_norms<F: Real>(what: &'static str, x: ArrayView2<F>) -> Result<Normalized<F>> {
    check_finite(what, x)?;
    let unit = x.as_standard_layout().into_owned();
    let norm = |row: ArrayView1<F>| F::of(rows::norm(row.to_slice().expect("in standard layout")));
    let norms = unit.rows().into_iter().map(norm).collect();
    Ok(Normalized { unit, norms })
}

/// The largest product of each class's centres, (B, C), and which row of the class vectors it is with.
fn nearest_centres<F: Real>(products: &Array2<F>, centres: usize) -> (Array2<F>, Array2<usize>) {
    let shape = (products.nrows(), products.ncols() / centres);
    let nearest = Array2::from_shape_fn(shape, |(row, class)| {
        let of_class = class * centres..(class + 1) * centres;
        let nearer = |best, column| if products[[row, column]] > products[[row, best]] { column } else { best };
        of_class.clone().fold(of_class.start, nearer)
    });
    (Array2::from_shape_fn(shape, |(row, class)| products[[row, nearest[[row, class]]]]), nearest)
}

/// The mixture of each class's centres, (B, C), and its derivatives by the products with them, (B, C·K).
fn mixed_centres<F: Real>(products: &Array2<F>, centres: usize, temperature: F) -> (Array2<F>, Array2<F>) {
    let mut slopes = Array2::zeros(products.dim());
    let mut mixtures = Array2::zeros((products.nrows(), products.ncols() / centres));
    for ((row, class), mixture) in mixtures.indexed_iter_mut() {
        let of_class = s![row, class * centres..(class + 1) * centres];
        let products = products.slice(of_class);
        let largest = products.fold(F::neg_infinity(), |largest, &product| largest.max(product));
        let mut q = products.mapv(|product| ((product - largest) / temperature).exp());
        q /= q.sum();
        *mixture = q.dot(&products);
        let slope = (&products - *mixture) / temperature + F::one();
        slopes.slice_mut(of_class).assign(&(q * slope));
    }
    (mixtures, slopes)
}

pub(super) fn forward<F: Real, H: Head>(
    head: &H,
    features: ArrayView2<F>,
    parameters: ParametersView<F>,
    objective: &Objective<F>,
) -> Result<(F, Cache<F>)> {
    let checked = Checked::new(head, features, &parameters, objective.sampled_from)?;
    checked.loss.check_objective(head.name(), objective)?;
    let (geometry, scale_rule) = (checked.geometry, head.scale());
    let Products { features, weights, products, nearest, slopes_of_centres } =
        Products::forward(&checked, features, parameters.weights.view())?;
    let objective = CheckedObjective::new(objective, products.nrows(), checked.classes)?;
    let targets = &objective.targets;

    let class_vector_of =
        |row, class| nearest.as_ref().map_or(class * checked.centres, |nearest| nearest[[row, class]]);
    let angles: Vec<_> = targets
        .iter()
        .map(|(row, class)| {
            let (x, w) = (features.unit.row(row), weights.unit.row(class_vector_of(row, class)));
            match (geometry, checked.centre_temperature) {
                (_, Some(_)) => Some(Angle::of_cosine(products[[row, class]])),
                (Geometry::Sphere, None) => Some(Angle::between(x, w)),
                _ => Angle::of_rows(x, w),
            }
        })
        .collect();
    let mut state = checked.state.clone();
    let rules = match geometry.has_rules() {
        true => {
            let row = |(number, ((row, class), angle)): (_, (_, &Option<_>))| {
                let class_vector = class_vector_of(row, class);
                let (norm, weight_norm) = (features.norms[row], weights.norms[class_vector]);
                match *angle {
                    Some(angle) if geometry == Geometry::Sphere => Ok(Row { angle, norm, weight_norm, class, number }),
                    _ => Row::between((features.unit.view(), row), (weights.unit.view(), class_vector), class, number),
                }
            };
            let mut labelled = targets.iter().zip(&angles).enumerate().map(row).collect::<Result<Vec<_>>>()?;
            rules_of(head, &mut labelled, &mut state)?
        }
        false => Vec::new(),
    };

    // Cosines have the order of inference logits, before the head changes any.
    let correct_on_sphere = checked.bias.is_none().then(|| accuracy::top_k_correct(products.view(), targets, 1));
    // From the other classes' cosines as they are, before the head changes any.
    let scale = match scale_rule.follows_batch() {
        true => {
            let parts = targets.iter().map(|(row, class)| largest_and_sum(products.row(row), class, checked.scale));
            let ln_b_avg = ln_b_avg(checked.scale, targets.labelled(), parts) + F::of(checked.stands_for.ln());
            scale_rule.after_batch(head.name(), checked.scale, ln_b_avg, angles.iter().copied().flatten())?
        }
        false => checked.scale,
    };
    let (mut unscaled, slopes_of_others) = change_others(products, targets, &rules);
    for ((row, class), rules) in targets.iter().zip(&rules) {
        unscaled[[row, class]] = rules.target.value;
    }

    let length = |normalizes, norms: &Array1<F>| match normalizes {
        true => norms.fold(F::infinity(), |shortest, &norm| shortest.min(norm)).to_double(),
        false => norms.fold(F::zero(), |longest, &norm| longest.max(norm)).to_double(),
    };
    let lengths = Lengths {
        features: length(geometry.normalizes_features(), &features.norms),
        weights: length(geometry.normalizes_weights(), &weights.norms),
    };
    let slopes = steepest(head, &rules);
    let check_bound = |largest_residual| {
        let residuals = Residuals::new(&objective, largest_residual);
        check_gradients(geometry, scale, slopes, residuals, lengths, true)
    };
    // Before logits that overflow, too, and once more with what the objective makes of them.
    check_bound(F::one())?;
    let (scaled, unscaled) = match scale_rule.vector() {
        Some(_) => (&unscaled * scale, Some(unscaled)),
        // In place: a (B, C) array less.
        None => (unscaled * scale, None),
    };
    let logits = checked.with_bias(scaled);
    // Off the sphere there are no margins: these are the inference logits.
    let correct = correct_on_sphere.unwrap_or_else(|| accuracy::top_k_correct(logits.view(), targets, 1));
    let statistics = BatchStatistics::new(targets, correct, angles.into_iter(), scale);
    let (_, cross_entropy, largest_residual) = match checked.loss {
        Loss::EachClass(loss) => loss.forward_checked(logits, &objective)?,
        Loss::Anchors => anchor_loss::forward_checked(logits, &objective)?,
        loss => cross_entropy::forward_checked(logits, &objective, loss == Loss::Softmax)?,
    };
    let mut row_losses = cross_entropy.row_losses.clone();
    for ((row, _), rules) in targets.iter().zip(&rules) {
        row_losses[row] += objective.weight(row) * rules.penalty.value;
    }
    let loss = row_losses.sum() / objective.divisor;
    if !loss.is_finite() {
        return Err(Error::LossNotFinite { loss: loss.to_double() });
    }
    check_bound(largest_residual)?;
    let targets = targets.iter().zip(&rules).map(|((row, class), rules)| LabelledRow {
        row,
        class,
        target: rules.target,
        d_penalty: objective.weight(row) * rules.penalty.slope,
    });
    let cache = Cache {
        geometry,
        features,
        weights,
        loss: checked.loss,
        cross_entropy,
        row_losses,
        targets: targets.collect(),
        slopes_of_others,
        unscaled,
        nearest,
        slopes_of_centres,
        scale_rule,
        scale,
        state: Checked::state_after(head, &state, scale),
        statistics,
    };
    Ok((loss, cache))
}

/// φ of the products in the rows whose rules change others, and (B, C) φ' if there is such a row.
fn change_others<F: Real>(
    mut products: Array2<F>,
    targets: &Targets,
    rules: &[RowRules<F>],
) -> (Array2<F>, Option<Array2<F>>) {
    if rules.iter().all(|rules| rules.others.is_none()) {
        return (products, None);
    }
    let mut slopes = Array2::ones(products.dim());
    for ((row, class), rules) in targets.iter().zip(rules) {
        let Some(others) = rules.others else { continue };
        let changed = Zip::indexed(products.row_mut(row)).and(slopes.row_mut(row));
        changed.for_each(|column, product, slope| {
            if column != class {
                *slope = others.slope_at(*product);
                *product = others.value_at(*product);
            }
        });
    }
    (products, Some(slopes))
}

/// The largest of a row but for `class`, and `Σ exp(s (c - largest))` over them.
fn largest_and_sum<F: Real>(row: ArrayView1<F>, class: usize, scale: F) -> (F, F) {
    let others = || row.into_iter().enumerate().filter(|&(column, _)| column != class).map(|(_, &product)| product);
    let largest = others().fold(F::neg_infinity(), |largest, product| largest.max(product));
    (largest, others().map(|product| (scale * (product - largest)).exp()).sum())
}

pub(super) fn backward<F: Real>(cache: Cache<F>) -> Gradients<F> {
    let Cache { geometry, features, weights, scale, scale_rule, .. } = cache;
    let divisor = cache.cross_entropy.divisor;
    let residual = cross_entropy::backward(cache.cross_entropy);
    let mut d_vectors = BTreeMap::new();
    if geometry.has_bias() {
        d_vectors.insert("bias".to_owned(), residual.sum_axis(Axis(0)));
    }
    if cache.loss.has_threshold() {
        d_vectors.insert(THRESHOLD.to_owned(), ndarray::array![-residual.sum()]);
    }
    if let (Some(name), Some(unscaled)) = (scale_rule.vector(), &cache.unscaled) {
        let d_scale = (&residual * unscaled).sum();
        d_vectors.insert(name.to_owned(), ndarray::array![scale_rule.d_vector(scale, d_scale)]);
    }
    let mut d_products = residual * scale;
    if let Some(slopes) = cache.slopes_of_others {
        d_products *= &slopes;
    }
    let centres = weights.norms.len() / d_products.ncols();
    // (row, class vector, derivatives by ‖x‖ and ‖w‖)
    let mut d_norms = Vec::new();
    for LabelledRow { row, class, target, d_penalty } in cache.targets {
        let d_target = &mut d_products[[row, class]];
        let d_norm = *d_target * target.slope_of_norm + d_penalty / divisor;
        let class_vector = cache.nearest.as_ref().map_or(class * centres, |nearest| nearest[[row, class]]);
        d_norms.push((row, class_vector, d_norm, *d_target * target.slope_of_weight_norm));
        *d_target *= target.slope;
    }
    if let Some(nearest) = cache.nearest {
        let mut of_centres = Array2::zeros((features.norms.len(), weights.norms.len()));
        Zip::indexed(&nearest).and(&d_products).for_each(|(row, _), &column, &d| of_centres[[row, column]] = d);
        d_products = of_centres;
    }
    if let Some(mut slopes) = cache.slopes_of_centres {
        Zip::indexed(&mut slopes).for_each(|(row, column), slope| *slope *= d_products[[row, column / centres]]);
        d_products = slopes;
    }
    let linear = linear::backward(d_products.view(), features.unit.view(), weights.unit.view());
    let of_rows = |gradient, operand: &Normalized<F>, normalizes| match normalizes {
        true => l2_normalize::backward(gradient, operand),
        false => gradient,
    };
    let mut d_features = of_rows(linear.d_features, &features, geometry.normalizes_features());
    let mut d_weights = of_rows(linear.d_weights, &weights, geometry.normalizes_weights());
    for (row, class_vector, d_norm, d_weight_norm) in d_norms {
        add_along(d_features.row_mut(row), d_norm, features.unit.row(row));
        add_along(d_weights.row_mut(class_vector), d_weight_norm, weights.unit.row(class_vector));
    }
    Gradients { d_features, d_weights, d_vectors }
}

/// Adds `d_norm v/‖v‖`, the gradient of a row v through its norm.
fn add_along<F: Real>(mut gradient: ArrayViewMut1<F>, d_norm: F, row: ArrayView1<F>) {
    if d_norm != F::zero() {
        let unit = unit_row("row", row.insert_axis(Axis(0)), 0).expect("rules are of rows with a direction").0;
        gradient.scaled_add(d_norm, &unit);
    }
}

pub(super) fn logits<F: Real>(
    head: &impl Head,
    features: ArrayView2<F>,
    parameters: ParametersView<F>,
) -> Result<Array2<F>> {
    let checked = Checked::new(head, features, &parameters, None)?;
    let products = Products::forward(&checked, features, parameters.weights.view())?.products;
    let logits = checked.with_bias(products * checked.scale);
    check_finite("logits", logits.view())?;
    Ok(logits)
}
