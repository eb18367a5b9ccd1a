//! Rows that are kept in 16 bits an element: whole multiples of a step.

use super::{Arch, LANES, Real, Simd, WithSimd};

/// The largest multiple.
const LARGEST: f32 = 32767.0;

/// The multiple that stands for -∞.
const MINUS_INFINITY: i16 = i16::MIN;

/// Adding 1.5·2^23 rounds to an integer and leaves that integer in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// Rounds the elements of `row` to multiples of the lowest power of two of which 32767 reach the largest magnitude among them, so that none moves by more than a 32767th
/// of that, and one with few digits not at all. The multiples go into `codes`; -∞ stays. Returns the step, 0 where all are rounded to 0, since it would be no normal number.
///
/// # Panics
/// In double precision.
pub(crate) fn round_to_codes<F: Real>(row: &mut [F], codes: &mut [i16]) -> F {
    let row = F::singles_mut(row).expect("rows of single precision");
    F::of(Arch::new().dispatch(RoundToCodes { row, codes }).into())
}

/// The elements of a row that was rounded.
///
/// # Panics
/// In double precision.
pub(crate) fn of_codes<F: Real>(codes: &[i16], step: F, row: &mut [F]) {
    let row = F::singles_mut(row).expect("rows of single precision");
    Arch::new().dispatch(OfCodes { codes, step: step.to_double() as f32, row });
}

struct RoundToCodes<'a> {
    row: &'a mut [f32],
    codes: &'a mut [i16],
}

impl WithSimd for RoundToCodes<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let magnitude = |value: f32| if value > f32::NEG_INFINITY { value.abs() } else { 0.0 };
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane = larger(*lane, magnitude(value));
            }
        }
        let rest = rest.iter().map(|&value| magnitude(value));
        let largest = lanes.into_iter().chain(rest).fold(0.0, larger);
        let least = largest / LARGEST;
        let (step, steps) = if least < f32::MIN_POSITIVE { (0.0, 0.0) } else { power_of_two_above(least) };
        for (value, code) in self.row.iter_mut().zip(self.codes) {
            let multiple = if *value > f32::NEG_INFINITY { *value * steps } else { f32::from(MINUS_INFINITY) };
            *code = (multiple + ROUNDER).to_bits() as i16;
            *value = of_code(*code, step);
        }
        step
    }
}

/// The lowest power of two that is not below a positive normal number, and its reciprocal.
fn power_of_two_above(number: f32) -> (f32, f32) {
    const MANTISSA: u32 = (1 << 23) - 1;
    let power = f32::from_bits((number.to_bits() + MANTISSA) & !MANTISSA);
    (power, power.recip())
}

struct OfCodes<'a> {
    codes: &'a [i16],
    step: f32,
    row: &'a mut [f32],
}

impl WithSimd for OfCodes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (value, &code) in self.row.iter_mut().zip(self.codes) {
            *value = of_code(code, self.step);
        }
    }
}

#[inline(always)]
fn of_code(code: i16, step: f32) -> f32 {
    if code == MINUS_INFINITY { f32::NEG_INFINITY } else { f32::from(code) * step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_digits_are_kept() {
        for exponent in [-100, -3, 0, 90] {
            let row: Vec<f32> = (-256..=256).map(|number| number as f32 * (exponent as f32).exp2()).collect();
            let (mut rounded, mut codes) = (row.clone(), vec![0; row.len()]);
            round_to_codes(&mut rounded, &mut codes);
            assert_eq!(rounded, row);
        }
    }

    proptest! {
        #[test]
        fn no_element_moves_by_more_than_half_a_step(
            mantissas in prop::collection::vec(prop_oneof![9 => -1.0f32..=1.0, 1 => Just(f32::NEG_INFINITY)], 1..200),
            exponent in -149i32..=127,
        ) {
            let row: Vec<f32> = mantissas.iter().map(|&mantissa| mantissa * (exponent as f32).exp2()).collect();
            let (mut rounded, mut codes) = (row.clone(), vec![7; row.len()]);
            let step = round_to_codes(&mut rounded, &mut codes);
            let largest = row.iter().filter(|value| value.is_finite()).fold(0.0f32, |largest, value| largest.max(value.abs()));
            let least = largest / 32767.0;
            prop_assert!(step == 0.0 && least < f32::MIN_POSITIVE || (1.0..2.0).contains(&(step / least)));
            let bound = if step == 0.0 { f64::from(largest) } else { f64::from(step) / 2.0 };
            for (&value, &rounded) in row.iter().zip(&rounded) {
                match value.is_finite() {
                    true => prop_assert!((f64::from(value) - f64::from(rounded)).abs() <= bound, "{value:e} became {rounded:e}"),
                    false => prop_assert_eq!(value, rounded),
                }
            }
            let mut restored = vec![3.0; row.len()];
            of_codes(&codes, step, &mut restored);
            prop_assert_eq!(rounded, restored);
        }
    }
}
