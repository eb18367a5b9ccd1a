//! Inverted dropout (Srivastava et al. 2014): each element is zero with probability `rate`, and `1 / (1 - rate)` times itself
//! otherwise, so that its expectation stays. For training alone: inference leaves features as they are.

use crate::wording::number;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt};

/// What [`backward`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutCache<F> {
    /// (B, D) what each element was multiplied by: 0 or `1 / (1 - rate)`.
    pub mask: Array2<F>,
}

/// `features` (B, D) → (B, D). One draw from `rng` an element, row by row: the same generator gives the same mask.
///
/// # Errors
/// [`Error::Setting`] unless `rate` is at least 0 and below 1.
pub fn forward<F: Real>(
    features: ArrayView2<F>,
    rate: f64,
    rng: &mut impl Rng,
) -> Result<(Array2<F>, DropoutCache<F>)> {
    check_rate(rate)?;
    let kept = F::of(1.0 / (1.0 - rate));
    let draw = || if rng.random::<f32>() < rate as f32 { F::zero() } else { kept };
    let mask = Array2::from_shape_simple_fn(features.raw_dim(), draw);
    Ok((&features * &mask, DropoutCache { mask }))
}

/// `d_x = d_y · mask`.
pub fn backward<F: Real>(d_output: ArrayView2<F>, cache: &DropoutCache<F>) -> Array2<F> {
    &cache.mask * &d_output
}

/// Checks that `rate` is at least 0 and below 1.
///
/// # Errors
/// [`Error::Setting`].
pub fn check_rate(rate: f64) -> Result<()> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    let expected = "a probability from 0 to below 1".into();
    Err(Error::Setting { name: "the dropout rate", value: number(rate), expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_share_of_zeros_is_the_rate_and_the_mean_stays() {
        let features = Array2::<f32>::ones((400, 250));
        let (output, cache) = forward(features.view(), 0.4, &mut ChaCha8Rng::seed_from_u64(1)).expect("a rate");
        let zeros = output.iter().filter(|&&value| value == 0.0).count() as f64 / 1e5;
        // Six standard deviations of 100,000 draws.
        assert!((zeros - 0.4).abs() < 6.0 * (0.24f64 / 1e5).sqrt(), "{zeros}");
        assert!(output.iter().all(|&value| value == 0.0 || value == 1.0 / 0.6));
        assert_eq!(backward(features.view(), &cache), output);
        let (again, _) = forward(features.view(), 0.4, &mut ChaCha8Rng::seed_from_u64(1)).expect("a rate");
        assert_eq!(again, output);
    }

    #[test]
    fn rate_zero_changes_nothing_and_one_is_refused() {
        let features = ndarray::array![[1.5f64, -2.0], [0.0, 3.0]];
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        assert_eq!(forward(features.view(), 0.0, &mut rng).expect("a rate").0, features);
        for rate in [1.0, -0.1, f64::NAN] {
            let error = forward(features.view(), rate, &mut rng).expect_err("no rate").to_string();
            assert!(error.contains("expected a probability from 0 to below 1"), "{error}");
        }
    }
}
