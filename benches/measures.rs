//! Measures of embeddings among each other, beside the bare product of all rows with all.

use arcos::init::glorot_normal;
use arcos::metrics::retrieval::retrieval;
use arcos::metrics::verification::all_pairs;
use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

const ROWS: usize = 4096;
const DIMENSION: usize = 512;
const ROWS_A_CLASS: usize = 32;

fn measures(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let embeddings: Array2<f32> = glorot_normal(ROWS, DIMENSION, &mut rng);
    let labels = Array1::from_shape_fn(ROWS, |row| (row / ROWS_A_CLASS) as i64);
    let (embeddings, labels) = (embeddings.view(), labels.view());
    let mut group = criterion.benchmark_group(format!("{ROWS} x {DIMENSION}"));
    group.sample_size(10);
    group.bench_function("product", |bencher| bencher.iter(|| black_box(embeddings.dot(&embeddings.t()))));
    group.bench_function("retrieval", |bencher| {
        bencher.iter(|| retrieval(embeddings, labels, &[1, 8]).expect("classes"))
    });
    group.bench_function("all pairs", |bencher| bencher.iter(|| all_pairs(embeddings, labels).expect("classes")));
    group.finish();
}

criterion_group!(benches, measures);
criterion_main!(benches);
