//! Of each class's centres the nearest one.

use super::{Arch, Real, Simd, WithSimd};

/// Leaves of each `centres` neighbours the largest, of equal ones the first; the rest become -∞.
pub(crate) fn keep_largest<F: Real>(row: &mut [F], centres: usize) {
    match centres {
        0 | 1 => {}
        // Numbers of centres that the papers use, known to the compiler: so the loop over classes vectorises.
        2 => Arch::new().dispatch(KeepLargest::<F, 2> { row }),
        3 => Arch::new().dispatch(KeepLargest::<F, 3> { row }),
        4 => Arch::new().dispatch(KeepLargest::<F, 4> { row }),
        5 => Arch::new().dispatch(KeepLargest::<F, 5> { row }),
        _ => row.chunks_exact_mut(centres).for_each(keep_largest_of),
    }
}

struct KeepLargest<'a, F, const CENTRES: usize> {
    row: &'a mut [F],
}

impl<F: Real, const CENTRES: usize> WithSimd for KeepLargest<'_, F, CENTRES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (classes, _) = self.row.as_chunks_mut::<CENTRES>();
        for of_class in classes {
            let values = *of_class;
            let largest = values.iter().fold(F::neg_infinity(), |largest, &v| if v > largest { v } else { largest });
            // Without branches.
            let mut is_found = false;
            for (kept, value) in of_class.iter_mut().zip(values) {
                let is_first = value == largest && !is_found;
                is_found |= is_first;
                *kept = if is_first { value } else { F::neg_infinity() };
            }
        }
    }
}

fn keep_largest_of<F: Real>(of_class: &mut [F]) {
    let mut nearest = 0;
    for (centre, value) in of_class.iter().enumerate() {
        nearest = if *value > of_class[nearest] { centre } else { nearest };
    }
    let largest = of_class[nearest];
    of_class.fill(F::neg_infinity());
    of_class[nearest] = largest;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_stays_for_any_number_of_centres() {
        for centres in 1..=7 {
            // Few values, so that many are equal.
            let row: Vec<f32> = (0..centres * 50).map(|number| ((number * number * 7) % 5) as f32 - 2.0).collect();
            let mut found = row.clone();
            keep_largest(&mut found, centres);
            for (found, row) in found.chunks(centres).zip(row.chunks(centres)) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let place = row.iter().position(|&value| value == largest).expect("one is");
                for (centre, &value) in found.iter().enumerate() {
                    assert_eq!(value, if centre == place { largest } else { f32::NEG_INFINITY }, "{row:?}: {found:?}");
                }
            }
        }
    }
}
