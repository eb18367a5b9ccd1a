//! The instruction against the twin bit by bit, and products against their bound.

use super::{Codes, Native, Panels, portable};
use proptest::prelude::*;

/// Unit rows of several kinds: of even sizes, with a few large elements, with one alone.
fn unit_rows(rows: usize, dimension: usize) -> impl Strategy<Value = Vec<f32>> {
    let element = prop_oneof![6 => -1.0f32..1.0, 1 => -30.0f32..30.0, 1 => Just(0.0)];
    let row = move |mut row: Vec<f32>| {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        if norm == 0.0 {
            row[0] = 1.0;
        } else {
            row.iter_mut().for_each(|value| *value /= norm);
        }
        row
    };
    let row = prop::collection::vec(element, dimension).prop_map(row);
    prop::collection::vec(row, rows).prop_map(|rows| rows.concat())
}

fn codes(rows: &[f32], dimension: usize) -> Codes {
    // Memory of another shape before it.
    let mut codes = Codes::default();
    codes.assign(&[0.5; 36], 3);
    codes.assign(rows, dimension);
    codes
}

fn panels(codes: &Codes, rows: usize) -> Panels {
    let mut panels = Panels::default();
    panels.assign(codes, 0..rows);
    panels
}

/// A length on either side of what quads, vectors and panels hold.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..=9, 14usize..=18, 60usize..=70, 126usize..=130]
}

proptest! {
    #[test]
    fn products_are_the_same_bits_and_within_their_bound(
        ((m, k, n), a, b) in (length(), length(), length())
            .prop_flat_map(|(m, k, n)| (Just((m, k, n)), unit_rows(m, k), unit_rows(n, k))),
        first in any::<prop::sample::Index>(),
    ) {
        let (of_a, of_b) = (codes(&a, k), codes(&b, k));
        let panels = panels(&of_b, n);
        let first = first.index(m);
        let mut expected = vec![f32::NAN; (m - first) * n];
        portable::product(&of_a, first..m, &panels, &mut expected);
        if let Some(native) = Native::detect() {
            let mut found = vec![f32::NAN; (m - first) * n];
            native.product(&of_a, first..m, &panels, &mut found);
            prop_assert_eq!(found.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), expected.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        }
        for row in first..m {
            for column in 0..n {
                let exact: f64 = (0..k).map(|l| f64::from(a[row * k + l]) * f64::from(b[column * k + l])).sum();
                let found = f64::from(expected[(row - first) * n + column]);
                let bound = of_a.bound(of_a.errors[row], of_b.errors[column]);
                prop_assert!((found - exact).abs() <= f64::from(bound), "{found} is not {exact} ± {bound}");
            }
        }
    }

    #[test]
    fn a_row_is_as_far_from_its_codes_as_is_said((k, row) in length().prop_flat_map(|k| (Just(k), unit_rows(1, k)))) {
        let found = codes(&row, k);
        let (multiples, step) = (portable::codes(&found, 0), f64::from(found.steps[0]));
        prop_assert_eq!(multiples.len(), k.next_multiple_of(4));
        prop_assert!(multiples[k..].iter().all(|&code| code == 0));
        prop_assert!(multiples.iter().map(|code| code.abs()).max() == Some(127));
        prop_assert_eq!(found.offsets[0], 128 * multiples.iter().sum::<i32>());
        let differences = row.iter().zip(&multiples).map(|(&value, &code)| f64::from(value) - step * f64::from(code));
        let distance = differences.map(|difference| difference * difference).sum::<f64>().sqrt();
        let error = f64::from(found.errors[0]);
        prop_assert!(distance <= error && error <= 1.01 * distance + 1e-6, "{error} for {distance}");
        prop_assert_eq!(found.largest_error(0..1), found.errors[0]);
    }
}

#[test]
fn the_largest_sums_fit() {
    let dimension = super::MOST_DIMENSIONS;
    let row: Vec<f32> = [1.0, -1.0].map(|sign: f32| vec![sign / (dimension as f32).sqrt(); dimension]).concat();
    let codes = codes(&row, dimension);
    let panels = panels(&codes, 2);
    let mut expected = [0.0; 4];
    portable::product(&codes, 0..2, &panels, &mut expected);
    for (found, exact) in expected.iter().zip([1.0, -1.0, -1.0, 1.0f32]) {
        assert!((found - exact).abs() < 1e-5, "{expected:?}");
    }
    if let Some(native) = Native::detect() {
        let mut found = [0.0; 4];
        native.product(&codes, 0..2, &panels, &mut found);
        assert_eq!(found, expected);
    }
}
