//! `exp(x)` for `x ≤ 0` without branches or table, so that loops over it vectorise.
//!
//! `x = n ln 2 + r` with integer n and `|r| ≤ ½ ln 2`, `exp(x) = 2^n exp(r)`, `exp(r) ≈ 1 + r + r² q(r)`. ln 2 is split in two
//! so that `n` times its upper part is exact (Cody and Waite). q interpolates `(exp(r) - 1 - r) / r²` at Chebyshev nodes: its
//! relative error is 1e-8 with 5 coefficients and 2e-17 with 10, a sixth and a tenth of a unit in the last place.

use num_traits::Float;

/// Highest order first.
const F32_COEFFICIENTS: [f32; 5] = [0.001_392_618_4, 0.008_363_179, 0.041_666_556, 0.166_665_76, 0.5];

/// Highest order first.
const F64_COEFFICIENTS: [f64; 10] = [
    2.510_038_549_551_032e-8,
    2.762_008_844_540_974_6e-7,
    2.755_726_845_999_706_4e-6,
    2.480_152_129_595_437_6e-5,
    1.984_126_986_305_361_8e-4,
    0.001_388_888_891_721_371_7,
    0.008_333_333_333_330_062,
    0.041_666_666_666_624_13,
    0.166_666_666_666_666_69,
    0.500_000_000_000_000_1,
];

/// Adding 1.5·2^23 rounds to an integer and leaves that integer in the lowest bits.
const F32_ROUNDER: f32 = 12_582_912.0;
/// 1.5·2^52.
const F64_ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Below these the result is no normal number.
const F32_SMALLEST: f32 = -87.336_54;
const F64_SMALLEST: f64 = -708.396_418_532_264_1;

#[inline(always)]
pub(super) fn f32_exp<const FUSED: bool>(x: f32) -> f32 {
    let rounded = multiply_add::<f32, FUSED>(x, std::f32::consts::LOG2_E, F32_ROUNDER);
    let n = rounded - F32_ROUNDER;
    let r = multiply_add::<f32, FUSED>(n, -0.693_115_23, x);
    let r = multiply_add::<f32, FUSED>(n, -3.194_618_3e-5, r);
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    if x < F32_SMALLEST { 0.0 } else { exp_of_remainder::<f32, FUSED, 5>(r, &F32_COEFFICIENTS) * power }
}

#[inline(always)]
pub(super) fn f64_exp<const FUSED: bool>(x: f64) -> f64 {
    let rounded = multiply_add::<f64, FUSED>(x, std::f64::consts::LOG2_E, F64_ROUNDER);
    let n = rounded - F64_ROUNDER;
    let r = multiply_add::<f64, FUSED>(n, -0.693_147_180_136_293_2, x);
    let r = multiply_add::<f64, FUSED>(n, -4.236_521_365_809_284e-10, r);
    let power = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
    if x < F64_SMALLEST { 0.0 } else { exp_of_remainder::<f64, FUSED, 10>(r, &F64_COEFFICIENTS) * power }
}

/// `1 + r + r² q(r)`
#[inline(always)]
fn exp_of_remainder<F: Float, const FUSED: bool, const N: usize>(r: F, coefficients: &[F; N]) -> F {
    let mut q = coefficients[0];
    for &coefficient in &coefficients[1..] {
        q = multiply_add::<F, FUSED>(q, r, coefficient);
    }
    multiply_add::<F, FUSED>(multiply_add::<F, FUSED>(q, r, F::one()), r, F::one())
}

/// `a b + c`: without the instruction, `mul_add` is a slow call.
#[inline(always)]
fn multiply_add<F: Float, const FUSED: bool>(a: F, b: F, c: F) -> F {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in the last place of `expected` rounded to `f32`.
    fn f32_error(x: f32, found: f32) -> f64 {
        let expected = f64::from(x).exp();
        let nearest = expected as f32;
        let unit = f64::from(f32::from_bits(nearest.to_bits() + 1)) - f64::from(nearest);
        (f64::from(found) - expected).abs() / unit
    }

    #[test]
    fn f32_is_within_2_units_at_all_exponents() {
        // Every 61st number from -0 to the smallest: 17 million, some 130,000 of each exponent.
        for bits in ((-0.0f32).to_bits()..=F32_SMALLEST.to_bits()).step_by(61) {
            let x = f32::from_bits(bits);
            for found in [f32_exp::<true>(x), f32_exp::<false>(x)] {
                assert!(f32_error(x, found) <= 2.0, "exp({x:e}) = {found:e}, off by {}", f32_error(x, found));
            }
        }
    }

    #[test]
    fn f64_is_within_2_units_at_all_exponents() {
        // The standard library's own error is below 1 unit.
        let (first, last) = ((-0.0f64).to_bits(), F64_SMALLEST.to_bits());
        for bits in (first..=last).step_by(((last - first) / 3_000_017) as usize) {
            let x = f64::from_bits(bits);
            let expected = x.exp();
            for found in [f64_exp::<true>(x), f64_exp::<false>(x)] {
                assert!(found.to_bits().abs_diff(expected.to_bits()) <= 2, "exp({x:e}) = {found:e}, not {expected:e}");
            }
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!((f32_exp::<true>(0.0), f64_exp::<true>(0.0)), (1.0, 1.0));
        assert_eq!((f32_exp::<true>(-87.4), f64_exp::<true>(-708.5)), (0.0, 0.0));
        assert_eq!((f32_exp::<true>(f32::NEG_INFINITY), f64_exp::<true>(f64::NEG_INFINITY)), (0.0, 0.0));
        assert!(
            f32_exp::<true>(F32_SMALLEST) >= f32::MIN_POSITIVE && f64_exp::<true>(F64_SMALLEST) >= f64::MIN_POSITIVE
        );
    }
}
