//! Penalties in training: what a step does with them, where their centres are kept, which go with what.

use super::birds::adacos;
use super::resumption::ends_with_the_same_bits;
use arcos::data::{Dataset, TransformKind};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::{ArcFace, Scale};
use arcos::optim::{Optimizer, Sgd};
use arcos::penalties::{center_loss, inter, intra, regularface, triplet};
use arcos::train::{Kernel, Model, TrainConfig, Trainer};
use arcos::{AnyHead, Head};
use ndarray::{Array2, Axis};
use rand::SeedableRng;

const RATE: f64 = 0.1;

/// Twenty rows of five classes, no two of one direction: there angles have no slope.
fn data() -> Dataset {
    let features = Array2::from_shape_fn((20, 4), |(row, column)| 3.0 * (1.7 * (4 * row + column) as f32).sin());
    Dataset::new(features.into(), (0..20).map(|row| row % 5).collect()).expect("well-formed")
}

/// One epoch is one step of plain gradient descent on all rows.
fn config(penalties: &[&str]) -> TrainConfig {
    let head = ArcFace { scale: Scale::Fixed(8.0), margin: 0.2, ..ArcFace::default() };
    TrainConfig {
        batch_size: 20,
        epochs: 1,
        learning_rate: RATE,
        optimizer: Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }),
        transform: TransformKind::None,
        penalties: penalties.iter().map(|text| text.parse().expect("a penalty")).collect(),
        ..TrainConfig::new(head.into())
    }
}

fn with_embedding(penalties: &[&str]) -> TrainConfig {
    let embedder = Some(Embedder { dimension: 3, block: EmbedBlock::Linear });
    TrainConfig { embedder, ..config(penalties) }
}

/// The model before and after the step, the trainer and the loss.
fn step(config: TrainConfig) -> (Model, Trainer, f64) {
    let mut trainer = Trainer::new(config, data(), None).expect("well-formed");
    let before = trainer.model().clone();
    let loss = trainer.run_epoch(|_| ()).expect("a step").train_loss;
    (before, trainer, loss)
}

fn assert_near(found: &Array2<f32>, expected: &Array2<f32>, what: &str) {
    let farthest = (found - expected).fold(0f32, |farthest, difference| farthest.max(difference.abs()));
    assert!(farthest < 2e-6, "{what} is {farthest} off: {found} {expected}");
}

#[test]
fn a_step_follows_the_gradient_of_loss_and_penalties() -> arcos::Result<()> {
    let data = data();
    let (features, labels) = (data.features.rows().all()?, data.labels.view());
    for kernel in [Kernel::default(), Kernel::Explicit] {
        let (before, trainer, loss) =
            step(TrainConfig { kernel, ..config(&["intra:0.5", "inter:2", "regularface:0.25"]) });
        let weights = before.parameters.weights.view();
        let (of_head, cache) = before.head.forward(features.view(), &before.parameters, labels)?;
        let of_head = (of_head, before.head.backward(cache).d_weights);
        let (of_intra, cache) = intra::forward(features.view(), weights, labels)?;
        let of_intra = (of_intra, intra::backward(&cache).d_weights);
        let (of_inter, cache) = inter::forward(weights, labels)?;
        let of_inter = (of_inter, inter::backward(&cache));
        let (of_regularface, cache) = regularface::forward(weights)?;
        let of_regularface = (of_regularface, regularface::backward(&cache));
        let terms = [(1.0, of_head), (0.5, of_intra), (2.0, of_inter), (0.25, of_regularface)];
        let expected: f32 = terms.iter().map(|(weight, (penalty, _))| weight * penalty).sum();
        approx::assert_relative_eq!(loss, f64::from(expected), max_relative = 1e-5);
        let moved = terms.iter().fold(before.parameters.weights.clone(), |weights, (weight, (_, d_weights))| {
            weights - d_weights * (weight * RATE as f32)
        });
        assert_near(&trainer.model().parameters.weights, &moved, "weights");
    }
    Ok(())
}

#[test]
fn penalties_on_rows_move_the_embedding_and_center_loss_its_centres() -> arcos::Result<()> {
    let data = data();
    let (features, labels) = (data.features.rows().all()?, data.labels.view());
    for kernel in [Kernel::default(), Kernel::Explicit] {
        let penalties = ["triplet:0.5:margin=0.7", "center-loss:0.25:rate=0.3"];
        let (before, trainer, loss) = step(TrainConfig { kernel, ..with_embedding(&penalties) });
        let embedding = before.embedder.as_ref().expect("there is one");
        let mut rng = arcos::rand::rngs::SmallRng::seed_from_u64(0);
        let (embeddings, embedder_cache) =
            embedding.embedder.forward(features.view(), &embedding.parameters, &mut rng)?;
        let (of_head, cache) = before.head.forward(embeddings.view(), &before.parameters, labels)?;
        let mut d_embeddings = before.head.backward(cache).d_features;
        let (of_triplets, cache) = triplet::forward(embeddings.view(), labels, 0.7)?;
        assert!(of_triplets > 0.0);
        d_embeddings.scaled_add(0.5, &triplet::backward(&cache));
        let centres = Array2::zeros((5, 3));
        let (of_centres, cache) = center_loss::forward(embeddings.view(), centres.view(), labels)?;
        d_embeddings.scaled_add(0.25, &center_loss::backward(&cache));
        let expected = of_head + 0.5 * of_triplets + 0.25 * of_centres;
        approx::assert_relative_eq!(loss, f64::from(expected), max_relative = 1e-5);
        let moved = center_loss::updated_centres(&cache, centres.view(), 0.3)?;
        assert_near(&trainer.checkpoint().centres, &moved, "centres");
        let gradients = embedding.embedder.backward(d_embeddings.view(), &embedding.parameters, &embedder_cache);
        let moved = &embedding.parameters.weights - gradients.d_weights * RATE as f32;
        let found = &trainer.model().embedder.as_ref().expect("there is one").parameters.weights;
        assert_near(found, &moved, "the embedding");
    }
    Ok(())
}

#[test]
fn a_run_with_center_loss_resumes_to_the_same_bits() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let config = TrainConfig { epochs: 4, batch_size: 32, ..with_embedding(&["center-loss:0.01", "intra:0.1"]) };
    ends_with_the_same_bits(config, directory.path());
}

#[test]
fn centres_of_another_shape_are_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (_, trainer, _) = step(with_embedding(&["center-loss"]));
    let mut checkpoint = trainer.checkpoint().clone();
    checkpoint.centres.remove_index(Axis(0), 0);
    checkpoint.save(&directory.path().join("other")).expect("writable");
    let error = arcos::train::Checkpoint::<AnyHead>::load(&directory.path().join("other")).expect_err("refused");
    assert!(error.to_string().contains("\"center_loss.centres\" is of the shape [4, 3]; expected (5, 3)"), "{error}");
}

#[test]
fn penalties_that_training_cannot_have_are_refused() {
    let refused = |config: TrainConfig| config.check(5).expect_err("refused").to_string();
    for rows in ["triplet:1:margin=0.3", "center-loss:0.01"] {
        assert_eq!(
            refused(config(&[rows])),
            format!("penalty is {rows}; expected an embedder beside it, or rows stay where they are")
        );
    }
    let sampled = TrainConfig { sample_rate: Some(0.5), ..config(&["intra"]) };
    assert_eq!(refused(sampled), "penalty is intra:1; expected none with a sample rate, which leaves out classes");
    let twice = with_embedding(&["center-loss", "center-loss:2"]);
    assert_eq!(
        refused(twice),
        "penalty is center-loss:2; expected one center loss alone, which has the centres to itself"
    );
    let sub_centers = AnyHead::new("sub-center-arcface", &[("centres", "2")]).expect("a head");
    assert!(refused(TrainConfig { head: sub_centers, ..config(&["inter"]) }).contains("heads with 2 centres a class"));
    let one_centre = TrainConfig { head: adacos(), ..config(&["centre-distance"]) };
    assert!(refused(one_centre).contains("expected a penalty of heads with one centre a class"));
}
