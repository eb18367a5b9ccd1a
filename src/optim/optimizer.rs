//! Any of the optimizers, and what they remember of each tensor.

use super::{AdamW, RmsProp, Sgd, check_setting};
use crate::ops::rows;
use crate::{Error, Real, Result};
use ndarray::{Array, Dimension};
use pulp::{Arch, Simd, WithSimd};
use std::borrow::Cow;
use std::ops::Range;

/// An optimizer chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "name", rename_all = "lowercase")
)]
pub enum Optimizer {
    /// See [`sgd`](super::sgd).
    Sgd(Sgd),
    /// See [`rmsprop`](super::rmsprop).
    RmsProp(RmsProp),
    /// See [`adamw`](super::adamw).
    AdamW(AdamW),
}

/// What an optimizer remembers of one tensor: all zero before the first step, empty where it is not used.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Moments<F> {
    /// Velocity (SGD) or mean gradient (AdamW).
    pub first: Vec<F>,
    /// Mean square of the gradient (RMSprop, AdamW).
    pub second: Vec<F>,
}

/// [`Moments`] of a tensor or of a part of it.
#[derive(Debug)]
pub struct MomentsMut<'a, F> {
    /// As in [`Moments`].
    pub first: &'a mut [F],
    /// As in [`Moments`].
    pub second: &'a mut [F],
}

impl<F> Moments<F> {
    /// All of them.
    pub fn view_mut(&mut self) -> MomentsMut<'_, F> {
        MomentsMut { first: &mut self.first, second: &mut self.second }
    }
}

impl<F> MomentsMut<'_, F> {
    /// Those of some of the elements.
    pub fn part(&mut self, elements: Range<usize>) -> MomentsMut<'_, F> {
        fn part<F>(moments: &mut [F], elements: Range<usize>) -> &mut [F] {
            if moments.is_empty() { moments } else { &mut moments[elements] }
        }
        MomentsMut { first: part(self.first, elements.clone()), second: part(self.second, elements) }
    }
}

/// A tensor that an optimizer updates.
#[derive(Debug)]
pub struct Trained<'a, F: Real> {
    /// The tensor's elements.
    pub values: &'a mut [F],
    /// The loss's derivative with respect to each.
    pub gradient: Cow<'a, [F]>,
    /// Whether weight decay is for it: for weights, not for bias, α, γ or β.
    pub decays: bool,
}

impl<'a, F: Real> Trained<'a, F> {
    /// All elements of `values` with their `gradient`, of the same shape. `values` are put in row-major order if they are not.
    pub(crate) fn new<D: Dimension>(values: &'a mut Array<F, D>, gradient: &'a Array<F, D>, decays: bool) -> Self {
        if !values.is_standard_layout() {
            *values = values.as_standard_layout().into_owned();
        }
        let gradient = gradient.as_slice().map_or_else(|| gradient.iter().copied().collect(), Cow::from);
        Self { values: values.as_slice_mut().expect("in standard layout since the lines above"), gradient, decays }
    }

    /// Step number `step` (counted from 1); returns the Euclidean norm of the gradient.
    ///
    /// # Errors
    /// Those of [`Optimizer::update`].
    pub fn update(self, optimizer: Optimizer, moments: MomentsMut<F>, step: u64, learning_rate: f64) -> Result<f64> {
        let optimizer = if self.decays { optimizer } else { optimizer.without_weight_decay() };
        optimizer.update(self.values, &self.gradient, moments, step, learning_rate)?;
        Ok(rows::norm(&self.gradient))
    }
}

impl Optimizer {
    /// Checks the hyper-parameters.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Sgd(sgd) => sgd.check(),
            Self::RmsProp(rmsprop) => rmsprop.check(),
            Self::AdamW(adamw) => adamw.check(),
        }
    }

    /// Zero moments for a tensor of `length` elements.
    pub fn moments<F: Real>(&self, length: usize) -> Moments<F> {
        let [first, second] = self.moment_lengths(length).map(|length| vec![F::zero(); length]);
        Moments { first, second }
    }

    /// Whether `moments` are for a tensor of `length` elements.
    pub(crate) fn fits<F>(&self, moments: &Moments<F>, length: usize) -> bool {
        [moments.first.len(), moments.second.len()] == self.moment_lengths(length)
    }

    /// How many first and second moments a tensor of `length` elements has.
    pub(crate) fn moment_lengths(&self, length: usize) -> [usize; 2] {
        match self {
            Self::Sgd(_) => [length, 0],
            Self::RmsProp(_) => [0, length],
            Self::AdamW(_) => [length, length],
        }
    }

    /// This optimizer for tensors that are not to be pulled towards zero: biases, α.
    pub fn without_weight_decay(self) -> Self {
        match self {
            Self::Sgd(sgd) => Self::Sgd(Sgd { weight_decay: 0.0, ..sgd }),
            Self::AdamW(adamw) => Self::AdamW(AdamW { weight_decay: 0.0, ..adamw }),
            Self::RmsProp(_) => self,
        }
    }

    /// Step number `step` (counted from 1) of a tensor or a part of it: `values`, their `gradient` and `moments` have the same length.
    ///
    /// Gradients are not looked at: one that is not finite makes values and moments that are not.
    ///
    /// # Errors
    /// [`Error::Shape`] where the gradient or the moments are not for these values, or of another optimizer; [`Error::Setting`] for a
    /// hyper-parameter out of range, step 0, a learning rate that is negative or not finite. `values` are then as they were.
    pub fn update<F: Real>(
        &self,
        values: &mut [F],
        gradient: &[F],
        moments: MomentsMut<F>,
        step: u64,
        learning_rate: f64,
    ) -> Result<()> {
        self.check_step::<F>(step, learning_rate)?;
        if gradient.len() != values.len() {
            let expected = format!("[{}], one element for each of the values", values.len());
            return Err(Error::Shape { what: "gradient", found: vec![gradient.len()], expected });
        }
        let (found, expected) = ([moments.first.len(), moments.second.len()], self.moment_lengths(values.len()));
        if found != expected {
            let expected = format!("{expected:?}, first and second, as Optimizer::moments gives them");
            return Err(Error::Shape { what: "moments", found: found.to_vec(), expected });
        }
        self.apply(values, gradient, moments, step, learning_rate);
        Ok(())
    }

    /// Checks what a step is taken with: all but the lengths of slices.
    pub(crate) fn check_step<F: Real>(&self, step: u64, learning_rate: f64) -> Result<()> {
        self.check()?;
        check_setting("step", step as f64, step > 0, "at least 1, the number of the first step")?;
        let decay = match self {
            Self::AdamW(adamw) => adamw.weight_decay,
            Self::Sgd(_) | Self::RmsProp(_) => 0.0,
        };
        let in_range = learning_rate >= 0.0 && learning_rate * decay.max(1.0) <= F::max_value().to_double();
        let expected = "a number, not negative, that the element type holds even times the weight decay";
        check_setting("learning rate", learning_rate, in_range, expected)
    }

    /// [`update`](Self::update) of what has been checked.
    pub(crate) fn apply<F: Real>(
        &self,
        values: &mut [F],
        gradient: &[F],
        moments: MomentsMut<F>,
        step: u64,
        learning_rate: f64,
    ) {
        Arch::new().dispatch(UpdateOfSlices { optimizer: self, values, gradient, moments, step, learning_rate });
    }
}

/// [`Optimizer::apply`], compiled for several instruction sets.
struct UpdateOfSlices<'a, F> {
    optimizer: &'a Optimizer,
    values: &'a mut [F],
    gradient: &'a [F],
    moments: MomentsMut<'a, F>,
    step: u64,
    learning_rate: f64,
}

impl<F: Real> WithSimd for UpdateOfSlices<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { optimizer, values, gradient, moments, step, learning_rate } = self;
        match optimizer {
            Optimizer::Sgd(sgd) => sgd.apply(values, gradient, moments.first, learning_rate),
            Optimizer::RmsProp(rmsprop) => rmsprop.apply(values, gradient, moments.second, learning_rate),
            Optimizer::AdamW(adamw) => adamw.apply(values, gradient, moments, step, learning_rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps on two values, each with a gradient that follows the value.
    fn after_three_steps(optimizer: Optimizer) -> [f64; 2] {
        let mut values = [1.0, -2.0];
        let mut moments = optimizer.moments(2);
        for step in 1..=3 {
            let gradient = [2.0 * values[0], 0.5 * values[1]];
            optimizer.update(&mut values, &gradient, moments.view_mut(), step, 0.1).expect("settings in range");
        }
        values
    }

    fn assert_close(found: [f64; 2], expected: [f64; 2]) {
        for (found, expected) in found.into_iter().zip(expected) {
            approx::assert_relative_eq!(found, expected, max_relative = 1e-12);
        }
    }

    #[test]
    fn sgd_with_momentum() {
        // 1: v = 2, w = 0.8; 2: v = 0.9·2 + 1.6 = 3.4, w = 0.46; 3: v = 3.06 + 0.92 = 3.98, w = 0.062.
        // 1: v = -1, w = -1.9; 2: v = -0.9 - 0.95 = -1.85, w = -1.715; 3: v = -1.665 - 0.8575 = -2.5225, w = -1.46275.
        assert_close(after_three_steps(Optimizer::Sgd(Sgd::default())), [0.062, -1.46275]);
    }

    #[test]
    fn sgd_with_nesterov_momentum_and_weight_decay() {
        // g = 2.1 w: 1: v = 2.1, w = 1 - 0.1 (2.1 + 1.89) = 0.601; 2: g = 1.2621, v = 3.1521, w = 0.191101;
        // 3: g = 0.4013121, v = 3.2382021, w = 0.191101 - 0.1 (0.4013121 + 2.91438189) = -0.140468399.
        // g = 0.6 w: 1: v = -1.2, w = -2 + 0.1 (1.2 + 1.08) = -1.772; 2: g = -1.0632, v = -2.1432, w = -1.472792;
        // 3: g = -0.8836752, v = -2.8125552, w = -1.472792 + 0.1 (0.8836752 + 2.53129968) = -1.131294512.
        let sgd = Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 };
        assert_close(after_three_steps(Optimizer::Sgd(sgd)), [-0.140468399, -1.131294512]);
    }

    #[test]
    fn rmsprop_first_step_is_the_rate_over_the_root_of_one_minus_rho() {
        let rmsprop = RmsProp { rho: 0.9, epsilon: 1e-30 };
        let mut values = [1.0, -2.0];
        rmsprop.update(&mut values, &[3.0, -0.001], &mut [0.0, 0.0], 0.1).expect("settings in range");
        assert_close(values, [1.0 - 0.1 / 0.1f64.sqrt(), -2.0 + 0.1 / 0.1f64.sqrt()]);
    }

    #[test]
    fn adamw_first_step_is_the_rate_and_the_decay() {
        let adamw = AdamW { epsilon: 1e-30, weight_decay: 0.5, ..AdamW::default() };
        let mut values = [1.0, -2.0];
        let (mean, mean_square) = (&mut [0.0, 0.0], &mut [0.0, 0.0]);
        adamw.update(&mut values, &[3.0, -0.001], mean, mean_square, 1, 0.1).expect("settings in range");
        assert_close(values, [1.0 - 0.1 - 0.05, -2.0 + 0.1 + 0.1]);
    }

    #[test]
    fn epsilon_is_added_to_the_root() {
        // With ρ = β = 0 the mean square is the square: 0.1 · 3 / (3 + 1) and 0.1 · 1 / (1 + 1).
        let expected = [1.0 - 0.075, -2.0 + 0.05];
        let mut values = [1.0, -2.0];
        let rmsprop = RmsProp { rho: 0.0, epsilon: 1.0 };
        rmsprop.update(&mut values, &[3.0, -1.0], &mut [0.0, 0.0], 0.1).expect("settings in range");
        assert_close(values, expected);
        let mut values = [1.0, -2.0];
        let adamw = AdamW { beta1: 0.0, beta2: 0.0, epsilon: 1.0, weight_decay: 0.0 };
        let (mean, mean_square) = (&mut [0.0, 0.0], &mut [0.0, 0.0]);
        adamw.update(&mut values, &[3.0, -1.0], mean, mean_square, 1, 0.1).expect("settings in range");
        assert_close(values, expected);
    }

    #[test]
    fn every_optimizer_descends() {
        for optimizer in
            [Optimizer::Sgd(Sgd::default()), Optimizer::RmsProp(RmsProp::default()), Optimizer::AdamW(AdamW::default())]
        {
            let values = after_three_steps(optimizer);
            assert!(values[0].abs() < 1.0 && values[1].abs() < 2.0, "{optimizer:?}: {values:?}");
        }
    }
}
