//! The streaming kernel beside the three bare matrix products of a training step: at the start of training and late in it, with
//! and without memory for inner products, at three sizes; then every head; then whole steps at many classes.
//!
//! `cargo bench --bench streaming`, or with `--features openblas-system`. `arcos bench` measures one case more closely, by turns.

use arcos::heads::Gradients;
use arcos::optim::{MomentsMut, Optimizer, Sgd};
use arcos::streaming::{GradientFilter, Streaming, StreamingOptions, Update};
use arcos::{AnyHead, Head, Parameters, init};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::hint::black_box;

/// Too small to change the weights over any number of runs.
const LEARNING_RATE: f64 = 1e-9;

struct Case {
    features: Array2<f32>,
    labels: Array1<i64>,
    weights: Array2<f32>,
}

impl Case {
    /// Features and class vectors that have nothing to do with each other, as at the start of training.
    fn dense(batch: usize, dimension: usize, classes: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        Self {
            features: init::glorot_normal(batch, dimension, &mut rng),
            weights: init::glorot_normal(classes, dimension, &mut rng),
            labels: Array1::from_shape_fn(batch, |row| (row * 7919 % classes) as i64),
        }
    }

    /// Features at a cosine of 0.96 to their class vectors, as late in training.
    fn concentrated(batch: usize, dimension: usize, classes: usize) -> Self {
        let mut case = Self::dense(batch, dimension, classes);
        for (mut feature, &label) in case.features.axis_iter_mut(Axis(0)).zip(&case.labels) {
            let class_vector = case.weights.row(label as usize);
            let length = |row: ndarray::ArrayView1<f32>| row.dot(&row).sqrt();
            let noise = 0.29 * length(class_vector) / length(feature.view());
            feature *= noise;
            feature += &class_vector;
        }
        case
    }

    fn parameters(&self, head: &AnyHead) -> Parameters<f32> {
        // Several centres a class, where the head has them, all alike.
        let (centres, (classes, dimension)) = (head.centres(), self.weights.dim());
        let shape = (classes * centres, dimension);
        let weights = Array2::from_shape_fn(shape, |(row, column)| self.weights[[row / centres, column]]);
        head.initial_parameters(weights).expect("enough classes for every head")
    }

    /// A group whose throughput is that of three products of 2 B D C operations.
    fn group<'a>(&self, criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
        let ((batch, dimension), classes) = (self.features.dim(), self.weights.nrows());
        let mut group = criterion.benchmark_group(format!("{name} B{batch} D{dimension} C{classes}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(6 * (batch * dimension * classes) as u64));
        group
    }

    fn bench_products(&self, group: &mut BenchmarkGroup<WallTime>) {
        let Self { features, weights, .. } = self;
        group.bench_function("bare matrix products", |bencher| {
            bencher.iter(|| {
                let logits = features.dot(&weights.t());
                let d_features = logits.dot(weights);
                let d_weights = logits.t().dot(features);
                black_box((d_features, d_weights))
            })
        });
    }

    fn bench_kernel(
        &self,
        group: &mut BenchmarkGroup<WallTime>,
        name: &str,
        head: &AnyHead,
        options: StreamingOptions,
    ) {
        let parameters = self.parameters(head);
        let mut kernel = Streaming::new(options).expect("good options");
        let mut gradients = Gradients::default();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let (features, labels) = (self.features.view(), self.labels.view());
                kernel
                    .forward_backward_into(head, features, &parameters, labels, &mut gradients)
                    .expect("the inputs are well-formed")
            })
        });
    }
}

fn head(name: &str) -> AnyHead {
    AnyHead::new(name, &[]).expect("every head has defaults")
}

fn regimes(criterion: &mut Criterion) {
    let without_workspace = |filter| StreamingOptions { workspace: 0, filter, ..StreamingOptions::default() };
    let arcface = head("arcface");
    for (batch, dimension, classes) in [(128, 1280, 200), (256, 512, 10_000), (512, 512, 50_000)] {
        let case = Case::dense(batch, dimension, classes);
        let mut group = case.group(criterion, "dense");
        case.bench_products(&mut group);
        case.bench_kernel(&mut group, "streaming", &arcface, StreamingOptions::default());
        case.bench_kernel(&mut group, "streaming, workspace 0", &arcface, without_workspace(GradientFilter::Off));
        group.finish();
    }
    let case = Case::concentrated(512, 512, 50_000);
    let mut group = case.group(criterion, "concentrated");
    case.bench_products(&mut group);
    let filtered = without_workspace(GradientFilter::ROUNDING);
    case.bench_kernel(&mut group, "streaming, workspace 0, filter", &arcface, filtered);
    group.finish();
}

fn heads(criterion: &mut Criterion) {
    let case = Case::dense(256, 512, 10_000);
    let mut group = case.group(criterion, "heads");
    for name in AnyHead::names() {
        case.bench_kernel(&mut group, name, &head(name), StreamingOptions::default());
    }
    group.finish();
}

/// SGD with momentum inside the kernel, and after it on all threads.
fn steps(criterion: &mut Criterion) {
    let case = Case::dense(512, 512, 200_000);
    let (head, optimizer) = (head("arcface"), Optimizer::Sgd(Sgd::default()));
    let mut parameters = case.parameters(&head);
    let mut moments = vec![optimizer.moments(case.weights.len())];
    let mut kernel = Streaming::default();
    let mut group = case.group(criterion, "step");
    let mut d_features = Array2::default((0, 0));
    for (name, frozen) in [("SGD inside", false), ("SGD inside, without d_features", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (features, labels) = (case.features.view(), case.labels.view());
                let update = Update {
                    optimizer: &optimizer,
                    moments: &mut moments,
                    step: 1,
                    learning_rate: LEARNING_RATE,
                    d_features: (!frozen).then_some(&mut d_features),
                };
                kernel.train_step(&head, features, &mut parameters, labels, update)
            })
        });
    }
    let mut gradients = Gradients::default();
    let share = case.weights.len().div_ceil(rayon::current_num_threads());
    group.bench_function("SGD after", |bencher| {
        bencher.iter(|| {
            let (features, labels) = (case.features.view(), case.labels.view());
            let step = kernel.forward_backward_into(&head, features, &parameters, labels, &mut gradients);
            let values = parameters.weights.as_slice_mut().expect("in standard layout");
            let d_weights = gradients.d_weights.as_slice().expect("in standard layout");
            let parts = values.par_chunks_mut(share).zip(d_weights.par_chunks(share));
            parts.zip(moments[0].first.par_chunks_mut(share)).for_each(|((values, gradient), first)| {
                let moments = MomentsMut { first, second: &mut [] };
                optimizer.update(values, gradient, moments, 1, LEARNING_RATE).expect("slices of one length");
            });
            step
        })
    });
    group.finish();
}

criterion_group!(benches, regimes, heads, steps);
criterion_main!(benches);
