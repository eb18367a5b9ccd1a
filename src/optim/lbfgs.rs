//! L-BFGS (Nocedal 1980, *Updating quasi-Newton matrices with limited storage*; the two-loop recursion is algorithm 7.4 of Nocedal and
//! Wright 2006, *Numerical Optimization*) for smooth functions whose value and gradient are of all data at once.
//!
//! A step goes along `-H g`, H made of the last `memory` pairs of steps and changes of the gradient, and is as long as the weak Wolfe
//! conditions ask (by bisection: Lewis and Overton 2013, *Nonsmooth optimization via quasi-Newton methods*).

use crate::{Real, Result};
use std::collections::VecDeque;

/// Wolfe's constants: the share of the first decrease that a step must keep, and the share of the slope that it may leave.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// Trials of a step's length, after which rounding decides.
const TRIALS: usize = 30;

/// Limited-memory BFGS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lbfgs {
    /// Pairs of steps and gradient changes that are remembered.
    pub memory: usize,
    /// Steps at most.
    pub iterations: usize,
    /// It is done once no element of the gradient is larger.
    pub gradient_tolerance: f64,
}

impl Default for Lbfgs {
    /// 10 pairs, 1000 steps, 1e-5.
    fn default() -> Self {
        Self { memory: 10, iterations: 1000, gradient_tolerance: 1e-5 }
    }
}

/// Where a minimisation ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum<F> {
    /// The function's value there.
    pub value: F,
    /// Steps taken.
    pub iterations: usize,
    /// Whether the gradient is as small as was asked, or so small that rounding hides what is left.
    pub converged: bool,
}

struct Pair<F> {
    step: Vec<F>,
    change: Vec<F>,
    /// `step · change`
    product: f64,
}

impl Lbfgs {
    /// Moves `point` to a minimum. `evaluate` gives the value at a point and writes the gradient there.
    ///
    /// # Errors
    /// Those of `evaluate`; `point` is then the best before.
    pub fn minimise<F: Real>(
        &self,
        point: &mut [F],
        mut evaluate: impl FnMut(&[F], &mut [F]) -> Result<F>,
    ) -> Result<Minimum<F>> {
        let mut gradient = vec![F::zero(); point.len()];
        let mut value = evaluate(point, &mut gradient)?;
        let (mut trial, mut trial_gradient) = (point.to_vec(), gradient.clone());
        let mut pairs: VecDeque<Pair<F>> = VecDeque::with_capacity(self.memory);
        for iterations in 0..self.iterations {
            let largest = gradient.iter().fold(F::zero(), |largest, &g| largest.max(g.abs()));
            if largest.to_double() <= self.gradient_tolerance {
                return Ok(Minimum { value, iterations, converged: true });
            }
            let mut direction = descent(&gradient, &pairs);
            let mut slope = dot(&gradient, &direction);
            if slope >= 0.0 {
                // Rounding has spoilt what is remembered.
                pairs.clear();
                direction = descent(&gradient, &pairs);
                slope = dot(&gradient, &direction);
            }
            let (mut low, mut high) = (0.0, f64::INFINITY);
            let mut length = if pairs.is_empty() { (1.0 / (-slope).sqrt()).min(1.0) } else { 1.0 };
            let mut found = None;
            for _ in 0..TRIALS {
                for ((trial, &from), &along) in trial.iter_mut().zip(&*point).zip(&direction) {
                    *trial = from + F::of(length) * along;
                }
                let reached = evaluate(&trial, &mut trial_gradient)?;
                if reached.to_double() > value.to_double() + DECREASE * length * slope || reached.is_nan() {
                    high = length;
                } else if dot(&trial_gradient, &direction) < CURVATURE * slope {
                    low = length;
                } else {
                    found = Some(reached);
                    break;
                }
                length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
            }
            // No length decreases the value: what is left is rounding.
            let Some(reached) = found else { return Ok(Minimum { value, iterations, converged: true }) };
            let step: Vec<F> = trial.iter().zip(&*point).map(|(&to, &from)| to - from).collect();
            let change: Vec<F> = trial_gradient.iter().zip(&gradient).map(|(&to, &from)| to - from).collect();
            let product = dot(&step, &change);
            if product > 0.0 {
                if pairs.len() == self.memory {
                    pairs.pop_front();
                }
                pairs.push_back(Pair { step, change, product });
            }
            point.copy_from_slice(&trial);
            std::mem::swap(&mut gradient, &mut trial_gradient);
            value = reached;
        }
        Ok(Minimum { value, iterations: self.iterations, converged: false })
    }
}

/// `-H g` by the two loops.
fn descent<F: Real>(gradient: &[F], pairs: &VecDeque<Pair<F>>) -> Vec<F> {
    let mut direction: Vec<F> = gradient.iter().map(|&g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for Pair { step, change, product } in pairs.iter().rev() {
        let share = dot(step, &direction) / product;
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some(Pair { change, product, .. }) = pairs.back() {
        let scale = F::of(product / dot(change, change));
        direction.iter_mut().for_each(|along| *along *= scale);
    }
    for (Pair { step, change, product }, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let share = share - dot(change, &direction) / product;
        add(&mut direction, share, step);
    }
    direction
}

/// In double precision: a sum over all parameters.
fn dot<F: Real>(a: &[F], b: &[F]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a.to_double() * b.to_double()).sum()
}

fn add<F: Real>(to: &mut [F], factor: f64, values: &[F]) {
    let factor = F::of(factor);
    to.iter_mut().zip(values).for_each(|(to, &value)| *to += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley in pairs of dimensions, whose minimum is 0 at ones.
    fn rosenbrock<F: Real>(x: &[F], gradient: &mut [F]) -> F {
        let mut value = F::zero();
        for (x, gradient) in x.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
            let (across, along) = (x[1] - x[0] * x[0], F::one() - x[0]);
            value += F::of(100.0) * across * across + along * along;
            gradient[0] = F::of(-400.0) * across * x[0] - F::of(2.0) * along;
            gradient[1] = F::of(200.0) * across;
        }
        value
    }

    #[test]
    fn the_floor_of_a_bent_valley_is_found() {
        let mut point = [-1.2, 1.0].repeat(10);
        let minimiser = Lbfgs { gradient_tolerance: 1e-9, ..Lbfgs::default() };
        let minimum = minimiser.minimise(&mut point, |x, gradient| Ok(rosenbrock(x, gradient))).expect("evaluated");
        assert!(minimum.converged && minimum.value < 1e-16, "{minimum:?}");
        assert!(point.iter().all(|x| (x - 1.0f64).abs() < 1e-8), "{point:?}");
        assert!(minimum.iterations < 100, "{minimum:?}");
    }

    #[test]
    fn single_precision_stops_where_rounding_hides_the_rest() {
        let mut point = [-1.2f32, 1.0];
        let minimiser = Lbfgs { gradient_tolerance: 0.0, ..Lbfgs::default() };
        let minimum = minimiser.minimise(&mut point, |x, gradient| Ok(rosenbrock(x, gradient))).expect("evaluated");
        assert!(minimum.converged && minimum.iterations < 200, "{minimum:?}");
        assert!(point.iter().all(|x| (x - 1.0).abs() < 1e-3), "{point:?}");
    }

    #[test]
    fn too_few_steps_are_said() {
        let mut point = [-1.2, 1.0];
        let minimiser = Lbfgs { iterations: 3, ..Lbfgs::default() };
        let minimum = minimiser.minimise(&mut point, |x, gradient| Ok(rosenbrock(x, gradient))).expect("evaluated");
        assert!(!minimum.converged && minimum.iterations == 3);
    }
}
