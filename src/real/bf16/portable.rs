//! What the instructions do, bit by bit, in plain Rust: for the tests.
//!
//! `vcvtne2ps2bf16`, `vdpbf16ps` and `tdpbf16ps` (Intel's manual, volume 2) take denormal numbers for zeros and flush results that would be
//! denormal, whatever the thread's rounding and denormal modes are. A pair's second product is added first, and both with a single rounding each.

use super::{DEPTH, PANEL, Pair, Panels, Rows, TILE, put};

/// `rows` becomes `matrix` (M, K), in row-major order.
pub fn rows(matrix: &[f32], columns: usize, rows: &mut Rows) {
    let height = matrix.len() / columns;
    rows.resize(height, columns.div_ceil(2));
    of_pairs(rows, |row, k| if k < columns { matrix[row * columns + k] } else { 0.0 });
}

/// `rows` becomes the transpose of `matrix` (K, M), in row-major order.
pub fn rows_of_transpose(matrix: &[f32], columns: usize, rows: &mut Rows) {
    let height = matrix.len() / columns;
    rows.resize(columns, height.div_ceil(2));
    of_pairs(rows, |row, k| if k < height { matrix[k * columns + row] } else { 0.0 });
}

fn of_pairs(rows: &mut Rows, element: impl Fn(usize, usize) -> f32) {
    for row in 0..rows.rows {
        for pair in 0..rows.pairs {
            let pair_of_row = pair_of(element(row, 2 * pair), element(row, 2 * pair + 1));
            let pairs = rows.pairs;
            rows.all_mut()[row * pairs + pair] = pair_of_row;
        }
    }
}

/// `panels` become `matrix` (K, N), in row-major order.
pub fn panels(matrix: &[f32], columns: usize, panels: &mut Panels) {
    let height = matrix.len() / columns;
    panels.resize(height.div_ceil(2), columns);
    of_lanes(panels, |k, column| if k < height { matrix[k * columns + column] } else { 0.0 });
}

/// `panels` become the transpose of `matrix` (N, K), in row-major order.
pub fn panels_of_transpose(matrix: &[f32], columns: usize, panels: &mut Panels) {
    panels.resize(columns.div_ceil(2), matrix.len() / columns);
    of_lanes(panels, |k, column| if k < columns { matrix[column * columns + k] } else { 0.0 });
}

fn of_lanes(panels: &mut Panels, element: impl Fn(usize, usize) -> f32) {
    for column in 0..panels.columns {
        for pair in 0..panels.pairs {
            panels.panel_mut(column / PANEL)[pair].0[column % PANEL] =
                pair_of(element(2 * pair, column), element(2 * pair + 1, column));
        }
    }
}

/// `c ← alpha a b`, or `c ← c + alpha a b` if `accumulate`; c (M, N) is in row-major order.
pub fn product(alpha: f32, a: &Rows, b: &Panels, accumulate: bool, c: &mut [f32]) {
    for depth in (0..a.pairs).step_by(DEPTH) {
        for row in 0..a.rows {
            for column in 0..b.columns {
                let pairs = a.row(row).iter().zip(b.panel(column / PANEL)).skip(depth).take(DEPTH);
                let sum = pairs.fold(0.0, |sum, (&a, lanes)| add_products(sum, a, lanes.0[column % PANEL]));
                let element = row * b.columns + column;
                put(&[sum], alpha, accumulate || depth > 0, &mut c[element..=element]);
            }
        }
    }
}

/// [`product`] in tiles: `tdpbf16ps` adds up the first products of 16 pairs and the second ones, then both, then that to what was there.
pub fn product_in_tiles(alpha: f32, a: &Rows, b: &Panels, accumulate: bool, c: &mut [f32]) {
    for row in 0..a.rows {
        for column in 0..b.columns {
            let pairs: Vec<_> =
                a.row(row).iter().zip(b.panel(column / PANEL)).map(|(&a, b)| (a, b.0[column % PANEL])).collect();
            let sum = pairs.chunks(TILE).fold(0.0, |sum, pairs| {
                let sum_of = |place: usize| {
                    let products = pairs.iter().map(|&(a, b)| (numbers(a)[place], numbers(b)[place]));
                    products.fold(0.0, |sum: f32, (a, b)| flushed(a.mul_add(b, sum)))
                };
                flushed(sum + flushed(sum_of(0) + sum_of(1)))
            });
            let element = row * b.columns + column;
            put(&[sum], alpha, accumulate, &mut c[element..=element]);
        }
    }
}

/// `vdpbf16ps`
pub fn add_products(sum: f32, a: Pair, b: Pair) -> f32 {
    let ([a_first, a_second], [b_first, b_second]) = (numbers(a), numbers(b));
    let sum = flushed(a_second.mul_add(b_second, flushed(sum)));
    flushed(a_first.mul_add(b_first, sum))
}

/// Both numbers of a pair.
fn numbers(pair: Pair) -> [f32; 2] {
    [pair << 16, pair & 0xffff_0000].map(|bits| flushed(f32::from_bits(bits)))
}

/// `vcvtne2ps2bf16`
pub fn pair_of(first: f32, second: f32) -> Pair {
    rounded(first) | rounded(second) << 16
}

/// The upper half of `number`, to nearest, ties to even. Of what is not a number the upper half, made quiet.
fn rounded(number: f32) -> u32 {
    let bits = flushed(number).to_bits();
    if number.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }
}

fn flushed(number: f32) -> f32 {
    if number.is_subnormal() { 0f32.copysign(number) } else { number }
}
