//! What runs against what, and the clock.

use super::case::Case;
use super::memory;
use arcos::SingleThreaded;
use arcos::heads::Gradients;
use arcos::ops::Objective;
use arcos::optim::{Moments, Optimizer, Sgd};
use arcos::streaming::{PartialFc, SampledClasses, Streaming, StreamingOptions, Update};
use arcos::{AnyHead, Head, Parameters, Real, Result};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

/// The explicit pass holds about so many (B, C) arrays, and is left out where they take more than this.
const EXPLICIT_ARRAYS: usize = 6;
const MOST_EXPLICIT_BYTES: usize = 4 << 30;

/// Classes that a task multiplies at a time.
const BLOCK: usize = 512;

/// OpenBLAS's threads wait actively for some 26 ms after a product, which would be another contestant's time.
const PAUSE: Duration = Duration::from_millis(50);

/// Small enough that the weights stay what they are, however many steps are timed.
const LEARNING_RATE: f64 = 1e-9;

/// A row of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub name: &'static str,
    /// Median.
    pub seconds: f64,
    /// To the bare products.
    pub ratio: f64,
    /// The operations of three products over the time.
    pub gflops: f64,
    /// The most memory taken beyond what was there before.
    pub extra_mib: Option<f64>,
}

/// What came of a race.
pub(super) struct Outcome {
    pub measured: Vec<Measured>,
    /// The share of blocks that the filter left out.
    pub filtered: f64,
    pub loss: f64,
}

/// Those that run in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Contestant {
    WholeProducts,
    BlockProducts,
    Explicit,
    Streaming,
    FusedUpdate,
    SeparateUpdate,
    FrozenUpdate,
    SampledUpdate,
    AllLogits,
    Likeliest,
}

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Self::WholeProducts => "bare products, whole arrays",
            Self::BlockProducts => "bare products, blocks of classes",
            Self::Explicit => "explicit forward + backward",
            Self::Streaming => "streaming",
            Self::FusedUpdate => "streaming with SGD inside",
            Self::SeparateUpdate => "streaming, then SGD",
            Self::FrozenUpdate => "SGD inside, without d_features",
            Self::SampledUpdate => "SGD inside, on sampled classes",
            Self::AllLogits => "inference: all logits",
            Self::Likeliest => "inference: likeliest classes",
        }
    }
}

/// Everything that any of them writes to, allocated before the clock starts.
struct Track<F> {
    case: Case<F>,
    kernel: Streaming<F>,
    partial_fc: PartialFc<F>,
    sample_rate: Option<f64>,
    top: usize,
    rng: ChaCha8Rng,
    gradients: Gradients<F>,
    /// For the bare products, (B, C) and (B, D).
    logits: Array2<F>,
    d_features: Array2<F>,
    moments: Vec<Moments<F>>,
    optimizer: Optimizer,
    filtered: f64,
    loss: f64,
}

/// Runs all of them once to warm up and to see their memory, then `runs` times in turn.
pub(super) fn race<F: Real>(
    case: Case<F>,
    options: StreamingOptions,
    update: bool,
    sample_rate: Option<f64>,
    top: Option<usize>,
    runs: usize,
) -> Result<Outcome> {
    let (batch, dimension) = case.features.dim();
    let classes = case.parameters.weights.nrows();
    let explicit_bytes = EXPLICIT_ARRAYS * batch * classes * size_of::<F>();
    let contestants: Vec<_> = [
        (Contestant::WholeProducts, true),
        (Contestant::BlockProducts, true),
        (Contestant::Streaming, true),
        (Contestant::Explicit, explicit_bytes <= MOST_EXPLICIT_BYTES),
        (Contestant::FusedUpdate, update),
        (Contestant::SeparateUpdate, update),
        (Contestant::FrozenUpdate, update),
        (Contestant::SampledUpdate, sample_rate.is_some()),
        (Contestant::AllLogits, top.is_some() && explicit_bytes <= MOST_EXPLICIT_BYTES),
        (Contestant::Likeliest, top.is_some()),
    ]
    .into_iter()
    .filter_map(|(contestant, takes_part)| takes_part.then_some(contestant))
    .collect();

    let mut track = Track::new(case, update, sample_rate, top.unwrap_or(1));
    let mut extra = Vec::new();
    for &contestant in &contestants {
        // Nobody finds the memory that another has left.
        (track.kernel, track.partial_fc) = (Streaming::new(options)?, PartialFc::new(options)?);
        let (result, bytes) = memory::extra(|| track.run(contestant));
        result?;
        extra.push(bytes);
    }
    let mut seconds = vec![Vec::new(); contestants.len()];
    for _ in 0..runs {
        for (&contestant, seconds) in contestants.iter().zip(&mut seconds) {
            thread::sleep(PAUSE);
            seconds.push(track.seconds_in_a_row(contestant)?);
        }
    }
    let medians: Vec<_> = seconds.into_iter().map(median).collect();
    let bare = medians[0].min(medians[1]);
    let operations = 6.0 * (batch * dimension * classes) as f64;
    let measured = contestants.iter().zip(medians).zip(extra).map(|((contestant, seconds), extra)| Measured {
        name: contestant.name(),
        seconds,
        ratio: seconds / bare,
        gflops: operations / seconds / 1e9,
        extra_mib: extra.map(|bytes| bytes as f64 / f64::from(1 << 20)),
    });
    Ok(Outcome { measured: measured.collect(), filtered: track.filtered, loss: track.loss })
}

impl<F: Real> Track<F> {
    fn new(case: Case<F>, update: bool, sample_rate: Option<f64>, top: usize) -> Self {
        let optimizer = Optimizer::Sgd(Sgd::default());
        let touched = |shape| Array2::from_elem(shape, F::one());
        let (weights, features) = (case.parameters.weights.dim(), case.features.dim());
        let trained = case.parameters.trained(&case.head);
        let mut moments: Vec<Moments<F>> = if update {
            trained.into_iter().map(|(_, length)| optimizer.moments(length)).collect()
        } else {
            Vec::new()
        };
        // What nobody has written to is not resident yet.
        moments.iter_mut().for_each(|moments| moments.first.fill(F::zero()));
        Self {
            kernel: Streaming::default(),
            partial_fc: PartialFc::default(),
            sample_rate,
            top,
            rng: ChaCha8Rng::seed_from_u64(0),
            gradients: Gradients { d_features: touched(features), d_weights: touched(weights), ..Gradients::default() },
            logits: Array2::zeros((features.0, weights.0)),
            d_features: touched(features),
            moments,
            optimizer,
            case,
            filtered: 0.0,
            loss: 0.0,
        }
    }

    /// Seconds of a run. Short ones are repeated, as a training loop does, and the first half of them not counted: the pause has
    /// cooled caches and let threads fall asleep.
    fn seconds_in_a_row(&mut self, contestant: Contestant) -> Result<f64> {
        let start = Instant::now();
        self.run(contestant)?;
        let repeats = (PAUSE.as_secs_f64() / start.elapsed().as_secs_f64()) as usize;
        if repeats == 0 {
            return Ok(start.elapsed().as_secs_f64());
        }
        for _ in 0..repeats {
            self.run(contestant)?;
        }
        let start = Instant::now();
        for _ in 0..repeats {
            self.run(contestant)?;
        }
        Ok(start.elapsed().as_secs_f64() / repeats as f64)
    }

    fn run(&mut self, contestant: Contestant) -> Result<()> {
        let Case { head, features, labels, parameters } = &mut self.case;
        let (features, labels) = (features.view(), labels.view());
        match contestant {
            Contestant::WholeProducts => {
                let (one, zero) = (F::one(), F::zero());
                let weights = parameters.weights.view();
                general_mat_mul(one, &features, &weights.t(), zero, &mut self.logits);
                general_mat_mul(one, &self.logits, &weights, zero, &mut self.d_features);
                general_mat_mul(one, &self.logits.t(), &features, zero, &mut self.gradients.d_weights);
            }
            Contestant::BlockProducts => {
                let d_features = products_in_blocks(features, &parameters.weights, &mut self.gradients.d_weights);
                self.d_features = d_features;
            }
            Contestant::Explicit => {
                let (loss, cache) = head.forward(features, &*parameters, labels)?;
                black_box((loss, head.backward(cache)));
            }
            Contestant::Streaming => {
                let (kernel, gradients) = (&mut self.kernel, &mut self.gradients);
                let step = kernel.forward_backward_into(head, features, &*parameters, labels, gradients)?;
                (self.filtered, self.loss) = (step.filtered, step.loss.to_double());
            }
            Contestant::FusedUpdate | Contestant::FrozenUpdate => {
                let update = Update {
                    optimizer: &self.optimizer,
                    moments: &mut self.moments,
                    step: 1,
                    learning_rate: LEARNING_RATE,
                    d_features: (contestant == Contestant::FusedUpdate).then_some(&mut self.d_features),
                };
                self.kernel.train_step(head, features, parameters, labels, update)?;
            }
            Contestant::SampledUpdate => {
                let update = Update {
                    optimizer: &self.optimizer,
                    moments: &mut self.moments,
                    step: 1,
                    learning_rate: LEARNING_RATE,
                    d_features: Some(&mut self.d_features),
                };
                let objective = Objective::from(labels);
                let rate = self.sample_rate.expect("or it does not take part");
                let classes = SampledClasses::draw(&objective, parameters.classes(head), rate, &mut self.rng)?;
                self.partial_fc.train_step(head, features, parameters, objective, &classes, update)?;
            }
            Contestant::AllLogits => {
                black_box(head.logits(features, &*parameters)?);
            }
            Contestant::Likeliest => {
                black_box(self.kernel.likeliest(head, features, &*parameters, self.top, 1.0)?);
            }
            Contestant::SeparateUpdate => {
                let (kernel, gradients) = (&mut self.kernel, &mut self.gradients);
                kernel.forward_backward_into(head, features, &*parameters, labels, gradients)?;
                update_in_parallel(&self.optimizer, head, parameters, gradients, &mut self.moments);
            }
        }
        Ok(())
    }
}

/// The three products with nothing between them, each task on a share of the classes and its own thread; returns `d_features`.
fn products_in_blocks<F: Real>(features: ArrayView2<F>, weights: &Array2<F>, d_weights: &mut Array2<F>) -> Array2<F> {
    let _single_threaded = SingleThreaded::begin();
    let share = weights.nrows().div_ceil(rayon::current_num_threads());
    let tasks: Vec<_> =
        weights.axis_chunks_iter(Axis(0), share).zip(d_weights.axis_chunks_iter_mut(Axis(0), share)).collect();
    let partial = |(weights, mut d_weights): (ArrayView2<F>, ndarray::ArrayViewMut2<F>)| {
        let mut d_features = Array2::zeros(features.raw_dim());
        let mut logits = Array2::zeros((features.nrows(), BLOCK.min(weights.nrows())));
        let blocks = weights.axis_chunks_iter(Axis(0), BLOCK).zip(d_weights.axis_chunks_iter_mut(Axis(0), BLOCK));
        for (weights, d_weights) in blocks {
            if logits.ncols() != weights.nrows() {
                logits = Array2::zeros((features.nrows(), weights.nrows()));
            }
            F::product(F::one(), features, weights.t(), false, logits.view_mut());
            F::product(F::one(), logits.view(), weights, true, d_features.view_mut());
            F::product(F::one(), logits.t(), features, false, d_weights);
        }
        d_features
    };
    tasks.into_par_iter().map(partial).reduce_with(|a, b| a + b).expect("at least one class")
}

/// The optimizer's step after the gradients, on all threads.
fn update_in_parallel<F: Real>(
    optimizer: &Optimizer,
    head: &AnyHead,
    parameters: &mut Parameters<F>,
    gradients: &Gradients<F>,
    moments: &mut [Moments<F>],
) {
    for (tensor, moments) in parameters.trained_mut(head, gradients).into_iter().zip(moments) {
        let share = tensor.values.len().div_ceil(rayon::current_num_threads());
        let values = tensor.values.par_chunks_mut(share).zip(tensor.gradient.par_chunks(share));
        values.zip(moments.first.par_chunks_mut(share)).for_each(|((values, gradient), first)| {
            let moments = arcos::optim::MomentsMut { first, second: &mut [] };
            optimizer.update(values, gradient, moments, 1, LEARNING_RATE).expect("slices of one length");
        });
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
