//! The instructions: AVX-512 with its BF16 extension, and the tiles of AMX where there are any.

#![allow(unsafe_code)]

use super::{DEPTH, Lanes, PANEL, Pair, Panels, Rows, SQUARE, TILE, put};
use std::arch::asm;
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Rows of which sums stay in registers: with 4 vectors of columns 24 sums, 4 operands and a broadcast one take 29 of 32.
const STRIP: usize = 6;

/// 32-bit lanes of a vector.
const LANES: usize = 16;

/// That this processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native {
    /// AMX with bf16, too.
    has_tiles: bool,
}

impl Native {
    /// `None` if it has not.
    pub fn detect() -> Option<Self> {
        static DETECTED: OnceLock<Option<Native>> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let has = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512bf16");
            has.then(|| Self { has_tiles: tiles::may_be_used() })
        })
    }

    /// Whether products are in tiles.
    #[cfg(test)]
    pub fn has_tiles(self) -> bool {
        self.has_tiles
    }

    /// As on a processor without AMX.
    #[cfg(test)]
    pub fn without_tiles(self) -> Self {
        Self { has_tiles: false }
    }

    /// `rows` becomes `matrix` (M, K), in row-major order.
    pub fn rows(self, matrix: &[f32], columns: usize, rows: &mut Rows) {
        rows.resize(matrix.len() / columns, columns.div_ceil(2));
        // SAFETY: `detect` has found the instructions.
        unsafe { rows_of(matrix, columns, rows) }
    }

    /// `rows` becomes the transpose of `matrix` (K, M), in row-major order.
    pub fn rows_of_transpose(self, matrix: &[f32], columns: usize, rows: &mut Rows) {
        rows.resize(columns, (matrix.len() / columns).div_ceil(2));
        // SAFETY: `detect` has found the instructions.
        unsafe { rows_of_transpose(matrix, columns, rows) }
    }

    /// `panels` become `matrix` (K, N), in row-major order.
    pub fn panels(self, matrix: &[f32], columns: usize, panels: &mut Panels) {
        panels.resize((matrix.len() / columns).div_ceil(2), columns);
        // SAFETY: `detect` has found the instructions.
        unsafe { panels_of(matrix, columns, panels) }
    }

    /// `panels` become the transpose of `matrix` (N, K), in row-major order.
    pub fn panels_of_transpose(self, matrix: &[f32], columns: usize, panels: &mut Panels) {
        panels.resize(columns.div_ceil(2), matrix.len() / columns);
        // SAFETY: `detect` has found the instructions.
        unsafe { panels_of_transpose(matrix, columns, panels) }
    }

    /// `c ← alpha a b`, or `c ← c + alpha a b` if `accumulate`; c (M, N) is in row-major order.
    pub fn product(self, alpha: f32, a: &Rows, b: &Panels, accumulate: bool, c: &mut [f32]) {
        assert!(a.pairs == b.pairs && c.len() == a.rows * b.columns, "shapes fit");
        // SAFETY: `detect` has found the instructions.
        unsafe {
            match self.has_tiles {
                true => product_in_tiles(alpha, a, b, accumulate, c),
                false => product(alpha, a, b, accumulate, c),
            }
        }
    }
}

// All functions below are safe but for their target features, which `Native` stands for, and for reinterpreting bits: a vector has the
// size of the array that it is made of or becomes, and every pattern of bits is a value of both.

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn product(alpha: f32, a: &Rows, b: &Panels, accumulate: bool, c: &mut [f32]) {
    let mut sums = [[0.0; PANEL]; STRIP];
    for depth in (0..a.pairs).step_by(DEPTH) {
        let pairs = depth..(depth + DEPTH).min(a.pairs);
        let accumulate = accumulate || depth > 0;
        for first in (0..b.columns).step_by(PANEL) {
            let panel = &b.panel(first / PANEL)[pairs.clone()];
            let columns = first..(first + PANEL).min(b.columns);
            for row in (0..a.rows).step_by(STRIP) {
                let rows = row..(row + STRIP).min(a.rows);
                let operands: [&[Pair]; STRIP] =
                    std::array::from_fn(|i| &a.row((row + i).min(rows.end - 1))[pairs.clone()]);
                match columns.len().div_ceil(LANES) {
                    4 => tile_of::<4>(&operands[..rows.len()], panel, &mut sums),
                    3 => tile_of::<3>(&operands[..rows.len()], panel, &mut sums),
                    2 => tile_of::<2>(&operands[..rows.len()], panel, &mut sums),
                    _ => tile_of::<1>(&operands[..rows.len()], panel, &mut sums),
                }
                for (row, sums) in rows.zip(&sums) {
                    let c = &mut c[row * b.columns..][columns.clone()];
                    // With a length that is known the loop is a few instructions.
                    match c.first_chunk_mut::<PANEL>() {
                        Some(c) => put(sums, alpha, accumulate, c),
                        None => put(sums, alpha, accumulate, c),
                    }
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn tile_of<const VECTORS: usize>(rows: &[&[Pair]], panel: &[Lanes], sums: &mut [[f32; PANEL]; STRIP]) {
    match *rows {
        [a, b, c, d, e, f] => tile::<6, VECTORS>([a, b, c, d, e, f], panel, sums),
        [a, b, c, d, e] => tile::<5, VECTORS>([a, b, c, d, e], panel, sums),
        [a, b, c, d] => tile::<4, VECTORS>([a, b, c, d], panel, sums),
        [a, b, c] => tile::<3, VECTORS>([a, b, c], panel, sums),
        [a, b] => tile::<2, VECTORS>([a, b], panel, sums),
        [a] => tile::<1, VECTORS>([a], panel, sums),
        _ => {}
    }
}

/// The sums of some rows with the first `16 VECTORS` columns of a panel.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn tile<const ROWS: usize, const VECTORS: usize>(
    rows: [&[Pair]; ROWS],
    panel: &[Lanes],
    sums: &mut [[f32; PANEL]; STRIP],
) {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut totals = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (pair, lanes) in panel.iter().enumerate() {
        let (lanes, _) = lanes.0.as_chunks::<LANES>();
        let mut columns = [_mm512_setzero_si512(); VECTORS];
        for vector in 0..VECTORS {
            columns[vector] = of_pairs(&lanes[vector]);
        }
        for row in 0..ROWS {
            let element = _mm512_set1_epi32(rows[row][pair] as i32);
            for vector in 0..VECTORS {
                totals[row][vector] = _mm512_dpbf16_ps(totals[row][vector], bf16(element), bf16(columns[vector]));
            }
        }
    }
    for row in 0..ROWS {
        let (sums, _) = sums[row].as_chunks_mut::<LANES>();
        for vector in 0..VECTORS {
            // SAFETY: a vector has the size of the array.
            sums[vector] = unsafe { std::mem::transmute::<__m512, [f32; LANES]>(totals[row][vector]) };
        }
    }
}

/// A square of sums, from its first row on.
#[repr(align(64))]
struct Square([[f32; SQUARE]; SQUARE]);

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn product_in_tiles(alpha: f32, a: &Rows, b: &Panels, accumulate: bool, c: &mut [f32]) {
    let mut sums = Square([[0.0; SQUARE]; SQUARE]);
    let tiles = tiles::Tiles::begin();
    for first_row in (0..a.rows).step_by(SQUARE) {
        for first in (0..b.columns).step_by(SQUARE) {
            tiles.sum(a.square(first_row), b.panel(first / PANEL), first % PANEL, &mut sums);
            let columns = first..(first + SQUARE).min(b.columns);
            for (row, sums) in (first_row..a.rows).zip(&sums.0) {
                let c = &mut c[row * b.columns..][columns.clone()];
                match c.first_chunk_mut::<SQUARE>() {
                    Some(c) => put(sums, alpha, accumulate, c),
                    None => put(sums, alpha, accumulate, c),
                }
            }
        }
    }
}

/// AMX: registers of 16 rows of 16 pairs or sums, by inline assembly, since the standard library's functions for them are not stable.
mod tiles {
    use super::*;

    /// What `ldtilecfg` takes.
    #[repr(C, align(64))]
    struct Shapes {
        palette: u8,
        first_row: u8,
        reserved: [u8; 14],
        bytes_of_row: [u16; 16],
        rows: [u8; 16],
    }

    /// Whether the processor has tiles and the system lets this process use them, which it has to be asked for.
    #[cfg(target_os = "linux")]
    pub fn may_be_used() -> bool {
        const ARCH_PRCTL: u64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const XTILEDATA: u64 = 18;
        // They are safe, but not yet in the oldest Rust that this is for.
        #[allow(unused_unsafe)]
        // SAFETY: every processor with AVX-512 has the instruction.
        let features = unsafe { if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).edx } };
        let (bf16, tile) = (1 << 22, 1 << 24);
        if features & bf16 == 0 || features & tile == 0 {
            return false;
        }
        let result: i64;
        // SAFETY: a system call that takes numbers alone and changes what the process may do. It leaves all but these registers as they were.
        unsafe {
            asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XTILEDATA,
                out("rcx") _, out("r11") _, options(nostack));
        }
        result == 0
    }

    #[cfg(not(target_os = "linux"))]
    pub fn may_be_used() -> bool {
        false
    }

    /// That the thread's tiles are 16 rows of 64 bytes each, until it is dropped.
    pub struct Tiles(());

    impl Tiles {
        /// Only to be called where [`may_be_used`] says so.
        #[target_feature(enable = "avx512f")]
        pub fn begin() -> Self {
            let (mut bytes_of_row, mut rows) = ([0; 16], [0; 16]);
            bytes_of_row[..8].fill(64);
            rows[..8].fill(TILE as u8);
            let shapes = Shapes { palette: 1, first_row: 0, reserved: [0; 14], bytes_of_row, rows };
            // SAFETY: it reads 64 bytes, which `shapes` has.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly)) };
            Self(())
        }

        /// `sums ← a b`, of a square's rows with 32 columns of a panel.
        pub fn sum(&self, a: &[Pair], panel: &[Lanes], column: usize, sums: &mut Square) {
            let pairs = panel.len();
            assert!(pairs > 0 && pairs.is_multiple_of(TILE) && a.len() == SQUARE * pairs && column + SQUARE <= PANEL);
            let lower = &a[TILE * pairs..];
            // SAFETY: a step reads 16 rows of 64 bytes at each of four places, which go on by 64 bytes in `a` and by 16 lanes in `panel`; there are
            // as many steps as these have. It writes 32 rows of 128 bytes, which `sums` has.
            unsafe {
                asm!(
                    "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{upper} + {row}]",
                    "tileloadd tmm6, [{panel} + {lanes}]",
                    "tileloadd tmm7, [{panel} + {lanes} + 64]",
                    "tileloadd tmm5, [{lower} + {row}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {upper}, 64",
                    "add {lower}, 64",
                    "add {panel}, 4096",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {row_of_sums}], tmm0",
                    "tilestored [{sums} + {row_of_sums} + 64], tmm1",
                    "tilestored [{sums} + {row_of_sums} + 2048], tmm2",
                    "tilestored [{sums} + {row_of_sums} + 2112], tmm3",
                    upper = inout(reg) a.as_ptr() => _,
                    lower = inout(reg) lower.as_ptr() => _,
                    panel = inout(reg) panel.as_ptr().cast::<Pair>().wrapping_add(column) => _,
                    steps = inout(reg) pairs / TILE => _,
                    row = in(reg) size_of::<Pair>() * pairs,
                    lanes = in(reg) size_of::<Lanes>(),
                    sums = in(reg) &raw mut *sums,
                    row_of_sums = in(reg) size_of::<[f32; SQUARE]>(),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    }

    impl Drop for Tiles {
        fn drop(&mut self) {
            // SAFETY: it forgets what this has set. A thread that leaves its tiles would have them saved whenever another takes its place.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn rows_of(matrix: &[f32], columns: usize, rows: &mut Rows) {
    let pairs = rows.pairs;
    for (row, out) in matrix.chunks_exact(columns).zip(rows.all_mut().chunks_exact_mut(pairs)) {
        for (row, out) in row.chunks(2 * LANES).zip(out.chunks_mut(LANES)) {
            store(pairs_along(row), out);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn panels_of(matrix: &[f32], columns: usize, panels: &mut Panels) {
    for (pair, rows) in matrix.chunks(2 * columns).enumerate() {
        let (upper, lower) = rows.split_at(columns);
        for first in (0..columns).step_by(LANES) {
            let lanes = &mut panels.panel_mut(first / PANEL)[pair].0[first % PANEL..];
            store(pairs_across(upper, lower, first), lanes);
        }
    }
    let pairs = matrix.len().div_ceil(2 * columns);
    for panel in 0..columns.div_ceil(PANEL) {
        panels.panel_mut(panel)[pairs..].fill(Lanes([0; PANEL]));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn panels_of_transpose(matrix: &[f32], columns: usize, panels: &mut Panels) {
    for (group, rows) in matrix.chunks(LANES * columns).enumerate() {
        let (panel, lane) = (group * LANES / PANEL, group * LANES % PANEL);
        for (first, lanes) in panels.panel_mut(panel).chunks_mut(LANES).enumerate() {
            let mut block = [_mm512_setzero_si512(); LANES];
            for (vector, row) in block.iter_mut().zip(rows.chunks_exact(columns)) {
                *vector = pairs_along(&row[2 * LANES * first..]);
            }
            for (vector, lanes) in transpose(block).into_iter().zip(lanes) {
                store(vector, &mut lanes.0[lane..]);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn rows_of_transpose(matrix: &[f32], columns: usize, rows: &mut Rows) {
    let pairs = rows.pairs;
    for (group, strip) in matrix.chunks(2 * LANES * columns).enumerate() {
        for (first, out) in rows.all_mut().chunks_mut(LANES * pairs).enumerate() {
            let mut block = [_mm512_setzero_si512(); LANES];
            for (vector, rows) in block.iter_mut().zip(strip.chunks(2 * columns)) {
                let (upper, lower) = rows.split_at(columns);
                *vector = pairs_across(upper, lower, first * LANES);
            }
            for (vector, row) in transpose(block).into_iter().zip(out.chunks_exact_mut(pairs)) {
                store(vector, &mut row[group * LANES..]);
            }
        }
    }
}

/// 16 pairs of the first 32 elements of a row, zeros past its end.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs_along(row: &[f32]) -> __m512i {
    let (first, second) = row.split_at(row.len().min(LANES));
    integers(_mm512_cvtne2ps_pbh(load(second), load(first)))
}

/// 16 pairs of the elements from `first` on of two rows, zeros past their end; the second may be empty.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs_across(upper: &[f32], lower: &[f32], first: usize) -> __m512i {
    let lower = lower.get(first..).unwrap_or_default();
    let one_after_the_other = integers(_mm512_cvtne2ps_pbh(load(lower), load(&upper[first..])));
    let order: [u16; 2 * LANES] = std::array::from_fn(|word| (word / 2 + word % 2 * LANES) as u16);
    // SAFETY: a vector has the size of the array.
    let order = unsafe { std::mem::transmute::<[u16; 2 * LANES], __m512i>(order) };
    _mm512_permutexvar_epi16(order, one_after_the_other)
}

/// The first 16 elements, zeros past the end.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn load(elements: &[f32]) -> __m512 {
    let elements = match elements.first_chunk::<LANES>() {
        Some(chunk) => *chunk,
        None => {
            let mut chunk = [0.0; LANES];
            chunk[..elements.len()].copy_from_slice(elements);
            chunk
        }
    };
    // SAFETY: a vector has the size of the array.
    unsafe { std::mem::transmute::<[f32; LANES], __m512>(elements) }
}

/// As many of 16 pairs as there is room for.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn store(vector: __m512i, out: &mut [Pair]) {
    // SAFETY: a vector has the size of the array.
    let pairs = unsafe { std::mem::transmute::<__m512i, [Pair; LANES]>(vector) };
    match out.first_chunk_mut::<LANES>() {
        Some(out) => *out = pairs,
        None => out.copy_from_slice(&pairs[..out.len()]),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn of_pairs(pairs: &[Pair; LANES]) -> __m512i {
    // SAFETY: a vector has the size of the array.
    unsafe { std::mem::transmute::<[Pair; LANES], __m512i>(*pairs) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn bf16(vector: __m512i) -> __m512bh {
    // SAFETY: the same register, under another name.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(vector) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn integers(vector: __m512bh) -> __m512i {
    // SAFETY: the same register, under another name.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(vector) }
}

/// The transpose of 16 vectors of 16 lanes: pairs of lanes, pairs of pairs, then quarters of the vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut pairs = rows;
    for i in (0..LANES).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // Of 4 rows, what quarter q has in lane l goes to vector l, quarter q.
    let mut fours = pairs;
    for i in (0..LANES).step_by(4) {
        fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    let mut columns = fours;
    for lane in 0..4 {
        let [a, b, c, d] = [fours[lane], fours[4 + lane], fours[8 + lane], fours[12 + lane]];
        let even = [_mm512_shuffle_i32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_i32x4::<0b10_00_10_00>(c, d)];
        let odd = [_mm512_shuffle_i32x4::<0b11_01_11_01>(a, b), _mm512_shuffle_i32x4::<0b11_01_11_01>(c, d)];
        columns[lane] = _mm512_shuffle_i32x4::<0b10_00_10_00>(even[0], even[1]);
        columns[8 + lane] = _mm512_shuffle_i32x4::<0b11_01_11_01>(even[0], even[1]);
        columns[4 + lane] = _mm512_shuffle_i32x4::<0b10_00_10_00>(odd[0], odd[1]);
        columns[12 + lane] = _mm512_shuffle_i32x4::<0b11_01_11_01>(odd[0], odd[1]);
    }
    columns
}
