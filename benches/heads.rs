//! Forward and backward of every head beside the three bare matrix products of a training step.
//!
//! `cargo bench`, or `cargo bench --features openblas-system`; one head: `cargo bench -- arcface`.

use arcos::{AnyHead, Head, init};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

/// (B, D, C): the size of the original bird experiment, and one where the classes dominate.
const SIZES: [(usize, usize, usize); 2] = [(128, 1280, 200), (256, 512, 10_000)];

fn heads(criterion: &mut Criterion) {
    for (batch, dimension, classes) in SIZES {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let features: Array2<f32> = init::glorot_normal(batch, dimension, &mut rng);
        let weights: Array2<f32> = init::glorot_normal(classes, dimension, &mut rng);
        let labels = Array1::from_shape_fn(batch, |row| (row * 7919 % classes) as i64);

        let mut group = criterion.benchmark_group(format!("B{batch} D{dimension} C{classes}"));
        group.sample_size(10);
        // Three products of 2 B D C operations.
        group.throughput(Throughput::Elements(6 * (batch * dimension * classes) as u64));
        group.bench_function("bare matrix products", |bencher| {
            bencher.iter(|| {
                let logits = features.dot(&weights.t());
                let d_features = logits.dot(&weights);
                let d_weights = logits.t().dot(&features);
                black_box((d_features, d_weights))
            })
        });
        for name in AnyHead::names() {
            let head = AnyHead::new(name, &[]).expect("every head has defaults");
            // Several centres a class, where the head has them, all alike.
            let centres = head.centres();
            let shape = (classes * centres, dimension);
            let weights = Array2::from_shape_fn(shape, |(row, column)| weights[[row / centres, column]]);
            let parameters = head.initial_parameters(weights).expect("enough classes for every head");
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    let step = head.forward(features.view(), &parameters, labels.view());
                    let (loss, cache) = step.expect("the inputs are well-formed");
                    black_box((loss, head.backward(cache)))
                })
            });
        }
        group.finish();
    }
}

criterion_group!(benches, heads);
criterion_main!(benches);
