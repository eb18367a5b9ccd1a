//! Of each class's centres a mixture, in which the nearer ones weigh more.

use super::{Arch, Real, Simd, WithSimd};

/// Of each `centres` neighbours c the first becomes `S = Σ_k q_k c_k` with `q = softmax(c / temperature)`, and the rest -∞; `slopes` become
/// `∂S/∂c_k = q_k (1 + (c_k - S) / temperature)`.
pub(crate) fn mix_centres<F: Real>(row: &mut [F], slopes: &mut [F], centres: usize, temperature: F) {
    let inverse = temperature.recip();
    let mixing = Mixing { row, slopes, centres, inverse };
    let arch = Arch::new();
    // Few centres, their number known to the compiler: so the loops over classes vectorise, not only those over centres.
    match centres {
        2 => arch.dispatch(Known::<_, 2>(mixing)),
        3 => arch.dispatch(Known::<_, 3>(mixing)),
        4 => arch.dispatch(Known::<_, 4>(mixing)),
        5 => arch.dispatch(Known::<_, 5>(mixing)),
        _ => arch.dispatch(mixing),
    }
}

/// Classes at a time: what is written in one pass over them is in cache for the next.
const CLASSES_AT_A_TIME: usize = 64;

struct Mixing<'a, F> {
    row: &'a mut [F],
    slopes: &'a mut [F],
    centres: usize,
    inverse: F,
}

impl<F: Real> Mixing<'_, F> {
    /// Three passes, of which the one with the exponentials knows nothing of classes.
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { row, slopes, centres, inverse } = self;
        let length = centres * CLASSES_AT_A_TIME;
        for (row, slopes) in row.chunks_mut(length).zip(slopes.chunks_mut(length)) {
            for (of_class, slopes) in row.chunks_exact(centres).zip(slopes.chunks_exact_mut(centres)) {
                let largest = of_class.iter().fold(F::neg_infinity(), |most, &c| if c > most { c } else { most });
                slopes.iter_mut().zip(of_class).for_each(|(slope, &c)| *slope = (c - largest) * inverse);
            }
            slopes.iter_mut().for_each(|slope| *slope = slope.exp_of_nonpositive::<FUSED>());
            for (of_class, slopes) in row.chunks_exact_mut(centres).zip(slopes.chunks_exact_mut(centres)) {
                let largest = of_class.iter().fold(F::neg_infinity(), |most, &c| if c > most { c } else { most });
                let (mut sum, mut weighted) = (F::zero(), F::zero());
                for (&exp, &c) in slopes.iter().zip(&*of_class) {
                    sum += exp;
                    weighted += exp * (c - largest);
                }
                let share = sum.recip();
                let mixture = largest + weighted * share;
                for (slope, c) in slopes.iter_mut().zip(&mut *of_class) {
                    *slope *= share * (F::one() + (*c - mixture) * inverse);
                    *c = F::neg_infinity();
                }
                of_class[0] = mixture;
            }
        }
    }
}

impl<F: Real> WithSimd for Mixing<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if S::IS_SCALAR { self.run::<false>() } else { self.run::<true>() }
    }
}

/// Work on classes whose number of centres the compiler knows.
struct Known<W, const CENTRES: usize>(W);

impl<F: Real, const CENTRES: usize> WithSimd for Known<Mixing<'_, F>, CENTRES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        Mixing { centres: CENTRES, ..self.0 }.with_simd(simd);
    }
}

/// Turns the derivative by each class's mixture, at the first of its places, into those by its centres.
pub(crate) fn unmix_centres<F: Real>(row: &mut [F], slopes: &[F], centres: usize) {
    let unmixing = Unmixing { row, slopes, centres };
    let arch = Arch::new();
    match centres {
        2 => arch.dispatch(Known::<_, 2>(unmixing)),
        3 => arch.dispatch(Known::<_, 3>(unmixing)),
        4 => arch.dispatch(Known::<_, 4>(unmixing)),
        5 => arch.dispatch(Known::<_, 5>(unmixing)),
        _ => arch.dispatch(unmixing),
    }
}

struct Unmixing<'a, F> {
    row: &'a mut [F],
    slopes: &'a [F],
    centres: usize,
}

impl<F: Real> WithSimd for Unmixing<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { row, slopes, centres } = self;
        for (of_class, slopes) in row.chunks_exact_mut(centres).zip(slopes.chunks_exact(centres)) {
            let of_mixture = of_class[0];
            of_class.iter_mut().zip(slopes).for_each(|(derivative, &slope)| *derivative = of_mixture * slope);
        }
    }
}

impl<F: Real, const CENTRES: usize> WithSimd for Known<Unmixing<'_, F>, CENTRES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        Unmixing { centres: CENTRES, ..self.0 }.with_simd(simd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula as it is written, and its difference quotients.
    #[test]
    fn mixtures_and_slopes_are_those_of_the_formula() {
        let mixture = |c: &[f64], temperature: f64| {
            let weights: Vec<_> = c.iter().map(|c| (c / temperature).exp()).collect();
            weights.iter().zip(c).map(|(weight, c)| weight * c).sum::<f64>() / weights.iter().sum::<f64>()
        };
        for (centres, temperature) in [(1, 0.1), (2, 0.05), (3, 1.0), (4, 0.2), (5, 0.1), (10, 0.1), (7, 1e3)] {
            let c: Vec<f64> = (0..centres * (2 * CLASSES_AT_A_TIME + 3))
                .map(|number| ((number * number * 7) % 23) as f64 / 12.0 - 0.9)
                .collect();
            let (mut found, mut slopes) = (c.clone(), vec![0.0; c.len()]);
            mix_centres(&mut found, &mut slopes, centres, temperature);
            for ((c, found), slopes) in c.chunks(centres).zip(found.chunks(centres)).zip(slopes.chunks(centres)) {
                assert!((found[0] - mixture(c, temperature)).abs() < 1e-14, "{found:?}");
                assert!(found[1..].iter().all(|&rest| rest == f64::NEG_INFINITY));
                for (place, slope) in slopes.iter().enumerate() {
                    let at = |offset: f64| {
                        let mut moved = c.to_vec();
                        moved[place] += offset;
                        mixture(&moved, temperature)
                    };
                    let step = 1e-4 * temperature.min(1.0);
                    let quotient = (at(step) - at(-step)) / (2.0 * step);
                    assert!((quotient - slope).abs() < 1e-7, "{slope} is not {quotient}");
                }
            }
            let mut derivatives: Vec<f64> = (0..found.len()).map(|number| number as f64).collect();
            unmix_centres(&mut derivatives, &slopes, centres);
            for (place, derivative) in derivatives.iter().enumerate() {
                assert_eq!(*derivative, (place - place % centres) as f64 * slopes[place]);
            }
        }
    }
}
