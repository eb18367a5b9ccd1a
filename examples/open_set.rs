//! Which head makes the best embedding of classes that training has never seen?
//!
//!     cargo run --release --example open_set                        # synthetic birds
//!     cargo run --release --example open_set -- DIR 64 0.01         # DIR, dimension of the embedding, learning rate
//!
//! DIR holds train_features.npy, train_labels.npy, test_features.npy and test_labels.npy, labels from 0. The first half of the classes trains an
//! embedding with each head; the second half is retrieved.

use arcos::data::synthetic::SyntheticBirds;
use arcos::data::{Dataset, OpenSetSplit, Transform, open_set_split};
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::{AdaCos, ArcFace, CosFace, NormSoftmax, Scale, Softmax};
use arcos::metrics::retrieval::retrieval;
use arcos::optim::{Optimizer, Sgd};
use arcos::train::{TrainConfig, Trainer};
use arcos::{AnyHead, Head, Result};
use ndarray::ArrayView2;
use std::path::Path;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (train, test) = arguments.first().map_or_else(synthetic, |directory| read(Path::new(directory)))?;
    let number =
        |index: usize, default: f64| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (dimension, learning_rate) = (number(1, 128.0) as usize, number(2, 0.01));
    let OpenSetSplit { train, test, unseen } = open_set_split(&train, Some(&test))?;

    let measure = |name: &str, embeddings: ArrayView2<f32>, accuracy: Option<f64>| -> Result<()> {
        let found = retrieval(embeddings, unseen.labels.view(), &[1])?;
        let accuracy = accuracy.map_or("-".into(), |accuracy| format!("{accuracy:.4}"));
        println!("{name:<14} {:>8.4} {:>8.4} {accuracy:>8}", found.recall[0].recall, found.map_at_r);
        Ok(())
    };
    println!("{:<14} {:>8} {:>8} {:>8}", "head", "R@1", "MAP@R", "accuracy");
    let heads = [
        AnyHead::Softmax(Softmax {}),
        AnyHead::NormSoftmax(NormSoftmax { scale: Scale::Fixed(16.0) }),
        AnyHead::AdaCos(AdaCos::default()),
        AnyHead::CosFace(CosFace { scale: Scale::Fixed(16.0), margin: 0.1, ..CosFace::default() }),
        AnyHead::ArcFace(ArcFace { scale: Scale::Fixed(16.0), margin: 0.2, ..ArcFace::default() }),
    ];
    let config = |head| TrainConfig {
        embedder: Some(Embedder { dimension, block: EmbedBlock::Linear }),
        optimizer: Optimizer::Sgd(Sgd::default()),
        learning_rate,
        epochs: 20,
        ..TrainConfig::new(head)
    };
    for head in heads {
        let name = head.name();
        let mut trainer = Trainer::new(config(head), train.clone(), test.clone())?;
        while !trainer.is_done() {
            trainer.run_epoch(|_| ())?;
        }
        let accuracy = trainer.history().last().and_then(|epoch| epoch.test_accuracy);
        measure(name, trainer.model().embeddings(&unseen.features)?.view(), accuracy)?;
    }
    let centred = Transform::fit(config(AnyHead::Softmax(Softmax {})).transform, &train.features)?;
    measure("(features)", centred.apply_to_all(&unseen.features)?.view(), None)
}

/// Birds whose features vary more with pose and light than with the species.
fn synthetic() -> Result<(Dataset, Dataset)> {
    let birds = SyntheticBirds { dimension: 512, nuisance_spread: 8.0, ..SyntheticBirds::default() };
    let ((train, train_labels), (test, test_labels)) = birds.generate()?;
    Ok((Dataset::new(train.into(), train_labels)?, Dataset::new(test.into(), test_labels)?))
}

fn read(directory: &Path) -> Result<(Dataset, Dataset)> {
    let read = |split: &str| {
        let file = |kind: &str| directory.join(format!("{split}_{kind}.npy"));
        Dataset::read(&file("features"), &file("labels"), None)
    };
    Ok((read("train")?, read("test")?))
}
