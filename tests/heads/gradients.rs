//! Every head's analytic gradient with respect to every input, against finite differences.

use super::case::{Arrays, Case, LastRow, case, choice_factor, is_on_sphere, rows_by_name};
use super::objective_case::{Owned, Settings, settings};
use super::rules::Rules;
use arcos::heads::{Geometry, Gradients, Logit, Loss, OthersRule, Penalty, Row, Scale, StateValue};
use arcos::{AnyHead, Head, Real};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use proptest::prelude::*;
use std::f64::consts::{FRAC_PI_2, PI};

/// Largest error of a gradient, relative to the largest element of its row.
const TOLERANCE: f64 = 1e-6;

/// A step changes the difference of two logits by at most about this much, and the distance to a pole by this part of
/// it. The error of the five-point formula goes with its fourth power: 1e-12, far below rounding.
const CHANGE: f64 = 1e-3;

struct Differences<'a> {
    arrays: &'a Arrays,
    objective: &'a Owned<f64>,
    head: Held,
    /// How far rounding moves the loss.
    loss_error: f64,
}

impl Differences<'_> {
    fn loss_at(&self, change: &dyn Fn(&mut Arrays, f64), offset: f64) -> f64 {
        let mut arrays = self.arrays.clone();
        change(&mut arrays, offset);
        let Arrays { features, parameters, .. } = &arrays;
        self.head.forward(features.view(), parameters, self.objective.view()).expect("well-formed inputs").0
    }

    /// The five-point difference quotient, and how far rounding may move it: its weights sum to 3/2.
    fn quotient(&self, change: &dyn Fn(&mut Arrays, f64), step: f64) -> (f64, f64) {
        let at = |factor: f64| self.loss_at(change, factor * step);
        let quotient = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * step);
        (quotient, 1.5 * self.loss_error / step)
    }

    /// Quotients for each element of a matrix; `step` is that of a row.
    fn quotients(
        &self,
        matrix: impl Fn(&mut Arrays) -> &mut Array2<f64>,
        step: impl Fn(usize) -> f64,
    ) -> Array2<(f64, f64)> {
        let shape = matrix(&mut self.arrays.clone()).dim();
        Array2::from_shape_fn(shape, |(row, column)| {
            self.quotient(&|arrays, offset| matrix(arrays)[[row, column]] += offset, step(row))
        })
    }
}

/// Compares a gradient with difference quotients. Each row by itself: rows of long vectors have small gradients, which
/// those of short ones would hide.
fn check(name: &str, analytic: ArrayView2<f64>, quotients: &Array2<(f64, f64)>) -> Result<(), TestCaseError> {
    for (row, (analytic, quotients)) in analytic.rows().into_iter().zip(quotients.rows()).enumerate() {
        let largest = analytic.iter().chain(quotients.iter().map(|(quotient, _)| quotient));
        let largest = largest.fold(0.0, |largest: f64, value| largest.max(value.abs()));
        for (column, (&analytic, &(quotient, rounding))) in analytic.iter().zip(quotients).enumerate() {
            let difference = (analytic - quotient).abs();
            prop_assert!(
                // Subnormal numbers, which rows fitted to the last have, hold fewer digits than are compared.
                difference <= TOLERANCE * largest.max(f64::MIN_POSITIVE / TOLERANCE) + rounding,
                "{name}[{row}, {column}]: analytic {analytic:e}, difference quotient {quotient:e} (rounding \
                 {rounding:e}), largest element of the row {largest:e}"
            );
        }
    }
    Ok(())
}

/// A head whose constants stay what they are, as the gradient takes it: what it has observed, a scale that followed from the batch, and norms of
/// which it says that they have no derivative.
struct Held {
    head: AnyHead,
    scale: f64,
    /// Of the labelled rows, where they are constants.
    norms: Vec<Option<f64>>,
    /// Of the labelled rows, as the head has observed them.
    numbers: Vec<usize>,
}

impl Head for Held {
    fn name(&self) -> &'static str {
        self.head.name()
    }

    fn check(&self, classes: usize) -> arcos::Result<()> {
        self.head.check(classes)
    }

    fn scale(&self) -> Scale {
        match self.head.scale() {
            Scale::AdaCos { .. } => Scale::Fixed(self.scale),
            other => other,
        }
    }

    fn geometry(&self) -> Geometry {
        self.head.geometry()
    }

    fn loss(&self) -> Loss {
        self.head.loss()
    }

    fn centres(&self) -> usize {
        self.head.centres()
    }

    fn centre_temperature(&self) -> Option<f64> {
        self.head.centre_temperature()
    }

    fn state(&self) -> &'static [StateValue] {
        self.head.state()
    }

    fn target<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Logit<F> {
        let norm = self.norms[row.number].map_or(row.norm, F::of);
        self.head.target(&Row { norm, number: self.numbers[row.number], ..*row }, state)
    }

    fn others<F: Real>(&self, row: &Row<F>, state: &[f64]) -> Option<OthersRule<F>> {
        self.head.others(row, state)
    }

    fn penalty<F: Real>(&self, norm: F) -> Penalty<F> {
        self.head.penalty(norm)
    }
}

/// The norms of those rows whose target follows the norm, though the head says that it has no derivative by it.
fn constant_norms(rules: &Rules<AnyHead>) -> Vec<Option<f64>> {
    let of_row = |row: &Row<f64>| {
        let at = |norm| rules.target(&Row { norm, ..*row });
        let is_constant = at(row.norm).slope_of_norm == 0.0 && at(1.0001 * row.norm).value != at(row.norm).value;
        is_constant.then_some(row.norm)
    };
    rules.rows().map(of_row).collect()
}

/// With a margin's true gradient: one that passes straight through it is not the derivative of the loss.
fn differentiated() -> impl Strategy<Value = Case> {
    case().prop_map(|case| Case { spec: case.spec.replace("gradient=straight-through", "gradient=true"), ..case })
}

fn check_case(case: &Case) -> Result<(), TestCaseError> {
    let arrays = case.build();
    let Arrays { head, features, parameters, labels } = &arrays;
    let objective = case.owned_objective(labels);
    let (_, cache) = match head.forward(features.view(), parameters, objective.view()) {
        // AdaCos on a few random rows can have no usable scale, which is an error, not a gradient.
        Err(arcos::Error::AdaCosScale { .. }) => return Err(TestCaseError::reject("no usable scale")),
        forward => forward.expect("well-formed inputs"),
    };
    let (scale, state) = (cache.scale, cache.state.clone());
    let divisor = cache.cross_entropy.divisor;
    let (residuals, losses) = (cache.cross_entropy.residual.clone(), cache.row_losses.clone());
    let gradients: Gradients<f64> = head.backward(cache);

    let norms = |rows: &Array2<f64>| rows.map_axis(Axis(1), |row: ArrayView1<f64>| row.dot(&row).sqrt());
    let (feature_norms, weight_norms) = (norms(features), norms(&parameters.weights));
    let longest = |norms: &ndarray::Array1<f64>| norms.iter().copied().fold(0.0, f64::max);
    let (longest_feature, longest_weight) = (longest(&feature_norms), longest(&weight_norms));
    let largest_bias =
        parameters.vectors.get("bias").into_iter().flatten().fold(0.0, |largest: f64, bias| largest.max(bias.abs()));

    let rules = arrays.rules();
    let steepest = rules.steepest();
    // What norms multiply logits by, where they do.
    let norms_of_logits = if head.geometry() == Geometry::Linear { longest_feature * longest_weight } else { 1.0 };
    let size_of_logits = scale * norms_of_logits;
    // In one dimension every row is at a pole, and no step leads away from it.
    let distance_to_cone = if features.ncols() == 1 { FRAC_PI_2 } else { rules.distance_to_cone() };
    prop_assume!(distance_to_cone > 0.0);
    // A radian changes a logit by at most the scale, the target's by `steepest` times that.
    let radian =
        CHANGE * (1.0 / (size_of_logits * (1.0 + steepest))).min(distance_to_cone).min(1.0 / choice_factor(head));
    prop_assume!(!rules.is_near_kink(4.0 * radian));
    // Steps in a row of features, in a row of weights, in α, and the size of what is rounded on the way to a logit.
    type Step<'a> = &'a dyn Fn(usize) -> f64;
    let (feature_step, weight_step, size): (Step, Step, f64) = match head {
        AnyHead::Softmax(_) => (
            &|_| CHANGE / (2.0 * longest_weight),
            &|_| CHANGE / (2.0 * longest_feature),
            longest_feature * longest_weight + largest_bias,
        ),
        AnyHead::L2Softmax(_) => (
            &|row| CHANGE * feature_norms[row] / (1.0 + 2.0 * scale * longest_weight),
            &|_| CHANGE / (2.0 * scale),
            scale * longest_weight + largest_bias,
        ),
        _ => (
            &|row| radian * feature_norms[row],
            &|row| radian * weight_norms[row],
            size_of_logits * (1.0 + PI * steepest),
        ),
    };
    // Where norms multiply logits, they are no constants.
    let norms = if is_on_sphere(head) { constant_norms(&rules) } else { vec![None; case.batch] };
    let numbers = rules.rows().map(|row| row.number).collect();
    let held = Held { head: head.clone(), scale, norms, numbers };
    let mut arrays_held = arrays.clone();
    arrays_held.parameters.state = state;
    // A logit, with its dot product of up to 7 terms, is off by some 8 ε of its size, which counts as its residual does. The loss's own exp,
    // sum and ln leave some 4 ε of it, of its power γ γ times as much, and smoothing is a difference of logits.
    let Settings { label_smoothing, focal, .. } = objective.settings;
    let of_logits = residuals.mapv(f64::abs).sum() / divisor;
    let of_weights: f64 = (0..labels.len()).filter(|&row| labels[row] >= 0).map(|row| objective.weight(row)).sum();
    let smoothed = label_smoothing * if objective.settings.is_sum { of_weights } else { 1.0 };
    let own = 4.0 * (1.0 + focal) * losses.mapv(f64::abs).sum() / divisor;
    // Without a denominator, a row at its class can be all there is, and has no gradient to which the error of the formula, of the fifth power of
    // the step, is relative.
    let of_formula = match head.loss() {
        Loss::EachClass(_) => 8.0 * radian.powi(5) * (1.0 + scale * (1.0 + steepest) * of_logits),
        _ => 0.0,
    };
    let loss_error = f64::EPSILON * (8.0 * size * (of_logits + smoothed) + own) + of_formula;
    let differences = Differences { arrays: &arrays_held, objective: &objective, head: held, loss_error };

    let of_features = differences.quotients(|arrays| &mut arrays.features, feature_step);
    check("d_features", gradients.d_features.view(), &of_features)?;
    let of_weights = differences.quotients(|arrays| &mut arrays.parameters.weights, weight_step);
    check("d_weights", gradients.d_weights.view(), &of_weights)?;
    for (name, gradient) in rows_by_name(&gradients) {
        let step = match name {
            "alpha" => (CHANGE / (CHANGE + 2.0 * longest_weight)).min(scale / 8.0),
            // A logit changes by the step times the scale, the target's by the values of margins besides.
            "log_scale" => CHANGE / (2.0 * scale * (1.0 + PI * steepest)),
            _ => CHANGE,
        };
        let quotients = Array2::from_shape_fn(gradient.dim(), |(_, element)| {
            let shift = |arrays: &mut Arrays, offset: f64| {
                arrays.parameters.vectors.get_mut(name).expect("has one")[element] += offset;
            };
            differences.quotient(&shift, step)
        });
        check(name, gradient.view(), &quotients)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, max_global_rejects: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn of_every_head_are_those_of_finite_differences(case in differentiated(), objective in settings()) {
        check_case(&Case { objective, ..case })?;
    }

    /// Where the margin function is smooth in the cosine, alignment to the last bit is no exception.
    #[test]
    fn at_the_poles_are_those_of_finite_differences_unless_there_is_a_cone(
        case in differentiated(),
        at_zero in any::<bool>(),
    ) {
        let last_row = if at_zero { LastRow::Near } else { LastRow::Opposite };
        for angle in [1e-9, 1e-4] {
            let beside = Case { last_row: last_row(angle), ..case.clone() }.build();
            prop_assume!(beside.rules().distance_to_cone() == FRAC_PI_2);
        }
        check_case(&Case { last_row: last_row(0.0), ..case })?;
    }
}
