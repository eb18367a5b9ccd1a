//! The instructions against their portable twin, bit by bit; the twin against double precision.

use super::portable;
use super::{DEPTH, Native, PANEL, Pair, Panels, Rows};
use proptest::prelude::*;

/// `None` where the processor has not what is to be tested.
fn native() -> Option<Native> {
    let native = Native::detect();
    if native.is_none() {
        eprintln!("no AVX512-BF16: nothing was compared");
    }
    native
}

/// Numbers of every kind: any bits, sizes as in training, ties between two bf16 numbers, denormals, zeros, the ends of the range.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -1.0f32..1.0,
        2 => any::<u32>().prop_map(f32::from_bits),
        2 => any::<u16>().prop_map(|upper| f32::from_bits(u32::from(upper) << 16 | 0x8000)),
        2 => (0u32..0x0100_0000, any::<bool>()).prop_map(|(bits, minus)| f32::from_bits(bits | u32::from(minus) << 31)),
        1 => prop::sample::select(vec![0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::INFINITY, f32::NAN, 1e-20, 1e20]),
    ]
}

fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(number(), rows * columns)
}

fn elements(rows: &Rows) -> Vec<&[Pair]> {
    (0..rows.rows).map(|row| rows.row(row)).collect()
}

fn columns(panels: &Panels) -> Vec<Vec<Pair>> {
    let of_column = |column| panels.panel(column / PANEL).iter().map(move |lanes| lanes.0[column % PANEL]).collect();
    (0..panels.columns).map(of_column).collect()
}

/// The bits of numbers, one pattern for all that are none.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { u32::MAX } else { value.to_bits() }).collect()
}

/// A length on either side of what vectors, tiles and panels hold.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..=9, 14usize..=18, 30usize..=34, 60usize..=70, 120usize..=130]
}

/// (M, K, N), now and then with more pairs than are summed up at a time.
fn shape() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        15 => (length(), length(), length()),
        1 => (1usize..=7, 2 * DEPTH - 2..=4 * DEPTH + 3, 1usize..=20),
    ]
}

proptest! {
    #[test]
    fn operands_are_the_same_bits((rows, columns_of_matrix, matrix) in (length(), length()).prop_flat_map(|(rows, columns)| (Just(rows), Just(columns), matrix(rows, columns)))) {
        let Some(native) = native() else { return Ok(()) };
        prop_assert_eq!(matrix.len(), rows * columns_of_matrix);
        // Memory of another shape before it.
        let (mut found, mut expected) = (Rows::default(), Rows::default());
        native.rows(&vec![7.0; 6000], 60, &mut found);
        native.rows(&matrix, columns_of_matrix, &mut found);
        portable::rows(&matrix, columns_of_matrix, &mut expected);
        prop_assert_eq!(elements(&found), elements(&expected));
        native.rows_of_transpose(&matrix, columns_of_matrix, &mut found);
        portable::rows_of_transpose(&matrix, columns_of_matrix, &mut expected);
        prop_assert_eq!(elements(&found), elements(&expected));
        let (mut found, mut expected) = (Panels::default(), Panels::default());
        native.panels(&vec![7.0; 6000], 60, &mut found);
        native.panels(&matrix, columns_of_matrix, &mut found);
        portable::panels(&matrix, columns_of_matrix, &mut expected);
        prop_assert_eq!(columns(&found), columns(&expected));
        native.panels_of_transpose(&matrix, columns_of_matrix, &mut found);
        portable::panels_of_transpose(&matrix, columns_of_matrix, &mut expected);
        prop_assert_eq!(columns(&found), columns(&expected));
    }

    #[test]
    fn products_are_the_same_bits(
        ((m, k, n), a, b) in shape().prop_flat_map(|(m, k, n)| (Just((m, k, n)), matrix(m, k), matrix(k, n))),
        (alpha, accumulate, before) in (prop_oneof![Just(1.0f32), number()], any::<bool>(), number()),
    ) {
        let Some(native) = native() else { return Ok(()) };
        let (mut rows, mut panels) = (Rows::default(), Panels::default());
        native.rows(&a, k, &mut rows);
        native.panels(&b, n, &mut panels);
        let (mut found, mut expected) = (vec![before; m * n], vec![before; m * n]);
        native.without_tiles().product(alpha, &rows, &panels, accumulate, &mut found);
        portable::product(alpha, &rows, &panels, accumulate, &mut expected);
        prop_assert_eq!(bits(&found), bits(&expected));
        if native.has_tiles() {
            let (mut found, mut expected) = (vec![before; m * n], vec![before; m * n]);
            native.product(alpha, &rows, &panels, accumulate, &mut found);
            portable::product_in_tiles(alpha, &rows, &panels, accumulate, &mut expected);
            prop_assert_eq!(bits(&found), bits(&expected));
        }
    }

    #[test]
    fn the_twin_multiplies_within_its_error(
        ((m, k, n), seed) in ((1usize..=9, 1usize..=70, 1usize..=9), any::<u64>()),
    ) {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let a: Vec<f32> = (0..m * k).map(|_| next()).collect();
        let b: Vec<f32> = (0..k * n).map(|_| next()).collect();
        let (mut rows, mut panels) = (Rows::default(), Panels::default());
        portable::rows(&a, k, &mut rows);
        portable::panels(&b, n, &mut panels);
        let (mut c, mut in_tiles) = (vec![0.0; m * n], vec![0.0; m * n]);
        portable::product(1.0, &rows, &panels, false, &mut c);
        portable::product_in_tiles(1.0, &rows, &panels, false, &mut in_tiles);
        for i in 0..m {
            for j in 0..n {
                let terms = || (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j]));
                let (exact, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                // Two factors are rounded to 8 bits each, sums to 24.
                let bound = size * (2f64.powi(-7) + 2f64.powi(-16) + k as f64 * 2f64.powi(-23));
                for found in [c[i * n + j], in_tiles[i * n + j]] {
                    prop_assert!((f64::from(found) - exact).abs() <= bound, "{found} is not {exact} ± {bound}");
                }
            }
        }
    }
}

#[test]
fn conversion_is_the_same_bits_for_every_upper_half() {
    let Some(native) = native() else { return };
    // Each bf16 number, what is just below, at and just above the middle to the next, and just below that.
    let lower = [0u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
    let numbers: Vec<f32> =
        (0..=0xffffu32).flat_map(|upper| lower.map(|lower| f32::from_bits(upper << 16 | lower))).collect();
    let (mut found, mut expected) = (Rows::default(), Rows::default());
    native.rows(&numbers, numbers.len(), &mut found);
    portable::rows(&numbers, numbers.len(), &mut expected);
    assert!(elements(&found) == elements(&expected));
}

#[test]
fn a_pair_is_added_with_two_roundings_its_second_product_first() {
    let Some(native) = native() else { return };
    let (one, small, large) = (1.0f32, 2f32.powi(-24), 2f32.powi(60));
    // Twice half a unit are a unit only where they come together; large products cancel only where nothing small came between.
    for (a, b, before) in [
        ([small, small], [1.0, 1.0], one),
        ([small, one], [1.0, 1.0], 0.0),
        ([one, large], [1.0, 1.0], -large),
        ([large, one], [1.0, 1.0], -large),
        ([1e-30, 1e-30], [1e-9, -1e-9], 0.0),
        ([1e-20, 1e-20], [1e-20, 1e-20], 1e-38),
    ] {
        let (mut rows, mut panels) = (Rows::default(), Panels::default());
        // The sum before is a pair of its own.
        native.rows(&[before, 0.0, a[0], a[1]], 4, &mut rows);
        native.panels(&[1.0, 0.0, b[0], b[1]], 1, &mut panels);
        let mut found = [0.0];
        native.without_tiles().product(1.0, &rows, &panels, false, &mut found);
        let sum = portable::add_products(0.0, portable::pair_of(before, 0.0), portable::pair_of(1.0, 0.0));
        let expected = portable::add_products(sum, portable::pair_of(a[0], a[1]), portable::pair_of(b[0], b[1]));
        assert_eq!(found[0].to_bits(), expected.to_bits(), "{a:?} {b:?} {before}");
    }
}
