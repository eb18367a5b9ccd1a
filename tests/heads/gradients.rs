//! Every head's analytic gradient with respect to every input, against finite differences.

use super::case::{Arrays, Case, case};
use arcos::heads::{ArcFace, CombinedMargin, Gradients, NormSoftmax, PastPi, SphereFace};
use arcos::{ClassificationHead, Head};
use proptest::prelude::*;
use std::f64::consts::{FRAC_PI_2, PI};

/// Largest error of a gradient, relative to the largest element of its tensor.
const TOLERANCE: f64 = 1e-6;

/// A step changes a logit by about this much; the error of the five-point formula goes with its fourth power.
const LOGIT_CHANGE: f64 = 1e-3;

/// How steep the logits are: scale, times what the margin does to the angle, or the inverse of the smallest angle to a
/// pole where the margin function has a cone.
fn steepness(arrays: &Arrays, scale: f64) -> f64 {
    let to_pole = arrays.angles().into_iter().map(|theta| theta.min(PI - theta)).fold(FRAC_PI_2, f64::min).max(1e-6);
    let of_angle = match arrays.head {
        Head::SphereFace(SphereFace { margin, .. }) => margin,
        Head::CombinedMargin(CombinedMargin { m1, .. }) => m1.max(1.0),
        _ => 1.0,
    };
    let has_cone = matches!(arrays.head, Head::ArcFace(_) | Head::CombinedMargin(_) | Head::SphereFace(_));
    (scale * of_angle).max(if has_cone { 1.0 / to_pole } else { 0.0 }).max(1.0)
}

/// Angles where a margin function jumps, or its second derivative does: no difference across one is a derivative.
fn kinks(head: &Head) -> Vec<f64> {
    match *head {
        Head::ArcFace(ArcFace { margin, past_pi: PastPi::Monotone | PastPi::Continuous, .. }) => vec![PI - margin],
        Head::ArcFace(ArcFace { past_pi: PastPi::Easy, .. }) => vec![FRAC_PI_2],
        Head::SphereFace(SphereFace { margin, .. }) => (1..=margin as usize).map(|k| k as f64 * PI / margin).collect(),
        _ => vec![],
    }
}

struct Differences<'a> {
    arrays: &'a Arrays,
    /// The head whose loss is taken: AdaCos's at its new scale, since no gradient flows through that.
    head: Head,
    loss: f64,
    scale: f64,
}

impl Differences<'_> {
    fn loss_at(&self, change: &dyn Fn(&mut Arrays, f64), offset: f64) -> f64 {
        let mut arrays = self.arrays.clone();
        change(&mut arrays, offset);
        let Arrays { features, parameters, labels, .. } = &arrays;
        self.head.forward(features.view(), parameters, labels.view()).expect("well-formed inputs").0
    }

    /// The five-point difference quotient, and how far rounding of the loss may move it: the loss's relative error is a
    /// few times `scale ε`, since that is the error of the logits.
    fn quotient(&self, change: &dyn Fn(&mut Arrays, f64), step: f64) -> (f64, f64) {
        let at = |factor: f64| self.loss_at(change, factor * step);
        let quotient = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * step);
        (quotient, 32.0 * f64::EPSILON * self.loss * (1.0 + self.scale) / step)
    }
}

/// Compares a tensor's gradient with difference quotients, element by element.
fn check(name: &str, analytic: &[f64], quotients: &[(f64, f64)]) -> Result<(), TestCaseError> {
    let largest = analytic.iter().chain(quotients.iter().map(|(quotient, _)| quotient));
    let largest = largest.fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (element, (&analytic, &(quotient, rounding))) in analytic.iter().zip(quotients).enumerate() {
        let difference = (analytic - quotient).abs();
        prop_assert!(
            difference <= TOLERANCE * largest + rounding,
            "{name}, element {element}: analytic {analytic:e}, difference quotient {quotient:e} (rounding {rounding:e}), \
             largest element {largest:e}"
        );
    }
    Ok(())
}

fn check_case(case: &Case) -> Result<(), TestCaseError> {
    let arrays = case.build();
    let Arrays { head, features, parameters, labels } = &arrays;
    let (loss, cache) = match head.forward(features.view(), parameters, labels.view()) {
        // AdaCos on a few random rows can have no usable scale, which is an error, not a gradient.
        Err(arcos::Error::AdaCosScale { .. }) => return Err(TestCaseError::reject("no usable scale")),
        forward => forward.expect("well-formed inputs"),
    };
    let scale = cache.statistics().scale;
    let gradients: Gradients<f64> = head.backward(cache);

    let steepness = steepness(&arrays, scale);
    let angle_step = LOGIT_CHANGE / steepness;
    let near_kink = |theta: f64| kinks(head).into_iter().any(|kink| (theta - kink).abs() < 4.0 * angle_step);
    prop_assume!(!arrays.angles().into_iter().any(near_kink));

    let frozen = match head {
        Head::AdaCos(_) => Head::NormSoftmax(NormSoftmax { scale }),
        other => other.clone(),
    };
    let differences = Differences { arrays: &arrays, head: frozen, loss, scale };
    let norm = |row: ndarray::ArrayView1<f64>| row.dot(&row).sqrt();
    let largest_norm = |rows: &ndarray::Array2<f64>| rows.rows().into_iter().map(norm).fold(1.0, f64::max);
    let (feature_norm, weight_norm) = (largest_norm(features), largest_norm(&parameters.weights));

    let feature_quotients: Vec<_> = (0..features.len())
        .map(|element| {
            let (row, column) = (element / case.dimension, element % case.dimension);
            let step = match head {
                Head::Softmax(_) => LOGIT_CHANGE / weight_norm,
                Head::L2Softmax(_) => norm(features.row(row)) * angle_step / weight_norm,
                _ => norm(features.row(row)) * angle_step,
            };
            differences.quotient(&|arrays, offset| arrays.features[[row, column]] += offset, step)
        })
        .collect();
    check("d_features", gradients.d_features.as_slice().expect("row-major"), &feature_quotients)?;

    let weight_quotients: Vec<_> = (0..parameters.weights.len())
        .map(|element| {
            let (row, column) = (element / case.dimension, element % case.dimension);
            let step = match head {
                Head::Softmax(_) => LOGIT_CHANGE / feature_norm,
                Head::L2Softmax(_) => angle_step,
                _ => norm(parameters.weights.row(row)) * angle_step,
            };
            differences.quotient(&|arrays, offset| arrays.parameters.weights[[row, column]] += offset, step)
        })
        .collect();
    check("d_weights", gradients.d_weights.as_slice().expect("row-major"), &weight_quotients)?;

    if let Some(d_bias) = &gradients.d_bias {
        let shift = |class| {
            move |arrays: &mut Arrays, offset| arrays.parameters.bias.as_mut().expect("has one")[class] += offset
        };
        let quotients: Vec<_> =
            (0..d_bias.len()).map(|class| differences.quotient(&shift(class), LOGIT_CHANGE)).collect();
        check("d_bias", d_bias.as_slice().expect("contiguous"), &quotients)?;
    }
    if let Some(d_alpha) = gradients.d_alpha {
        let shift = |arrays: &mut Arrays, offset: f64| *arrays.parameters.alpha.as_mut().expect("has one") += offset;
        check("d_alpha", &[d_alpha], &[differences.quotient(&shift, LOGIT_CHANGE / weight_norm)])?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn of_every_head_are_those_of_finite_differences(case in case(&[])) {
        check_case(&case)?;
    }
}
