//! `arcos demo`

use super::compare::{CLASSIC_HEADS, Plan, compare};
use super::data_args::Data;
use super::embed_args::{EmbedArgs, learning_rate};
use super::failure::Failure;
use super::head_specs::named_heads;
use super::tell;
use super::train::remark_on_frozen_features;
use arcos::Result;
use arcos::data::synthetic::SyntheticBirds;
use arcos::data::{Dataset, Features};
use arcos::train::TrainConfig;
use std::path::PathBuf;

/// Arguments of `arcos demo`.
#[derive(clap::Args)]
#[command(after_help = "\
The features are drawn from a model, not computed from photographs: they have the sizes of CUB-200-2011 through \
EfficientNet-B0 and no more to do with it. For real features see `arcos compare`.")]
pub(super) struct Args {
    /// Where figure and runs go
    #[arg(long, value_name = "DIR", default_value = "arcos-demo")]
    out: PathBuf,
    /// Passes over the training rows
    #[arg(long, value_name = "N", default_value_t = 20)]
    epochs: usize,
    /// Rows in a batch; batches of 128 take half as long as those of 32 and do as well here
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch_size: usize,
    /// Seed of data, first weights and order of rows
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Species
    #[arg(long, value_name = "C", default_value_t = 200)]
    classes: usize,
    /// Training rows
    #[arg(long, value_name = "N", default_value_t = 5994)]
    train_rows: usize,
    /// Test rows
    #[arg(long, value_name = "N", default_value_t = 5794)]
    test_rows: usize,
    /// Feature dimension
    #[arg(long, value_name = "D", default_value_t = 1280)]
    dimension: usize,
    /// Spread of rows in directions that say nothing of the species; 8 hides most of what does
    #[arg(long, value_name = "SPREAD", default_value_t = 0.0, allow_negative_numbers = true)]
    nuisance: f64,
    /// Train on the first half of the species, retrieve the second
    #[arg(long)]
    open_set: bool,
    #[command(flatten)]
    embed: EmbedArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let &Args {
        epochs, batch_size, seed, classes, train_rows, test_rows, dimension, nuisance: nuisance_spread, ..
    } = args;
    let sizes = SyntheticBirds { classes, train_rows, test_rows, dimension, ..SyntheticBirds::default() };
    let birds = SyntheticBirds { nuisance_spread, seed, ..sizes };
    let embedder = args.embed.embedder()?;
    // The Keras project's scale for ArcFace; its other settings are the defaults here.
    let scale = [("scale", "32".into())];
    let config = |(name, head)| {
        let config = TrainConfig { epochs, seed, batch_size, embedder, ..TrainConfig::new(head) };
        let config = TrainConfig { learning_rate: learning_rate(config.learning_rate, embedder.is_some()), ..config };
        // Before there are data, as `train` does; heads that need more classes are left out later.
        config.check(usize::MAX).map(|()| (name, config))
    };
    let configs = named_heads(&CLASSIC_HEADS, &scale)?.into_iter().map(config).collect::<Result<_>>()?;
    let (train, test) = birds.generate()?;
    let dataset = |(features, labels)| Dataset::new(Features::from(features), labels);
    let data = Data::new(dataset(train)?, Some(dataset(test)?), args.open_set)?;
    let title = format!("Synthetic features: {}", data.describe());
    tell(&title);
    remark_on_frozen_features(&data, args.embed.embed.is_some());
    // The figures of synthetic features are of no classifier's worth.
    compare(Plan { configs, seeds: 1, has_baselines: false }, &data, None, &args.out, &title, None)
}
