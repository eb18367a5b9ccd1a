//! A small data set, and a head that is trained on it.

use arcos::AnyHead;
use arcos::data::Dataset;
use arcos::data::synthetic::SyntheticBirds;
use arcos::heads::AdaCos;
use arcos::train::{TrainConfig, Trainer};
use ndarray::Array2;

pub fn birds() -> (Dataset, Dataset) {
    let birds = SyntheticBirds {
        classes: 10,
        train_rows: 205,
        test_rows: 100,
        dimension: 48,
        row_spread: 0.6,
        ..Default::default()
    };
    let (train, test) = birds.generate().expect("sensible sizes");
    let dataset = |(features, labels): (Array2<f32>, _)| Dataset::new(features.into(), labels).expect("well-formed");
    (dataset(train), dataset(test))
}

pub fn adacos() -> AnyHead {
    AnyHead::AdaCos(AdaCos::default())
}

pub fn trainer(config: TrainConfig) -> Trainer {
    let (train, test) = birds();
    Trainer::new(config, train, Some(test)).expect("well-formed")
}

pub fn run(trainer: &mut Trainer) {
    while !trainer.is_done() {
        trainer.run_epoch(|_| ()).expect("training goes on");
    }
}
